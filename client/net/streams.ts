/**
 * Moves one large file in pieces over several connections at once, which share the work as fast as each of them is.
 *
 * @module
 */

import type { Clock, Timer } from "../../lib/core/clock.ts";
import { FerryError, mayPass, toFerryError } from "../../lib/core/errors.ts";
import { sizeOf, type Span } from "../../lib/delta/spans.ts";
import type { OnBytes } from "../../lib/transfer/receive.ts";
import type { Connection } from "./connection.ts";
import { PieceQueue } from "./piece_queue.ts";
import type { StreamCount } from "./stream_count.ts";

/** The name of the protocol feature. */
export const STREAMS = "streams";

/** Files of which fewer bytes than this are to be moved are moved over one stream. */
export const STREAM_BYTES: number = 32 * 1024 * 1024;

/** How many streams `auto` begins with, and the most that it tries. */
const AUTO = { first: 2, most: 8 };

/**
 * `auto` uses one stream where a round trip is shorter than this, in milliseconds: a single connection is not slowed
 * down by waiting for the other side then.
 */
const NEAR_MS = 10;

/** How many round trips are measured. The shortest counts: the others may have waited for the processor. */
const ROUND_TRIPS = 5;

/** How many pieces are under way on a stream, so that none waits for the reply to the last one. */
const PIECES_AT_ONCE = 2;

/** How many times as many connections as streams are opened at most to find the right one of several processes. */
const SPARE = 4;

/** The interval at which streams are compared, in milliseconds. */
const TICK_MS = 500;

/** A stream that moves nothing for this long, in milliseconds, may be given up. */
const STALLED_MS = 2000;

/** By which factor a stream has to be slower than another one to be given up. */
const SLOWER = 3;

/** How long the rate is measured before `auto` opens more streams, in milliseconds. */
const MEASURED_MS = 1000;

/** By which factor twice as many streams have to be faster for `auto` to go on. */
const GAIN = 1.3;

/** Moves pieces over one connection. */
export interface PieceMover {
  /**
   * Moves a piece, and resolves when it has arrived and was verified. The next call may be made before that; the pieces
   * are moved in the order of the calls.
   *
   * @param onBytes called for bytes that have been moved
   * @throws {FerryError} if another attempt over another connection may succeed, its code is one of a temporary failure
   */
  move(piece: Span, onBytes: OnBytes): Promise<void>;
}

/** Options of {@linkcode moveInPieces}. */
export interface PiecesToMove {
  /** How many streams are wanted. */
  readonly streams: StreamCount;
  /** What has to be moved, in ascending order; at least one byte. */
  readonly gaps: readonly Span[];
  /** Makes what moves pieces over a connection. */
  readonly mover: (connection: Connection) => PieceMover;
  /** Called when a piece has been moved. */
  readonly onMoved: (piece: Span) => void;
  /** Called when fewer streams could be opened than wanted, with their number and the reason. */
  readonly onFewer?: ((streams: number, error: FerryError) => void) | undefined;
}

/**
 * How many streams are of use for a transfer.
 *
 * @param bytes how many bytes are to be moved
 * @returns undefined for one: the file is moved as a whole
 * @throws {FerryError} the errors of the connection
 */
export async function streamsFor(
  connection: Connection,
  wanted: StreamCount,
  bytes: number,
): Promise<StreamCount | undefined> {
  if (wanted === 1 || bytes < STREAM_BYTES || !connection.another) return undefined;
  if (!connection.hello.features.includes(STREAMS)) return undefined;
  if (wanted === "auto" && await roundTrip(connection) < NEAR_MS) return undefined;
  return wanted;
}

/** The shortest of some round trips, in milliseconds. */
async function roundTrip(connection: Connection): Promise<number> {
  const { clock } = connection.runtime;
  let shortest = Infinity;
  for (let i = 0; i < ROUND_TRIPS; i++) {
    const began = clock.monotonic();
    await connection.ping();
    shortest = Math.min(shortest, clock.monotonic() - began);
    if (shortest < NEAR_MS) break;
  }
  return shortest;
}

/**
 * Moves pieces over several further connections to the server. One that fails, stalls or is much slower than the others
 * is given up, and others move its pieces.
 *
 * @param connection the one that the transfer was begun on, which is not used
 * @throws {FerryError} the error of a piece that is no temporary failure; the last one if all streams have failed
 */
