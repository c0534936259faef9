/**
 * A symbolic link to the file descriptors of this process. By way of it, paths lead to open directories.
 *
 * On Linux `/proc/self/fd/N` leads to the file or directory that descriptor N has open, without resolving its name
 * again. The runtime lets only programs with all permissions use paths below `/proc`, but it follows a symbolic link to
 * there. So such a link is created in a temporary directory that other users cannot replace.
 *
 * @module
 */

import { inodeOf } from "../core/file_identity.ts";
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { FerryError } from "../core/errors.ts";
import { tryLock } from "./file_lock.ts";
import { dirname } from "../core/paths.ts";
import { PLATFORM } from "../core/platform.ts";

/** Linux's flag `O_PATH`: a descriptor that only marks a location, and needs no permission to read it. */
const O_PATH = 0o10000000;

/** How the names of the temporary directories begin. */
const PREFIX = "ferry-fd-";

/**
 * A temporary directory that is older than this, in milliseconds, and not locked was left behind by an earlier process.
 */
const LEFT_BEHIND_MS = 60_000;

/** A temporary directory with the link `fd` in it. */
export class DescriptorLink {
  /** The path of the temporary directory. */
  readonly directory: string;
  /** Its device and inode. */
  readonly inode: string;
  /** Its descriptor. */
  readonly descriptor: number;
  /** A lock on it, so that programs that clean up temporary files leave it alone. */
  readonly #lock: Deno.FsFile;

  private constructor(directory: string, descriptor: number, lock: Deno.FsFile) {
    this.directory = directory;
    this.inode = inodeOf(lock.statSync());
    this.descriptor = descriptor;
    this.#lock = lock;
  }

  /** Creates the link; undefined if the system has no `/proc`, or the program may not use it. */
  static open(): DescriptorLink | undefined {
    if (!PLATFORM.leadsToDescriptors) return undefined;
    const granted = (name: "read" | "write") =>
      Deno.permissions.querySync({ name }).state === "granted";
    // Without the permission the runtime would prompt the user.
    if (!granted("read") || !granted("write")) return undefined;
    using made = new DisposableStack();
    try {
      const path = Deno.makeTempDirSync({ prefix: PREFIX });
      made.defer(() => removeAll(path));
      const lock = made.use(Deno.openSync(path, { read: true }));
      tryLock(lock);
      if (othersMayRename(path)) throw new FerryError("denied", "others could replace it");
      Deno.symlinkSync("/proc/self", `${path}/self`);
      // The target names the process id instead of `self`: that saves resolving a link each time.
      Deno.symlinkSync(`${Deno.realPathSync(`${path}/self`)}/fd`, `${path}/fd`);
      if (!leadsToWhatIsOpen(path)) return undefined;
      const descriptor = openDirectory(path)!;
      made.defer(() => closeSync(descriptor));
      removeLeftBehind(path);
      const link = new DescriptorLink(path, descriptor, lock);
      made.move();
      return link;
    } catch {
      // There is no safe place for it, no /proc, or the runtime's descriptors are not the system's.
      return undefined;
    }
  }

  /** The path of the link. Descriptor numbers are the names below it. */
  get path(): string {
    return `${this.directory}/fd`;
  }

  /** Removes the temporary directory and the link. */
  remove(): void {
    removeAll(this.directory);
    this.close();
  }

  /** Closes its descriptors, after somebody else has removed the directory. */
  close(): void {
    closeSync(this.descriptor);
    this.#lock.close();
  }
}

/** Opens the directory at a path; undefined if it is not a directory or cannot be reached. */
export function openDirectory(path: string): number | undefined {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  // A directory that may not be listed can still be opened with `O_PATH`, to look up names in it.
  for (const access of [O_RDONLY, O_PATH]) {
    try {
      return openSync(path, access | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return undefined;
      if (code !== "EACCES") throw error;
    }
  }
  return undefined;
}

/** Removes the temporary directories next to this one that belonged to processes that were killed. */
function removeLeftBehind(path: string): void {
  const directory = dirname(path);
  const { uid } = Deno.lstatSync(path);
  for (const { name } of Deno.readDirSync(directory)) {
    if (!name.startsWith(PREFIX)) continue;
    const other = `${directory}/${name}`;
    try {
      const info = Deno.lstatSync(other);
      const isOld = Date.now() - info.mtime!.getTime() > LEFT_BEHIND_MS;
      if (!info.isDirectory || info.uid !== uid || !isOld) continue;
      using lock = Deno.openSync(other, { read: true });
      if (tryLock(lock)) removeAll(other);
    } catch {
      // Another process has removed it.
    }
  }
}

/** Whether other users may rename or remove the entry at a path. */
function othersMayRename(path: string): boolean {
  const { mode } = Deno.statSync(dirname(path));
  return (mode! & 0o022) !== 0 && (mode! & 0o1000) === 0;
}

/**
 * Whether the runtime's descriptor numbers are those of the system. Older runtimes use numbers of their own. These may
 * match the system's by chance, but not repeatedly: they are never reused, as the system's are.
 */
function leadsToWhatIsOpen(path: string): boolean {
  const gone = `${path}/gone`;
  for (let look = 0; look < 3; look++) {
    Deno.mkdirSync(gone);
    const descriptor = openDirectory(gone)!;
    try {
      Deno.removeSync(gone);
      // No name leads there any more: only the descriptor does.
      const reached = Deno.statSync(`${path}/fd/${descriptor}`);
      if (inodeOf(reached) !== inodeOf(fstatSync(descriptor))) return false;
    } finally {
      closeSync(descriptor);
    }
  }
  return true;
}

function removeAll(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch {
    // It is gone already.
  }
}
