/**
 * Descriptors of directories, and a path that leads to each of them.
 *
 * On Linux `/proc/self/fd/N` leads to what the descriptor N stands for, without a look at any name, and the
 * kernel goes there within the one call that acts on an entry. The runtime lets no program name paths below
 * `/proc` that has not every permission, but it follows a link to there; so one is made, in a temporary
 * directory of our own, which stands where other users cannot put another in its place.
 *
 * @module
 */

import { closeSync, constants, existsSync, fstatSync, openSync } from "node:fs";
import { FerryError } from "./errors.ts";
import { tryLock } from "./file_lock.ts";
import { dirname } from "./path.ts";
import { PLATFORM } from "./platform.ts";

/** How many directories that nobody uses are kept open, and for how many milliseconds. */
const IDLE = { count: 64, time: 1000 };

/** Linux's flag for a descriptor that only leads somewhere, and takes no permission to read what is there. */
const O_PATH = 0o10000000;

/** What tells a file or a directory from all others, as long as it exists. */
export function inodeOf({ dev, ino }: { dev: number; ino: number | null }): string {
  return `${dev}:${ino}`;
}

/** A directory that is open. */
export interface Handle {
  /** What tells it from others. */
  inode: string;
  /** Where it was found. */
  path: string;
  /** Its descriptor. */
  descriptor: number;
  /** How many hold it. */
  users: number;
}

