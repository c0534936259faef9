/**
 * Doing something soon, and not all the time.
 *
 * @module
 */

/** What an action takes is at most one part of so many of the time. */
const PARTS = 10;

/**
 * A function that has an action done soon, and not more often than each so many milliseconds; less often if it takes
 * long. However often it is called, the action begins after the last call.
 */
export function atMostEach(
  milliseconds: number,
  action: () => void | Promise<void>,
): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let took = 0;
  return () => {
    timer ??= setTimeout(async () => {
      timer = undefined;
      const began = Date.now();
      await action();
      took = Date.now() - began;
    }, Math.max(milliseconds, took * PARTS));
  };
}
