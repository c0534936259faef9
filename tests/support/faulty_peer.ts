/**
 * A network that fails on purpose: a proxy between a client and a server that cuts, stalls, delays, splits,
 * merges and damages what it forwards, at exact byte offsets, reproducibly by a seed.
 *
 * @module
 */

import { RateLimit } from "../../client/net/rate_limit.ts";

/** From the client to the server, or back. */
export type Direction = "up" | "down";

/** A fault that occurs once. */
export interface Fault {
  /**
   * - `reset` closes both connections with unread bytes, so that their senders get a reset
   * - `close` closes both connections after reading all that has arrived: both sides see the end
   * - `stall` forwards nothing more on this connection, not even its end
   * - `flip` inverts one bit of the next byte
   * - `duplicate` forwards the next bytes twice
   */
  kind: "reset" | "close" | "stall" | "flip" | "duplicate";
  /** In which direction bytes are counted. */
  direction: Direction;
  /** After how many bytes the fault occurs, counted over all connections. */
  at: number;
  /** How many bytes are duplicated at most. Default: 1000. */
  bytes?: number;
  /** Called and awaited when the fault is reached, before more bytes are forwarded in that direction. */
  onReached?: () => void | Promise<void>;
}

/** Options of {@linkcode FaultyPeer.start}. */
export interface FaultyPeerOptions {
  /** The faults. */
  faults?: readonly Fault[];
  /** The one-way delay of each byte in milliseconds. It limits no throughput. Default: 0. */
  delay?: number;
  /** How many bytes a second pass in each direction. Default: no limit. */
  rate?: number;
  /** How many bytes a second pass in each direction of each connection. Default: no limit. */
  rateEach?: number;
  /** Forwards bytes in segments of 1 to this many bytes. */
  split?: number;
  /** Forwards in one segment what arrives within this many milliseconds. */
  merge?: number;
  /** The seed of the random splits and flips. Default: 1. */
  seed?: number;
}

const READ_BYTES = 64 * 1024;

/** How long a plain close reads remaining bytes before it gives up, in milliseconds. */
const DRAIN_MS = 50;

