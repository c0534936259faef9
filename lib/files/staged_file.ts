/**
 * A file that is written under a temporary name, and gets its final name only when it is complete. This is how a server
 * stores uploads and a client stores downloads.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import type { ByteSink } from "../core/bytes.ts";
import type { Unkept } from "../core/entry.ts";
import { FerryError, fileError } from "../core/errors.ts";
import { dirname } from "../core/paths.ts";
import { isFull } from "../file_system/known_file_systems.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { type FileAttributes, setAttributes, type SettableFile } from "./file_attributes.ts";
import { namingError } from "./file_errors.ts";
import { tryLock } from "./file_lock.ts";
import { isSameFile, OPEN_TRIES, openExactly } from "./open_exactly.ts";
import { HoleWriter } from "./holes.ts";
import { hasOtherNames, infoAt, isTaken } from "./path_lookup.ts";
import { privately, publishedBits } from "./permission_bits.ts";
import { renameWithoutReplacing } from "./renaming.ts";

/** Writes up to this size, in bytes, are synchronous. For larger ones the switch to another thread costs little. */
const SYNC_BYTES = 64 * 1024;

/**
 * After this many bytes of a file it is worth the time to find out whether the rest may be written on another thread.
 */
const WORTH_ASKING_BYTES = 8 * 1024 * 1024;

/** How often, and at which interval in milliseconds, to try to lock a file that another process has locked. */
const CLAIM = { tries: 10, interval: 50 };

/** An open file to write to: the part of the `Deno.FsFile` interface that a staged file needs. */
export interface WritableFile
  extends
    Pick<Deno.FsFile, "write" | "writeSync" | "seekSync" | "truncateSync" | "syncData" | "close">,
    SettableFile {}

/** A new file that is open, and the path of its temporary name. */
export interface CreatedFile {
  /** The file. */
  file: WritableFile;
  /** The path. */
  path: string;
}

/** A new file under a temporary name. */
export class StagedFile implements ByteSink, AsyncDisposable {
  readonly #file: WritableFile;
  /** The file, if it was opened by {@linkcode StagedFile.claim}. */
  readonly #claimed: Deno.FsFile | undefined;
  /** Its path while it has its temporary name. */
  readonly path: string;
  /** Provides what is needed to write and to verify it. */
  readonly runtime: Runtime;
  /** The permission bits with which it is published by default. */
  readonly #mode: number | undefined;
  #size = 0;
  /** Makes holes of runs of zeros; undefined if all bytes are written. */
  #holes: HoleWriter | undefined;
  #open = true;
  /** Whether the file goes on behind the bytes that are kept, and is truncated by the next write. */
  #tail = false;
  /** The last write at a position, which the next one waits for. */
  #last: Promise<unknown> = Promise.resolve();
  /** The file, opened for reading. */
  #reader: Deno.FsFile | undefined;
  /** Whether the temporary name still belongs to this file and has to be removed on disposal. */
  #temporary = true;

  private constructor(
    path: string,
    runtime: Runtime,
    { file, claimed, mode }: {
      file: WritableFile;
      claimed?: Deno.FsFile;
      mode?: number | undefined;
    },
  ) {
    this.path = path;
    this.runtime = runtime;
    this.#file = file;
    this.#claimed = claimed;
    this.#mode = mode;
  }

  /**
   * Creates a file in `directory`, which has to be on the file system of the final name. The file is locked while it is
   * open: an unlocked one was left behind by a process that has ended.
   *
   * @param options.mode the permission bits with which it is published by default; until then only this user can read
   * it. Default: those that the system gives to a new file, from the beginning
   * @throws {FerryError} `denied`, `no_space`, `not_found`, …
   */
  static create(
    directory: string,
    runtime: Runtime,
    { prefix = "", mode }: { prefix?: string; mode?: number | undefined } = {},
  ): StagedFile {
    const path = `${directory}/${prefix}${crypto.randomUUID()}.part`;
    try {
      const file = Deno.openSync(path, { write: true, createNew: true, ...privately(mode) });
      tryLock(file);
      return new StagedFile(path, runtime, { file, mode });
    } catch (error) {
      throw fileError(error);
    }
  }

  /**
   * Wraps a file that was just created.
   *
   * @param options.mode the permission bits to publish it with by default. Default: those that it has
   */
  static of(
    { file, path }: CreatedFile,
    runtime: Runtime,
    { mode }: { mode?: number | undefined } = {},
  ): StagedFile {
    return new StagedFile(path, runtime, { file, mode });
  }

