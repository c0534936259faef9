/**
 * A file that is written under a temporary name and gets its own name only when it is whole: how a server stores
 * uploads and a client stores downloads.
 *
 * @module
 */

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
import { hasOtherNames, infoAt } from "./path_lookup.ts";
import { privately, publishedBits } from "./permission_bits.ts";
import { renameWithoutReplacing } from "./renaming.ts";

/** Writes up to this size are made at once; for larger ones a switch to another thread costs little. */
const SYNC_BYTES = 64 * 1024;

/** After this many bytes of a file it is worth the time to find out how the rest may be written. */
const WORTH_ASKING_BYTES = 8 * 1024 * 1024;

/** An open file to write to: as much of `Deno.FsFile` as a staged file needs. */
export interface WritableFile
  extends Pick<Deno.FsFile, "write" | "writeSync" | "syncData" | "close">, SettableFile {}

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
  /** The file, where it was claimed. */
  readonly #claimed: Deno.FsFile | undefined;
  /** Its path while it has its temporary name. */
  readonly path: string;
  /** What is used to write it, and to check it. */
  readonly runtime: Runtime;
  /** The permission bits that it is published with by default. */
  readonly #mode: number | undefined;
  #size = 0;
  #open = true;
  /** Whether the temporary name is still this file's, to be removed with it. */
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
   * Creates a file in `directory`, which has to be on the file system of the final name. While the file is open, it is
   * locked: one that is not locked was left behind by a process that has ended.
   *
   * @param options.mode the permission bits to publish it with by default; until then only this user can read it.
   * Default: those that the system gives to a new file, from the beginning
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
   * A file that was just created.
   *
   * @param options.mode the permission bits to publish it with by default
   */
  static of({ file, path }: CreatedFile, runtime: Runtime, { mode }: { mode: number }): StagedFile {
    return new StagedFile(path, runtime, { file, mode });
  }

  /**
   * Opens a file under a temporary name of the caller's choice, or creates it, and locks it while it is open. Its
   * content stays until {@linkcode StagedFile.truncate}, which has to be called first.
   *
   * A file that has a second name was published by a process that was killed before it could remove this name. It is
   * not opened, and this name is removed.
   *
   * @param options.mode see {@linkcode StagedFile.create}; it holds for a file that was there, too
   * @returns undefined where another process has it, or where it is missing and `create` is false
   * @throws {FerryError} `denied`, `no_space`, `not_found` where the directory is missing, …
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
        // Another process may have renamed it to its final name since it was opened: hands off then.
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

  /** Keeps the first `size` bytes of a claimed file, and continues behind them. */
  truncate(size: number): void {
    try {
      const file = this.#claimed;
      // To truncate a file to the size that it has is not free: ext4 writes a file that was truncated to 0 bytes to
      // the disk when it is closed.
      if (file && file.statSync().size !== size) file.truncateSync(size);
      file?.seekSync(size, Deno.SeekMode.Start);
      this.#size = size;
    } catch (error) {
      throw fileError(error);
    }
  }

  /** Appends all the bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      const threaded = bytes.length > SYNC_BYTES && await this.#mayUseThreads();
      let done = 0;
      while (done < bytes.length) {
        const rest = done === 0 ? bytes : bytes.subarray(done);
        done += !threaded || rest.length <= SYNC_BYTES
          ? this.#file.writeSync(rest)
          : await this.#file.write(rest);
      }
      this.#size += bytes.length;
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /** Why something could not be written. Network file systems may have one error for all that goes wrong. */
  async #failure(error: unknown): Promise<FerryError> {
    const failure = fileError(error);
    if (failure.code !== "io" || !await isFull(dirname(this.path))) return failure;
    return new FerryError("no_space", "no space left on the device", { cause: error });
  }

  /** Whether a write that another thread makes reports a failure, too. */
  async #mayUseThreads(): Promise<boolean> {
    const { fileSystems } = this.runtime;
    const directory = dirname(this.path);
    const reports = fileSystems.reportsWriteErrorsAtOnce(directory);
    if (reports !== undefined || this.#size < WORTH_ASKING_BYTES) return reports ?? false;
    return await fileSystems.reportsWriteErrors(directory);
  }

  /** How many bytes have been written. */
  get size(): number {
    return this.#size;
  }

  /**
   * Sets the modification time and the permission bits; see {@linkcode setAttributes}. Without permission bits the file
   * gets those that it was created for.
   *
   * @throws {FerryError} `io` where what was explicitly asked for is not kept
   */
  setAttributes({ mode = this.#mode, ...attributes }: FileAttributes): Unkept[] {
    return setAttributes(this.path, this.#file, { mode, ...attributes });
  }

  /** Makes the content survive a loss of power; for the name, its directory has to be flushed. */
  async sync(): Promise<void> {
    try {
      await this.#file.syncData();
    } catch (error) {
      throw await this.#failure(error);
    }
  }

  /**
   * Gives the file its name, at once.
   *
   * @throws {FerryError} `exists` where the name is taken and `replace` is false, `not_found` where
   * the directory is missing, `not_a_file` where the name is a directory's
   */
  publish(target: string, { replace }: { replace: boolean }): void {
    try {
      // Some file systems report only now that bytes were lost. A claimed file is closed after the rename: in between,
      // another process could claim it as a partial file.
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

  /** Leaves the file under its temporary name when it is disposed of. */
  keep(): void {
    this.#temporary = false;
  }

  #close(): void {
    if (!this.#open) return;
    // Where that fails, the descriptor is closed all the same, and its number may be another file's soon.
    this.#open = false;
    this.#file.close();
  }

  /** Removes the file unless it was published or is kept. Never fails. */
  [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#close();
    } catch {
      // What could not be written does not matter: the file was acknowledged to nobody.
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

/** What has arrived of a file was removed; to send it again may succeed. */
export function removedMeanwhile(): FerryError {
  return new FerryError("busy", "another program has removed what had come of it");
}
