/**
 * The content of directories.
 *
 * @module
 */

/** The names in a directory, sorted. */
export function namesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}
