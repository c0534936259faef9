/**
 * Directories that are held open. An operation in one happens in that directory, whatever its name leads to by then: what
 * `openat`, `renameat` and their like do in POSIX, for a runtime that has none of them.
 *
 * Opening a file is the exception: the runtime itself resolves the path, link by link, and opens what it finds. So what
 * was opened is compared with what stands in the directory.
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
import { LocalFile } from "../../../lib/files/source_file.ts";
import { basename } from "../../../lib/core/paths.ts";
import type { CreatedFile } from "../../../lib/files/staged_file.ts";
import { type ChangedDirectory, syncDirectory } from "../../../lib/files/directory_flush.ts";
import { openExactly } from "../../../lib/files/open_exactly.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import { isUnsupported } from "../../../lib/files/file_errors.ts";

/** A directory, held until it is disposed of. */
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
   * Opens a directory by a path without links. Where directories cannot be held open, it and those in it are used by
   * their paths.
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

  /** Whether it stays the same directory whatever happens to its name. */
  get pinned(): boolean {
    return this.#descriptor !== undefined;
  }

  /** A path that leads to it; a link where it is pinned. */
  get path(): string {
    return this.#descriptor
      ? `${this.#descriptors!.path}/${this.#descriptor.number}`
      : this.#path || "/";
  }

  /** Unique among the directories that are held. */
  get identity(): string {
    return this.#descriptor ? `${this.#descriptor.number}` : this.#path;
  }

  /** Its device and inode, which another directory may share; its path where it is not pinned. */
  get inode(): string {
    return this.#descriptor?.inode ?? this.#path;
  }

  /** The device that it is on. */
  get device(): number {
    return this.#descriptor ? deviceIn(this.#descriptor.inode) : Deno.statSync(this.path).dev;
  }

  /** {@linkcode Directory.inode} of a directory in it; `info` is what was seen there. */
  inodeAt(name: string, info: Deno.FileInfo): string {
    return this.#descriptor ? inodeOf(info) : this.#byName(name);
  }

  /** Where it was found: a path without links, which may lead elsewhere by now. */
  get found(): string {
    return this.#path;
  }

  /** The path of an entry. */
  at(name: string): string {
    return `${this.#descriptor ? this.path : this.#path}/${name}`;
  }

  /** The path of an entry by names, which may lead elsewhere. Opening a file by it takes less time. */
  #byName(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** Whether it is one of ferry's own directories, whatever name it was found by. */
  isOurs(own: Directory): boolean {
    if (!this.#descriptor || !own.#descriptor) return this.#path === own.#path;
    if (this.#descriptor.inode !== own.#descriptor.inode) return false;
    if (this.#descriptors!.standTogether(this.#descriptor, own.#descriptor)) return true;
    // Either it is mounted at another place as well, or another directory has the same numbers.
    return own.showsAt(this.path) ?? true;
  }

  /** {@linkcode Directory.isOurs} of an entry; `info` is what was seen there. */
  hasOurs(name: string, info: Deno.FileInfo, own: Directory): boolean {
    if (!this.#descriptor || !own.#descriptor) return this.#byName(name) === own.#path;
    if (!info.isDirectory || inodeOf(info) !== own.#descriptor.inode) return false;
    using entry = this.enter(name, info);
    // An entry that was replaced meanwhile may be anything.
    return entry?.isOurs(own) ?? true;
  }

  /**
   * Whether a path leads to this directory: then what is made in it shows at the path.
   *
   * @returns undefined where nothing can be made in it
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

  /** Its present path, as the system tells it; undefined where it is not pinned. */
  get place(): string | undefined {
    return this.#descriptor && this.#descriptors!.placeOf(this.#descriptor.number);
  }

  /** Whether its mount is gone, or it stands elsewhere by now. */
  get isCutOff(): boolean {
    const { place } = this;
    return place !== undefined && place !== this.#path;
  }

  /** What is known of the file systems below its root; undefined where no directory can be held. */
  get mounts(): MountPoints | undefined {
    return this.#descriptors?.mounts;
  }

  /** Tells that the file system of an entry is gone, unless this directory is on it, too. */
  miss(name: string): void {
    if (this.#answers()) this.mounts?.miss(this.#byName(name));
  }

  /** Whether its file system answers: the system cannot have cached a name that was never asked for. */
  #answers(): boolean {
    try {
      Deno.lstatSync(this.at(crypto.randomUUID()));
      return true;
    } catch (error) {
      return systemCodeOf(error) !== "ENOTCONN";
    }
  }

  /** Opens it again by its path, with all directories that are held: see {@linkcode DirectoryDescriptors.openAgain}. */
  openAgain(): void {
    this.#descriptors?.openAgain();
  }

  /**
   * Fails where a file system was mounted at an entry and is not; `info` is what was seen there.
   *
   * @throws {FerryError} `io`
   */
  assertMounted(name: string, info: Deno.FileInfo): void {
    if (!this.#descriptor) return;
    this.mounts!.assertMounted(inodeOf(info), this.#byName(name), this.#descriptor.inode);
  }

  /**
   * Opens what stands at the path of this root by now.
   *
   * @returns undefined where that is no directory, or none can be held
   * @throws what the runtime throws
   */
  atItsPath(): Directory | undefined {
    const path = this.#path || "/";
    const held = this.#descriptors?.hold(inodeOf(Deno.statSync(path)), path);
    return held && new Directory(this.#path, this.#descriptors, held);
  }

  /** Releases this root, and what was opened below it as soon as nobody uses it. */
  leave(): void {
    if (this.#descriptor) this.#descriptors!.leave(this.#descriptor);
    this.end();
  }

  /** Whether it was opened below this root, and not below an earlier one of the same path. */
  isBelow(top: Directory): boolean {
    return (this.#descriptor?.top ?? this.#descriptor) === top.#descriptor;
  }

  /**
   * Opens a directory in it; `info` is what was seen there.
   *
   * @returns undefined where it is something else by now
   * @throws what the runtime throws
   */
  enter(name: string, info: Deno.FileInfo): Directory | undefined {
    const path = this.#byName(name);
    if (!this.#descriptors) return new Directory(path);
    const held = this.#descriptors.hold(inodeOf(info), path, this.#descriptor);
    return held && new Directory(path, this.#descriptors, held);
  }

  /**
   * A directory below it that is open, where it still has that name and no link is on the way: the system is asked once
   * for the whole name.
   *
   * @returns undefined where that is not known
   */
  known(name: string): Directory | undefined {
    const path = `${this.#path}/${name}`;
    const held = this.#descriptors?.holdAt(path);
    return held && new Directory(path, this.#descriptors, held);
  }

  /** Another hold on it, which is disposed of separately. */
  hold(): Directory {
    if (this.#descriptor) this.#descriptor.users++;
    return new Directory(this.#path, this.#descriptors, this.#descriptor);
  }

  /**
   * Opens the regular file in it that was seen there.
   *
   * @returns undefined where it is something else by now
   * @throws {FerryError} what keeps it from being opened; that may have been something else
   */
  open(name: string, seen: Deno.FileInfo, runtime: Runtime): LocalFile | undefined {
    let descriptor: number | undefined;
    let file: LocalFile;
    if (this.#descriptor) {
      // It may be a named pipe by now, whose open would wait for its other end.
      descriptor = openSync(this.#byName(name), constants.O_RDONLY | constants.O_NONBLOCK);
      file = LocalFile.of(new DescriptorFile(descriptor), runtime);
    } else file = LocalFile.open(this.at(name), runtime);
    const isIn = descriptor === undefined ||
      this.#descriptors!.standsIn(this.#descriptor!, name, descriptor);
    if (isIn && inodeOf(file.info) === inodeOf(seen)) return file;
    void file[Symbol.asyncDispose]();
    return undefined;
  }

  /**
   * Creates a file of a new name that only this user can read, in this directory and nowhere else: the runtime does not
   * resolve the path when it creates a temporary file.
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
    // Its present path is where it was created, unless something else was swapped in.
    if (this.#descriptors!.placeOf(descriptor) === this.#byName(name)) {
      return new DescriptorFile(descriptor, `${this.#descriptors!.path}/${descriptor}`);
    }
    closeSync(descriptor);
    return openExactly(path, { write: true });
  }

  /** Makes the names in it survive a loss of power, where its file system flushes directories at all. */
  async sync(): Promise<void> {
    if (!this.#descriptor) return await syncDirectory(this.path);
    const { number } = this.#descriptor;
    try {
      await settled((done) => fsync(number, done));
    } catch (error) {
      // A directory that may not be listed is open by O_PATH, which cannot be flushed.
      if ((error as { code?: unknown }).code === "EBADF") return await syncDirectory(this.path);
      if (!isUnsupported(error)) throw fileError(error);
    }
  }

  /**
   * Makes the link to descriptors again where another program has removed it.
   *
   * @returns whether that was so
   */
  mend(): boolean {
    return this.#descriptors?.mend() ?? false;
  }

  /** Releases it. */
  [Symbol.dispose](): void {
    this.#letGo({ idle: true });
  }

  /** Releases and closes it at once: an open directory takes room even when it was removed. */
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

/** Opens a directory in another one, or makes it for this user alone. */
export function makeDirectory(directory: Directory, name: string): Directory {
  const path = directory.at(name);
  if (!isTaken(path)) Deno.mkdirSync(path, { mode: 0o700 });
  // What a link leads to would be emptied.
  const info = Deno.lstatSync(path);
  const made = info.isDirectory ? directory.enter(name, info) : undefined;
  if (made) return made;
  throw new FerryError("not_a_file", `${name} in it is not a directory`);
}
