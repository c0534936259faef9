/**
 * A connection in memory that is damaged at one place: the bit of a byte that crosses it, or all of a message.
 *
 * @module
 */

import type { ByteStream } from "../../lib/wire/connection.ts";
import { concat } from "../support/vectors.ts";

/** From the client to the server, or back. */
export type Direction = "up" | "down";

/** What is done to the bytes of one direction, at a place that is counted from their beginning. */
export type Damage =
  | { direction: Direction; bit: number }
  | { direction: Direction; lost: { from: number; to: number } };

/** The bytes of one direction: what was written waits until it is read. */
class Line {
  readonly #damage: Damage | undefined;
  readonly #waiting: Uint8Array[] = [];
  #news = Promise.withResolvers<void>();
  #ended = false;
  #broken = false;
  #count = 0;
  /** All that was written, where nothing is damaged. */
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

  /** Nothing more will be written. */
  end(): void {
    this.#ended = true;
    this.#news.resolve();
  }

  /** Nobody reads any more. */
  break(): void {
    this.#broken = true;
    this.#news.resolve();
  }
}

/** Two ends of a connection, and what crossed it. */
export interface Network {
  /** The client's end. */
  client: ByteStream;
  /** The server's end. */
  server: ByteStream;
  /** Whether the place of the damage was reached. */
  hit(): boolean;
  /** What crossed an undamaged one. */
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
