/**
 * Deadlines of a connection. Deno's reads and writes have none of their own: whoever moves nothing, or
 * less than is asked for, is given up here.
 *
 * @module
 */

import { FerryError } from "./errors.ts";

/** What a {@linkcode Watchdog} asks of a peer. */
export interface WatchdogOptions {
  /**
   * Milliseconds after which a read or a write that moves no byte is given up, or a function that tells
   * them anew each time one starts.
   */
  idleTimeout: number | (() => number);
  /**
   * How many bytes a second a peer has to move, on an average over the idle time, while a message of it is
   * under way; any number unless told otherwise. It is what holds off a peer that sends a byte now and then.
   */
  minRate?: number | undefined;
}

/** From the peer, or to it. */
export type Direction = "read" | "write";

/** What a direction has moved in the time for which the other side was waited for. */
interface Pace {
  waited: number;
  bytes: number;
}

/** Watches reads and writes, of which one each may be under way at the same time. */
export class Watchdog {
  readonly #idleTimeout: () => number;
  readonly #minRate: number;
  readonly #onExpired: (reason: FerryError) => void;
  readonly #paces: Record<Direction, Pace> = {
    read: { waited: 0, bytes: 0 },
    write: { waited: 0, bytes: 0 },
  };
  #holds = 0;
  #releases = 0;

  /**
   * Milliseconds for which the peer may be silent beyond the idle time, and as slow as it likes, while there is
   * a reason for it.
   */
  patience = 0;

  /** A watchdog that calls `onExpired` when the peer is to be given up: that has to end what it waits for. */
  constructor(
    { idleTimeout, minRate = 0 }: WatchdogOptions,
    onExpired: (reason: FerryError) => void,
  ) {
    this.#idleTimeout = typeof idleTimeout === "number" ? () => idleTimeout : idleTimeout;
    this.#minRate = minRate;
    this.#onExpired = onExpired;
  }

  /**
   * Until the returned value is disposed of, no read is given up: this side is busy, not the peer. What waits
   * then has at least the whole idle time before it.
   */
  hold(): Disposable {
    this.#holds++;
    return {
      [Symbol.dispose]: () => {
        this.#holds--;
        this.#releases++;
      },
    };
  }

  /**
   * Runs one read or write.
   *
   * @param paced whether it counts for the least speed: waiting for a next message does not
   */
  async watch<Count extends number | null>(
    direction: Direction,
    run: () => Promise<Count>,
    { paced }: { paced: boolean },
  ): Promise<Count> {
    const limit = this.#idleTimeout();
    const started = performance.now();
    const releasesBefore = this.#releases;
    let releases = releasesBefore;
    let waited = 0;
    const expire = () => {
      const held = direction === "read" && this.#isHeld(releases);
      releases = this.#releases;
      waited = held ? 0 : waited + limit;
      if (held || waited < limit + this.patience) {
        timer = setTimeout(expire, limit);
        return;
      }
      const silence = direction === "read" ? "sent nothing" : "took nothing";
      this.#onExpired(new FerryError("timeout", `the peer ${silence} for ${waited / 1000} s`));
    };
    let timer = setTimeout(expire, limit);
    try {
      const count = await run();
      const free = !paced || this.patience > 0 ||
        direction === "read" && this.#isHeld(releasesBefore);
      if (!free) this.#keepPace(direction, count ?? 0, performance.now() - started, limit);
      return count;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Whether reads are not to be given up, or were not for a while since there were so many releases. */
  #isHeld(releases: number): boolean {
    return this.#holds > 0 || this.#releases !== releases;
  }

  #keepPace(direction: Direction, count: number, waited: number, window: number): void {
    if (this.#minRate === 0) return;
    const pace = this.#paces[direction];
    pace.waited += waited;
    pace.bytes += count;
    if (pace.waited < window) return;
    const { bytes } = pace;
    const seconds = pace.waited / 1000;
    pace.waited = pace.bytes = 0;
    if (bytes >= this.#minRate * seconds) return;
    const moved = `${direction === "read" ? "sent" : "took"} ${bytes} bytes`;
    const asked = `less than ${this.#minRate} a second`;
    this.#onExpired(
      new FerryError("timeout", `the peer ${moved} in ${Math.round(seconds)} s, ${asked}`),
    );
  }
}
