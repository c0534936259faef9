/**
 * Locks on open files, which a process holds until it closes the file or ends.
 *
 * @module
 */

/** An open file of any version of Deno. */
export type LockableFile =
  & Pick<Deno.FsFile, "lockSync" | "statSync">
  & Partial<Pick<Deno.FsFile & { tryLockSync(exclusive: boolean): boolean }, "tryLockSync">>;

/** Who took a lock in this process, where Deno does not tell; what was closed since has let go of it. */
const holders = new Map<string, LockableFile>();

/**
 * Takes the exclusive lock on a file, unless another one has it.
 *
 * Deno 2.4 can only wait for a lock. There this returns when another process has let go of it, and false
 * only where this process has it itself.
 */
export function tryLock(file: LockableFile): boolean {
  if (file.tryLockSync) return file.tryLockSync(true);
  const { dev, ino } = file.statSync();
  const holder = holders.get(`${dev}:${ino}`);
  if (holder && isOpen(holder)) return false;
  file.lockSync(true);
  holders.set(`${dev}:${ino}`, file);
  return true;
}

function isOpen(file: LockableFile): boolean {
  try {
    file.statSync();
    return true;
  } catch {
    return false;
  }
}
