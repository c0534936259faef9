/**
 * A regular file on this machine, open for reading: what a server sends and what a client uploads.
 *
 * @module
 */

import { FerryError, toFerryError } from "./errors.ts";
import type { ByteSource } from "./storage.ts";

/** Reads up to this size are made at once; for larger ones a hop to another thread costs little. */
const SYNC_BYTES = 64 * 1024;

/** What is known of a file. */
export type FileFacts = Pick<
  Deno.FileInfo,
  "isFile" | "isDirectory" | "dev" | "ino" | "size" | "mtime" | "ctime" | "mode"
>;

/** An open file to read from: what a local file takes of the runtime's. */
export interface ReadableFile extends Pick<Deno.FsFile, "read" | "readSync" | "close"> {
  /** Makes the next read begin at that byte; `whence` is the start. */
  seekSync(offset: number, whence: Deno.SeekMode): number;
  /** What the file is now. */
  statSync(): FileFacts;
}

/** An open file that knows what it was when it was opened. */
export class LocalFile implements ByteSource, AsyncDisposable {
  readonly #file: ReadableFile;
  /** What the open file is; unlike what its name leads to, this cannot be swapped. */
  readonly info: FileFacts;

  private constructor(file: ReadableFile, info: FileFacts) {
    this.#file = file;
    this.info = info;
  }

  /**
   * Opens a regular file; symbolic links are followed.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `denied`, `io`
   */
  static open(path: string): LocalFile {
    try {
      // Opening a named pipe would wait for its other end, so look first, and at what was opened again.
      assertRegular(Deno.statSync(path));
      return LocalFile.of(Deno.openSync(path, { read: true }));
    } catch (error) {
      throw toFerryError(error);
    }
  }

  /**
   * A file that is open already, and closed where it is none.
   *
   * @throws {FerryError} `not_a_file`, `io`
   */
  static of(file: ReadableFile): LocalFile {
    try {
      return new LocalFile(file, assertRegular(file.statSync()));
    } catch (error) {
      file.close();
      throw toFerryError(error);
    }
  }

  /** The size in bytes when it was opened. */
  get size(): number {
    return this.info.size;
  }

  /** The modification time in milliseconds since 1970. */
  get mtime(): number {
    return mtimeOf(this.info);
  }

  /** The permission bits. */
  get mode(): number {
    return modeOf(this.info);
  }

  /** What the file is now, whatever has happened to its name. */
  now(): FileFacts {
    return this.#file.statSync();
  }

  /** Fills some of `into`, or gives null at the end. */
  async read(into: Uint8Array): Promise<number | null> {
    try {
      return into.length <= SYNC_BYTES ? this.#file.readSync(into) : await this.#file.read(into);
    } catch (error) {
      throw toFerryError(error);
    }
  }

  /**
   * All of it, for files that fit into memory.
   *
   * @throws {FerryError} `io` where it changes meanwhile
   */
  async readWhole(): Promise<Uint8Array> {
    const bytes = new Uint8Array(this.size);
    let filled = 0;
    while (filled < bytes.length) {
      const count = await this.read(bytes.subarray(filled));
      if (count === null) throw new FerryError("io", "it shrank while it was read");
      filled += count;
    }
    await this.assertUnchanged();
    return bytes;
  }

  /** Makes the next read begin at that byte. */
  seek(offset: number): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
  }

  /**
   * Fails where the file was written to since it was opened.
   *
   * @throws {FerryError} `io`
   */
  // deno-lint-ignore require-await -- a failure is to be a rejection
  async assertUnchanged(): Promise<void> {
    const now = this.now();
    if (sameContent(this.info, now)) return;
    throw new FerryError(
      "io",
      `it changed while it was sent: ${this.info.size} bytes before, ${now.size} now`,
    );
  }

  /** Closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}

/** A file that was read whole. */
export interface WholeFile extends Pick<LocalFile, "mtime" | "mode"> {
  /** What is in it. */
  bytes: Uint8Array;
}

/**
 * Reads a file whole, for files that fit into memory; symbolic links are followed.
 *
 * @throws {FerryError} as {@linkcode LocalFile.open}; `io` where it changes meanwhile
 */
export async function readLocalFile(path: string): Promise<WholeFile> {
  const whole = readAtOnce(path);
  if (whole) return whole;
  await using file = LocalFile.open(path);
  const { mtime, mode } = file;
  return { bytes: await file.readWhole(), mtime, mode };
}

/**
 * Reads a small file. It is looked at by its path, before it is opened and behind the last byte: to be asked
 * about an open file, the runtime looks at each part of its path, which takes three times as long.
 *
 * @returns undefined where it is large, or something else turned out to be there
 */
function readAtOnce(path: string): WholeFile | undefined {
  try {
    const before = assertRegular(Deno.statSync(path));
    if (before.size > SYNC_BYTES) return undefined;
    const bytes = new Uint8Array(before.size);
    using file = Deno.openSync(path, { read: true });
    for (let filled = 0; filled < bytes.length;) {
      const count = file.readSync(filled === 0 ? bytes : bytes.subarray(filled));
      if (count === null) return undefined;
      filled += count;
    }
    if (!isUntouched(before, Deno.statSync(path))) return undefined;
    return { bytes, mtime: mtimeOf(before), mode: modeOf(before) };
  } catch (error) {
    throw toFerryError(error);
  }
}

/** Whether two looks saw the same file, to which nothing had happened in between. */
function isUntouched(before: FileFacts, after: FileFacts): boolean {
  return before.dev === after.dev && before.ino === after.ino && sameContent(before, after) &&
    before.ctime?.getTime() === after.ctime?.getTime();
}

/** Whether nothing shows that a file was written to in between. */
function sameContent(before: FileFacts, after: FileFacts): boolean {
  return before.size === after.size && before.mtime?.getTime() === after.mtime?.getTime();
}

function mtimeOf({ mtime }: FileFacts): number {
  return mtime?.getTime() ?? 0;
}

function modeOf({ mode }: FileFacts): number {
  return (mode ?? 0o644) & 0o777;
}

function assertRegular<T extends Pick<FileFacts, "isFile" | "isDirectory">>(info: T): T {
  if (info.isFile) return info;
  throw new FerryError(
    "not_a_file",
    info.isDirectory ? "it is a directory" : "it is not a regular file",
  );
}