  /**
   * Opens or creates a file under a temporary name of the caller's choice, and locks it while it is open. Existing
   * content is kept; {@linkcode StagedFile.truncate} has to be called before the first write.
   *
   * A file with a second hard link was published by a process that was killed before it could remove this name. It is
   * not opened, and this name is removed.
   *
   * @param options.mode see {@linkcode StagedFile.create}; it also applies to an existing file
   * @returns undefined if another process has it open, or if it is missing and `create` is false
   * @throws {FerryError} `denied`, `no_space`, `not_found` if the directory is missing, …
   */
  static claim(
    path: string,
    runtime: Runtime,
    { create, mode }: { create: boolean; mode?: number | undefined },
  ): StagedFile | undefined {
    try {
      for (let tries = 0; tries < OPEN_TRIES; tries++) {
        using opened = new DisposableStack();
        const file = opened.use(
          create
            ? Deno.openSync(path, { write: true, create, ...privately(mode) })
            : openExactly(path, { write: true }),
        );
        // Another process may have renamed it to its final name since it was opened: then it must not be touched.
        if (!tryLock(file) || !isSameFile(Deno.lstatSync(path), file)) return undefined;
        const info = file.statSync();
        if (!hasOtherNames(info)) {
          const bits = publishedBits(path, info, mode);
          opened.move();
          return new StagedFile(path, runtime, { file, claimed: file, mode: bits });
        }
        Deno.removeSync(path);
      }
      return undefined;
    } catch (error) {
      if (!create && error instanceof Deno.errors.NotFound) return undefined;
      throw fileError(error);
    }
  }

  /**
   * Like {@linkcode StagedFile.claim}, but waits up to half a second while another process has the file open: a program
   * that is just being started holds the locks of the one that starts it for a moment.
   *
   * @returns undefined if another process still has it open, or if it is missing and `create` is false
   * @throws {FerryError} as {@linkcode StagedFile.claim}
   */
  static async claimFreed(
    path: string,
    runtime: Runtime,
    options: { create: boolean; mode?: number | undefined },
  ): Promise<StagedFile | undefined> {
    for (let tries = 1;; tries++) {
      const staged = StagedFile.claim(path, runtime, options);
      if (staged || tries === CLAIM.tries || !isTaken(path)) return staged;
      await delay(CLAIM.interval);
    }
  }

  /**
   * Keeps the first `size` bytes of a claimed file, and continues writing after them.
   *
   * @param options.later whether what is behind them stays until something is appended. Default: false
   */
  truncate(size: number, { later = false }: { later?: boolean } = {}): void {
    try {
      const file = this.#claimed;
      this.#tail = later;
      // Truncating a file to its present size is not free: ext4 writes a file that was truncated to 0 bytes to the disk
      // when it is closed.
      if (file && !later && file.statSync().size !== size) file.truncateSync(size);
      file?.seekSync(size, Deno.SeekMode.Start);
      this.#size = size;
      if (this.#holes) this.makeHoles();
    } catch (error) {
      throw fileError(error);
    }
  }

  /**
   * Makes holes of the runs of zeros in what is written from now on. {@linkcode StagedFile.settle} has to be called
   * before the file is looked at by its path.
   */
  makeHoles(): void {
    const file = this.#file;
    let end = this.#size;
    this.#holes = new HoleWriter({
      write: (bytes) => {
        end += bytes.length;
        return this.#writeAll(bytes);
      },
      writeSync: (bytes) => {
        end += bytes.length;
        this.#writeAllSync(bytes);
      },
      skip: (count) => {
        end += count;
        file.seekSync(end, Deno.SeekMode.Start);
      },
      extend: () => file.truncateSync(end),
    }, this.#size);
  }

  /** Whether runs of zeros become holes. */
  get hasHoles(): boolean {
    return this.#holes !== undefined;
  }

