/**
 * Local regular files that are open for reading: those that a server sends and a client uploads.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import type { Digest } from "../digest/digest.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type Algorithm, algorithmOf, type Checksum } from "../core/checksum.ts";
import { FerryError, fileError } from "../core/errors.ts";
import type { ByteSource } from "../core/bytes.ts";

/** Reads up to this size, in bytes, are synchronous. For larger ones the switch to another thread costs little. */
const SYNC_BYTES = 64 * 1024;

/**
 * For this long after a change, in milliseconds, a second change may result in the same timestamps: Deno reports an
 * inode's change time in whole seconds, FAT has a resolution of two seconds, and the system's clock for timestamps is
 * some milliseconds late.
 */
export const GRAIN_MS = 2100;

/** Files up to this size, in bytes, are read again as a whole if some of their bytes may have changed. */
const REREAD_BYTES = 8 * 1024 * 1024;

/** The size of the pieces in which files are read again, in bytes. */
const CHUNK_BYTES = 1024 * 1024;

/** The attributes of a file. The time of its creation is not known everywhere. */
export type FileFacts =
  & Pick<
    Deno.FileInfo,
    "isFile" | "isDirectory" | "dev" | "ino" | "size" | "mtime" | "ctime" | "mode"
  >
  & Partial<Pick<Deno.FileInfo, "birthtime">>;

/** An open file to read from: the part of the `Deno.FsFile` interface that a local file needs. */
export interface ReadableFile extends Pick<Deno.FsFile, "read" | "readSync" | "close"> {
  /** Sets the position of the next read; `whence` is always the start. */
  seekSync(offset: number, whence: Deno.SeekMode): number;
  /** The present attributes of the file. */
  statSync(): FileFacts;
}

/** A part of a file. */
interface Range {
  from: number;
  size: number;
}

/** A range that was read while it could have been changed without a visible difference in the file's timestamps. */
interface Doubtful extends Range {
  digest: Digest;
}

/**
 * An open file that detects changes since it was opened.
 *
 * Usually a write changes the size or the timestamps. But the modification time can be set back, and the inode's change
 * time may be too coarse: then the bytes are read again and have to be the same.
 */
export class LocalFile implements ByteSource, AsyncDisposable {
  readonly #file: ReadableFile;
  readonly #runtime: Runtime;
  /**
   * The attributes of the open file when it was opened. Unlike the file at its path, the open file cannot be replaced.
   */
  readonly info: FileFacts;
  /**
   * Whether every change since it was opened is visible in its timestamps, even if a program sets back the modification
   * time.
   */
  readonly settled: boolean;
  /** Whether a change at this moment could be invisible in the timestamps. */
  #unsettled: boolean;
  #position = 0;
  #doubtful: Doubtful[] = [];

  /** @param looked a time not later than when `info` was retrieved, in milliseconds since 1970 */
  private constructor(file: ReadableFile, runtime: Runtime, info: FileFacts, looked: number) {
    this.#file = file;
    this.#runtime = runtime;
    this.info = info;
    this.settled = isSettled(info, looked);
    this.#unsettled = !this.settled;
  }

  /**
   * Opens a regular file; symbolic links are followed.
   *
   * @throws {FerryError} `not_found`, `not_a_file`, `denied`, `io`
   */
  static open(path: string, runtime: Runtime): LocalFile {
    try {
      // Opening a named pipe would block until its other end is opened. So check before opening, and check the opened
      // file again.
      assertRegular(Deno.statSync(path));
      return LocalFile.of(Deno.openSync(path, { read: true }), runtime);
    } catch (error) {
      throw fileError(error);
    }
  }

