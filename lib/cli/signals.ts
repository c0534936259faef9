/**
 * Ctrl-C and its like.
 *
 * @module
 */

import { PLATFORM, type Platform } from "../core/platform.ts";

/**
 * `deno task` passes a Ctrl-C on to a program that the terminal has told of it already. So what follows
 * within this time, in milliseconds, is the same keystroke.
 */
const SAME_KEYSTROKE_MS = 500;

/** What {@linkcode onInterrupt} goes by. */
export interface InterruptOptions {
  /** Whose signals; those of this system unless told otherwise. */
  platform?: Platform;
  /** Listens to a signal; `Deno.addSignalListener` unless told otherwise. */
  listen?: (signal: Deno.Signal, listener: () => void) => void;
}

/**
 * Calls `first` at the first signal that tells the program to end, and `again` at those that follow, with
 * the exit status of a program that ended by that signal.
 */
export function onInterrupt(
  first: (exitStatus: number) => void,
  again: (exitStatus: number) => void,
  { platform = PLATFORM, listen = Deno.addSignalListener }: InterruptOptions = {},
): void {
  let since: number | undefined;
  for (const [name, exitStatus] of Object.entries(platform.interrupts)) {
    const signal = name as Deno.Signal;
    const listener = () => {
      if (since === undefined) {
        since = performance.now();
        first(exitStatus);
      } else if (performance.now() - since > SAME_KEYSTROKE_MS) again(exitStatus);
    };
    if (listen === Deno.addSignalListener) listening.push({ signal, listener });
    listen(signal, listener);
  }
}

/** The signals that are listened to, and what is called at them. */
const listening: { signal: Deno.Signal; listener: () => void }[] = [];

/**
 * Runs something that lets nothing else run meanwhile, such as a question on a terminal. No listener would be
 * called before it ends, so a Ctrl-C ends the program as if there were none.
 */
export function blocking<T>(run: () => T): T {
  for (const { signal, listener } of listening) Deno.removeSignalListener(signal, listener);
  try {
    return run();
  } finally {
    for (const { signal, listener } of listening) Deno.addSignalListener(signal, listener);
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
