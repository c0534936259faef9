/**
 * Moves files and directories: by a rename, or by a copy if the new name is on another file system.
 *
 * @module
 */

import { ParentDirectories } from "./parent_directories.ts";
import type { Directory } from "./open_directory.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import { type FileName, foldName } from "../../../lib/core/remote_name.ts";
import type { Place } from "./name_walk.ts";
import type { Root } from "./root.ts";
import { basename } from "../../../lib/core/paths.ts";
import type { Quota } from "../quota.ts";
import type { Quotas } from "../quotas.ts";
import type { ChangedDirectory, DirectoryFlushes } from "../../../lib/files/directory_flush.ts";
import { infoAt, isTaken } from "../../../lib/files/path_lookup.ts";
import { isCrossDevice, namingError } from "../../../lib/files/file_errors.ts";
import { renameWithoutReplacing } from "../../../lib/files/renaming.ts";
import type { Room } from "../../../lib/files/group_commit.ts";
import { canRename } from "./rename_trial.ts";
import type { StagingAreas } from "./staging_areas.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { MoveOptions } from "../storage.ts";
import type { MergeQueue } from "./sorted_names.ts";
import { copyEntry, removeCopied } from "./tree_copy.ts";
import { eachBelow } from "./tree_walk.ts";

/** Options of {@linkcode move}. */
export interface MoveWork extends MoveOptions {
  /** The old name. */
  from: FileName;
  /** The new name. */
  to: FileName;
  /** Provides buffers and digests. */
  runtime: Runtime;
  /** The staging areas for copies. */
  areas: StagingAreas;
  /** The quota, which counts files that are replaced or copied. */
  quota: Quota;
  /** All quotas; those of the directory that the new name is in have to have room. */
  quotas: Quotas;
  /** Whether the result survives a power failure. A copy does so before the original is removed. */
  durable: boolean;
  /** Stops the move while a copy is being made. */
  signal: AbortSignal;
  /** Serialises the sorting of large directories among several walks. */
  merges: MergeQueue;
  /** Flushes directories together with those of other requests. */
  flushes: DirectoryFlushes;
}

/**
 * Moves a file or a directory.
 *
 * @param source the file or directory that is moved
 * @param root the root, confined to where the new name may lead
 * @throws {FerryError} as `Storage.move`
 */
export async function move(source: Place, root: Root, work: MoveWork): Promise<void> {
  await new Move(source, root, work).run();
}

class Move {
  readonly #source: Place;
  readonly #root: Root;
  readonly #options: MoveWork;

