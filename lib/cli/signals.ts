/**
 * Handles signals that end a program, such as that of Ctrl-C.
 *
 * @module
 */

import { PLATFORM, type Platform } from "../core/platform.ts";

/**
 * A second signal within this time, in milliseconds, counts as the same keystroke: after a Ctrl-C, both the terminal
 * and `deno task` send one.
 */
const SAME_KEYSTROKE_MS = 500;

/** Options of {@linkcode onInterrupt}. */
export interface InterruptOptions {
  /** The system whose signals are meant. Default: this system. */
  platform?: Platform;
  /** Adds a listener for a signal. Default: `Deno.addSignalListener`. */
  listen?: (signal: Deno.Signal, listener: () => void) => void;
}

/**
 * Calls `first` at the first signal that asks the program to end, and `again` at later ones. Both get the exit status
 * that a program ended by this signal has.
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

/** The signal listeners of this process. */
const listening: { signal: Deno.Signal; listener: () => void }[] = [];

/**
 * Runs a function that blocks the thread, such as a prompt on a terminal. Signal listeners would only be called
 * afterwards, so they are removed meanwhile, and Ctrl-C ends the program immediately.
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
 * Waits for a promise until the signal is aborted. The operation behind the promise continues, and its result is
 * ignored.
 *
 * @throws the signal's abort reason
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
