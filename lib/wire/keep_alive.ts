/**
 * Signs of life: a side of a connection that has nothing to say for a while, though the other waits for it, says
 * that it is still there. docs/protocol/extensions/keep-alive.md specifies it.
 *
 * @module
 */

/** The name by which both sides of a connection announce it. */
export const KEEP_ALIVE = "keep-alive";

/** The header of the message. */
export const SIGN_OF_LIFE: Readonly<Record<string, unknown>> = { keep_alive: true };

/** Whether a header is that of the message. */
export function isSignOfLife(header: Readonly<Record<string, unknown>>): boolean {
  return header.keep_alive === true;
}

/** How many intervals there are in the time after which the other side takes silence for the end. */
const BEATS = 8;

/** No interval is shorter or longer than that, in milliseconds. The longest keeps routers from forgetting. */
const INTERVAL = { shortest: 10, longest: 30_000 };

/** Calls back in intervals while a conversation is under way. */
export class Heartbeat {
  readonly #beat: () => void;
  /** 0 before it is started, and when it has ended. */
  #interval = 0;
  #conversations = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** One that is silent until {@linkcode Heartbeat.start}. */
  constructor(beat: () => void) {
    this.#beat = beat;
  }

  /** Begins, with intervals for who is given up after so many milliseconds of silence. */
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

  /** Most conversations are over before anything is due: a timer is set once an interval, not for each of them. */
  #arm(): void {
    if (this.#timer !== undefined || this.#interval === 0 || this.#conversations === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#interval === 0 || this.#conversations === 0) return;
      this.#beat();
      this.#arm();
    }, this.#interval);
    // Alone it keeps no program from ending.
    Deno.unrefTimer(this.#timer);
  }
}
