/**
 * A file that is written where nobody looks and appears under its name only when it is whole: how the
 * server stores uploads and the client stores downloads.
 *
 * @module
 */

import { FerryError, fileError, quote, systemCodeOf } from "../core/errors.ts";
import { tryLock } from "./file_lock.ts";
import { isFull, isHonest, isKnownHonest } from "./write_errors.ts";
import { basename, dirname } from "../core/paths.ts";
import { PLATFORM } from "../core/platform.ts";
import type { Unkept } from "../core/entry.ts";
import type { ByteSink } from "../core/bytes.ts";

/** `full` survives a loss of power once it is acknowledged; `none` leaves that to the system. */
export type Durability = "full" | "none";

/** The values of {@linkcode Durability}, the default first. */
export const DURABILITIES: readonly Durability[] = ["full", "none"];

/** Writes up to this size are made at once; for larger ones a hop to another thread costs little. */
const SYNC_BYTES = 64 * 1024;

/** Behind so many bytes of a file it is worth its time to find out how the rest may be written. */
const WORTH_ASKING_BYTES = 8 * 1024 * 1024;

/** An open file to write to: what a staged file takes of the runtime's. */
export interface WritableFile
  extends
    Pick<Deno.FsFile, "write" | "writeSync" | "syncData" | "close">,
    Partial<Pick<Deno.FsFile, "utimeSync">> {
  /** Sets the permission bits. Where this is missing it takes a path, as with the times. */
  chmodSync?(mode: number): void;
}

/** A new file that is open, and the path of its temporary name. */
export interface CreatedFile {
  /** The file. */
  file: WritableFile;
  /** The path. */
  path: string;
}

/** What a file is to have beside its content. */
export interface Stamp {
  /** The modification time in milliseconds since 1970; that of the last write unless told otherwise. */
  mtime?: number | undefined;
  /** The permission bits; those that it was created for unless told otherwise. */
  mode?: number | undefined;
  /** Whether somebody asked for them, so that the file is worth nothing without. Default: false. */
  explicit?: boolean | undefined;
  /** Whether it is looked what is kept of the time, also where it is not explicit. Default: false. */
  look?: boolean | undefined;
}

/** A new file under a temporary name. */
export class StagedFile implements ByteSink, AsyncDisposable {
  readonly #file: WritableFile;
  /** The file where it was there before. */
  readonly #claimed: Deno.FsFile | undefined;
  /** The temporary name. */
  readonly path: string;
  /** The permission bits that it is published with unless it is told others. */
  readonly #mode: number | undefined;
  #size = 0;
  #open = true;
  /** Whether the temporary name still stands for something that nobody else owns. */
  #temporary = true;

  private constructor(
    path: string,
    { file, claimed, mode }: {
      file: WritableFile;
      claimed?: Deno.FsFile;
      mode?: number | undefined;
    },
  ) {
    this.path = path;
    this.#file = file;
    this.#claimed = claimed;
    this.#mode = mode;
  }

  /**
   * Creates a file in `directory`, which is on the file system of the final name. As long as it is open, it
   * is locked: what is not locked was left behind.
   *
   * @param options.mode the permission bits to publish it with unless it is told others; until then it is for this
   * user alone. Default: those that the system gives to a new file, from the beginning
   * @throws {FerryError} `denied`, `no_space`, `not_found`, …
   */
  static create(
    directory: string,
    { prefix = "", mode }: { prefix?: string; mode?: number | undefined } = {},
  ): StagedFile {
    const path = `${directory}/${prefix}${crypto.randomUUID()}.part`;
    try {
      const file = Deno.openSync(path, { write: true, createNew: true, ...privately(mode) });
      tryLock(file);
      return new StagedFile(path, { file, mode });
    } catch (error) {
      throw fileError(error);
    }
  }

  /**
   * A file that was just created.
   *
   * @param mode the permission bits to publish it with unless it is told others
   */
  static of({ file, path }: CreatedFile, mode: number): StagedFile {
    return new StagedFile(path, { file, mode });
  }

