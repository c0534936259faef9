/**
 * A link to the descriptors of this process, by which paths lead to open directories.
 *
 * On Linux `/proc/self/fd/N` leads to what the descriptor N stands for, without a look at any name. The runtime lets only
 * programs with every permission name paths below `/proc`, but it follows a link to there. So a link is made, in a
 * temporary directory that other users cannot replace.
 *
 * @module
 */

import { inodeOf } from "../../../lib/core/file_identity.ts";
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { FerryError } from "../../../lib/core/errors.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import { dirname } from "../../../lib/core/paths.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";

/** Linux's flag for a descriptor that only leads somewhere, and needs no permission to read what is there. */
const O_PATH = 0o10000000;

/** How the names of the temporary directories begin. */
const PREFIX = "ferry-fd-";

/** A temporary directory that is older than this and not locked was left behind by a process, in milliseconds. */
const LEFT_BEHIND_MS = 60_000;

/** A temporary directory with the link `fd` in it. */
export class DescriptorLink {
  /** The path of the temporary directory. */
  readonly directory: string;
  /** Its device and inode. */
  readonly inode: string;
  /** Its descriptor. */
  readonly descriptor: number;
  /** A lock on it, for programs that clear old temporary files away. */
  readonly #lock: Deno.FsFile;

  private constructor(directory: string, descriptor: number, lock: Deno.FsFile) {
    this.directory = directory;
    this.inode = inodeOf(lock.statSync());
    this.descriptor = descriptor;
    this.#lock = lock;
  }

  /** Makes it; undefined where the system has no such link, or the program may not use it. */
  static open(): DescriptorLink | undefined {
    if (!PLATFORM.leadsToDescriptors) return undefined;
    const granted = (name: "read" | "write") =>
      Deno.permissions.querySync({ name }).state === "granted";
    // The runtime would ask the user otherwise.
    if (!granted("read") || !granted("write")) return undefined;
    using made = new DisposableStack();
    try {
      const path = Deno.makeTempDirSync({ prefix: PREFIX });
      made.defer(() => removeAll(path));
      const lock = made.use(Deno.openSync(path, { read: true }));
      tryLock(lock);
      if (othersMayRename(path)) throw new FerryError("denied", "others could replace it");
      Deno.symlinkSync("/proc/self", `${path}/self`);
      // By the number of the process it is one link less every time.
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

  /** The link: the numbers of descriptors are names below it. */
  get path(): string {
    return `${this.directory}/fd`;
  }

  /** Removes it. */
  remove(): void {
    removeAll(this.directory);
    this.close();
  }

  /** Closes what is open of it, where somebody else has removed it. */
  close(): void {
    closeSync(this.descriptor);
    this.#lock.close();
  }
}

/** Opens the directory at a path; undefined where that is no directory, or cannot be reached. */
export function openDirectory(path: string): number | undefined {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  // Names can be looked up in a directory that may not be listed.
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

/** Removes the temporary directories beside this one whose processes were killed. */
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
      // Another process was quicker.
    }
  }
}

/** Whether other users may rename or remove what this user has at a path. */
function othersMayRename(path: string): boolean {
  const { mode } = Deno.statSync(dirname(path));
  return (mode! & 0o022) !== 0 && (mode! & 0o1000) === 0;
}

/**
 * Whether the runtime's descriptors are the system's. Those of older runtimes are numbers of their own, which may agree
 * with the system's by chance, but not again and again: they are never given twice, as the system's are.
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
