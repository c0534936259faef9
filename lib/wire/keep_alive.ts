/**
 * Signs of life: messages by which a side that has nothing to say for a while says that it is still there.
 * docs/protocol/extensions/keep-alive.md specifies it.
 *
 * @module
 */

/** The name of the feature. */
export const KEEP_ALIVE = "keep-alive";

/** The header of a sign of life. */
export const SIGN_OF_LIFE: Readonly<Record<string, unknown>> = { keep_alive: true };

/** Whether a header is that of a sign of life. */
export function isSignOfLife(header: Readonly<Record<string, unknown>>): boolean {
  return header.keep_alive === true;
}

/** How many beats there are in the time after which the peer takes silence for the end. */
const BEATS = 8;

/** The limits of the time between two beats, in milliseconds. The longest keeps routers from forgetting the connection. */
const INTERVAL = { shortest: 10, longest: 30_000 };

/** Calls back at intervals while a conversation is under way. */
export class Heartbeat {
  readonly #beat: () => void;
  /** Milliseconds between two beats; 0 before the start and after the end. */
  #interval = 0;
  #conversations = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Calls `beat`, but not before {@linkcode Heartbeat.start}. */
  constructor(beat: () => void) {
    this.#beat = beat;
  }

  /** Begins, with beats often enough for a peer that gives up after that many milliseconds of silence. */
  start(idleTimeout: number): void {
    const { shortest, longest } = INTERVAL;
    this.#interval = Math.min(Math.max(idleTimeout / BEATS, shortest), longest);
    this.#arm();
  }

  /** Ends for good. */
  stop(): void {
    this.#interval = 0;
    clearTimeout(this.#timer);
  }

  /** Until the returned value is disposed of, a conversation is under way. */
  converse(): Disposable {
    this.#conversations++;
    this.#arm();
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (!over) this.#conversations--;
        over = true;
      },
    };
  }

  /** Sets the timer, unless it is set: once an interval, since most conversations are over before a beat is due. */
  #arm(): void {
    if (this.#timer !== undefined || this.#interval === 0 || this.#conversations === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#interval === 0 || this.#conversations === 0) return;
      this.#beat();
      this.#arm();
    }, this.#interval);
    // It must not keep a program from ending.
    Deno.unrefTimer(this.#timer);
  }
}
