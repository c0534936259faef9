/**
 * Files that the programs are told to read: tokens, certificates, keys, configurations. Whatever else stands
 * at their path, nobody waits for it.
 *
 * @module
 */

import { FerryError } from "./errors.ts";

/** The longest such file in bytes: a table of tokens has room for some 40,000. */
export const MAX_REGULAR_FILE_BYTES: number = 16 * 1024 * 1024;

/**
 * Opens a file, and nothing else. To open a named pipe would wait for whoever writes to it, maybe for ever; so
 * it is looked at before it is opened, and again after that.
 *
 * @throws {FerryError} `usage` where it is no regular file, or one of more than {@linkcode MAX_REGULAR_FILE_BYTES}
 * @throws what the runtime throws; `Deno.errors.NotFound` where nothing is there and nothing is to be made
 */
export function openRegularFile(
  path: string,
  options: Deno.OpenOptions = { read: true },
): Deno.FsFile {
  try {
    assertRegular(Deno.statSync(path));
  } catch (error) {
    if (!options.create || !(error instanceof Deno.errors.NotFound)) throw error;
  }
  const file = Deno.openSync(path, options);
  try {
    assertRegular(file.statSync());
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * The text of an open file, from its beginning.
 *
 * @throws {FerryError} `io` where it is cut meanwhile
 */
export function readText(file: Deno.FsFile): string {
  const { size } = file.statSync();
  const bytes = new Uint8Array(Math.min(size, MAX_REGULAR_FILE_BYTES));
  for (let filled = 0; filled < bytes.length;) {
    const count = file.readSync(bytes.subarray(filled));
    if (count === null) throw new FerryError("io", "it was changed while it was read");
    filled += count;
  }
  return new TextDecoder().decode(bytes);
}

/**
 * The text of the file at a path.
 *
 * @throws what {@linkcode openRegularFile} and {@linkcode readText} throw
 */
export function readRegularFile(path: string): string {
  using file = openRegularFile(path);
  return readText(file);
}

function assertRegular(info: Deno.FileInfo): void {
  if (!info.isFile) {
    throw new FerryError("usage", `it is ${kindOf(info)}: a regular file is needed`);
  }
  if (info.size > MAX_REGULAR_FILE_BYTES) {
    const most = MAX_REGULAR_FILE_BYTES / 2 ** 20;
    throw new FerryError("usage", `it is larger than ${most} MiB, the most that is read`);
  }
}

function kindOf({ isDirectory, isFifo, isSocket }: Deno.FileInfo): string {
  if (isDirectory) return "a directory";
  return isFifo ? "a pipe" : isSocket ? "a socket" : "a device";
}