/** The directories that are open, and the link that leads to them. */
export class Handles implements Disposable {
  readonly #open = new Map<string, Handle>();
  readonly #byPath = new Map<string, Handle>();
  #own: Own;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  private constructor(own: Own) {
    this.#own = own;
  }

  /** Undefined where the system cannot do this, or the program may not. */
  static open(): Handles | undefined {
    const own = makeOwn();
    return own && new Handles(own);
  }

  /** Below this are the descriptors. */
  get path(): string {
    return `${this.#own.path}/fd`;
  }

  /** What tells the temporary directory from others; nobody else should reach it. */
  get inode(): string {
    return this.#own.inode;
  }

  /** The handle of a directory; undefined where `open` opens nothing, or something else. */
  hold(inode: string, path: string, open: () => number | undefined): Handle | undefined {
    let handle = this.#open.get(inode);
    if (!handle) {
      const descriptor = open();
      if (descriptor === undefined) return undefined;
      using opened = new DisposableStack();
      opened.defer(() => closeSync(descriptor));
      if (inodeOf(fstatSync(descriptor)) !== inode) return undefined;
      opened.move();
      handle = { inode, path, descriptor, users: 0 };
      this.#open.set(inode, handle);
      this.#byPath.set(path, handle);
    }
    handle.users++;
    return handle;
  }

  /** The handle of a directory that is open and still stands at a path. */
  holdAt(path: string): Handle | undefined {
    const handle = this.#byPath.get(path);
    if (!handle || this.placeOf(handle.descriptor) !== path) return undefined;
    handle.users++;
    return handle;
  }

  /** Where the system says that something is that is open, in a path without links. */
  placeOf(descriptor: number): string | undefined {
    try {
      return Deno.readLinkSync(`${this.path}/${descriptor}`);
    } catch {
      // The link is gone; who misses something mends that.
      return undefined;
    }
  }

  /** Ends what {@linkcode Handles.hold} began. */
  release(handle: Handle): void {
    if (--handle.users > 0) return;
    if (this.#closed) return this.#close(handle);
    // The one that was released longest ago comes first.
    this.#open.delete(handle.inode);
    this.#open.set(handle.inode, handle);
    if (this.#open.size > IDLE.count) this.#closeOldest();
    // A directory that is kept open cannot be unmounted, for one.
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#closeIdle();
    }, IDLE.time);
    Deno.unrefTimer(this.#timer);
  }

  #closeOldest(): void {
    for (const handle of this.#open.values()) if (handle.users === 0) return this.#close(handle);
  }

  #closeIdle(): void {
    for (const handle of [...this.#open.values()]) if (handle.users === 0) this.#close(handle);
  }

  #close(handle: Handle): void {
    this.#open.delete(handle.inode);
    if (this.#byPath.get(handle.path) === handle) this.#byPath.delete(handle.path);
    try {
      closeSync(handle.descriptor);
    } catch {
      // It is closed all the same, and what could not be written is none of a directory's.
    }
  }

  /** Makes the link anew where somebody has cleared it away; whether that was so. */
  mend(): boolean {
    if (existsSync(this.path)) return false;
    const own = makeOwn();
    if (!own) throw new FerryError("io", "the system's directory for temporary files is gone");
    this.#own.lock.close();
    this.#own = own;
    return true;
  }

  /** Closes what nobody holds, and removes the link. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeIdle();
    removeOwn(this.#own.path);
    this.#own.lock.close();
  }
}

/** Opens what a path leads to; undefined where that is no directory, or out of reach. */
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

/** How the temporary directories are called. */
const PREFIX = "ferry-fd-";

/** After how many milliseconds one that nobody has a lock on was left behind, and is not just being made. */
const LEFT_BEHIND_MS = 60_000;

/** A temporary directory with the link `fd` in it. */
interface Own {
  path: string;
  inode: string;
  /** A lock on it: what clears old temporary files away leaves alone what is locked. */
  lock: Deno.FsFile;
}

/** Makes it; undefined where the link does not lead to what is open. */
function makeOwn(): Own | undefined {
  if (!PLATFORM.leadsToDescriptors) return undefined;
  const granted = (name: "read" | "write") =>
    Deno.permissions.querySync({ name }).state === "granted";
  // The runtime would ask the user otherwise.
  if (!granted("read") || !granted("write")) return undefined;
  using made = new DisposableStack();
  try {
    const path = Deno.makeTempDirSync({ prefix: PREFIX });
    made.defer(() => removeOwn(path));
    const lock = made.use(Deno.openSync(path, { read: true }));
    tryLock(lock);
    if (othersMayRename(path)) throw new FerryError("denied", "others could replace it");
    Deno.symlinkSync("/proc/self", `${path}/self`);
    // By the number of the process it is one link less every time.
    Deno.symlinkSync(`${Deno.realPathSync(`${path}/self`)}/fd`, `${path}/fd`);
    if (!leadsToWhatIsOpen(path)) return undefined;
    const inode = inodeOf(lock.statSync());
    removeLeftBehind(path);
    made.move();
    return { path, inode, lock };
  } catch {
    // Nowhere safe to put it, no /proc, or a runtime whose descriptors are not the system's.
    return undefined;
  }
}

/** Removes what processes left beside this directory that were killed. */
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
      if (tryLock(lock)) removeOwn(other);
    } catch {
      // Another process was quicker.
    }
  }
}

/** Whether other users may rename or remove what stands at a path of this user's. */
function othersMayRename(path: string): boolean {
  const { mode } = Deno.statSync(dirname(path));
  return (mode! & 0o022) !== 0 && (mode! & 0o1000) === 0;
}

/**
 * Whether the numbers of what is open are the system's. Those of older runtimes are their own and may agree with
 * the system's by chance, but not again and again: they are never given twice, as the system's are.
 */
function leadsToWhatIsOpen(path: string): boolean {
  const gone = `${path}/gone`;
  for (let look = 0; look < 3; look++) {
    Deno.mkdirSync(gone);
    const descriptor = openDirectory(gone)!;
    try {
      Deno.removeSync(gone);
      // No name leads there any more; who still gets there did not go by a name.
      const reached = Deno.statSync(`${path}/fd/${descriptor}`);
      if (inodeOf(reached) !== inodeOf(fstatSync(descriptor))) return false;
    } finally {
      closeSync(descriptor);
    }
  }
  return true;
}

function removeOwn(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch {
    // It is gone already.
  }
}