  /**
   * Wraps a file that is already open. It is closed if it is not a regular file.
   *
   * @throws {FerryError} `not_a_file`, `io`
   */
  static of(file: ReadableFile, runtime: Runtime): LocalFile {
    try {
      const looked = runtime.clock.now();
      return new LocalFile(file, runtime, assertRegular(file.statSync()), looked);
    } catch (error) {
      file.close();
      throw fileError(error);
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

  /** The present attributes of the open file, whatever has happened to its name. */
  now(): FileFacts {
    return this.#file.statSync();
  }

  /**
   * Reads some bytes into `into`; null at the end.
   *
   * @throws {FerryError} `io`, also if the file is shorter or longer than its size
   */
  async read(into: Uint8Array): Promise<number | null> {
    this.#unsettled &&= !isSettled(this.info, this.#runtime.clock.now());
    const noting = this.#unsettled && this.size > REREAD_BYTES;
    const count = await this.#read(into);
    if (count === null) {
      if (this.#position < this.size) throw this.#tooShort(this.#position);
      return null;
    }
    if (this.#position + count > this.size) throw this.#tooLong();
    if (noting) await this.#note(into.subarray(0, count));
    this.#position += count;
    return count;
  }

  /**
   * The content of a file that reports the size 0 although it has content, as files in /proc do. Each chunk is valid
   * until the next one is requested. Must be called before anything else is read.
   *
   * @returns undefined if the size is not 0, or the file is empty
   * @throws {FerryError} `io`
   */
  async unsized(): Promise<AsyncGenerator<Uint8Array, void, void> | undefined> {
    if (this.size > 0) return undefined;
    const piece = new Uint8Array(SYNC_BYTES);
    // Reading some of these files blocks, so they are read on another thread.
    const next = async () => {
      try {
        return await this.#file.read(piece);
      } catch (error) {
        throw fileError(error);
      }
    };
    const first = await next();
    if (first === null) return undefined;
    return (async function* () {
      for (let count: number | null = first; count !== null; count = await next()) {
        yield piece.subarray(0, count);
      }
    })();
  }

  /**
   * Fails if the file reports the size 0 although it has content. Must be called before anything is read.
   *
   * @throws {FerryError} `io`
   */
  async assertSized(): Promise<void> {
    if (await this.unsized()) throw this.#tooLong();
  }

  /**
   * Fails if its content cannot be read. On GlusterFS a file that another machine has just replaced can be opened by its
   * name for a moment, and every read of it fails. Must be called before anything is read.
   *
   * @throws {FerryError} `io`, with the system's error as the cause
   */
  async assertReadable(): Promise<void> {
    await this.#read(new Uint8Array(1));
    this.seek(0);
  }

  #tooShort(count: number): FerryError {
    return new FerryError(
      "io",
      this.now().size === this.size
        ? `it ends after ${count} bytes, though its size is said to be ${this.size}`
        : `it shrank while it was sent: ${count} of ${this.size} bytes are left`,
    );
  }

  #tooLong(): FerryError {
    return new FerryError(
      "io",
      this.now().size === this.size
        ? `there is more in it than its size says, which is ${this.size}`
        : `it grew while it was sent: it had ${this.size} bytes before`,
    );
  }

  async #read(into: Uint8Array): Promise<number | null> {
    try {
      return into.length <= SYNC_BYTES ? this.#file.readSync(into) : await this.#file.read(into);
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Stores the digest of bytes that were read while the timestamps were not reliable. */
  async #note(bytes: Uint8Array): Promise<void> {
    let last = this.#doubtful.at(-1);
    if (last?.from !== this.#position - (last?.size ?? 0)) {
      last = {
        from: this.#position,
        size: 0,
        digest: await this.#runtime.digests.create("xxh128"),
      };
      this.#doubtful.push(last);
    }
    last.digest.update(bytes);
    last.size += bytes.length;
  }

  /**
   * Reads the whole file, for files that fit into memory.
   *
   * @throws {FerryError} `io` if it changes meanwhile, or does not have the size that it reports
   */
  async readWhole(): Promise<Uint8Array> {
    await this.assertSized();
    const bytes = new Uint8Array(this.size);
    let filled = 0;
    while (filled < bytes.length) {
      const count = await this.#read(bytes.subarray(filled));
      if (count === null) throw this.#tooShort(filled);
      filled += count;
    }
    const touched = this.#touched();
    if (!touched && this.settled) return bytes;
    let at = 0;
    await this.#again({ from: 0, size: bytes.length }, (piece) => {
      if (!equals(piece, bytes.subarray(at, at += piece.length))) throw otherBytes();
    });
    return bytes;
  }

  /** Sets the byte offset of the next read. */
  seek(offset: number): void {
    this.#position = offset;
    this.#file.seekSync(offset, Deno.SeekMode.Start);
  }

  /**
   * Fails if the file was written to since it was opened. If its timestamps do not show that reliably, bytes are read
   * again: all of them if the inode was changed, which a rename does, too; otherwise those that were read in the first
   * seconds after a change. Nothing else may read the file meanwhile.
   *
   * @param whole the checksum of the whole file as it was read. Without it nothing is read again; that suffices if the
   * receiver verifies the bytes against a checksum that was known before
   * @throws {FerryError} `io`
   */
  async assertUnchanged(whole?: Checksum): Promise<void> {
    const touched = this.#touched();
    if (whole === undefined) return;
    if (touched || !this.settled && this.size <= REREAD_BYTES) {
      const again = await this.#digestAgain({ from: 0, size: this.size }, algorithmOf(whole)!);
      if (again !== whole) throw otherBytes();
    }
    for (const { digest, ...range } of touched ? [] : this.#doubtful) {
      if (await this.#digestAgain(range, "xxh128") !== digest.checksum()) throw otherBytes();
    }
    this.#doubtful = [];
  }

  /** Whether the inode was changed since it was opened. Fails if the size or the modification time has changed. */
  #touched(): boolean {
    const now = this.now();
    if (sameContent(this.info, now)) return !sameChange(this.info, now);
    throw new FerryError(
      "io",
      `it changed while it was sent: ${this.info.size} bytes before, ${now.size} now`,
    );
  }

