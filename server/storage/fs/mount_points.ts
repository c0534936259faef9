/**
 * Keeps track of the file systems mounted below a root, and of whether they are still mounted.
 *
 * @module
 */

import { deviceIn } from "../../../lib/core/file_identity.ts";
import { FerryError } from "../../../lib/core/errors.ts";

/** Called with the path of a file system below the served directory when it is lost or back. */
export type OnMount = (state: "lost" | "back", path: string) => void;

/** A directory at which another file system was seen mounted. */
interface MountPoint {
  /** When the file system was last seen, in milliseconds since 1970. */
  seen: number;
  /** Whether the file system was unmounted since. */
  lost: boolean;
}

/** What is known of the file systems below a root. */
export class MountPoints {
  readonly #points = new Map<string, MountPoint>();
  /** For each device, the id of its mount and the number of descriptors open on it. */
  readonly #mounted = new Map<number, { id: string; open: number }>();
  /** Called when a file system is found to be gone, and when one is there again. */
  onMount: OnMount = () => {};

  /**
   * Fails if a file system was mounted at a directory and no longer is. A mount point without its file system is
   * usually empty, and must not be taken for an empty directory.
   *
   * @param inode device and inode of the entry at the path
   * @param above device and inode of its parent directory
   * @throws {FerryError} `io`
   */
  assertMounted(inode: string, path: string, above: string): void {
    if (deviceIn(inode) !== deviceIn(above)) {
      const known = this.#points.get(path);
      this.#points.set(path, { seen: Date.now(), lost: false });
      if (known?.lost) this.onMount("back", path);
      return;
    }
    const point = this.#points.get(path);
    if (!point) return;
    const { birthtime, ctime } = Deno.lstatSync(path);
    // A directory that was created since then is a new one and no mount point: a btrfs subvolume can be removed like a
    // directory.
    if ((birthtime ?? ctime)!.getTime() > point.seen) return void this.#points.delete(path);
    this.miss(path);
    throw new FerryError(
      "io",
      "a file system that was mounted here is not there: the server goes on when it is mounted again; " +
        "for what is here without it, start the server anew",
    );
  }

  /** Records that the file system at a path is gone. */
  miss(path: string): void {
    const { lost, seen = Date.now() } = this.#points.get(path) ?? {};
    this.#points.set(path, { seen, lost: true });
    if (!lost) this.onMount("lost", path);
  }

  /**
   * The id of the present mount of a device. As soon as nothing is open on a device, its number may be given to another
   * file system; then the id changes.
   *
   * @returns undefined if nothing is open there, so that it is not certain that it is still mounted
   */
  mountOf(device: number): string | undefined {
    return this.#mounted.get(device)?.id;
  }

  /**
   * Records that a descriptor was opened on a device. Each call is followed by one of {@linkcode MountPoints.closed}.
   */
  opened(device: number): void {
    const mounted = this.#mounted.get(device) ?? { id: crypto.randomUUID(), open: 0 };
    this.#mounted.set(device, mounted);
    mounted.open++;
  }

  /** Records that a descriptor on a device was closed. */
  closed(device: number): void {
    if (--this.#mounted.get(device)!.open === 0) this.#mounted.delete(device);
  }
}
