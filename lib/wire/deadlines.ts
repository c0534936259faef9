/**
 * Deadlines of a connection. Deno's reads and writes have none of their own: whoever moves nothing, or
 * less than is asked for, is given up here.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";

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

/** A timer that rings so many milliseconds late says nothing of the program that has set it. */
const LATE_MS = 50;

/** From the peer, or to it. */
export type Direction = "read" | "write";

/** What a direction has moved, and what it waits for. */
interface Lane {
  /** For how long the other side was waited for since the pace was looked at last, in milliseconds. */
  waited: number;
  /** How many bytes were moved in that time. */
  bytes: number;
  /** When the read or the write that is under way began. */
  started: number;
  /** For how long it has moved nothing. */
  silent: number;
  /** The milliseconds after which that is looked at, and when it is. */
  limit: number;
  due: number;
  /** How many excuses there were before it began, and when it was looked at last. */
  excusesBefore: number;
  excuses: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** Watches reads and writes, of which one each may be under way at the same time. */
export class Watchdog {
  readonly #idleTimeout: () => number;
  readonly #minRate: number;
  readonly #onExpired: (reason: FerryError) => void;
  // What waits costs memory for as long as it does, on each of many connections: it stands here, and not in
  // functions that wait as well.
  readonly #lanes: Partial<Record<Direction, Lane>> = {};
  #holds = 0;
  /** How often there was a reason for a direction to be silent, that is over by now. */
  readonly #excuses: Record<Direction, number> = { read: 0, write: 0 };

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
        this.#excuses.read++;
      },
    };
  }

  /** Takes note of a sign of life: a write that moves nothing has the whole idle time before it again. */
  lives(): void {
    this.#excuses.write++;
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
    this.begin(direction);
    try {
      const count = await run();
      this.moved(direction, count ?? 0, { paced });
      return count;
    } finally {
      this.end(direction);
    }
  }

  /** Says that a read or a write begins; {@linkcode Watchdog.end} has to follow. */
  begin(direction: Direction): void {
    const lane = this.#lanes[direction] ??= newLane();
    lane.started = performance.now();
    lane.silent = 0;
    lane.limit = this.#idleTimeout();
    lane.excusesBefore = lane.excuses = this.#excuses[direction];
    this.#lookLater(direction, lane);
  }

  /**
   * Says that what has begun has moved some bytes.
   *
   * @param paced see {@linkcode Watchdog.watch}
   */
  moved(direction: Direction, count: number, { paced }: { paced: boolean }): void {
    const lane = this.#lanes[direction];
    if (!lane || !paced || this.#minRate === 0 || this.patience > 0) return;
    if (this.#isExcused(direction, lane.excusesBefore)) return;
    this.#keepPace(direction, lane, count);
  }

  /** Says that it has ended, be it with an error. */
  end(direction: Direction): void {
    clearTimeout(this.#lanes[direction]?.timer);
  }

  #lookLater(direction: Direction, lane: Lane): void {
    lane.due = performance.now() + lane.limit;
    lane.timer = setTimeout(() => this.#look(direction, lane), lane.limit);
  }

  /** Whether what is under way has been silent for too long. */
  #look(direction: Direction, lane: Lane): void {
    const { limit } = lane;
    // Where the timer rang late, this program did not run, and what came meanwhile may not have been read.
    const late = performance.now() - lane.due > Math.max(limit / 4, LATE_MS);
    const excused = late || this.#isExcused(direction, lane.excuses);
    lane.excuses = this.#excuses[direction];
    lane.silent = excused ? 0 : lane.silent + limit;
    if (excused || lane.silent < limit + this.patience) return this.#lookLater(direction, lane);
    const silence = direction === "read" ? "sent nothing" : "took nothing";
    this.#onExpired(
      new FerryError("timeout", `the peer ${silence} for ${Math.round(lane.silent) / 1000} s`),
    );
  }

  /** Whether a direction may be silent at the moment, or might be for a while since there were so many excuses. */
  #isExcused(direction: Direction, excuses: number): boolean {
    return direction === "read" && this.#holds > 0 || this.#excuses[direction] !== excuses;
  }

  #keepPace(direction: Direction, lane: Lane, count: number): void {
    lane.waited += performance.now() - lane.started;
    lane.bytes += count;
    if (lane.waited < lane.limit) return;
    const { bytes } = lane;
    const seconds = lane.waited / 1000;
    lane.waited = lane.bytes = 0;
    if (bytes >= this.#minRate * seconds) return;
    const moved = `${direction === "read" ? "sent" : "took"} ${bytes} bytes`;
    const asked = `less than ${this.#minRate} a second`;
    this.#onExpired(
      new FerryError("timeout", `the peer ${moved} in ${Math.round(seconds)} s, ${asked}`),
    );
  }
}

function newLane(): Lane {
  return {
    waited: 0,
    bytes: 0,
    started: 0,
    silent: 0,
    limit: 0,
    due: 0,
    excusesBefore: 0,
    excuses: 0,
    timer: undefined,
  };
}
