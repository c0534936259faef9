/**
 * Ctrl-C and its like.
 *
 * @module
 */

/** The exit statuses of programs that were told to end: 128 and the signal's number, as shells have it. */
export const INTERRUPTED = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal that tells a program to end. */
export type Interrupt = keyof typeof INTERRUPTED;

/**
 * `deno task` passes a Ctrl-C on to a program that the terminal has told of it already. So what follows
 * within this time, in milliseconds, is the same keystroke.
 */
const SAME_KEYSTROKE_MS = 500;

/** Calls `first` at the first SIGINT or SIGTERM, and `again` at those that follow. */
export function onInterrupt(
  first: (signal: Interrupt) => void,
  again: (signal: Interrupt) => void,
): void {
  let since: number | undefined;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      if (since === undefined) {
        since = performance.now();
        first(signal);
      } else if (performance.now() - since > SAME_KEYSTROKE_MS) again(signal);
    });
  }
}

/**
 * Waits for a promise, but no longer than until the signal is aborted. What was begun goes on, and nobody
 * learns how it ends.
 *
 * @throws the signal's reason
 */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
