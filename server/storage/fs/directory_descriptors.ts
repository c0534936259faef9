/**
 * Descriptors of the directories that are open, and paths that lead to them.
 *
 * @module
 */

import { deviceIn, inodeOf } from "../../../lib/core/file_identity.ts";
import { closeSync, existsSync } from "node:fs";
import { FerryError } from "../../../lib/core/errors.ts";
import { basename } from "../../../lib/core/paths.ts";
import { DescriptorLink, openDirectory } from "./descriptor_link.ts";
import { MountPoints } from "./mount_points.ts";

/** How many directories that nobody uses are kept open, and for how long, in milliseconds. */
const IDLE = { count: 64, time: 1000 };

/** How long an open directory is believed to be the one at its path, in milliseconds. */
const SEEN_MS = 1000;

/** The descriptor of a directory, and what is known of it. */
export interface DirectoryDescriptor {
  /** Device and inode of the directory. */
  readonly inode: string;
  /** Where it was found, in a path without links. */
  readonly path: string;
  /** That of the root that it was found below; undefined for a root. */
  readonly top?: DirectoryDescriptor | undefined;
  /** Its number. */
  number: number;
  /** How many hold it. */
  users: number;
  /** When the directory was last seen to stand at its path, in milliseconds since 1970. */
  seen: number;
}

/** The directories below one root that are open. */
export class DirectoryDescriptors implements Disposable {
  readonly #open = new Set<DirectoryDescriptor>();
  /** Those that were opened last at each path. */
  readonly #byPath = new Map<string, DirectoryDescriptor>();
  /** The file systems below the root. */
  readonly mounts: MountPoints = new MountPoints();
  /** Numbers in place of which others were opened; paths by way of them may still be in use. */
  readonly #retired: number[] = [];
  #link: DescriptorLink;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  private constructor(link: DescriptorLink) {
    this.#link = link;
  }

  /** None yet; undefined where the system has no such paths, or the program may not use them. */
  static open(): DirectoryDescriptors | undefined {
    const link = DescriptorLink.open();
    return link && new DirectoryDescriptors(link);
  }

  /** The numbers of descriptors are names below this path. */
  get path(): string {
    return this.#link.path;
  }

  /** The temporary directory of the link, which no request may reach. */
  get own(): DirectoryDescriptor {
    const { inode, directory: path, descriptor: number } = this.#link;
    return { inode, path, number, users: 1, seen: 0 };
  }

  /**
   * The descriptor of a directory that was seen at a path, until it is released.
   *
   * @param above the directory that it stands in; undefined for a root
   * @returns undefined where something else stands there by now
   * @throws {FerryError} `io` where a file system was mounted there and is not
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
    // The runtime goes by a name that it resolves first, and equal numbers are not the same directory everywhere.
    if (above && !this.standsIn(above, name, number)) return undefined;
    taken.move();
    const top = above && (above.top ?? above);
    const opened = { inode, path, top, number, users: 1, seen: Date.now() };
    this.#open.add(opened);
    this.mounts.opened(deviceIn(inode));
    this.#byPath.set(path, opened);
    return opened;
  }

  /** Device and inode of what is open. `fstatSync` takes three times as long. */
  #inodeOf(number: number): string | undefined {
    try {
      return inodeOf(Deno.statSync(`${this.path}/${number}`));
    } catch {
      // The link is gone, as below.
      return undefined;
    }
  }

  /** Whether what is open is the entry of that name of a directory. */
  standsIn(directory: DirectoryDescriptor, name: string, number: number): boolean {
    const place = this.placeOf(number);
    if (place === undefined) return false;
    // Its own name may have changed since it was found.
    const isIn = (path = "") => place === `${path === "/" ? "" : path}/${name}`;
    return isIn(directory.path) || isIn(this.placeOf(directory.number));
  }

  /** Whether two open directories stand at one path by now, as the system tells; a directory has no other one. */
  standTogether(one: DirectoryDescriptor, other: DirectoryDescriptor): boolean {
    const place = this.placeOf(one.number);
    return place !== undefined && place === this.placeOf(other.number);
  }

  /**
   * Opens all directories that are in use again, by their paths, where a file system was mounted again. Operations that
   * began by the old mount fail.
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

  /** Forgets what was opened below a root, and closes what nobody uses of that. */
  leave(top: DirectoryDescriptor): void {
    for (const held of [...this.#open]) {
      if ((held.top ?? held) !== top) continue;
      if (held.users === 0) this.#close(held);
      else if (this.#byPath.get(held.path) === held) this.#byPath.delete(held.path);
    }
  }

  /** The held of a directory that is open and still stands at a path. */
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

  /** The path of what is open, without links, as the system tells it. */
  placeOf(number: number): string | undefined {
    try {
      return Deno.readLinkSync(`${this.path}/${number}`);
    } catch {
      // The link is gone; it is mended when something is found missing.
      return undefined;
    }
  }

  /**
   * Ends what {@linkcode DirectoryDescriptors.hold} began.
   *
   * @param idle whether it may be kept open for a moment, for a request that needs it again
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
    // An open directory keeps its file system from being unmounted.
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
      // The descriptor is closed even so; nothing can have been lost, since nothing is written to directories.
    }
  }

  /** Makes the link again where another program has removed it. Returns whether that was so. */
  mend(): boolean {
    if (existsSync(this.path)) return false;
    const link = DescriptorLink.open();
    if (!link) throw new FerryError("io", "the system's directory for temporary files is gone");
    this.#link.close();
    this.#link = link;
    return true;
  }

  /** Closes what nobody uses, and removes the link. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#closeIdle();
    for (const number of this.#retired) closeSync(number);
    this.#link.remove();
  }
}
