/**
 * Splits long computations into slices, between which the event loop handles other work.
 *
 * @module
 */

/** The maximum duration of a slice, in milliseconds. */
const SLICE_MS = 5;

/** Callers that are waiting for their turn. It is global because all of them share the event loop of the process. */
const waiting: (() => void)[] = [];

/**
 * Resolves when it is the caller's turn: one caller at a time, the one that has waited longest. Before each turn the
 * event loop handles what has arrived from the network. So other work waits for at most one slice, however many long
 * computations there are.
 */
export function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // It has to be a timer. Deno polls its connections whenever it sleeps; while something is always ready to run, such
  // as `setImmediate`, it polls them only once in many rounds.
  if (waiting.push(resolve) === 1) setTimeout(next);
  return promise;
}

function next(): void {
  waiting.shift()!();
  if (waiting.length > 0) setTimeout(next);
}

/** Measures the slices of one long computation. */
export class Pace {
  #began = performance.now();

  /** Whether the slice has been long enough, so that {@linkcode Pace.rest} has to be awaited. */
  get isDue(): boolean {
    return performance.now() - this.#began > SLICE_MS;
  }

  /** Lets other work run, and begins the next slice. */
  async rest(): Promise<void> {
    await turn();
    this.#began = performance.now();
  }
}