export async function moveInPieces(connection: Connection, options: PiecesToMove): Promise<void> {
  await using streams = new Streams(connection, options);
  await streams.done;
}

/** A connection with the pieces that are under way on it. */
interface Lane {
  readonly connection: Connection;
  readonly mover: PieceMover;
  readonly pieces: Set<Span>;
  /** When it was opened, and when it last moved something or got something to move. */
  readonly opened: number;
  active: number;
  /** The longest time in which it has moved nothing, in milliseconds. */
  longest: number;
  /** How many bytes it has moved, and how many of them belong to pieces that have arrived. */
  bytes: number;
  arrived: number;
}

class Streams implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #options: PiecesToMove;
  readonly #clock: Clock;
  readonly #queue: PieceQueue;
  readonly #lanes = new Set<Lane>();
  readonly #openings: Promise<void>[] = [];
  readonly #done = Promise.withResolvers<void>();
  /** How many streams are being opened, and why others were not. */
  #opening = 0;
  #refusal: FerryError | undefined;
  /** How many streams are wanted at the moment. */
  #wanted: number;
  /** How many streams may still be replaced that have moved nothing. */
  #spare: number;
  /** How many bytes have not arrived yet. */
  #missing: number;
  #timer: Timer | undefined;
  #over = false;
  /** How many bytes all streams have moved. */
  #bytes = 0;
  /** For `auto`: the most streams, the rate in bytes per millisecond with fewer of them, and since when it is measured. */
  #most = AUTO.most;
  #rate = 0;
  #measured: { bytes: number; at: number } | undefined;

  constructor(connection: Connection, options: PiecesToMove) {
    this.#connection = connection;
    this.#options = options;
    this.#clock = connection.runtime.clock;
    this.#queue = new PieceQueue(options.gaps);
    this.#missing = this.#queue.left;
    this.#wanted = options.streams === "auto" ? AUTO.first : options.streams;
    this.#spare = SPARE * this.#wanted;
    this.#done.promise.catch(() => {});
    this.#openAll();
    this.#arm();
  }

  /** Settles when all has been moved, or cannot be. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  #openAll(): void {
    while (!this.#over && this.#queue.left > 0 && this.#lanes.size + this.#opening < this.#wanted) {
      this.#opening++;
      this.#openings.push(this.#open());
    }
  }

  async #open(): Promise<void> {
    const opened = await this.#connection.another!().catch(toFerryError);
    this.#opening--;
    if (opened instanceof FerryError) this.#unopened(opened);
    else this.#add(opened);
    // Others may have been refused, too: what is left is told once.
    if (this.#opening > 0 || this.#over || !this.#refusal) return;
    this.#options.onFewer?.(this.#wanted, this.#refusal);
    this.#refusal = undefined;
  }

  #add(connection: Connection): void {
    if (this.#over) return connection.close();
    const now = this.#clock.monotonic();
    const lane: Lane = {
      ...{ connection, mover: this.#options.mover(connection), pieces: new Set<Span>() },
      ...{ opened: now, active: now, longest: 0, bytes: 0, arrived: 0 },
    };
    this.#lanes.add(lane);
    this.#fill(lane);
  }

  /** Makes do with the streams that are there, or are still being opened. */
  #unopened(error: FerryError): void {
    this.#wanted = Math.min(this.#wanted, this.#lanes.size + this.#opening);
    if (this.#wanted === 0) return this.#fail(error);
    this.#refusal = error;
  }

  /** Gives a stream as many pieces as it may have under way. */
  #fill(lane: Lane): void {
    while (this.#lanes.has(lane) && lane.pieces.size < PIECES_AT_ONCE) {
      const piece = this.#queue.next(this.#wanted);
      if (!piece) return;
      if (lane.pieces.size === 0) lane.active = this.#clock.monotonic();
      lane.pieces.add(piece);
      this.#move(lane, piece).catch((error) => this.#failed(lane, toFerryError(error)));
    }
  }

  async #move(lane: Lane, piece: Span): Promise<void> {
    await lane.mover.move(piece, (count) => {
      this.#touch(lane);
      lane.bytes += count;
      this.#bytes += count;
    });
    if (!this.#lanes.has(lane)) return;
    this.#touch(lane);
    lane.pieces.delete(piece);
    const size = piece.to - piece.from;
    lane.arrived += size;
    this.#missing -= size;
    this.#options.onMoved(piece);
    if (this.#missing === 0) return this.#end();
    this.#fill(lane);
  }

  #touch(lane: Lane): void {
    const now = this.#clock.monotonic();
    lane.longest = Math.max(lane.longest, now - lane.active);
    lane.active = now;
  }

  #failed(lane: Lane, error: FerryError): void {
    if (!this.#lanes.has(lane)) return;
    if (!mayPass(error)) return this.#fail(error);
    this.#giveUp(lane, error);
    // A stream that has moved pieces is replaced by another one: what has cut it need not last. So is one that may have
    // led to another of several processes that share the server's address, and know nothing of each other's transfers.
    const misled = error.code === "busy" && this.#spare > 0;
    if (misled) this.#spare--;
    else if (lane.arrived === 0) this.#wanted--;
    if (this.#wanted === 0) return this.#fail(error);
    this.#openAll();
  }

  /** Closes a stream, and gives its pieces to the others. */
  #giveUp(lane: Lane, reason: FerryError): void {
    this.#lanes.delete(lane);
    for (const piece of lane.pieces) this.#queue.giveBack(piece);
    lane.connection.close(reason);
    for (const other of this.#lanes) this.#fill(other);
  }

  #arm(): void {
    this.#timer = this.#clock.setTimeout(() => {
      if (this.#over) return;
      if (!this.#connection.usable) return this.#fail(new FerryError("closed", "given up"));
      this.#compare();
      if (this.#options.streams === "auto") this.#grow();
      this.#arm();
    }, TICK_MS);
  }

  /** Gives up streams that keep the others waiting. */
  #compare(): void {
    const now = this.#clock.monotonic();
    for (const lane of this.#lanes) {
      const others = [...this.#lanes].filter((other) => other !== lane && other.arrived > 0);
      if (lane.pieces.size === 0 || others.length === 0) continue;
      const stalled = silence(lane, now) > Math.max(STALLED_MS, SLOWER * usualPause(others, now));
      if (!stalled && !this.#holdsUp(lane, others, now)) continue;
      this.#failed(lane, new FerryError("timeout", "this stream is much slower than the others"));
    }
  }

  /** Whether another stream that has nothing to do would be much sooner done with the pieces of this one. */
  #holdsUp(lane: Lane, others: readonly Lane[], now: number): boolean {
    const idle = others.filter(({ pieces }) => pieces.size === 0);
    if (idle.length === 0) return false;
    const size = sizeOf([...lane.pieces]);
    const left = size - (lane.bytes - lane.arrived);
    const time = ({ bytes, opened }: Lane, count: number) => count * (now - opened) / bytes;
    const again = Math.min(...idle.map((other) => time(other, size)));
    return time(lane, left) > SLOWER * Math.max(again, TICK_MS);
  }

  /** Doubles the number of streams for as long as that makes the transfer faster. */
  #grow(): void {
    if (this.#opening > 0 || this.#wanted >= this.#most) return;
    const at = this.#clock.monotonic();
    const began = this.#measured;
    // Until now, the last streams that were opened were gaining speed.
    if (!began) return void (this.#measured = { bytes: this.#bytes, at });
    if (at - began.at < MEASURED_MS) return;
    const rate = (this.#bytes - began.bytes) / (at - began.at);
    this.#measured = undefined;
    this.#most = rate > GAIN * this.#rate ? AUTO.most : this.#wanted;
    this.#rate = rate;
    this.#wanted = Math.min(this.#most, 2 * this.#wanted);
    this.#openAll();
  }

  #fail(error: FerryError): void {
    this.#over = true;
    this.#done.reject(error);
  }

  #end(): void {
    this.#over = true;
    this.#done.resolve();
  }

  /** Closes all streams. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    this.#clock.clearTimeout(this.#timer);
    for (const { connection } of this.#lanes) connection.close();
    await Promise.allSettled(this.#openings);
  }
}

/** For how long a stream has moved nothing of what is under way on it, in milliseconds. */
function silence({ pieces, active }: Lane, now: number): number {
  return pieces.size > 0 ? now - active : 0;
}

/** The longest pause of a usual one of some streams, also if it has not ended yet, in milliseconds. */
function usualPause(lanes: readonly Lane[], now: number): number {
  const pauses = lanes.map((lane) => Math.max(lane.longest, silence(lane, now)));
  return pauses.sort((a, b) => a - b)[Math.floor((pauses.length - 1) / 2)]!;
}
