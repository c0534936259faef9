/**
 * Descriptors of the directories that are open, and paths that lead to them.
 *
 * @module
 */

import { deviceIn, inodeOf } from "../../../lib/core/file_identity.ts";
import { closeSync, existsSync } from "node:fs";
import { FerryError } from "../../../lib/core/errors.ts";
import { basename } from "../../../lib/core/paths.ts";
import { DescriptorLink, openDirectory } from "../../../lib/files/descriptor_link.ts";
import { MountPoints } from "./mount_points.ts";

/** How many unused directories are kept open, and for how long, in milliseconds. */
const IDLE = { count: 64, time: 1000 };

/** How long an open directory is assumed to be still the one at its path, in milliseconds. */
const SEEN_MS = 1000;

/** The descriptor of a directory, and what is known of it. */
export interface DirectoryDescriptor {
  /** Device and inode of the directory. */
  readonly inode: string;
  /** Where it was found, in a path without links. */
  readonly path: string;
  /** The descriptor of the root that contains it; undefined for a root. */
  readonly top?: DirectoryDescriptor | undefined;
  /** The number of the file descriptor. */
  number: number;
  /** The number of its holders. */
  users: number;
  /** When the directory was last seen at its path, in milliseconds since 1970. */
  seen: number;
}

/** The directories below one root that are open. */
export class DirectoryDescriptors implements Disposable {
  readonly #open = new Set<DirectoryDescriptor>();
  /** The most recently opened descriptor for each path. */
  readonly #byPath = new Map<string, DirectoryDescriptor>();
  /** The file systems below the root. */
  readonly mounts: MountPoints = new MountPoints();
  /** Descriptors that were replaced after a remount. They stay open, since paths by way of them may still be in use. */
  readonly #retired: number[] = [];
  #link: DescriptorLink;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  private constructor(link: DescriptorLink) {
    this.#link = link;
  }

  /** An empty set; undefined if the system has no paths to descriptors, or the program may not use them. */
  static open(): DirectoryDescriptors | undefined {
    const link = DescriptorLink.open();
    return link && new DirectoryDescriptors(link);
  }

  /** The path below which descriptor numbers are names. */
  get path(): string {
    return this.#link.path;
  }

  /** The temporary directory of the link, which no request may reach. */
  get own(): DirectoryDescriptor {
    const { inode, directory: path, descriptor: number } = this.#link;
    return { inode, path, number, users: 1, seen: 0 };
  }

  /**
   * Opens the directory that was seen at a path, or shares its open descriptor, until it is released.
   *
   * @param above its parent directory; undefined for a root
   * @returns undefined if something else is there by now
   * @throws {FerryError} `io` if a file system was mounted there and no longer is
   * @throws what the runtime throws
   */
  hold(inode: string, path: string, above?: DirectoryDescriptor): DirectoryDescriptor | undefined {
    if (above) this.mounts.assertMounted(inode, path, above.inode);
    const known = this.holdAt(path);
    if (known?.inode === inode) return known;
    if (known) this.release(known);
    const name = basename(path);
    const number = openDirectory(above ? `${this.path}/${above.number}/${name}` : path);
    if (number === undefined) return undefined;
    using taken = new DisposableStack();
    taken.defer(() => closeSync(number));
    if (this.#inodeOf(number) !== inode) return undefined;
    // The runtime opens by a path, which it resolves first, and on some file systems an equal device and inode do not
    // prove that it is the same directory.
    if (above && !this.standsIn(above, name, number)) return undefined;
    taken.move();
    const top = above && (above.top ?? above);
    const opened = { inode, path, top, number, users: 1, seen: Date.now() };
    this.#open.add(opened);
    this.mounts.opened(deviceIn(inode));
    this.#byPath.set(path, opened);
    return opened;
  }

  /** Device and inode of an open descriptor. `fstatSync` would take three times as long. */
  #inodeOf(number: number): string | undefined {
    try {
      return inodeOf(Deno.statSync(`${this.path}/${number}`));
    } catch {
      // The link is gone, as below.
      return undefined;
    }
  }

  /** Whether an open descriptor is the entry of that name in a directory. */
  standsIn(directory: DirectoryDescriptor, name: string, number: number): boolean {
    const place = this.placeOf(number);
    if (place === undefined) return false;
    // The directory itself may have been renamed since it was found.
    const isIn = (path = "") => place === `${path === "/" ? "" : path}/${name}`;
    return isIn(directory.path) || isIn(this.placeOf(directory.number));
  }

  /** Whether two open directories now have the same path, as the system reports it. A directory has only one path. */
  standTogether(one: DirectoryDescriptor, other: DirectoryDescriptor): boolean {
    const place = this.placeOf(one.number);
    return place !== undefined && place === this.placeOf(other.number);
  }

  /**
   * Reopens all directories in use by their paths, after a file system was mounted again. Operations that were started
   * on the old mount fail.
   */
  openAgain(): void {
    for (const each of [...this.#open]) {
      if (each.users === 0) {
        this.#close(each);
        continue;
      }
      const number = openDirectory(each.path);
      if (number === undefined) continue;
      if (this.#inodeOf(number) !== each.inode) closeSync(number);
      else {
        this.#retired.push(each.number);
        each.number = number;
      }
    }
  }

  /** Forgets the directories that were opened below a root, and closes those that are not in use. */
  leave(top: DirectoryDescriptor): void {
    for (const held of [...this.#open]) {
      if ((held.top ?? held) !== top) continue;
      if (held.users === 0) this.#close(held);
      else if (this.#byPath.get(held.path) === held) this.#byPath.delete(held.path);
    }
  }

  /** The descriptor of the directory at a path, if it is open and the directory is still there. The caller holds it. */
  holdAt(path: string): DirectoryDescriptor | undefined {
    const held = this.#byPath.get(path);
    if (!held || this.placeOf(held.number) !== path) return undefined;
    if (Math.abs(Date.now() - held.seen) >= SEEN_MS && !this.#isAt(held)) return undefined;
    held.users++;
    return held;
  }

  /** Whether an open directory is the one at its path: another file system may have been mounted over it. */
  #isAt(held: DirectoryDescriptor): boolean {
    try {
      if (inodeOf(Deno.lstatSync(held.path)) !== held.inode) return false;
    } catch {
      return false;
    }
    held.seen = Date.now();
    return true;
  }

  /** The path of what is open, without links, as the system reports it. */
  placeOf(number: number): string | undefined {
    try {
      return Deno.readLinkSync(`${this.path}/${number}`);
    } catch {
      // The link is gone. It is created again when something is found missing.
      return undefined;
    }
  }

  /**
   * Ends what {@linkcode DirectoryDescriptors.hold} began.
   *
   * @param idle whether it may stay open briefly, for the next request that needs it
   */
  release(held: DirectoryDescriptor, { idle = true } = {}): void {
    if (--held.users > 0) return;
    if (!idle || this.#closed || this.#byPath.get(held.path) !== held) {
      return this.#close(held);
    }
    // The set is ordered by when they were released.
    this.#open.delete(held);
    this.#open.add(held);
    if (this.#open.size > IDLE.count) this.#closeOldest();
    // Unused directories are closed soon: an open directory keeps its file system from being unmounted.
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#closeIdle();
    }, IDLE.time);
    Deno.unrefTimer(this.#timer);
  }

  #closeOldest(): void {
    for (const held of this.#open) if (held.users === 0) return this.#close(held);
  }

  #closeIdle(): void {
    for (const held of [...this.#open]) if (held.users === 0) this.#close(held);
  }

  #close(held: DirectoryDescriptor): void {
    this.#open.delete(held);
    this.mounts.closed(deviceIn(held.inode));
    if (this.#byPath.get(held.path) === held) this.#byPath.delete(held.path);
    try {
      closeSync(held.number);
    } catch {
      // The descriptor is closed even if `close` reports an error. Nothing can have been lost, since nothing was
      // written through it.
    }
  }

  /** Creates the link again if another program has removed it. Returns whether it had been removed. */
  mend(): boolean {
    if (existsSync(this.path)) return false;
    const link = DescriptorLink.open();
    if (!link) throw new FerryError("io", "the system's directory for temporary files is gone");
    this.#link.close();
    this.#link = link;
    return true;
  }

  /** Closes the unused directories, and removes the link. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeIdle();
    for (const number of this.#retired) closeSync(number);
    this.#link.remove();
  }
}
