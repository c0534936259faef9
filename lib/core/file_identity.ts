/**
 * What tells files and directories apart.
 *
 * @module
 */

/**
 * Device and inode. Where they differ, two files or directories are two. Where they are equal, they are one on
 * most file systems; but some show several directories under the same numbers, as bindfs does with the
 * subvolumes of btrfs: those differ in where they stand.
 */
export function inodeOf({ dev, ino }: { dev: number; ino: number | null }): string {
  return `${dev}:${ino}`;
}

/** The device in what {@linkcode inodeOf} gives. */
export function deviceIn(inode: string): number {
  return Number(inode.slice(0, inode.indexOf(":")));
}
