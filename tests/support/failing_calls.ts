/**
 * Makes calls of the file system fail on purpose.
 *
 * @module
 */

type Call = (...args: unknown[]) => unknown;

/** The objects of the runtime that have the calls, and the names of the calls that can fail. */
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

/**
 * Paths of other processes' leftovers, which every program examines: the number of these calls varies, and a failure of
 * one is ignored.
 */
const LEFT_BY_OTHERS = /\/ferry-fd-[^/]+$/;

/** The error of a failed call: there are no file descriptors left. */
function failure(): Error {
  return Object.assign(new Error("Too many open files (os error 24)"), { code: "EMFILE" });
}

/** Makes one call fail, counted from 1, until disposed of. */
class FailingCall implements Disposable {
  /** How many calls have been made. */
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
          // Calls that return a promise fail by rejecting it.
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
 * Runs something repeatedly: in the first run its first call of the file system fails, in the second run its second,
 * and so on, until no call is left to fail.
 *
 * @param run what to run; its argument makes the call fail until disposed of
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
