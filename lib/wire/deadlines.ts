/**
 * Deadlines of a connection, since Deno's reads and writes have none: a peer that moves nothing for too long, or too
 * few bytes a second, is given up.
 *
 * @module
 */

import { type Clock, SYSTEM_CLOCK, type Timer } from "../core/clock.ts";
import { FerryError } from "../core/errors.ts";

/** What is asked of a peer. */
export interface DeadlineOptions {
  /**
   * Milliseconds after which a read or a write that moves no byte is given up, or a function that is asked for them
   * each time one begins.
   */
  idleTimeout: number | (() => number);
  /**
   * How many bytes a second a peer has to move while a message is under way, on an average over the idle time. It
   * ends a connection whose peer moves a byte now and then. Default: 0.
   */
  minRate?: number | undefined;
  /** Tells the time. Default: the clock of the system. */
  clock?: Clock | undefined;
}

/** A timer may be that many milliseconds late on any system. */
const LATE_MS = 50;

/** `read` from the peer, or `write` to it. */
export type Direction = "read" | "write";

/** The state of one direction. */
interface Lane {
  /** For how long the peer was waited for since the rate was looked at last, in milliseconds. */
  waited: number;
  /** How many bytes were moved in that time. */
  bytes: number;
  /** When the read or the write that is under way began. */
  started: number;
  /** For how many milliseconds it has moved nothing. */
  silent: number;
  /** After how many milliseconds that is looked at, and when that is. */
  limit: number;
  due: number;
  /** How many excuses there had been when it began, and when it was looked at last. */
  excusesBefore: number;
  excuses: number;
  timer: Timer | undefined;
}

/** The deadlines of reads and writes, of which one each may be under way at the same time. */
export class Deadlines {
  readonly #idleTimeout: () => number;
  readonly #minRate: number;
  readonly #clock: Clock;
  readonly #onExpired: (reason: FerryError) => void;
  // Not local variables of functions that wait: each of many silent connections would hold memory for those.
  readonly #lanes: Partial<Record<Direction, Lane>> = {};
  #holds = 0;
  /** How often there was a reason for the peer to be silent in a direction; only those that are over count. */
  readonly #excuses: Record<Direction, number> = { read: 0, write: 0 };

  /** Milliseconds for which the peer may be silent beyond the idle time. While above 0, it may be slow, too. */
  patience = 0;

  /** Calls `onExpired` when the peer is to be given up: that has to end the read or the write under way. */
  constructor(
    { idleTimeout, minRate = 0, clock = SYSTEM_CLOCK }: DeadlineOptions,
    onExpired: (reason: FerryError) => void,
  ) {
    this.#idleTimeout = typeof idleTimeout === "number" ? () => idleTimeout : idleTimeout;
    this.#minRate = minRate;
    this.#clock = clock;
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

  /** How many milliseconds of silence end a read or a write that begins now. */
  get idleTimeout(): number {
    return this.#idleTimeout();
  }

  /** Takes note of a sign of life: a write that moves nothing has the whole idle time before it again. */
  lives(): void {
    this.#excuses.write++;
  }

  /**
   * Runs one read or write.
   *
   * @param paced whether it counts for the least rate; waiting for a next message does not
   */
  async run<Count extends number | null>(
    direction: Direction,
    move: () => Promise<Count>,
    { paced }: { paced: boolean },
  ): Promise<Count> {
    this.begin(direction);
    try {
      const count = await move();
      this.moved(direction, count ?? 0, { paced });
      return count;
    } finally {
      this.end(direction);
    }
  }

  /** Says that a read or a write begins; {@linkcode Deadlines.end} has to follow. */
  begin(direction: Direction): void {
    const lane = this.#lanes[direction] ??= newLane();
    lane.started = this.#clock.monotonic();
    lane.silent = 0;
    lane.limit = this.#idleTimeout();
    lane.excusesBefore = lane.excuses = this.#excuses[direction];
    this.#lookLater(direction, lane);
  }

  /**
   * Says that what has begun has moved some bytes.
   *
   * @param paced see {@linkcode Deadlines.run}
   */
  moved(direction: Direction, count: number, { paced }: { paced: boolean }): void {
    const lane = this.#lanes[direction];
    if (!lane || !paced || this.#minRate === 0 || this.patience > 0) return;
    if (this.#isExcused(direction, lane.excusesBefore)) return;
    this.#keepPace(direction, lane, count);
  }

  /** Says that what has begun has ended, be it with an error. */
  end(direction: Direction): void {
    this.#clock.clearTimeout(this.#lanes[direction]?.timer);
  }

  #lookLater(direction: Direction, lane: Lane): void {
    lane.due = this.#clock.monotonic() + lane.limit;
    lane.timer = this.#clock.setTimeout(() => this.#look(direction, lane), lane.limit);
  }

  /** Whether what is under way has been silent for too long. */
  #look(direction: Direction, lane: Lane): void {
    const { limit } = lane;
    // A timer that rings late shows that this program did not run: what came meanwhile may not have been read.
    const late = this.#clock.monotonic() - lane.due > Math.max(limit / 4, LATE_MS);
    const excused = late || this.#isExcused(direction, lane.excuses);
    lane.excuses = this.#excuses[direction];
    lane.silent = excused ? 0 : lane.silent + limit;
    if (excused || lane.silent < limit + this.patience) return this.#lookLater(direction, lane);
    const silence = direction === "read" ? "sent nothing" : "took nothing";
    this.#onExpired(
      new FerryError("timeout", `the peer ${silence} for ${Math.round(lane.silent) / 1000} s`),
    );
  }

  /** Whether the peer may be silent at the moment, or had a reason since there were that many excuses. */
  #isExcused(direction: Direction, excuses: number): boolean {
    return direction === "read" && this.#holds > 0 || this.#excuses[direction] !== excuses;
  }

  #keepPace(direction: Direction, lane: Lane, count: number): void {
    lane.waited += this.#clock.monotonic() - lane.started;
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
