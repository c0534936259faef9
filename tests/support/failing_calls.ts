/**
 * Calls of the file system that fail when a test wants them to.
 *
 * @module
 */

type Call = (...args: unknown[]) => unknown;

/** Where the runtime's calls are found, and the names of those that can fail. */
const CALLS: readonly [Record<string, unknown>, readonly string[]][] = [
  [Deno as unknown as Record<string, unknown>, [
    "chmodSync",
    "linkSync",
    "lstatSync",
    "makeTempFileSync",
    "mkdirSync",
    "open",
    "openSync",
    "readDirSync",
    "realPathSync",
    "removeSync",
    "renameSync",
    "statSync",
    "utimeSync",
  ]],
  [Deno.FsFile.prototype as unknown as Record<string, unknown>, [
    "read",
    "readSync",
    "seekSync",
    "statSync",
    "sync",
    "syncData",
    "truncateSync",
    "tryLockSync",
    "utimeSync",
    "write",
    "writeSync",
  ]],
];

/** Every program of this kind looks at what others left: any number of calls, and a failure of one says nothing. */
const LEFT_BY_OTHERS = /\/ferry-fd-[^/]+$/;

/** What a call fails with: no file descriptor is left. */
function failure(): Error {
  return Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
}

/** Makes one of the calls fail that are made while it stands, counted from 1. */
class FailingCall implements Disposable {
  /** How many have been made. */
  made = 0;
  /** The name of the one that failed; undefined before that. */
  failed: string | undefined;
  readonly #restore = new DisposableStack();

  constructor(turn: number) {
    for (const [holder, names] of CALLS) {
      for (const name of names) {
        const real = holder[name] as Call;
        const instead = (self: unknown, args: unknown[]) => {
          if (LEFT_BY_OTHERS.test(String(args[0])) || ++this.made !== turn) {
            return Reflect.apply(real, self, args);
          }
          this.failed = name;
          // What gives a promise fails with one.
          if (/Sync$/.test(name)) throw failure();
          return Promise.reject(failure());
        };
        holder[name] = function (this: unknown, ...args: unknown[]) {
          return instead(this, args);
        };
        this.#restore.defer(() => void (holder[name] = real));
      }
    }
  }

  [Symbol.dispose](): void {
    this.#restore[Symbol.dispose]();
  }
}

/**
 * Does something again and again: the first time its first call of the file system fails, the second time its
 * second, and so on, until none is left to fail.
 *
 * @param run does it, and is given what makes the call fail for as long as that is wanted
 * @returns the names of the calls that failed
 */
export async function eachFailure(
  run: (during: <T>(act: () => Promise<T>) => Promise<T | undefined>) => Promise<void>,
): Promise<string[]> {
  const names: string[] = [];
  for (let turn = 1;; turn++) {
    let failed: string | undefined;
    await run(async (act) => {
      using call = new FailingCall(turn);
      try {
        return await act();
      } catch (error) {
        if (call.failed === undefined) throw error;
        return undefined;
      } finally {
        failed = call.failed;
      }
    });
    if (failed === undefined) return names;
    names.push(failed);
  }
}