/** Numbers from 0 up to a limit, the same ones for the same seed. */
export function randomNumbers(seed: number): (limit: number) => number {
  // "mulberry32": a counter whose bits are mixed.
  let state = seed >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor(((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32 * limit);
  };
}

/** A pair of connections, and how many bytes were forwarded. */
class Link {
  readonly passed: Record<Direction, number> = { up: 0, down: 0 };
  readonly #conns: Deno.TcpConn[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #over = false;
  stalled = false;

  constructor(client: Deno.TcpConn) {
    this.own(client);
  }

  /** Takes over a connection, which is closed along with this link. */
  own(conn: Deno.TcpConn): Deno.TcpConn {
    this.#conns.push(conn);
    conn.setNoDelay(true);
    if (this.#over) this.end();
    return conn;
  }

  /** Resolves when the link has ended. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Closes both connections. */
  end(): void {
    this.#over = true;
    for (const conn of this.#conns) {
      try {
        conn.close();
      } catch {
        // It is already closed.
      }
    }
    this.#ended.resolve();
  }

  /** Reads what has arrived, so that closing does not send a reset, and closes. */
  async close(from: Deno.TcpConn): Promise<void> {
    const timer = setTimeout(() => this.end(), DRAIN_MS);
    try {
      for (const conn of this.#conns) await conn.closeWrite();
      const scratch = new Uint8Array(READ_BYTES);
      while (await from.read(scratch) !== null);
    } catch {
      // It is already closed.
    }
    clearTimeout(timer);
    this.end();
  }
}

/** A proxy with faults, in front of a server on this machine. */
export class FaultyPeer implements AsyncDisposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #options: FaultyPeerOptions;
  readonly #random: (limit: number) => number;
  /** The faults that were not reached yet, by direction, the next one first. */
  readonly #faults: Record<Direction, Fault[]>;
  readonly #passed: Record<Direction, number> = { up: 0, down: 0 };
  readonly #reached = Promise.withResolvers<void>();
  readonly #limits: Partial<Record<Direction, RateLimit>>;
  readonly #links: Link[] = [];
  readonly #running: Promise<void>;
  #port: number;

  private constructor(port: number, options: FaultyPeerOptions) {
    this.#port = port;
    this.#options = options;
    this.#random = randomNumbers(options.seed ?? 1);
    const { rate } = options;
    this.#limits = rate === undefined ? {} : { up: new RateLimit(rate), down: new RateLimit(rate) };
    const sorted = (options.faults ?? []).toSorted((a, b) => a.at - b.at);
    this.#faults = {
      up: sorted.filter(({ direction }) => direction === "up"),
      down: sorted.filter(({ direction }) => direction === "down"),
    };
    this.#running = this.#run();
  }

  /** Starts a proxy in front of a port. */
  static start(port: number, options: FaultyPeerOptions = {}): FaultyPeer {
    return new FaultyPeer(port, options);
  }

  /** `127.0.0.1:PORT` */
  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  /** The port on which it listens. */
  get port(): number {
    return this.#listener.addr.port;
  }

  /** Resolves when the first fault has been reached. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** How many faults have not been reached yet. */
  get pending(): number {
    return this.#faults.up.length + this.#faults.down.length;
  }

  /** How many bytes each connection has forwarded so far, in the order in which they began. */
  get passed(): readonly Readonly<Record<Direction, number>>[] {
    return this.#links.map(({ passed }) => ({ ...passed }));
  }

  /** Closes the current connections; new ones are forwarded to another port. */
  retarget(port: number): void {
    this.#port = port;
    for (const link of this.#links) link.end();
  }

  async #run(): Promise<void> {
    const passing: Promise<void>[] = [];
    try {
      for await (const client of this.#listener) passing.push(this.#pass(client));
    } catch {
      // The listener was closed.
    }
    await Promise.all(passing);
  }

  async #pass(client: Deno.TcpConn): Promise<void> {
    const link = new Link(client);
    this.#links.push(link);
    try {
      const server = link.own(await Deno.connect({ hostname: "127.0.0.1", port: this.#port }));
      await Promise.all([
        this.#copy(link, "up", client, server),
        this.#copy(link, "down", server, client),
      ]);
    } catch {
      // One side has closed its connection, so the other is closed too.
    } finally {
      link.end();
    }
  }

  async #copy(
    link: Link,
    direction: Direction,
    from: Deno.TcpConn,
    to: Deno.TcpConn,
  ): Promise<void> {
    try {
      const { delay = 0, merge = 0, rateEach } = this.#options;
      const sent = rateEach === undefined ? segments(from) : paced(segments(from), rateEach);
      const arriving = delay > 0 || merge > 0 ? late(sent, { delay, merge }) : sent;
      for await (const bytes of arriving) await this.#give(link, direction, { bytes, from, to });
      if (link.stalled) await link.ended;
      await to.closeWrite();
    } catch (error) {
      if (link.stalled) await link.ended;
      link.end();
      throw error;
    }
  }

  /** Forwards bytes, and applies the faults that occur among them. */
  async #give(
    link: Link,
    direction: Direction,
    { bytes, from, to }: { bytes: Uint8Array; from: Deno.TcpConn; to: Deno.TcpConn },
  ): Promise<void> {
    for (let rest = bytes;;) {
      if (link.stalled) return await link.ended;
      if (link.over) return;
      const fault = this.#faults[direction][0];
      const room = fault ? Math.max(0, fault.at - this.#passed[direction]) : Infinity;
      const damages = fault?.kind === "flip" || fault?.kind === "duplicate";
      if (fault && room === 0 && (rest.length > 0 || !damages)) {
        this.#faults[direction].shift();
        this.#reached.resolve();
        await fault.onReached?.();
        if (fault.kind === "close") await link.close(from);
        else if (fault.kind === "reset") link.end();
        else if (fault.kind === "stall") link.stalled = true;
        else if (fault.kind === "flip") rest[0]! ^= 1 << this.#random(8);
        else {await this.#write(link, direction, {
            bytes: rest.subarray(0, fault.bytes ?? 1000),
            to,
          });}
      } else if (rest.length === 0) return;
      else {
        const head = rest.subarray(0, room);
        await this.#write(link, direction, { bytes: head, to });
        rest = rest.subarray(head.length);
      }
    }
  }

  async #write(
    link: Link,
    direction: Direction,
    { bytes, to }: { bytes: Uint8Array; to: Deno.TcpConn },
  ): Promise<void> {
    const { split } = this.#options;
    await this.#limits[direction]?.take(bytes.length);
    for (let done = 0; done < bytes.length;) {
      const size = split === undefined ? bytes.length : 1 + this.#random(split);
      const count = await to.write(bytes.subarray(done, done + size));
      done += count;
      link.passed[direction] += count;
      this.#passed[direction] += count;
    }
  }

  /** Closes the proxy and all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#listener.close();
    } catch {
      // It is already closed.
    }
    for (const link of this.#links) link.end();
    await this.#running;
  }
}

/** The received segments. The buffer is overwritten by the next one. */
async function* segments(from: Deno.TcpConn): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

/** The segments at a rate: the next one is received only when the one before was due. */
async function* paced(
  segments: AsyncIterable<Uint8Array>,
  rate: number,
): AsyncGenerator<Uint8Array> {
  const limit = new RateLimit(rate);
  for await (const bytes of segments) {
    await limit.take(bytes.length);
    yield bytes;
  }
}

interface Late {
  due: number;
  bytes: Uint8Array;
}

/** Segments, delayed: each takes the same time, whatever its size. */
async function* late(
  segments: AsyncIterable<Uint8Array>,
  { delay, merge }: { delay: number; merge: number },
): AsyncGenerator<Uint8Array> {
  const line: Late[] = [];
  let news = Promise.withResolvers<void>();
  let failure: unknown;
  let ended: number | undefined;
  const reading = (async () => {
    try {
      for await (const bytes of segments) {
        line.push({ due: performance.now() + delay, bytes: bytes.slice() });
        news.resolve();
      }
    } catch (error) {
      failure = error;
    }
    ended = performance.now() + delay;
    news.resolve();
  })();
  try {
    for (;;) {
      const first = line[0];
      if (!first && ended === undefined) {
        await news.promise;
        news = Promise.withResolvers<void>();
        continue;
      }
      await until((first?.due ?? ended!) + merge);
      if (!first) break;
      const now = performance.now();
      const due = line.findIndex((piece) => piece.due > now);
      const pieces = line.splice(0, merge > 0 ? (due < 0 ? line.length : Math.max(due, 1)) : 1);
      yield pieces.length === 1 ? pieces[0]!.bytes : concatenated(pieces);
    }
    if (failure !== undefined) throw failure;
  } finally {
    await reading;
  }
}

async function until(time: number): Promise<void> {
  const left = time - performance.now();
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
}

function concatenated(pieces: readonly Late[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.bytes.length, 0));
  let filled = 0;
  for (const piece of pieces) {
    bytes.set(piece.bytes, filled);
    filled += piece.bytes.length;
  }
  return bytes;
}
