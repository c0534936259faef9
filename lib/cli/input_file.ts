/**
 * Files that options name: tokens, certificates, keys, config files. They are read completely. A named pipe at such a
 * path is an error, since reading it could block forever, except for {@linkcode readFileOrPipe}.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { blocking } from "./signals.ts";

/** How much of a pipe is read at a time, in bytes. */
const PIECE_BYTES = 64 * 1024;

/** The largest file that is read as a whole, in bytes: enough for some 40,000 tokens. */
export const MAX_REGULAR_FILE_BYTES: number = 16 * 1024 * 1024;

/**
 * Opens a regular file. Opening a named pipe would wait for its writer, so the type is checked before the file is
 * opened, and again after that.
 *
 * @param most how large it may be, in bytes. Default: {@linkcode MAX_REGULAR_FILE_BYTES}
 * @throws {FerryError} `usage` if it is not a regular file, or larger than that
 * @throws what the runtime throws, such as `Deno.errors.NotFound`
 */
export function openRegularFile(
  path: string,
  options: Deno.OpenOptions = { read: true },
  most: number = MAX_REGULAR_FILE_BYTES,
): Deno.FsFile {
  try {
    assertRegular(Deno.statSync(path), most);
  } catch (error) {
    if (!options.create || !(error instanceof Deno.errors.NotFound)) throw error;
  }
  const file = Deno.openSync(path, options);
  try {
    assertRegular(file.statSync(), most);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Reads an open file from its beginning.
 *
 * @throws {FerryError} `io` if it becomes shorter meanwhile
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
 * Reads the regular file at a path.
 *
 * @throws what {@linkcode openRegularFile} and {@linkcode readText} throw
 */
export function readRegularFile(path: string): string {
  using file = openRegularFile(path);
  return readText(file);
}

/** A text and the permission bits of the file that it was read from. */
export interface FileText {
  /** The text. */
  text: string;
  /** The permission bits; null on a system without them. */
  mode: number | null;
}

/**
 * Reads a regular file or a named pipe. For a pipe it waits for the writer: in a shell, `--token-file <(COMMAND)`
 * passes the output of a command as a pipe.
 *
 * @throws what {@linkcode readRegularFile} throws; `usage` if a pipe delivers more than {@linkcode
 * MAX_REGULAR_FILE_BYTES}
 */
export function readFileOrPipe(path: string): FileText {
  const { isFifo, mode } = Deno.statSync(path);
  if (isFifo) return { text: blocking(() => readPipe(path)), mode };
  using file = openRegularFile(path);
  return { text: readText(file), mode: file.statSync().mode };
}

function readPipe(path: string): string {
  using pipe = Deno.openSync(path, { read: true });
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(PIECE_BYTES);
  let text = "";
  let size = 0;
  for (let count; (count = pipe.readSync(buffer)) !== null;) {
    size += count;
    if (size > MAX_REGULAR_FILE_BYTES) throw tooLarge(MAX_REGULAR_FILE_BYTES);
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text + decoder.decode();
}

function assertRegular(info: Deno.FileInfo, most: number): void {
  if (!info.isFile) {
    throw new FerryError("usage", `it is ${kindOf(info)}: a regular file is needed`);
  }
  if (info.size > most) throw tooLarge(most);
}

function tooLarge(most: number): FerryError {
  return new FerryError("usage", `it is larger than ${most / 2 ** 20} MiB, the most that is read`);
}

function kindOf({ isDirectory, isFifo, isSocket }: Deno.FileInfo): string {
  if (isDirectory) return "a directory";
  return isFifo ? "a pipe" : isSocket ? "a socket" : "a device";
}
