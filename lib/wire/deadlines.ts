/**
 * Timeouts of a connection, since Deno's reads and writes have none. A connection is given up if its peer transfers
 * nothing for too long, or too few bytes per second.
 *
 * @module
 */

import { type Clock, SYSTEM_CLOCK, type Timer } from "../core/clock.ts";
import { FerryError } from "../core/errors.ts";

/** Options of {@linkcode Deadlines}: what is required of a peer. */
export interface DeadlineOptions {
  /**
   * The time after which a read or write that transfers no byte is given up, in milliseconds; or a function that
   * returns it, called at the start of each read and write.
   */
  idleTimeout: number | (() => number);
  /**
   * The minimum transfer rate while a message is being transferred, in bytes per second, averaged over the idle
   * timeout. It ends a connection whose peer transfers only a byte now and then. Default: 0, no minimum.
   */
  minRate?: number | undefined;
  /** The clock. Default: that of the system. */
  clock?: Clock | undefined;
}

/** How many milliseconds late a timer may normally be. */
const LATE_MS = 50;

/** `read` from the peer, or `write` to it. */
export type Direction = "read" | "write";

/** The state of one direction. */
interface Lane {
  /** The time spent waiting for the peer since the rate was last checked, in milliseconds. */
  waited: number;
  /** The number of bytes transferred in that time. */
  bytes: number;
  /** When the current read or write began. */
  started: number;
  /** How long it has transferred nothing, in milliseconds. */
  silent: number;
  /** After how many milliseconds of silence it is checked, and the time of the next check. */
  limit: number;
  due: number;
  /** The number of excuses when it began, and at the last check. */
  excusesBefore: number;
  excuses: number;
  timer: Timer | undefined;
}

/** The timeouts of reads and writes. One read and one write may be in progress at the same time. */
export class Deadlines {
  readonly #idleTimeout: () => number;
  readonly #minRate: number;
  readonly #clock: Clock;
  readonly #onExpired: (reason: FerryError) => void;
  // The state is kept here and not in local variables of suspended functions, which would cost memory for each of many
  // silent connections.
  readonly #lanes: Partial<Record<Direction, Lane>> = {};
  #holds = 0;
  /** How often the peer had an excuse to be silent in a direction. Only excuses that have ended are counted. */
  readonly #excuses: Record<Direction, number> = { read: 0, write: 0 };

  /**
   * How many milliseconds longer than the idle timeout the peer may be silent. While this is above 0, the minimum rate
   * does not apply either.
   */
  patience = 0;

  /** Creates deadlines. `onExpired` is called when the peer is given up; it has to end the current read or write. */
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
   * Suspends the timeout of reads until the returned value is disposed of, because this side is busy and not the peer.
   * A pending read then has at least the whole idle timeout again.
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

  /** The timeout of a read or write that begins now, in milliseconds. */
  get idleTimeout(): number {
    return this.#idleTimeout();
  }

  /** Records a keep-alive message of the peer: a stalled write has the whole idle timeout again. */
  lives(): void {
    this.#excuses.write++;
  }

  /**
   * Runs one read or write.
   *
   * @param paced whether it counts for the minimum rate; waiting for the next message does not
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

  /** Records that a read or write begins. {@linkcode Deadlines.end} has to follow. */
  begin(direction: Direction): void {
    const lane = this.#lanes[direction] ??= newLane();
    lane.started = this.#clock.monotonic();
    lane.silent = 0;
    lane.limit = this.#idleTimeout();
    lane.excusesBefore = lane.excuses = this.#excuses[direction];
    this.#lookLater(direction, lane);
  }

  /**
   * Records that the current read or write has transferred some bytes.
   *
   * @param paced see {@linkcode Deadlines.run}
   */
  moved(direction: Direction, count: number, { paced }: { paced: boolean }): void {
    const lane = this.#lanes[direction];
    if (!lane || !paced || this.#minRate === 0 || this.patience > 0) return;
    if (this.#isExcused(direction, lane.excusesBefore)) return;
    this.#keepPace(direction, lane, count);
  }

  /** Records that the current read or write has ended, possibly with an error. */
  end(direction: Direction): void {
    this.#clock.clearTimeout(this.#lanes[direction]?.timer);
  }

  #lookLater(direction: Direction, lane: Lane): void {
    lane.due = this.#clock.monotonic() + lane.limit;
    lane.timer = this.#clock.setTimeout(() => this.#look(direction, lane), lane.limit);
  }

  /** Checks whether the current read or write has been silent for too long. */
  #look(direction: Direction, lane: Lane): void {
    const { limit } = lane;
    // A timer that fires late shows that this process was not running: data may have arrived that was not read yet.
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

  /** Whether the peer has an excuse to be silent at the moment, or has had one since the count was `excuses`. */
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
