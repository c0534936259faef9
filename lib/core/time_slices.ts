/**
 * Long work in slices, so that a process that does it for one goes on serving all others.
 *
 * @module
 */

/** How long work may go on without letting others have their turn, in milliseconds. */
const SLICE_MS = 5;

const waiting: (() => void)[] = [];

/**
 * Resolves when it is the caller's turn. One caller is let on at a time, the one that has waited longest, and
 * before each the process looks at what has come from the network: others wait for one slice of long work,
 * however many have some to do.
 */
export function turn(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // A timer it has to be: Deno looks at its connections whenever it sleeps, and while something is always
  // ready to run, such as `setImmediate`, only once in many rounds.
  if (waiting.push(resolve) === 1) setTimeout(next);
  return promise;
}

function next(): void {
  waiting.shift()!();
  if (waiting.length > 0) setTimeout(next);
}

/** The clock of one long piece of work. */
export class Pace {
  #began = performance.now();

  /** Whether the work has gone on for long enough: {@linkcode Pace.rest} is to be awaited then. */
  get isDue(): boolean {
    return performance.now() - this.#began > SLICE_MS;
  }

  /** Lets others have their turn, and begins the next slice. */
  async rest(): Promise<void> {
    await turn();
    this.#began = performance.now();
  }
}