  async #digestAgain(range: Range, algorithm: Algorithm): Promise<Checksum> {
    const digest = await this.#runtime.digests.create(algorithm);
    await this.#again(range, (piece) => digest.update(piece));
    return digest.checksum();
  }

  /** Reads a range of the file again. */
  async #again({ from, size }: Range, use: (piece: Uint8Array) => void): Promise<void> {
    using lent = this.#runtime.buffers.lend(Math.min(size, CHUNK_BYTES));
    this.seek(from);
    for (let left = size; left > 0;) {
      const count = await this.#read(lent.bytes.subarray(0, left));
      if (count === null) throw otherBytes();
      use(lent.bytes.subarray(0, count));
      left -= count;
    }
  }

  /** Closes the file. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#file.close();
    return Promise.resolve();
  }
}

/** A file that was read as a whole. */
export interface WholeFile extends Pick<LocalFile, "mtime" | "mode"> {
  /** Its content. */
  bytes: Uint8Array;
}

/**
 * Reads a file as a whole, for files that fit into memory. Symbolic links are followed.
 *
 * @returns the file itself, not a promise, if it is small, since there may be many thousands; otherwise a promise
 * @throws {FerryError} as {@linkcode LocalFile.open}; `io` if it changes meanwhile
 */
export function readLocalFile(path: string, runtime: Runtime): WholeFile | Promise<WholeFile> {
  return readAtOnce(path, runtime) ?? readInPieces(path, runtime);
}

async function readInPieces(path: string, runtime: Runtime): Promise<WholeFile> {
  await using file = LocalFile.open(path, runtime);
  const { mtime, mode } = file;
  return { bytes: await file.readWhole(), mtime, mode };
}

/**
 * Reads a small file synchronously. Its attributes are read by its path, before it is opened and after the last byte.
 * For the attributes of an open file, Deno resolves each component of its path, which takes three times as long.
 *
 * @returns undefined if the file is large or empty, or was replaced meanwhile
 */
function readAtOnce(path: string, runtime: Runtime): WholeFile | undefined {
  try {
    const looked = runtime.clock.now();
    const before = assertRegular(Deno.statSync(path));
    if (before.size > SYNC_BYTES || before.size === 0) return undefined;
    using file = Deno.openSync(path, { read: true });
    const bytes = readAll(file, before.size);
    if (!bytes) return undefined;
    if (!isSettled(before, looked)) {
      file.seekSync(0, Deno.SeekMode.Start);
      const again = readAll(file, before.size);
      if (!again || !equals(bytes, again)) return undefined;
    }
    if (!isUntouched(before, Deno.statSync(path))) return undefined;
    return { bytes, mtime: mtimeOf(before), mode: modeOf(before) };
  } catch (error) {
    throw fileError(error);
  }
}

/** Reads that many bytes; undefined if there are fewer. */
function readAll(file: Deno.FsFile, size: number): Uint8Array | undefined {
  const bytes = new Uint8Array(size);
  for (let filled = 0; filled < bytes.length;) {
    const count = file.readSync(filled === 0 ? bytes : bytes.subarray(filled));
    if (count === null) return undefined;
    filled += count;
  }
  return bytes;
}

/**
 * Whether any change of a file after `moment` gives its inode another change time than these attributes have. Programs
 * cannot set the change time back. If a system has no change time, the modification time is used.
 */
function isSettled({ ctime, mtime }: FileFacts, moment: number): boolean {
  const changed = ctime ?? mtime;
  return changed !== null && moment - changed.getTime() >= GRAIN_MS;
}

/** Whether the attributes are those of the same file, with no visible change in between. */
function isUntouched(before: FileFacts, after: FileFacts): boolean {
  return before.dev === after.dev && before.ino === after.ino && sameContent(before, after) &&
    sameChange(before, after);
}

/** Whether there was no visible change of the inode in between. A rename may change it, too. */
function sameChange(before: FileFacts, after: FileFacts): boolean {
  return before.ctime?.getTime() === after.ctime?.getTime();
}

/** Whether there was no visible write in between. */
function sameContent(before: FileFacts, after: FileFacts): boolean {
  return before.size === after.size && before.mtime?.getTime() === after.mtime?.getTime();
}

function otherBytes(): FerryError {
  return new FerryError(
    "io",
    "it changed while it was sent: size and time are the same, the content is not",
  );
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
