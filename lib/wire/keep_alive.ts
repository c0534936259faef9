/**
 * Keep-alive messages ("signs of life"): a side that has nothing else to send for a while shows with them that it is
 * still there. docs/protocol/extensions/keep-alive.md specifies it.
 *
 * @module
 */

/** The name of the protocol feature. */
export const KEEP_ALIVE = "keep-alive";

/** The header of a keep-alive message. */
export const SIGN_OF_LIFE: Readonly<Record<string, unknown>> = { keep_alive: true };

/** Whether a header is that of a keep-alive message. */
export function isSignOfLife(header: Readonly<Record<string, unknown>>): boolean {
  return header.keep_alive === true;
}

/** The number of beats within the idle timeout of the peer. */
const BEATS = 8;

/**
 * The limits of the interval between two beats, in milliseconds. The longest is short enough to keep NAT routers from
 * dropping the connection.
 */
const INTERVAL = { shortest: 10, longest: 30_000 };

/** Calls a function at intervals while a conversation is in progress. */
export class Heartbeat {
  readonly #beat: () => void;
  /** Milliseconds between two beats; 0 before the start and after the end. */
  #interval = 0;
  #conversations = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Creates a heartbeat that calls `beat` after {@linkcode Heartbeat.start}. */
  constructor(beat: () => void) {
    this.#beat = beat;
  }

  /** Starts, with beats often enough for a peer that has this idle timeout, in milliseconds. */
  start(idleTimeout: number): void {
    const { shortest, longest } = INTERVAL;
    this.#interval = Math.min(Math.max(idleTimeout / BEATS, shortest), longest);
    this.#arm();
  }

  /** Stops permanently. */
  stop(): void {
    this.#interval = 0;
    clearTimeout(this.#timer);
  }

  /** Marks that a conversation is in progress, until the returned value is disposed of. */
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

  /**
   * Sets the timer unless it is already set. It runs once per interval and is not cancelled, since most conversations
   * end before a beat is due.
   */
  #arm(): void {
    if (this.#timer !== undefined || this.#interval === 0 || this.#conversations === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#interval === 0 || this.#conversations === 0) return;
      this.#beat();
      this.#arm();
    }, this.#interval);
    // The timer must not keep the program from exiting.
    Deno.unrefTimer(this.#timer);
  }
}
