/**
 * Opens a file at a path without following a symbolic link there.
 *
 * @module
 */

/** How often opening is tried again if the file was replaced meanwhile. */
export const OPEN_TRIES = 50;

/**
 * Opens the file that is itself at a path. That holds even if another program replaces it, or a directory above it, by
 * a link meanwhile, provided that the path leads to the file's directory whatever others do, as one by way of an open
 * descriptor does.
 *
 * @throws what the runtime throws; `Deno.errors.NotFound` if it is not a file
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
      // If the runtime cannot resolve a path, it may report a missing permission.
      if (error instanceof Deno.errors.NotCapable) refusal = error;
      else if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw refusal ?? new Deno.errors.NotFound();
}

/** Whether an open file is the one that was looked at before. */
export function isSameFile({ dev, ino }: Deno.FileInfo, file: Deno.FsFile): boolean {
  const opened = file.statSync();
  return dev === opened.dev && ino === opened.ino;
}
