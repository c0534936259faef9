/**
 * Watches a file by polling: no system reports changes that another machine makes on a network file system.
 *
 * @module
 */

/** Options of {@linkcode watchFile}. */
export interface WatchOptions {
  /**
   * The polling interval in milliseconds. A change is reported when the next poll finds no other. Default: 500.
   */
  interval?: number;
  /**
   * For how long after a change a second one may result in the same timestamps, in milliseconds. Default: 2100, since
   * some file systems store times with a resolution of two seconds.
   */
  grain?: number;
}

/**
 * Calls a function after each change of a file, once the file has stopped changing: after it was written, replaced by a
 * rename, or removed. It calls the function once more a little later, since a second change right after the first may
 * be invisible. So the function may find nothing new.
 *
 * The function is called from a timer: an error that it throws ends the process.
 *
 * @returns a function that ends watching; no more calls are made after that
 */
export function watchFile(
  path: string,
  onChange: () => void,
  { interval = 500, grain = 2100 }: WatchOptions = {},
): Disposable {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  let seen: string;
  try {
    seen = facts(Deno.statSync(path));
  } catch (error) {
    seen = nothing(error);
  }
  let since = performance.now();
  /** The calls that are still due: when the file has stopped changing, and when a second change would be visible. */
  let due = { rest: false, grain: true };
  const look = async () => {
    // Asynchronous, since a network file system may not respond.
    const now = await Deno.stat(path).then(facts, nothing);
    if (ended) return;
    if (now !== seen) {
      seen = now;
      since = performance.now();
      due = { rest: true, grain: true };
    } else if (due.rest || due.grain && performance.now() - since >= grain) {
      due = { rest: false, grain: due.rest };
      onChange();
    }
    wait();
  };
  const wait = () => {
    timer = setTimeout(() => void look(), interval);
    Deno.unrefTimer(timer);
  };
  wait();
  return {
    [Symbol.dispose]() {
      ended = true;
      clearTimeout(timer);
    },
  };
}

/** The metadata that changes with a file. */
function facts({ dev, ino, size, mtime, ctime, mode, uid }: Deno.FileInfo): string {
  return [dev, ino, size, mtime?.getTime(), ctime?.getTime(), mode, uid].join();
}

/** The value that replaces the metadata if they cannot be read. */
function nothing(error: unknown): string {
  return String(error);
}
