/**
 * Names of files in the addresses of requests.
 *
 * @module
 */

/** The path of a file or directory; of the root it is the prefix of the view. */
export function pathOf(prefix: string, name: string): string {
  return prefix + (name === "" ? "" : `/${name.split("/").map(encodeURIComponent).join("/")}`);
}

/** The name of an entry of a directory, which may be the root, "". */
export function nameIn(directory: string, entry: string): string {
  return directory === "" ? entry : `${directory}/${entry}`;
}

/** The directory of a file; "" is the root. */
export function directoryOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf("/")));
}
