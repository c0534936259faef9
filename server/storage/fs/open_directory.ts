/**
 * Directories that are held open. An operation in such a directory takes place there, whatever its name leads to by
 * then. This replaces `openat`, `renameat` and the like of POSIX, which the runtime does not offer.
 *
 * Opening a file is the exception: the runtime itself resolves the path, link by link, and opens what it finds.
 * Therefore the opened file is compared with the entry in the directory.
 *
 * @module
 */

import type { Runtime } from "../../../lib/runtime/runtime.ts";
import { closeSync, constants, fsync, openSync } from "node:fs";
import { DescriptorFile, settled } from "../../../lib/files/descriptor_file.ts";
import { FerryError, fileError, systemCodeOf } from "../../../lib/core/errors.ts";
import { type DirectoryDescriptor, DirectoryDescriptors } from "./directory_descriptors.ts";
import type { MountPoints } from "./mount_points.ts";
import { deviceIn, inodeOf } from "../../../lib/core/file_identity.ts";
import { LocalFile } from "../../../lib/files/local_file.ts";
import { basename } from "../../../lib/core/paths.ts";
import type { CreatedFile } from "../../../lib/files/staged_file.ts";
import { type ChangedDirectory, syncDirectory } from "../../../lib/files/directory_flush.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { isUnsupported } from "../../../lib/files/file_errors.ts";

/** A directory that is held open until it is disposed of. */
export class Directory implements ChangedDirectory, Disposable {
  readonly #path: string;
  readonly #descriptors: DirectoryDescriptors | undefined;
  readonly #descriptor: DirectoryDescriptor | undefined;
  #held = true;

  private constructor(
    path: string,
    descriptors?: DirectoryDescriptors,
    descriptor?: DirectoryDescriptor,
  ) {
    this.#path = path;
    this.#descriptors = descriptors;
    this.#descriptor = descriptor;
  }

  /**
   * Opens a directory by a path without links. If directories cannot be held open, it and its subdirectories are used
   * by their paths.
   *
   * @throws what the runtime throws
   */
  static open(path: string): Directory {
    const descriptors = DirectoryDescriptors.open();
    const base = path.replace(/\/$/, "");
    if (!descriptors) return new Directory(base);
    try {
      const held = descriptors.hold(inodeOf(Deno.statSync(path)), path);
      if (!held) throw new FerryError("io", "it was replaced while it was opened");
      return new Directory(base, descriptors, held);
    } catch (error) {
      descriptors[Symbol.dispose]();
      throw error;
    }
  }

  /** Whether it is held open, so that it stays the same directory whatever happens to its name. */
  get pinned(): boolean {
    return this.#descriptor !== undefined;
  }

  /** A path that leads to it; by way of the link to descriptors if it is pinned. */
  get path(): string {
    return this.#descriptor
      ? `${this.#descriptors!.path}/${this.#descriptor.number}`
      : this.#path || "/";
  }

  /** An id of it, unique among the directories that are held open. */
  get identity(): string {
    return this.#descriptor ? `${this.#descriptor.number}` : this.#path;
  }

  /** Its device and inode, which other directories may share on some file systems; its path if it is not pinned. */
  get inode(): string {
    return this.#descriptor?.inode ?? this.#path;
  }

  /** The number of the device that it is on. */
  get device(): number {
    return this.#descriptor ? deviceIn(this.#descriptor.inode) : Deno.statSync(this.path).dev;
  }

  /** The {@linkcode Directory.inode} of a subdirectory; `info` are the attributes that it was seen with. */
  inodeAt(name: string, info: Deno.FileInfo): string {
    return this.#descriptor ? inodeOf(info) : this.#byName(name);
  }

  /** The path by which it was found, without links; it may lead elsewhere by now. */
  get found(): string {
    return this.#path;
  }

  /** The path of an entry. */
  at(name: string): string {
    return `${this.#descriptor ? this.path : this.#path}/${name}`;
  }

