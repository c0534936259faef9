/**
 * The file systems below a root: which directories are mount points, and whether their file systems are still mounted.
 *
 * @module
 */

import { deviceIn } from "../../../lib/core/file_identity.ts";
import { FerryError } from "../../../lib/core/errors.ts";

/** Told of another file system below the directory that is served, with its path. */
export type OnMount = (state: "lost" | "back", path: string) => void;

/** A directory that another file system was seen in. */
interface MountPoint {
  /** When it was seen, in milliseconds since 1970. */
  seen: number;
  /** Whether it has gone since. */
  lost: boolean;
}

/** What is known of the file systems below a root. */
export class MountPoints {
  readonly #points = new Map<string, MountPoint>();
  /** By device: how much is open there, and the id of the mount. */
  readonly #mounted = new Map<number, { id: string; open: number }>();
  /** Told when a file system is noticed to be gone, and when one is there again. */
  onMount: OnMount = () => {};

  /**
   * Fails where a file system was mounted at a directory and is not any more. A mount point without its file system is
   * empty, as a rule, and must not pass for an empty directory.
   *
   * @param inode device and inode of what stands at the path
   * @param above those of the directory that it stands in
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
    // A directory that was made since then is another one: subvolumes can be removed as directories are.
    if ((birthtime ?? ctime)!.getTime() > point.seen) return void this.#points.delete(path);
    this.miss(path);
    throw new FerryError(
      "io",
      "a file system that was mounted here is not there: the server goes on when it is mounted again; " +
        "for what is here without it, start the server anew",
    );
  }

  /** Tells that the file system at a path is gone. */
  miss(path: string): void {
    const { lost, seen = Date.now() } = this.#points.get(path) ?? {};
    this.#points.set(path, { seen, lost: true });
    if (!lost) this.onMount("lost", path);
  }

  /**
   * The id of the present mount of a device. A device number is free for other file systems as soon as nothing is open
   * there; then the id changes.
   *
   * @returns undefined where nothing that is open shows that it is still mounted
   */
  mountOf(device: number): string | undefined {
    return this.#mounted.get(device)?.id;
  }

  /** Tells that something was opened on a device; each call is followed by one of {@linkcode MountPoints.closed}. */
  opened(device: number): void {
    const mounted = this.#mounted.get(device) ?? { id: crypto.randomUUID(), open: 0 };
    this.#mounted.set(device, mounted);
    mounted.open++;
  }

  /** Tells that something was closed that was open on a device. */
  closed(device: number): void {
    if (--this.#mounted.get(device)!.open === 0) this.#mounted.delete(device);
  }
}
