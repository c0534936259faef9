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

import { deviceIn, inodeOf } from "../../../lib/core/file_identity.ts";
import { closeSync, constants, existsSync, fstatSync, openSync } from "node:fs";
import { FerryError } from "../../../lib/core/errors.ts";
import { tryLock } from "../../../lib/files/file_lock.ts";
import { basename, dirname } from "../../../lib/core/paths.ts";
import { PLATFORM } from "../../../lib/core/platform.ts";

/** How many directories that nobody uses are kept open, and for how many milliseconds. */
const IDLE = { count: 64, time: 1000 };

/** After how many milliseconds it is looked again whether an open directory is still the one at its path. */
const SEEN_MS = 1000;

/** Linux's flag for a descriptor that only leads somewhere, and takes no permission to read what is there. */
const O_PATH = 0o10000000;

/** Told of another file system below the directory that is served, with its path. */
export type OnMount = (state: "lost" | "back", path: string) => void;

/** A directory that another file system was seen in. */
interface Border {
  /** When, in milliseconds since 1970. */
  seen: number;
  /** Whether it has gone since. */
  lost: boolean;
}

/** A directory that is open. */
export interface Handle {
  /** Its device and inode. */
  readonly inode: string;
  /** Where it was found, in a path without links. */
  readonly path: string;
  /** The one at the top that it was found below; undefined for that itself. */
  readonly top?: Handle | undefined;
  /** Its descriptor. */
  descriptor: number;
  /** How many hold it. */
  users: number;
  /** When it was seen last to be what stands at its path, in milliseconds since 1970. */
  seen: number;
}

/** The directories that are open, and the link that leads to them. */
export class Handles implements Disposable {
  readonly #open = new Set<Handle>();
  /** Those that were opened last at a path. */
  readonly #byPath = new Map<string, Handle>();
  /** Where other file systems were seen, by path. */
  readonly #borders = new Map<string, Border>();
  /** Told with its path when one of them is noticed to be gone, and when one is there again. */
  onMount: OnMount = () => {};
  /** By device: what is open on it. */
  readonly #mounted = new Map<number, { id: string; users: number }>();
  /** Descriptors in place of which others were opened; paths by way of them may still be in use. */
  readonly #retired: number[] = [];
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

  /** The temporary directory, which nobody else should reach. */
  get own(): Handle {
    return this.#own.handle;
  }

  /**
   * The handle of a directory that was seen at a path.
   *
   * @param above the directory that it stands in; undefined for one at the top
   * @returns undefined where something else stands there by now
   * @throws {FerryError} `io` where a file system was mounted there and is not
   * @throws what the runtime throws
   */
  hold(inode: string, path: string, above?: Handle): Handle | undefined {
    if (above) this.assertMounted(inode, path, above);
    const known = this.holdAt(path);
    if (known?.inode === inode) return known;
    if (known) this.release(known);
    const name = basename(path);
    const descriptor = openDirectory(above ? `${this.path}/${above.descriptor}/${name}` : path);
    if (descriptor === undefined) return undefined;
    using opened = new DisposableStack();
    opened.defer(() => closeSync(descriptor));
    if (this.#inodeOf(descriptor) !== inode) return undefined;
    // The runtime goes by a name that it resolves first, and equal numbers are not the same directory everywhere.
    if (above && !this.standsIn(above, name, descriptor)) return undefined;
    opened.move();
    const top = above && (above.top ?? above);
    const handle = { inode, path, top, descriptor, users: 1, seen: Date.now() };
    this.#open.add(handle);
    this.#begin(deviceIn(inode));
    this.#byPath.set(path, handle);
    return handle;
  }

  /**
   * Fails where a file system was mounted and is not. What is in a mount point is nothing, as a rule: it must not
   * pass for empty.
   *
   * @throws {FerryError} `io`
   */
  assertMounted(inode: string, path: string, above: Handle): void {
    if (deviceIn(inode) !== deviceIn(above.inode)) {
      const known = this.#borders.get(path);
      this.#borders.set(path, { seen: Date.now(), lost: false });
      if (known?.lost) this.onMount("back", path);
      return;
    }
    const border = this.#borders.get(path);
    if (!border) return;
    const { birthtime, ctime } = Deno.lstatSync(path);
    // A directory that was made since then is another one: subvolumes can be removed as directories are.
    if ((birthtime ?? ctime)!.getTime() > border.seen) return void this.#borders.delete(path);
    this.miss(path);
    throw new FerryError(
      "io",
      "a file system that was mounted here is not there: the server goes on when it is mounted again; " +
        "for what is here without it, start the server anew",
    );
  }

  /** Tells that the file system at a path is gone. */
  miss(path: string): void {
    const { lost, seen = Date.now() } = this.#borders.get(path) ?? {};
    this.#borders.set(path, { seen, lost: true });
    if (!lost) this.onMount("lost", path);
  }

  /** This way it takes a third of the time of `fstatSync`. */
  #inodeOf(descriptor: number): string | undefined {
    try {
      return inodeOf(Deno.statSync(`${this.path}/${descriptor}`));
    } catch {
      // The link is gone, as below.
      return undefined;
    }
  }

