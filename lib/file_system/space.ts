/**
 * The size of file systems, and what is free.
 *
 * @module
 */

import { statfsSync } from "node:fs";

/** The size of a file system, and what users may still write to it, in bytes. */
export interface Space {
  /** The size of all. */
  readonly size: number;
  /** What is free for users. */
  readonly free: number;
}

/** The space of the file system that a path is on; undefined where the system does not tell. */
export function spaceAt(path: string): Space | undefined {
  try {
    const { blocks, bavail, bsize } = statfsSync(path);
    // CephFS says so while no manager daemon counts.
    return blocks === 0 ? undefined : { size: blocks * bsize, free: bavail * bsize };
  } catch {
    return undefined;
  }
}
