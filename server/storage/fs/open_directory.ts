/**
 * Directories that are held open. What is done in one is done in that directory, whatever its name leads to
 * by then: what POSIX has `openat`, `renameat` and their like for, in a runtime that has none of them.
 *
 * To open a file is the exception: the runtime itself resolves the path, link by link, and opens what it
 * came to. So what was opened is compared with what stands in the directory.
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
   * Opens a directory by a path without links. Where none can be held, it goes by that path, and those in
   * it by theirs.
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

  /** A path that leads to it. Where it is pinned that is a link. */
  get path(): string {
    return this.#descriptor
      ? `${this.#descriptors!.path}/${this.#descriptor.number}`
      : this.#path || "/";
  }

  /** What tells it from other directories that are held. */
  get identity(): string {
    return this.#descriptor ? `${this.#descriptor.number}` : this.#path;
  }

  /** Its device and inode, which may be those of another one, too; its path where it goes by that. */
  get inode(): string {
    return this.#descriptor?.inode ?? this.#path;
  }

  /** The device that it is on. */
  get device(): number {
    return this.#descriptor ? deviceIn(this.#descriptor.inode) : Deno.statSync(this.path).dev;
  }

  /** The same as {@linkcode Directory.inode} of a directory in it; `info` is what was seen there. */
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

  /** The path of an entry by names, which may lead elsewhere; but to open a file by it takes less time. */
  #byName(name: string): string {
    return `${this.#path}/${name}`;
  }

  /** Whether it is a directory of our own, by whatever name it was found. */
  isOurs(own: Directory): boolean {
    if (!this.#descriptor || !own.#descriptor) return this.#path === own.#path;
    if (this.#descriptor.inode !== own.#descriptor.inode) return false;
    if (this.#descriptors!.standTogether(this.#descriptor, own.#descriptor)) return true;
    // It was mounted at another place as well, or is another directory of the same numbers.
    return own.showsAt(this.path) ?? true;
  }

  /** The same of an entry of it; `info` is what was seen there. */
  hasOurs(name: string, info: Deno.FileInfo, own: Directory): boolean {
    if (!this.#descriptor || !own.#descriptor) return this.#byName(name) === own.#path;
    if (!info.isDirectory || inodeOf(info) !== own.#descriptor.inode) return false;
    using entry = this.enter(name, info);
    // What was replaced meanwhile may be anything.
    return entry?.isOurs(own) ?? true;
  }

  /**
   * Whether a directory of our own is what a path leads to: what is made in the one shows in the other then.
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

  /** The directory of our own that makes this work, and that nobody else should reach. */
  get own(): Directory | undefined {
    const descriptors = this.#descriptors;
    return descriptors && new Directory(descriptors.own.path, descriptors, descriptors.own);
  }

  /** Where the system says that it stands; undefined where it goes by its path. */
  get place(): string | undefined {
    return this.#descriptor && this.#descriptors!.placeOf(this.#descriptor.number);
  }

  /** Whether it is held by way of a mount that is gone, or stands elsewhere by now. */
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

  /** Whether its file system is there: of a name that nobody has asked for, the system remembers nothing. */
  #answers(): boolean {
    try {
      Deno.lstatSync(this.at(crypto.randomUUID()));
      return true;
    } catch (error) {
      return systemCodeOf(error) !== "ENOTCONN";
    }
  }

  /** Opens it again by its path, with all that is held with it: see {@linkcode DirectoryDescriptors.openAgain}. */
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
   * Opens what stands at the path of one at the top by now.
   *
   * @returns undefined where that is no directory, or none can be held
   * @throws what the runtime throws
   */
  atItsPath(): Directory | undefined {
    const path = this.#path || "/";
    const held = this.#descriptors?.hold(inodeOf(Deno.statSync(path)), path);
    return held && new Directory(this.#path, this.#descriptors, held);
  }

  /** Lets go of one at the top, and of what was opened by way of it as soon as nobody uses that any more. */
  leave(): void {
    if (this.#descriptor) this.#descriptors!.leave(this.#descriptor);
    this.end();
  }

  /** Whether it was opened by way of one at the top, and not of another one that stood at its path. */
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
   * A directory below it that is open, where it still has that name and no link leads over it: the system is
   * asked for the whole name at once.
   *
   * @returns undefined where that is not known
   */
  known(name: string): Directory | undefined {
    const path = `${this.#path}/${name}`;
    const held = this.#descriptors?.holdAt(path);
    return held && new Directory(path, this.#descriptors, held);
  }

  /** Holds it once more, to be disposed of by itself. */
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
      // It may be a named pipe by now, and whoever opens one waits for its other end.
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
   * Creates a file of a new name, for this user alone: in this directory and nowhere else, since the runtime
   * goes by the path that it is given where it creates a temporary file.
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
    // Where it stands now is where it was created, unless something else was swapped in.
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
      // One that may not be listed cannot be flushed by what only leads there.
      if ((error as { code?: unknown }).code === "EBADF") return await syncDirectory(this.path);
      if (!isUnsupported(error)) throw fileError(error);
    }
  }

  /**
   * Makes the way to its entries anew where it was lost: somebody may have cleared the temporary files away.
   *
   * @returns whether that was so
   */
  mend(): boolean {
    return this.#descriptors?.mend() ?? false;
  }

  /** Lets go of it. */
  [Symbol.dispose](): void {
    this.#letGo({ idle: true });
  }

  /** Lets go of it at once, where nobody will ask for it again: what is held open takes room, also when it was removed. */
  end(): void {
    this.#letGo({ idle: false });
  }

  #letGo(options: { idle: boolean }): void {
    if (this.#held && this.#descriptor) this.#descriptors!.release(this.#descriptor, options);
    this.#held = false;
  }

  /** Lets go of it, and of the means to hold those in it. */
  close(): void {
    this[Symbol.dispose]();
    this.#descriptors?.[Symbol.dispose]();
  }
}

/** Opens a directory for this user alone in another one, or makes it. */
export function makeDirectory(directory: Directory, name: string): Directory {
  const path = directory.at(name);
  if (!isTaken(path)) Deno.mkdirSync(path, { mode: 0o700 });
  // Whatever a link led to would be emptied.
  const info = Deno.lstatSync(path);
  const made = info.isDirectory ? directory.enter(name, info) : undefined;
  if (made) return made;
  throw new FerryError("not_a_file", `${name} in it is not a directory`);
}
