/**
 * Opens the file that stands at a path itself, and none that a link leads to.
 *
 * @module
 */

/** How often a file is opened again that was replaced meanwhile. */
export const OPEN_TRIES = 50;

/**
 * Opens a file that stands at a path itself, also where a link is swapped in for it meanwhile, or above it: the path
 * leads to the file's directory whatever others do.
 *
 * @throws what the runtime throws; `Deno.errors.NotFound` for what is no file
 */
export function openExactly(path: string, options: Deno.OpenOptions): Deno.FsFile {
  let refusal: Error | undefined;
  for (let tries = 0; tries < OPEN_TRIES; tries++) {
    const there = Deno.lstatSync(path);
    if (!there.isFile) break;
    try {
      using opened = new DisposableStack();
      const file = opened.use(Deno.openSync(path, options));
      if (!isSameFile(there, file)) continue;
      opened.move();
      return file;
    } catch (error) {
      // A runtime that cannot see where a path leads may report that the program may not go there.
      if (error instanceof Deno.errors.NotCapable) refusal = error;
      else if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw refusal ?? new Deno.errors.NotFound();
}

/** Whether an open file is the one that was looked at. */
export function isSameFile({ dev, ino }: Deno.FileInfo, file: Deno.FsFile): boolean {
  const opened = file.statSync();
  return dev === opened.dev && ino === opened.ino;
}