  constructor(source: Place, root: Root, options: MoveWork) {
    this.#source = source;
    this.#root = root;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { from, to, keep } = this.#options;
    const { info, directory } = this.#source;
    if (keep && info.isDirectory) throw new FerryError("not_a_file", "it is a directory");
    if (info.isDirectory && `${to}/`.startsWith(`${from}/`)) throw intoItself();
    // A mount point is not moved: its file system could not be mounted at its path again.
    if (info.isDirectory) directory.assertMounted(this.#source.name, info);
    using entered = await this.#options.quotas.reserveMove(from, to, () => this.#measure());
    this.#options.assertMay?.();
    await this.#move();
    entered.settle(entered.size);
    for (const name of [from, to]) this.#options.quotas.lessened(name);
  }

  async #move(): Promise<void> {
    const { to, keep } = this.#options;
    const { directory } = this.#source;
    const apart = this.#isCrossDevice();
    using parents = new ParentDirectories(this.#root);
    try {
      if (apart) return await this.#copy(parents);
      const room = parents.room(to);
      if (keep) {
        if (!this.#keep(room)) return await this.#copy(parents);
      } else if (await this.#isRespelled(room)) {
        named(room.path, () => Deno.renameSync(this.#source.path, room.path));
      } else this.#rename(room);
      this.#options.onChanged?.();
      // The new name first: a disk that has lost the old one must have it. A file system with a log, such as btrfs,
      // writes what was flushed before other changes.
      await this.#sync(room.directory, ...room.made);
      if (!keep && directory.identity !== room.directory.identity) await this.#sync(directory);
    } catch (reason) {
      if (!apart && isCrossDevice(reason)) return await this.#copy(parents);
      throw fileError(reason);
    }
  }

  /** Whether the new name is on another file system, as far as that is known in advance. */
  #isCrossDevice(): boolean {
    using nearest = this.#root.nearest(this.#options.to);
    return !canRename(this.#source.directory, nearest);
  }

  /**
   * Whether the new name is the old one in another spelling: some file systems ignore case, or Unicode normalization.
   */
  async #isRespelled(room: Room): Promise<boolean> {
    const { directory, name } = this.#source;
    const newName = basename(this.#options.to);
    const alike = directory.identity === room.directory.identity &&
      foldName(name) === foldName(newName);
    if (!alike || name === newName || !isTaken(room.path)) return false;
    // It is another entry only if the directory lists exactly the new name.
    for await (const each of Deno.readDir(directory.path)) if (each.name === newName) return false;
    return true;
  }

  /** Gives the file the new name as well. Returns false where the file system has no hard links. */
  #keep({ path }: Room): boolean {
    const { quota } = this.#options;
    try {
      Deno.linkSync(this.#source.path, path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || isCrossDevice(error)) throw error;
      const there = infoAt(path);
      if (there && isSameFile(this.#source.info, there)) return true;
      if (error instanceof Deno.errors.AlreadyExists) throw error;
      return false;
    }
    quota.linked(this.#source.info);
    return true;
  }

  #rename(room: Room): void {
    const { info, path } = this.#source;
    if (info.isDirectory) renameDirectory(path, room.path);
    else if (this.#options.replace) named(room.path, () => this.#replace(room));
    else named(room.path, () => renameWithoutReplacing(path, room.path));
  }

  /** Renames a file over another one. */
  #replace(room: Room): void {
    const { to, quota } = this.#options;
    const source = this.#source;
    const replaced = infoAt(room.path);
    Deno.renameSync(source.path, room.path);
    if (!replaced) return;
    if (!isSameFile(source.info, replaced)) return quota.lost(replaced);
    // rename() does nothing if both names are hard links to one file. They may even be the same name: by way of a
    // symbolic link, or because the file system ignores case.
    const sameDirectory = source.directory.identity === room.directory.identity;
    const sameName = sameDirectory && foldName(source.name) === foldName(basename(to));
    const left = source.info.nlink === 1 || sameName ? undefined : infoAt(source.path);
    if (!left || !isSameFile(source.info, left)) return;
    Deno.removeSync(source.path);
    quota.lost(source.info);
  }

  /** Copies the source, gives the copy the new name, and removes the original. */
  async #copy(parents: ParentDirectories): Promise<void> {
    const { from, to, runtime, areas, durable, quota, signal, assertMay, keep } = this.#options;
    const source = this.#source;
    this.#assertFree();
    using nearest = this.#root.nearest(to);
    const area = areas.beside(nearest);
    const size = await this.#measure();
    // The original and the copy both stay.
    using reserved = keep ? quota.reserve(size) : undefined;
    area.assertRoom(size);
    await using tree = area.makeDirectory();
    const copying = {
      runtime,
      durable,
      signal,
      peek: (directory: Directory, name: string) => this.#root.peekVisible(directory, name),
    };
    const copied = await copyEntry(source, from, tree.directory, copying);
    assertMay?.();
    const room = parents.room(to);
    try {
      this.#name(tree.directory.at(source.name), room);
    } catch (error) {
      if (!isCrossDevice(error)) throw error;
      // A union file system may create a new directory on any of its branches.
      await using closer = areas.beside(room.directory).makeDirectory();
      const copy = { directory: tree.directory, name: source.name, info: copied.copy };
      await copyEntry(copy, from, closer.directory, copying);
      assertMay?.();
      this.#name(closer.directory.at(source.name), room);
    }
    reserved?.settle(copied.copy.isFile ? copied.copy.size : 0);
    await this.#sync(room.directory, ...room.made);
    this.#root.assertStanding([source.directory, room.directory]);
    if (keep) return;
    await removeCopied(source.directory, copied, from, (file, copy) => {
      quota.found(copy);
      quota.lost(file);
    });
    await this.#sync(source.directory);
  }

  async #sync(...directories: ChangedDirectory[]): Promise<void> {
    if (this.#options.durable) await this.#options.flushes.sync(directories);
  }

  /** Fails if the copy could not get the new name, before copying. */
  #assertFree(): void {
    const { to, keep } = this.#options;
    const replace = this.#options.replace && !keep;
    const { info } = this.#source;
    using place = this.#root.placeIfAny(to);
    if (!place) return;
    const there = place.info;
    if (isSameFile(info, there)) throw new FerryError("exists", "both names are of one file");
    if (info.isDirectory || !replace) throw new FerryError("exists", "it exists already");
    if (there.isDirectory) throw new FerryError("not_a_file", "it is a directory");
  }

  /** The number of bytes to copy. */
  async #measure(): Promise<number> {
    const { directory, name, info } = this.#source;
    if (!info.isDirectory) return info.isFile ? info.size : 0;
    using inside = directory.enter(name, info);
    let bytes = 0;
    if (!inside) return bytes;
    await eachBelow(inside, {
      peek: (directory, name) => this.#root.peekVisible(directory, name),
      onFound: ({ isFile, size }) => void (bytes += isFile ? size : 0),
      signal: this.#options.signal,
      merges: this.#options.merges,
    });
    return bytes;
  }

  /** Gives a copy its name. */
  #name(path: string, room: Room): void {
    const { keep, quota } = this.#options;
    const replace = this.#options.replace && !keep;
    if (this.#source.info.isDirectory) return renameDirectory(path, room.path);
    if (!replace) return named(room.path, () => renameWithoutReplacing(path, room.path));
    const replaced = infoAt(room.path);
    named(room.path, () => Deno.renameSync(path, room.path));
    if (replaced) quota.lost(replaced);
  }
}

/**
 * Renames a directory.
 *
 * @throws {FerryError} `exists`; `bad_name` for one into itself, by way of a link, which the names do not show
 */
function renameDirectory(from: string, to: string): void {
  // Checked first, since rename() would replace an empty directory.
  if (isTaken(to)) throw new FerryError("exists", "it exists already");
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if ((error as { code?: unknown }).code !== "EINVAL") throw namingError(error, to);
    // Finds out whether the file system accepts the name, by creating a directory of that name.
    named(to, () => Deno.mkdirSync(to));
    Deno.removeSync(to);
    throw intoItself();
  }
}

/** Runs a call that creates a name, and gives errors about the name their own error codes. */
function named(path: string, give: () => void): void {
  try {
    give();
  } catch (error) {
    throw error instanceof FerryError ? error : namingError(error, path);
  }
}

function intoItself(): FerryError {
  return new FerryError("bad_name", "a directory cannot be moved into itself");
}

/** Whether two names refer to the same file, judged by device and inode. */
function isSameFile(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.ino !== null && a.dev === b.dev && a.ino === b.ino;
}
