/**
 * A connection in memory that is damaged at one place: one bit is flipped, or a whole message is lost.
 *
 * @module
 */

import type { ByteStream } from "../../lib/wire/byte_stream.ts";
import { concat } from "../support/vectors.ts";

/** From the client to the server, or back. */
export type Direction = "up" | "down";

/** Damage to the bytes of one direction, at an offset from its beginning. */
export type Damage =
  | { direction: Direction; bit: number }
  | { direction: Direction; lost: { from: number; to: number } };

/** The bytes of one direction, which are buffered until they are read. */
class Line {
  readonly #damage: Damage | undefined;
  readonly #waiting: Uint8Array[] = [];
  #news = Promise.withResolvers<void>();
  #ended = false;
  #broken = false;
  #count = 0;
  /** All bytes that were written, recorded where nothing is damaged. */
  readonly seen: Uint8Array[] = [];
  /** Whether the place of the damage was reached. */
  hit = false;

  constructor(damage: Damage | undefined) {
    this.#damage = damage;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#broken) return Promise.reject(new Deno.errors.BrokenPipe());
    const damage = this.#damage;
    if (!damage) this.seen.push(bytes.slice());
    const kept = damage ? this.#harm(bytes.slice(), damage) : bytes.slice();
    this.#count += bytes.length;
    if (kept.length > 0) this.#waiting.push(kept);
    this.#news.resolve();
    return Promise.resolve(bytes.length);
  }

  #harm(bytes: Uint8Array, damage: Damage): Uint8Array {
    if ("bit" in damage) {
      const at = (damage.bit >> 3) - this.#count;
      if (at < 0 || at >= bytes.length) return bytes;
      this.hit = true;
      bytes[at]! ^= 1 << (damage.bit & 7);
      return bytes;
    }
    const [from, to] = [damage.lost.from - this.#count, damage.lost.to - this.#count];
    if (to <= 0 || from >= bytes.length) return bytes;
    this.hit = true;
    return new Uint8Array([...bytes.subarray(0, Math.max(0, from)), ...bytes.subarray(to)]);
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#broken) throw new Deno.errors.Interrupted();
      const [first] = this.#waiting;
      if (first) {
        const count = Math.min(first.length, into.length);
        into.set(first.subarray(0, count));
        if (count === first.length) this.#waiting.shift();
        else this.#waiting[0] = first.subarray(count);
        return count;
      }
      if (this.#ended) return null;
      await this.#news.promise;
      this.#news = Promise.withResolvers();
    }
  }

  /** No more bytes will be written. */
  end(): void {
    this.#ended = true;
    this.#news.resolve();
  }

  /** The reader has gone. */
  break(): void {
    this.#broken = true;
    this.#news.resolve();
  }
}

/** Both ends of a connection, and the bytes that crossed it. */
export interface Network {
  /** The client's end. */
  client: ByteStream;
  /** The server's end. */
  server: ByteStream;
  /** Whether the place of the damage was reached. */
  hit(): boolean;
  /** The bytes that crossed an undamaged connection. */
  seen(direction: Direction): Uint8Array<ArrayBuffer>;
}

/** A connection in memory. */
export function network(damage?: Damage): Network {
  const line = (direction: Direction) =>
    new Line(damage?.direction === direction ? damage : undefined);
  const lines = { up: line("up"), down: line("down") };
  const end = (from: Line, to: Line): ByteStream => ({
    read: (into) => from.read(into),
    write: (bytes) => to.write(bytes),
    closeWrite: () => Promise.resolve(to.end()),
    close() {
      to.end();
      from.break();
    },
  });
  return {
    client: end(lines.down, lines.up),
    server: end(lines.up, lines.down),
    hit: () => lines.up.hit || lines.down.hit,
    seen(direction) {
      return concat(lines[direction].seen);
    },
  };
}
