/**
 * A connection in memory and a manual clock, for what a real connection cannot show: where reads end, what a single
 * write contained, what happens at a deadline.
 *
 * @module
 */

import { RUNTIME } from "./runtime.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ErrorCode, FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { Header } from "../../lib/wire/codec.ts";
import { receive } from "../../lib/transfer/receive.ts";
import { type Frame, Wire } from "../../lib/wire/frames.ts";
import type { ByteStream } from "../../lib/wire/byte_stream.ts";
import type { ByteSource } from "../../lib/core/bytes.ts";
import { concat } from "./vectors.ts";

export const IDLE = 10_000;
export const ABC_MD5 = "900150983cd24fb0d6963f7d28e17f72";
export const utf8 = new TextEncoder();
export const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A connection in memory: the peer sends given segments, and what is written to it is recorded. */
export class MemoryStream implements ByteStream {
  readonly #segments: Iterator<Uint8Array>;
  readonly #options: MemoryStreamOptions;
  #rest: Uint8Array = new Uint8Array();
  #ended = false;
  readonly #closed = Promise.withResolvers<never>();
  /** The methods that were called, in order. */
  readonly calls: string[] = [];
  /** The bytes of each write. */
  readonly writes: Uint8Array[] = [];
  /** The size of the buffer of each read. */
  readonly rooms: number[] = [];
  /** How many bytes were read. */
  bytesRead = 0;

  constructor(segments: Iterable<Uint8Array> = [], options: MemoryStreamOptions = {}) {
    this.#segments = segments[Symbol.iterator]();
    this.#options = options;
    this.#closed.promise.catch(() => {});
  }

  read(buffer: Uint8Array): Promise<number | null> {
    this.calls.push("read");
    this.rooms.push(buffer.length);
    while (this.#rest.length === 0 && !this.#ended) {
      const { value, done } = this.#segments.next();
      if (done) this.#ended = true;
      else this.#rest = value;
    }
    if (this.#rest.length === 0) {
      return this.#options.silent ? this.#closed.promise : Promise.resolve(null);
    }
    const piece = this.#rest.subarray(0, buffer.length);
    buffer.set(piece);
    this.#rest = this.#rest.subarray(piece.length);
    this.bytesRead += piece.length;
    return Promise.resolve(piece.length);
  }

  write(bytes: Uint8Array): Promise<number> {
    this.calls.push("write");
    const { takes = Infinity } = this.#options;
    if (takes === 0) return this.#closed.promise;
    const taken = bytes.slice(0, takes);
    this.writes.push(taken);
    return Promise.resolve(taken.length);
  }

  closeWrite(): Promise<void> {
    this.calls.push("closeWrite");
    return Promise.resolve();
  }

  close(): void {
    this.calls.push("close");
    this.#closed.reject(new Deno.errors.Interrupted());
  }

  get written(): Uint8Array<ArrayBuffer> {
    return concat(this.writes);
  }
}

export interface MemoryStreamOptions {
  /** Whether the peer falls silent after its segments, instead of closing the connection. */
  silent?: boolean;
  /** How many bytes a write accepts; 0 for a peer that accepts none. */
  takes?: number;
}

/** Timers that fire when the test advances the clock. */
export class ManualClock implements Disposable {
  readonly #real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };
  readonly #timers = new Map<number, { at: number; run: () => void }>();
  #now = 0;
  #ids = 0;

  constructor() {
    const set = (run: () => void, ms = 0) => {
      this.#timers.set(++this.#ids, { at: this.#now + ms, run });
      return this.#ids;
    };
    globalThis.setTimeout = set as unknown as typeof setTimeout;
    globalThis.clearTimeout = (id) => void this.#timers.delete(Number(id));
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Advances the clock. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= until)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      const [id, { at, run }] = due;
      this.#timers.delete(id);
      this.#now = at;
      run();
    }
    this.#now = until;
  }

  [Symbol.dispose](): void {
    Object.assign(globalThis, this.#real);
  }
}

/** A sink that keeps everything. */
export class Collector {
  readonly #pieces: Uint8Array[] = [];

  write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes.slice());
    return Promise.resolve();
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return concat(this.#pieces);
  }
}

export function wireOver(...parts: Uint8Array[]): Wire {
  return new Wire(new MemoryStream(parts), { runtime: RUNTIME, idleTimeout: IDLE });
}

export async function frameOf(...parts: Uint8Array[]): Promise<Frame> {
  const frame = await wireOver(...parts).readFrame();
  assert(frame);
  return frame;
}

export async function assertFails(
  run: Promise<unknown>,
  code: ErrorCode,
  words = "",
): Promise<void> {
  const error = await assertRejects(() => run, FerryError, words);
  assertEquals(error.code, code, error.message);
}

export interface Received {
  header: Header;
  bytes: Uint8Array;
  md5: string;
  size: number;
}

/** All messages up to the end or the first failure, and which of them it was. */
export async function readAll(
  wire: Wire,
): Promise<{ received: Received[]; code?: ErrorCode; ends?: boolean }> {
  const received: Received[] = [];
  for (;;) {
    let frame: Frame | null;
    try {
      frame = await wire.readFrame();
    } catch (error) {
      return { received, code: toFerryError(error).code, ends: true };
    }
    if (!frame) return { received };
    const { header, body } = frame;
    const sink = new Collector();
    try {
      const { checksum: md5, size } = await receive(RUNTIME, body, sink);
      received.push({ header, bytes: sink.bytes, md5, size });
    } catch (error) {
      const goesOn = await body.drain().catch(() => false);
      return { received, code: toFerryError(error).code, ends: !goesOn };
    }
  }
}

export function* inBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < bytes.length; i++) yield bytes.subarray(i, i + 1);
}

/** A source of bytes in memory that returns a few at a time. */
export function sourceOf(bytes: Uint8Array, piece = 100_000): ByteSource {
  let done = 0;
  return {
    read(into) {
      const part = bytes.subarray(done, done + Math.min(into.length, piece));
      into.set(part);
      done += part.length;
      return Promise.resolve(part.length || null);
    },
  };
}
