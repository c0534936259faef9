/**
 * Files that the programs are told to read: tokens, certificates, keys, configurations. Whatever else stands
 * at their path, nobody waits for it, but for a pipe that a user hands over on a command line.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { blocking } from "./signals.ts";

/** The piece in which a pipe is read. */
const PIECE_BYTES = 64 * 1024;

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

/** What was read, and the permission bits of what it was read from. */
export interface Given {
  /** The text. */
  text: string;
  /** The permission bits; null where the system has none. */
  mode: number | null;
}

/**
 * The text of a regular file or of a pipe, whose writer is waited for: `--token-file <(COMMAND)` in a shell hands
 * over the output of a command as a pipe.
 *
 * @throws what {@linkcode readRegularFile} throws; `usage` where more than {@linkcode MAX_REGULAR_FILE_BYTES} come
 */
export function readFileOrPipe(path: string): Given {
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
    if (size > MAX_REGULAR_FILE_BYTES) throw tooLarge();
    text += decoder.decode(buffer.subarray(0, count), { stream: true });
  }
  return text + decoder.decode();
}

function assertRegular(info: Deno.FileInfo): void {
  if (!info.isFile) {
    throw new FerryError("usage", `it is ${kindOf(info)}: a regular file is needed`);
  }
  if (info.size > MAX_REGULAR_FILE_BYTES) throw tooLarge();
}

function tooLarge(): FerryError {
  const most = MAX_REGULAR_FILE_BYTES / 2 ** 20;
  return new FerryError("usage", `it is larger than ${most} MiB, the most that is read`);
}

function kindOf({ isDirectory, isFifo, isSocket }: Deno.FileInfo): string {
  if (isDirectory) return "a directory";
  return isFifo ? "a pipe" : isSocket ? "a socket" : "a device";
}