  /**
   * Gives a file with holes the length of all that was written.
   *
   * @throws {FerryError} `no_space`, `io`
   */
  settle(): void {
    try {
      this.#holes?.settle();
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Appends all bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      if (this.#tail) this.truncate(this.#size);
      if (this.#holes) await this.#holes.write(bytes);
      // For small files, waiting for nothing would take a good part of the time.
      else if (bytes.length <= SYNC_BYTES) this.#writeAllSync(bytes);
      else await this.#writeAll(bytes);
      this.#size += bytes.length;
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /** Leaves appending: from now on a file of `size` bytes is written at positions, and its present bytes stay. */
  beginPieces(size: number): void {
    this.#tail = false;
    this.#size = size;
  }

  /** Writes all bytes at an offset. Calls may overlap; the bytes are written in the order of the calls. */
  writeAt(bytes: Uint8Array, offset: number): Promise<void> {
    const writing = this.#last.then(async () => {
      try {
        this.#file.seekSync(offset, Deno.SeekMode.Start);
        await this.#writeAll(bytes);
      } catch (error) {
        throw await this.#failure(error);
      }
    });
    this.#last = writing.catch(() => {});
    return writing;
  }

  /** Reads some bytes at an offset, and returns how many; null at the end. One call at a time. */
  async readAt(into: Uint8Array, offset: number): Promise<number | null> {
    try {
      const file = this.#reader ??= openExactly(this.path, { read: true });
      file.seekSync(offset, Deno.SeekMode.Start);
      return await file.read(into);
    } catch (error) {
      throw fileError(error);
    }
  }

  #writeAllSync(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      done += this.#file.writeSync(done === 0 ? bytes : bytes.subarray(done));
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    const threaded = bytes.length > SYNC_BYTES && await this.#mayUseThreads();
    let done = 0;
    while (done < bytes.length) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      done += !threaded || rest.length <= SYNC_BYTES
        ? this.#file.writeSync(rest)
        : await this.#file.write(rest);
    }
  }

  /**
   * The error for a failed write. Network file systems may report the same error for every failure, so the free space
   * is checked.
   */
  async #failure(error: unknown): Promise<FerryError> {
    const failure = fileError(error);
    if (failure.code !== "io" || !await isFull(dirname(this.path))) return failure;
    return new FerryError("no_space", "no space left on the device", { cause: error });
  }

  /** Whether failures of writes on other threads are reported as well. */
  async #mayUseThreads(): Promise<boolean> {
    const { fileSystems } = this.runtime;
    const directory = dirname(this.path);
    const reports = fileSystems.reportsWriteErrorsAtOnce(directory);
    if (reports !== undefined || this.#size < WORTH_ASKING_BYTES) return reports ?? false;
    return await fileSystems.reportsWriteErrors(directory);
  }

  /** The number of bytes written. */
  get size(): number {
    return this.#size;
  }

  /**
   * Sets the modification time and the permission bits; see {@linkcode setAttributes}. Default of `mode`: the bits
   * given when the file was created.
   *
   * @throws {FerryError} `io` if an explicitly requested attribute is not stored
   */
  setAttributes({ mode = this.#mode, ...attributes }: FileAttributes): Unkept[] {
    // A change of the length would change the modification time.
    this.settle();
    return setAttributes(this.path, this.#file, { mode, ...attributes });
  }

  /**
   * Flushes the content, so that it survives a power failure. For the name to survive, its directory has to be flushed,
   * too.
   */
  async sync(): Promise<void> {
    try {
      this.#holes?.settle();
      await this.#file.syncData();
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /**
   * Gives the file its final name, synchronously.
   *
   * @throws {FerryError} `exists` if the name is taken and `replace` is false, `not_found` if the directory is missing,
   * `not_a_file` if the name is that of a directory
   */
  publish(target: string, { replace }: { replace: boolean }): void {
    try {
      this.#holes?.settle();
      // Some file systems report only on close that bytes were lost. A claimed file is closed after the rename: in
      // between, another process could claim it as a partial file.
      if (!this.#claimed) this.#close();
      if (replace) Deno.renameSync(this.path, target);
      else renameWithoutReplacing(this.path, target);
      this.#temporary = false;
      this.#close();
    } catch (error) {
      if (infoAt(this.path)) throw namingError(error, target);
      const failure = fileError(error);
      throw failure.code === "not_found" ? removedMeanwhile() : failure;
    }
  }

  /**
   * Closes the file, which keeps the name that it was created with: nobody else can see its directory yet.
   *
   * @throws {FerryError} `io`, `no_space`, … if bytes turn out to be lost; disposal removes the file then
   */
  keepName(): void {
    try {
      this.#close();
      this.#temporary = false;
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Makes disposal leave the file under its temporary name. */
  keep(): void {
    this.#temporary = false;
  }

  #close(): void {
    if (!this.#open) return;
    // If closing fails, the descriptor is closed all the same, and its number may soon belong to another file.
    this.#open = false;
    this.#reader?.close();
    this.#file.close();
  }

  /** Removes the file unless it was published or is kept. Never fails. */
  [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#close();
    } catch {
      // A failed write does not matter: the file was not acknowledged to anybody.
    }
    if (this.#temporary) {
      this.#temporary = false;
      try {
        Deno.removeSync(this.path);
      } catch {
        // The file is gone already, or its file system is.
      }
    }
    return Promise.resolve();
  }
}

/** The error if the received part of a file was removed by another program. Sending it again may succeed. */
export function removedMeanwhile(): FerryError {
  return new FerryError("busy", "another program has removed the received part of it");
}
