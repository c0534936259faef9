/**
 * On which file systems a device and an inode number stand for one file.
 *
 * @module
 */

import { statfsSync } from "node:fs";
import { PLATFORM } from "./platform.ts";

/**
 * The magic numbers of Linux's file systems that number their own files (statfs(2)): ext2 to ext4, xfs, btrfs,
 * f2fs, tmpfs. One that shows the files of others, as those in user space, may show two under one number, and
 * may number them anew each time it is mounted.
 */
const OWN_NUMBERS: ReadonlySet<number> = new Set([
  0xef53,
  0x58465342,
  0x9123683e,
  0xf2f52010,
  0x01021994,
]);

/**
 * The device of a directory, where its file system gives each file a number that no other one has at the same
 * time; undefined where that is not known.
 */
export function numberedDevice(path: string): number | undefined {
  try {
    const { dev } = Deno.statSync(path);
    // Elsewhere the numbers of file systems mean something else, and those that show others' files are rare.
    if (!PLATFORM.leadsToDescriptors) return dev;
    return OWN_NUMBERS.has(statfsSync(path).type) ? dev : undefined;
  } catch {
    return undefined;
  }
}