  /** Whether what is open is the entry of that name of a directory. */
  standsIn(directory: Handle, name: string, descriptor: number): boolean {
    const place = this.placeOf(descriptor);
    if (place === undefined) return false;
    // Its own name may have changed since it was found.
    const isIn = (path = "") => place === `${path === "/" ? "" : path}/${name}`;
    return isIn(directory.path) || isIn(this.placeOf(directory.descriptor));
  }

  /** Whether two open directories stand at one path by now, as the system tells; a directory has no other one. */
  standTogether(one: Handle, other: Handle): boolean {
    const place = this.placeOf(one.descriptor);
    return place !== undefined && place === this.placeOf(other.descriptor);
  }

  /**
   * Opens all directories that are held once more by their paths, where a file system was mounted anew. What is
   * under way by the old mount fails.
   */
  openAgain(): void {
    for (const handle of [...this.#open]) {
      if (handle.users === 0) {
        this.#close(handle);
        continue;
      }
      const descriptor = openDirectory(handle.path);
      if (descriptor === undefined) continue;
      if (this.#inodeOf(descriptor) !== handle.inode) closeSync(descriptor);
      else {
        this.#retired.push(handle.descriptor);
        handle.descriptor = descriptor;
      }
    }
  }

  /** Finds nothing any more that was opened by way of one at the top, and closes what nobody uses of that. */
  leave(top: Handle): void {
    for (const handle of [...this.#open]) {
      if ((handle.top ?? handle) !== top) continue;
      if (handle.users === 0) this.#close(handle);
      else if (this.#byPath.get(handle.path) === handle) this.#byPath.delete(handle.path);
    }
  }

  /** The handle of a directory that is open and still stands at a path. */
  holdAt(path: string): Handle | undefined {
    const handle = this.#byPath.get(path);
    if (!handle || this.placeOf(handle.descriptor) !== path) return undefined;
    if (Math.abs(Date.now() - handle.seen) >= SEEN_MS && !this.#isAt(handle)) return undefined;
    handle.users++;
    return handle;
  }

  /** Whether what is open is what stands at its path: something may have been mounted over it. */
  #isAt(handle: Handle): boolean {
    try {
      if (inodeOf(Deno.lstatSync(handle.path)) !== handle.inode) return false;
    } catch {
      return false;
    }
    handle.seen = Date.now();
    return true;
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

  /**
   * Ends what {@linkcode Handles.hold} began.
   *
   * @param idle whether it may be kept open for a moment, for who asks for it again
   */
  release(handle: Handle, { idle = true } = {}): void {
    if (--handle.users > 0) return;
    if (!idle || this.#closed || this.#byPath.get(handle.path) !== handle) {
      return this.#close(handle);
    }
    // The one that was released longest ago comes first.
    this.#open.delete(handle);
    this.#open.add(handle);
    if (this.#open.size > IDLE.count) this.#closeOldest();
    // A directory that is kept open cannot be unmounted, for one.
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#closeIdle();
    }, IDLE.time);
    Deno.unrefTimer(this.#timer);
  }

  /**
   * What tells the file system that is mounted now from those that had its device number before, or will have it:
   * the number is free for others as soon as nothing is open there.
   *
   * @returns undefined where nothing that is open shows that it is mounted
   */
  mountOf(device: number): string | undefined {
    return this.#mounted.get(device)?.id;
  }

  /** Tells that a file is open on a device, until that is disposed of. */
  keepMounted(device: number): Disposable {
    this.#begin(device);
    using open = new DisposableStack();
    open.defer(() => this.#end(device));
    return open.move();
  }

  #begin(device: number): void {
    const mounted = this.#mounted.get(device) ?? { id: crypto.randomUUID(), users: 0 };
    this.#mounted.set(device, mounted);
    mounted.users++;
  }

  #end(device: number): void {
    if (--this.#mounted.get(device)!.users === 0) this.#mounted.delete(device);
  }

  #closeOldest(): void {
    for (const handle of this.#open) if (handle.users === 0) return this.#close(handle);
  }

  #closeIdle(): void {
    for (const handle of [...this.#open]) if (handle.users === 0) this.#close(handle);
  }

  #close(handle: Handle): void {
    this.#open.delete(handle);
    this.#end(deviceIn(handle.inode));
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
    closeOwn(this.#own);
    this.#own = own;
    return true;
  }

  /** Closes what nobody holds, and removes the link. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeIdle();
    for (const descriptor of this.#retired) closeSync(descriptor);
    removeOwn(this.#own.path);
    closeOwn(this.#own);
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
  handle: Handle;
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
    const descriptor = openDirectory(path)!;
    made.defer(() => closeSync(descriptor));
    const handle = {
      inode: inodeOf(lock.statSync()),
      path,
      descriptor,
      users: 1,
      seen: Date.now(),
    };
    removeLeftBehind(path);
    made.move();
    return { path, handle, lock };
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

function closeOwn({ handle, lock }: Own): void {
  closeSync(handle.descriptor);
  lock.close();
}

function removeOwn(path: string): void {
  try {
    Deno.removeSync(path, { recursive: true });
  } catch {
    // It is gone already.
  }
}