  /**
   * Opens a file under a temporary name of the caller's choice, or creates it. Nobody else gets it while it
   * is open. What it holds stays until {@linkcode StagedFile.truncate}, which has to come first.
   *
   * A file that has another name, too, was published by a process that was killed before it could remove this
   * name. It is not opened, and this name of it is removed.
   *
   * @param options.mode as {@linkcode StagedFile.create} has it, also for a file that was there
   * @returns undefined where another process has it, or where it is missing and `create` is false
   * @throws {FerryError} `denied`, `no_space`, `not_found` where the directory is missing, …
   */
  static claim(
    path: string,
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
        if (!tryLock(file) || !isSame(Deno.lstatSync(path), file)) return undefined;
        const info = file.statSync();
        if (!hasOtherNames(info)) {
          const bits = publishedBits(path, info, mode);
          opened.move();
          return new StagedFile(path, { file, claimed: file, mode: bits });
        }
        Deno.removeSync(path);
      }
      return undefined;
    } catch (error) {
      if (!create && error instanceof Deno.errors.NotFound) return undefined;
      throw fileError(error);
    }
  }

  /** Keeps the first `size` bytes of a file that was claimed and goes on behind them. */
  truncate(size: number): void {
    try {
      const file = this.#claimed;
      // To cut nothing off is not free: ext4 writes a file that was cut to nothing to the disk when it is closed.
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
      const threaded = bytes.length > SYNC_BYTES && await this.#tellsThreads();
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

  /** Why something could not be written. Servers of file systems may have one error for all that goes wrong. */
  async #failure(error: unknown): Promise<FerryError> {
    const failure = fileError(error);
    if (failure.code !== "io" || !await isFull(dirname(this.path))) return failure;
    return new FerryError("no_space", "no space left on the device", { cause: error });
  }

  /** Whether also a write that another thread makes is told of where it fails. */
  async #tellsThreads(): Promise<boolean> {
    const directory = dirname(this.path);
    const honest = isKnownHonest(directory);
    if (honest !== undefined || this.#size < WORTH_ASKING_BYTES) return honest ?? false;
    return await isHonest(directory);
  }

  /** How many bytes have been written. */
  get size(): number {
    return this.#size;
  }

  /**
   * Sets the modification time and the permission bits, where given. A file system may refuse both, or take them and
   * not keep them.
   *
   * @returns what was refused, and where it is looked what else is not kept
   * @throws {FerryError} `io` where what was explicitly asked for is not kept
   */
  stamp({ mtime, mode, explicit = false, look = false }: Stamp): Unkept[] {
    const bits = PLATFORM.permissionBits ? mode ?? this.#mode : undefined;
    const unkept: Unkept[] = [];
    try {
      if (bits !== undefined && !isAllowed(() => this.#setMode(bits))) unkept.push("mode");
      if (mtime !== undefined && !isAllowed(() => this.#setTime(mtime))) unkept.push("mtime");
      if (explicit || look) {
        const kept = Deno.lstatSync(this.path);
        if (explicit && bits !== undefined && (kept.mode! & 0o777) !== bits) unkept.push("mode");
        if (mtime !== undefined) unkept.push(...lossOf(mtime, kept.mtime?.getTime()));
      }
    } catch (error) {
      throw fileError(error);
    }
    const missed = unkept.find((kind) => kind !== "mtime_fraction");
    if (!explicit || missed === undefined) return [...new Set(unkept)];
    const what = missed === "mode" ? "permission bits" : "modification time";
    throw new FerryError("io", `the file system does not keep its ${what}`);
  }

  #setMode(bits: number): void {
    if (this.#file.chmodSync) this.#file.chmodSync(bits);
    else Deno.chmodSync(this.path, bits);
  }

  #setTime(mtime: number): void {
    const time = new Date(mtime);
    if (this.#file.utimeSync) this.#file.utimeSync(time, time);
    else Deno.utimeSync(this.path, time, time);
  }

  /** Makes the content survive a loss of power; the name does with {@linkcode syncDirectory}. */
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
      // Some file systems tell only now that bytes were lost. What was claimed is let go of behind that: in
      // between, another process could claim it as a part.
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

  /** From now on disposal leaves the file where it is. */
  keep(): void {
    this.#temporary = false;
  }

  #close(): void {
    if (!this.#open) return;
    // Also where that fails its descriptor is gone, and the number may be another file's soon.
    this.#open = false;
    this.#file.close();
  }

  /** Removes the file unless it was published or is kept. Never fails. */
  [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#close();
    } catch {
      // What could not be written of it is not missed: nobody was told that it is there.
    }
    if (this.#temporary) {
      this.#temporary = false;
      try {
        Deno.removeSync(this.path);
      } catch {
        // Gone already, or the file system is: either way there is nothing to leave behind.
      }
    }
    return Promise.resolve();
  }
}

/** What had come of a file is gone; whoever sends it again may be luckier. */
export function removedMeanwhile(): FerryError {
  return new FerryError("busy", "another program has removed what had come of it");
}

/** The bits of a file that nobody but its user can read or write. */
export const PRIVATE_BITS = 0o600;

/** How a file is created that gets its permission bits when it is published. */
function privately(mode: number | undefined): Deno.OpenOptions {
  return mode === undefined ? {} : { mode: PRIVATE_BITS };
}

/**
 * The permission bits that a file is published with which was claimed. It may be what was left of a file that was to
 * get other bits: where it is to be private, others lose it; where it is not, it gets what a new file has.
 */
function publishedBits(
  path: string,
  info: Deno.FileInfo,
  mode: number | undefined,
): number | undefined {
  if (info.mode === null || !PLATFORM.permissionBits) return undefined;
  const isPrivate = (info.mode & 0o077) === 0;
  if (mode === undefined) return isPrivate ? modeOfNewFiles(dirname(path)) : undefined;
  if (!isPrivate) {
    try {
      Deno.chmodSync(path, PRIVATE_BITS);
    } catch {
      // A file system without permission bits of its own.
    }
  }
  return mode;
}

/**
 * The permission bits of a new file: what the system gives to a new directory, without those to search it.
 *
 * @throws {FerryError} `denied`, `no_space`, …
 */
export function modeOfNewFiles(directory: string): number {
  const path = `${directory}/.${crypto.randomUUID()}`;
  try {
    Deno.mkdirSync(path);
    const mode = (Deno.lstatSync(path).mode ?? 0o644) & 0o666;
    Deno.removeSync(path);
    return mode;
  } catch (error) {
    throw fileError(error);
  }
}

/** Whether a file system lets something be set. */
function isAllowed(set: () => void): boolean {
  try {
    set();
    return true;
  } catch (error) {
    if (isUnsupported(error) || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** The coarsest step in which a file system is said to keep times, in milliseconds: FAT has that of two seconds. */
const COARSEST_STEP = 2000;

/** What is lost of a time, in milliseconds, of which another one was kept. */
export function lossOf(time: number, kept: number | undefined): Unkept[] {
  // The runtime may read a time back that is a millisecond early.
  const lost = Math.abs(time - (kept ?? Infinity));
  if (lost <= 1) return [];
  return [lost < COARSEST_STEP ? "mtime_fraction" : "mtime"];
}

/** How often a file is opened again that was replaced meanwhile. */
const OPEN_TRIES = 50;

/**
 * Opens a file that stands at a path itself, also where a link is swapped in for it meanwhile, or above it:
 * the path leads to the file's directory whatever others do.
 *
 * @throws what the runtime throws; `Deno.errors.NotFound` for what is no file
 */
export function openExactly(path: string, options: Deno.OpenOptions): Deno.FsFile {
  let refusal: Error | undefined;
  for (let tries = 0; tries < OPEN_TRIES; tries++) {
    const there = Deno.lstatSync(path);
    if (!there.isFile) break;
    try {
      using opened = new DisposableStack();
      const file = opened.use(Deno.openSync(path, options));
      if (!isSame(there, file)) continue;
      opened.move();
      return file;
    } catch (error) {
      // The runtime that cannot see where a path leads may say that a program may not go there.
      if (error instanceof Deno.errors.NotCapable) refusal = error;
      else if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw refusal ?? new Deno.errors.NotFound();
}

/** Whether a file has more than one name, where the system tells. */
export function hasOtherNames({ nlink }: Deno.FileInfo): boolean {
  return (nlink ?? 1) > 1;
}

function isSame({ dev, ino }: Deno.FileInfo, file: Deno.FsFile): boolean {
  const opened = file.statSync();
  return dev === opened.dev && ino === opened.ino;
}

/**
 * Renames a file unless the new name is taken, in one step where the file system has hard links.
 *
 * @throws what the runtime throws; `Deno.errors.AlreadyExists` where the name is taken
 */
export function renameWithoutReplacing(from: string, to: string): void {
  try {
    Deno.linkSync(from, to);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists || error instanceof Deno.errors.NotFound) {
      throw error;
    }
    // FAT, some network file systems: look, then rename. Two writers at the same instant can both
    // pass the look there, and the later one wins.
    if (isTaken(to)) throw new Deno.errors.AlreadyExists();
    Deno.renameSync(from, to);
    return;
  }
  try {
    Deno.removeSync(from);
  } catch (error) {
    // Somebody else has removed it.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The permission bits of what was looked at; undefined where the system has none. */
export function bitsOf({ mode }: Pick<Deno.FileInfo, "mode">): number | undefined {
  return mode === null ? undefined : mode & 0o777;
}

/** The permission bits of the file that a path leads to; undefined where it leads to none. */
export function modeAt(path: string): number | undefined {
  try {
    const info = Deno.statSync(path);
    return info.isFile ? bitsOf(info) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Why something that is there, or is made, cannot get a name. Where file systems take no such name (with a colon in it,
 * say, as those of Windows), they say that an argument is wrong, or that nothing is there.
 */
export function namingError(error: unknown, path: string): FerryError {
  const code = systemCodeOf(error);
  const refused = code === "EINVAL" || code === "EILSEQ" ||
    code === "ENOENT" && isDirectory(dirname(path)) && !infoAt(path);
  if (!refused) return fileError(error);
  const name = quote(basename(path));
  return new FerryError("bad_name", `the file system takes no such name as ${name}`, {
    cause: error,
  });
}

/** Whether something could not be renamed since its new name is on another file system. */
export function isApart(error: unknown): boolean {
  const { cause = error } = error as { cause?: unknown };
  return systemCodeOf(cause) === "EXDEV";
}

/** What stands at a path, links not followed; undefined where nothing does. */
export function infoAt(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch {
    return undefined;
  }
}

/** Whether anything stands at a path, be it a link to nowhere. */
export function isTaken(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Makes the names in a directory survive a loss of power, where its file system flushes directories at all. */
export async function syncDirectory(path: string): Promise<void> {
  if (!PLATFORM.flushesDirectories) return;
  try {
    using directory = await Deno.open(path, { read: true });
    await directory.sync();
  } catch (error) {
    const failure = fileError(error);
    if (failure.code === "denied") await syncByFile(path);
    else if (!isUnsupported(error)) throw failure;
  }
}

/**
 * The same of a directory that may be written and not read, and so cannot be flushed itself: a new file in it is.
 * File systems with one journal write all that was done before along with that.
 */
async function syncByFile(path: string): Promise<void> {
  const name = Deno.makeTempFileSync({ dir: path, prefix: ".ferry-", suffix: ".flush" });
  try {
    using file = await Deno.open(name, { write: true });
    await file.sync();
  } catch (error) {
    throw fileError(error);
  } finally {
    Deno.removeSync(name);
  }
}

/**
 * Whether a file system refuses a call because it has no such thing, whatever the call is about: SMB and some file
 * systems in user space flush no directories, for one.
 */
export function isUnsupported(error: unknown): boolean {
  // EINVAL, ENOSYS and EOPNOTSUPP of Linux, the last also of macOS and the BSDs; the runtime names not all of them.
  return error instanceof Error && /\(os error (22|38|45|95|102)\)/.test(error.message);
}

/** A directory whose entries have changed. */
export interface ChangedDirectory {
  /** What tells it from other directories. */
  readonly identity: string;
  /** Makes the names in it survive a loss of power. */
  sync(): Promise<void>;
}

/** The directory at a path. */
export function directoryAt(path: string): ChangedDirectory {
  return { identity: path, sync: () => syncDirectory(path) };
}

/** A place that a file can take: the directories above it are there. */
export interface Room {
  /** Its path. */
  path: string;
  /** The directory that it stands in. */
  directory: ChangedDirectory;
  /** The directories that got an entry when those above it were made. */
  made: readonly ChangedDirectory[];
}

/** Flushes directories side by side, each once, and is done with each of them even where one fails. */
export async function syncDirectories(directories: Iterable<ChangedDirectory>): Promise<void> {
  const each = new Map(Array.from(directories, (directory) => [directory.identity, directory]));
  const flushes = await Promise.allSettled(Array.from(each.values(), (each) => each.sync()));
  for (const flush of flushes) if (flush.status === "rejected") throw flush.reason;
}

/**
 * Makes a directory and those above it.
 *
 * @returns the directories that got a new entry, to be synced
 * @throws {FerryError} `not_a_file` where a part of the path is not a directory, `denied`, `no_space`
 */
export function makeDirectories(path: string): string[] {
  try {
    Deno.mkdirSync(path);
    return [dirname(path)];
  } catch (error) {
    const parent = dirname(path);
    if (error instanceof Deno.errors.NotFound && !isDirectory(parent)) {
      if (parent === path) throw fileError(error);
      return [...makeDirectories(parent), ...makeDirectories(path)];
    }
    if (error instanceof Deno.errors.AlreadyExists) {
      if (isDirectory(path)) return [];
      throw new FerryError("not_a_file", "a part of the path is not a directory", { cause: error });
    }
    throw namingError(error, path);
  }
}

/** Whether a path leads to a directory; a link to nowhere does not. */
export function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}
