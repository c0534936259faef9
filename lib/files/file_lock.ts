/**
 * Locks on open files. A process holds a lock until it closes the file or ends.
 *
 * @module
 */

/** An open file in any supported version of Deno. */
export type LockableFile =
  & Pick<Deno.FsFile, "lockSync" | "statSync">
  & Partial<Pick<Deno.FsFile & { tryLockSync(exclusive: boolean): boolean }, "tryLockSync">>;

/**
 * The files that this process has locked, by device and inode, for versions of Deno in which a lock belongs to the
 * whole process, so that the system would grant it again. Files that were closed since no longer hold it.
 */
const holders = new Map<string, LockableFile>();

/** Closed files are removed from the map once it has this many entries. */
let most = 64;

/** Whether this version of Deno can find out at once whether a file is locked. */
export const TRIES_LOCKS: boolean = "tryLockSync" in Deno.FsFile.prototype;

/**
 * Takes the lock on a file. Returns false if another open file has it.
 *
 * Deno 2.4 can only wait for a lock: there this waits until another process has released it, and returns false only if
 * this process has it itself.
 *
 * @param options.shared whether others may have it at the same time that want to share it, too. Default: false
 */
export function tryLock(file: LockableFile, { shared = false } = {}): boolean {
  if (file.tryLockSync) return file.tryLockSync(!shared);
  const { dev, ino } = file.statSync();
  const holder = holders.get(`${dev}:${ino}`);
  if (holder && isOpen(holder)) return false;
  file.lockSync(!shared);
  if (holders.size >= most) forgetClosed();
  holders.set(`${dev}:${ino}`, file);
  return true;
}

function forgetClosed(): void {
  for (const [key, file] of holders) if (!isOpen(file)) holders.delete(key);
  most = Math.max(64, 2 * holders.size);
}

function isOpen(file: LockableFile): boolean {
  try {
    file.statSync();
    return true;
  } catch {
    return false;
  }
}
