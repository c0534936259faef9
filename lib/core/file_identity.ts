/**
 * Identifies files and directories.
 *
 * @module
 */

/**
 * Device and inode. Different values mean different files or directories. Equal values mean the same one on most file
 * systems; some show several directories with the same numbers, as bindfs does with btrfs subvolumes; these differ only
 * by their paths.
 */
export function inodeOf({ dev, ino }: { dev: number; ino: number | null }): string {
  return `${dev}:${ino}`;
}

/** The device in a value of {@linkcode inodeOf}. */
export function deviceIn(inode: string): number {
  return Number(inode.slice(0, inode.indexOf(":")));
}
