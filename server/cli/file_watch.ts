/**
 * Noticing that a file has changed, by looking at it now and then: of what another machine does on a network file
 * system, no system tells by itself.
 *
 * @module
 */

/** Options of {@linkcode watchFile}. */
export interface WatchOptions {
  /**
   * How often it is looked at, in milliseconds; a change is told when the look after it finds no other. Default:
   * 500.
   */
  interval?: number;
  /**
   * For so long after a change another one may leave the same size and times, in milliseconds. Default: 2100, since
   * some file systems tell every other second only.
   */
  grain?: number;
}

/**
 * Calls a function each time that a file has changed and has come to rest, whether it was written to, replaced by a
 * rename, or removed; and once more a little later, since a second change right behind the first may not show. So
 * the function may find nothing new.
 *
 * It is called from a timer: what it throws ends the process.
 *
 * @returns what ends it; no call comes after that
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
  /** What is still to be told of what was seen: that it is there, and that nothing can have hidden behind it. */
  let due = { rest: false, grain: true };
  const look = async () => {
    // A file system that does not answer holds up this look, and nothing else.
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

/** What shows of a file without reading it. */
function facts({ dev, ino, size, mtime, ctime, mode, uid }: Deno.FileInfo): string {
  return [dev, ino, size, mtime?.getTime(), ctime?.getTime(), mode, uid].join();
}

/** What stands for a file that cannot be looked at. */
function nothing(error: unknown): string {
  return String(error);
}