  /** The path of an entry by names alone. It may lead elsewhere by now, but opening a file by it is faster. */
  #byName(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** Whether it is ferry's own directory `own`, whatever name it was found by. */
  isOurs(own: Directory): boolean {
    if (!this.#descriptor || !own.#descriptor) return this.#path === own.#path;
    if (this.#descriptor.inode !== own.#descriptor.inode) return false;
    if (this.#descriptors!.standTogether(this.#descriptor, own.#descriptor)) return true;
    // Either it is mounted at another place as well, or another directory has the same device and inode.
    return own.showsAt(this.path) ?? true;
  }

  /** {@linkcode Directory.isOurs} for an entry; `info` are the attributes that it was seen with. */
  hasOurs(name: string, info: Deno.FileInfo, own: Directory): boolean {
    if (!this.#descriptor || !own.#descriptor) return this.#byName(name) === own.#path;
    if (!info.isDirectory || inodeOf(info) !== own.#descriptor.inode) return false;
    using entry = this.enter(name, info);
    // An entry that was replaced meanwhile may be anything, and counts as ferry's own.
    return entry?.isOurs(own) ?? true;
  }

  /**
   * Whether a path leads to this directory. Found out by creating an entry in it, which must be visible at the path.
   *
   * @returns undefined if nothing can be created in it
   */
  showsAt(path: string): boolean | undefined {
    const name = `.${crypto.randomUUID()}`;
    try {
      Deno.mkdirSync(this.at(name));
    } catch {
      return undefined;
    }
    try {
      return isTaken(`${path}/${name}`);
    } catch {
      return undefined;
    } finally {
      Deno.removeSync(this.at(name));
    }
  }

  /** The temporary directory behind {@linkcode Directory.path}, which no request may reach. */
  get own(): Directory | undefined {
    const descriptors = this.#descriptors;
    return descriptors && new Directory(descriptors.own.path, descriptors, descriptors.own);
  }

  /** Its present path, as the system reports it; undefined if it is not pinned. */
  get place(): string | undefined {
    return this.#descriptor && this.#descriptors!.placeOf(this.#descriptor.number);
  }

  /** Whether its mount is gone, or it was moved elsewhere. */
  get isCutOff(): boolean {
    const { place } = this;
    return place !== undefined && place !== this.#path;
  }

  /** The file systems mounted below its root; undefined if directories cannot be held open. */
  get mounts(): MountPoints | undefined {
    return this.#descriptors?.mounts;
  }

  /** Records that the file system of an entry is gone, unless this directory is on the same file system. */
  miss(name: string): void {
    if (this.#answers()) this.mounts?.miss(this.#byName(name));
  }

  /**
   * Whether its file system responds. Asks for a name that was never used, so that the answer cannot come from a cache.
   */
  #answers(): boolean {
    try {
      Deno.lstatSync(this.at(crypto.randomUUID()));
      return true;
    } catch (error) {
      return systemCodeOf(error) !== "ENOTCONN";
    }
  }

  /**
   * Reopens it by its path, with all directories that are held open: see {@linkcode DirectoryDescriptors.openAgain}.
   */
  openAgain(): void {
    this.#descriptors?.openAgain();
  }

  /**
   * Fails if a file system was mounted at an entry and no longer is; `info` are the attributes that the entry was seen
   * with.
   *
   * @throws {FerryError} `io`
   */
  assertMounted(name: string, info: Deno.FileInfo): void {
    if (!this.#descriptor) return;
    this.mounts!.assertMounted(inodeOf(info), this.#byName(name), this.#descriptor.inode);
  }

  /**
   * Opens the directory that is now at the path of this root.
   *
   * @returns undefined if it is not a directory, or directories cannot be held open
   * @throws what the runtime throws
   */
  atItsPath(): Directory | undefined {
    const path = this.#path || "/";
    const held = this.#descriptors?.hold(inodeOf(Deno.statSync(path)), path);
    return held && new Directory(this.#path, this.#descriptors, held);
  }

  /** Releases this root, and the directories opened below it as soon as they are not in use. */
  leave(): void {
    if (this.#descriptor) this.#descriptors!.leave(this.#descriptor);
    this.end();
  }

  /** Whether it was opened below this root, and not below an earlier one of the same path. */
  isBelow(top: Directory): boolean {
    return (this.#descriptor?.top ?? this.#descriptor) === top.#descriptor;
  }

  /**
   * Opens a subdirectory; `info` are the attributes that it was seen with.
   *
   * @returns undefined if something else is there by now
   * @throws what the runtime throws
   */
  enter(name: string, info: Deno.FileInfo): Directory | undefined {
    const path = this.#byName(name);
    if (!this.#descriptors) return new Directory(path);
    const held = this.#descriptors.hold(inodeOf(info), path, this.#descriptor);
    return held && new Directory(path, this.#descriptors, held);
  }

  /**
   * A directory below it that is already open, if it still has that name and no link is on the way. The system is asked
   * once for the whole name.
   *
   * @returns undefined if none is known
   */
  known(name: string): Directory | undefined {
    const path = `${this.#path}/${name}`;
    const held = this.#descriptors?.holdAt(path);
    return held && new Directory(path, this.#descriptors, held);
  }

  /** Holds it once more. The result is disposed of separately. */
  hold(): Directory {
    if (this.#descriptor) this.#descriptor.users++;
    return new Directory(this.#path, this.#descriptors, this.#descriptor);
  }

  /**
   * Opens a regular file in it; `seen` are the attributes that it was seen with.
   *
   * @returns undefined if something else is there by now
   * @throws {FerryError} why it cannot be opened; the error may be about a file that has replaced it
   */
  open(name: string, seen: Deno.FileInfo, runtime: Runtime): LocalFile | undefined {
    let descriptor: number | undefined;
    let file: LocalFile;
    if (this.#descriptor) {
      // It may be a named pipe by now, whose open would wait for its other end.
      descriptor = openSync(this.#byName(name), constants.O_RDONLY | constants.O_NONBLOCK);
      const path = `${this.#descriptors!.path}/${descriptor}`;
      file = LocalFile.of(new DescriptorFile(descriptor, path), runtime);
    } else file = LocalFile.open(this.at(name), runtime);
    const isIn = descriptor === undefined ||
      this.#descriptors!.standsIn(this.#descriptor!, name, descriptor);
    if (isIn && inodeOf(file.info) === inodeOf(seen)) return file;
    void file[Symbol.asyncDispose]();
    return undefined;
  }

  /**
   * Creates a file with a new name that only this user can read. It is created in this directory and nowhere else: the
   * runtime does not resolve the path of a temporary file.
   *
   * @throws what the runtime throws
   */
  createFile(suffix: string): CreatedFile {
    const path = this.#makeFile(suffix);
    try {
      return {
        file: this.#descriptor ? this.#openNew(path) : openExactly(path, { write: true }),
        path,
      };
    } catch (error) {
      Deno.removeSync(path);
      throw error;
    }
  }

  #makeFile(suffix: string): string {
    try {
      return Deno.makeTempFileSync({ dir: this.path, suffix });
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) || !this.mend()) throw error;
      return Deno.makeTempFileSync({ dir: this.path, suffix });
    }
  }

  #openNew(path: string): DescriptorFile | Deno.FsFile {
    const name = basename(path);
    let descriptor: number;
    try {
      descriptor = openSync(this.#byName(name), constants.O_WRONLY);
    } catch {
      return openExactly(path, { write: true });
    }
    // Its present path is where it was created, unless the directory was replaced meanwhile.
    if (this.#descriptors!.placeOf(descriptor) === this.#byName(name)) {
      return new DescriptorFile(descriptor, `${this.#descriptors!.path}/${descriptor}`);
    }
    closeSync(descriptor);
    return openExactly(path, { write: true });
  }

  /** Flushes the directory, so that the names in it survive a power failure, if its file system supports that. */
  async sync(): Promise<void> {
    if (!this.#descriptor) return await syncDirectory(this.path);
    const { number } = this.#descriptor;
    try {
      await settled((done) => fsync(number, done));
    } catch (error) {
      // A directory that may not be listed was opened with O_PATH, and such a descriptor cannot be flushed.
      if ((error as { code?: unknown }).code === "EBADF") return await syncDirectory(this.path);
      if (!isUnsupported(error)) throw fileError(error);
    }
  }

  /**
   * Creates the link to descriptors again if another program has removed it.
   *
   * @returns whether it had been removed
   */
  mend(): boolean {
    return this.#descriptors?.mend() ?? false;
  }

  /** Releases it. */
  [Symbol.dispose](): void {
    this.#letGo({ idle: true });
  }

  /** Releases it and closes it immediately: a removed directory takes up space as long as it is open. */
  end(): void {
    this.#letGo({ idle: false });
  }

  #letGo(options: { idle: boolean }): void {
    if (this.#held && this.#descriptor) this.#descriptors!.release(this.#descriptor, options);
    this.#held = false;
  }

  /** Releases it, and closes all directories below it. */
  close(): void {
    this[Symbol.dispose]();
    this.#descriptors?.[Symbol.dispose]();
  }
}

/** Opens a subdirectory; creates it, accessible only to this user, if it does not exist. */
export function makeDirectory(directory: Directory, name: string): Directory {
  const path = directory.at(name);
  if (!isTaken(path)) Deno.mkdirSync(path, { mode: 0o700 });
  // A link must not be followed: the directory that it leads to would be emptied.
  const info = Deno.lstatSync(path);
  const made = info.isDirectory ? directory.enter(name, info) : undefined;
  if (made) return made;
  throw new FerryError("not_a_file", `${name} in it is not a directory`);
}
