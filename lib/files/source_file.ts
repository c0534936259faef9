/**
 * A regular file on this machine, open for reading: what a server sends and what a client uploads.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import type { Digest } from "../digest/digest.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type Algorithm, algorithmOf, type Checksum } from "../core/checksum.ts";
import { FerryError, fileError } from "../core/errors.ts";
import type { ByteSource } from "../core/bytes.ts";

/** Reads up to this size are made at once; for larger ones a hop to another thread costs little. */
const SYNC_BYTES = 64 * 1024;

/**
 * For so long after a change another one may leave the same times, in milliseconds. The runtime tells the time of
 * an inode's last change in whole seconds, FAT knows every other second only, and the system's clock for files
 * is some milliseconds behind its own.
 */
const GRAIN_MS = 2100;

/** Files up to this size are read again as a whole where a part of them is in doubt. */
const REREAD_BYTES = 8 * 1024 * 1024;

/** The piece in which a file is read again. */
const PIECE_BYTES = 1024 * 1024;

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

/** A part of a file. */
interface Range {
  from: number;
  size: number;
}

/** A part that was read while a change of it could leave no trace in the file's times. */
interface Doubtful extends Range {
  digest: Digest;
}

/**
 * An open file that knows what it was when it was opened.
 *
 * That it was written to shows in its size and its times. The modification time can be set back, though, and the
 * time of the inode's last change too coarse to tell: then what was read is read once more, and has to be
 * the same.
 */
export class LocalFile implements ByteSource, AsyncDisposable {
  readonly #file: ReadableFile;
  readonly #runtime: Runtime;
  /** What the open file is; unlike what its name leads to, this cannot be swapped. */
  readonly info: FileFacts;
  /** Whether each change since it was opened shows in its times, also where a program sets back what it can. */
  readonly settled: boolean;
  /** Whether a change at this moment may not show. */
  #unsettled: boolean;
  #position = 0;
  #doubtful: Doubtful[] = [];

  /** @param looked when the facts were asked for, or before, in milliseconds since 1970 */
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
      // Opening a named pipe would wait for its other end, so look first, and at what was opened again.
      assertRegular(Deno.statSync(path));
      return LocalFile.of(Deno.openSync(path, { read: true }), runtime);
    } catch (error) {
      throw fileError(error);
    }
  }

  /**
   * A file that is open already, and closed where it is none.
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

  /** What the file is now, whatever has happened to its name. */
  now(): FileFacts {
    return this.#file.statSync();
  }

  /**
   * Fills some of `into`, or gives null at the end.
   *
   * @throws {FerryError} `io`, also where the end is not where the size says
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
   * What is in a file whose size is said to be 0 though something is in it, as of those in /proc: all of it, as it
   * comes, in pieces that are good until the next one is asked for. To be asked for before anything else is read.
   *
   * @returns undefined where its size is not 0, or it is empty
   * @throws {FerryError} `io`
   */
  async unsized(): Promise<AsyncGenerator<Uint8Array, void, void> | undefined> {
    if (this.size > 0) return undefined;
    const piece = new Uint8Array(SYNC_BYTES);
    // Some of them keep a reader waiting: that is done on another thread.
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
   * Fails where something is in it though its size is said to be 0. To be called before anything is read.
   *
   * @throws {FerryError} `io`
   */
  async assertSized(): Promise<void> {
    if (await this.unsized()) throw this.#tooLong();
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

  /** Remembers what was read by its digest. */
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
   * All of it, for files that fit into memory.
   *
   * @throws {FerryError} `io` where it changes meanwhile, or its size is another than is said
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

  /** Makes the next read begin at that byte. */
  seek(offset: number): void {
    this.#position = offset;
    this.#file.seekSync(offset, Deno.SeekMode.Start);
  }

  /**
   * Fails where the file was written to since it was opened. Where its times cannot tell, as much as is in doubt
   * is read again: all of it where its inode was changed, as to rename a file does, too; else what was read
   * in the first seconds after a change. Nothing may be reading meanwhile.
   *
   * @param whole the checksum of the whole file as it was read; without it nothing is read again, which is for
   * those whose receiver compares what it gets with a checksum that was known before
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

  /** Whether the inode was changed since it was opened; fails where size or modification time were, too. */
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

  /** Reads a part of the file once more. */
  async #again({ from, size }: Range, use: (piece: Uint8Array) => void): Promise<void> {
    using lent = this.#runtime.buffers.lend(Math.min(size, PIECE_BYTES));
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
export async function readLocalFile(path: string, runtime: Runtime): Promise<WholeFile> {
  const whole = readAtOnce(path, runtime);
  if (whole) return whole;
  await using file = LocalFile.open(path, runtime);
  const { mtime, mode } = file;
  return { bytes: await file.readWhole(), mtime, mode };
}

/**
 * Reads a small file. It is looked at by its path, before it is opened and behind the last byte: to be asked
 * about an open file, the runtime looks at each part of its path, which takes three times as long.
 *
 * @returns undefined where it is large or empty, or something else turned out to be there
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

/** So many bytes, or undefined where there are fewer. */
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
 * Whether any change of a file from a moment on gives it another time of its inode's last change than these facts
 * tell; programs cannot set that one back. A system that tells no such time is taken at its word for the other.
 */
function isSettled({ ctime, mtime }: FileFacts, moment: number): boolean {
  const changed = ctime ?? mtime;
  return changed !== null && moment - changed.getTime() >= GRAIN_MS;
}

/** Whether two looks saw the same file, to which nothing had happened in between that shows. */
function isUntouched(before: FileFacts, after: FileFacts): boolean {
  return before.dev === after.dev && before.ino === after.ino && sameContent(before, after) &&
    sameChange(before, after);
}

/** Whether nothing shows that an inode was changed in between; to rename a file may change it, too. */
function sameChange(before: FileFacts, after: FileFacts): boolean {
  return before.ctime?.getTime() === after.ctime?.getTime();
}

/** Whether nothing shows that a file was written to in between. */
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
