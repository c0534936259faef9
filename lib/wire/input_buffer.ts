/**
 * The bytes of a connection that have come and that nobody has asked for yet.
 *
 * @module
 */

import { type BufferBudget, type LentBuffer, SMALL_BUFFER } from "../core/buffer_budget.ts";

/** The most that is read at once while nothing is expected: most requests fit. */
export const IDLE_BUFFER: number = 1024;

const LARGEST_BUFFER = 256 * 1024;

/**
 * A buffer that is tiny while nothing comes, since a server holds one for each silent connection, and grows when a
 * read fills it, since small messages are fastest when many are read at once.
 */
export class InputBuffer {
  readonly #buffers: BufferBudget;
  readonly #assertOpen: () => void;
  #lent: LentBuffer | undefined;
  // The bytes stand in #lent between #start and #end.
  #start = 0;
  #end = 0;
  /** Whether the last read filled all the room there was, so that more was probably waiting. */
  #crowded = false;
  /** How large the buffer becomes when a read fills it. */
  #growth = 2 * SMALL_BUFFER;

  /**
   * An empty buffer, which takes no memory yet.
   *
   * @param assertOpen throws once the connection has ended: nothing is to take memory then, or to look at it
   */
  constructor(buffers: BufferBudget, assertOpen: () => void) {
    this.#buffers = buffers;
    this.#assertOpen = assertOpen;
  }

  /** How many bytes there are. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Whether no more can be read before some bytes are taken. */
  get full(): boolean {
    const size = this.#lent?.bytes.length ?? 0;
    if (size === 0 || this.length < size) return false;
    return size === LARGEST_BUFFER || !this.#buffers.has(2 * size);
  }

  /**
   * Whether a read into a reader's own buffer of that size, instead of this one, is at least as good. Where no more
   * comes at once than there is room for, this one would only wait beside the other.
   */
  isNeedlessFor(size: number): boolean {
    return size >= (this.#crowded ? this.#buffers.sizeOf(this.#growth) : IDLE_BUFFER);
  }

  /** Takes note of what a read into a reader's own buffer has told. */
  passed(count: number, room: number): void {
    this.#crowded = count === room;
  }

  /** Some of the bytes, as they stand here: they are gone when the next ones are read. */
  peek(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(this.#start + start, this.#start + end);
  }

  /** Moves bytes out, at most `limit`, and tells how many. */
  take(into: Uint8Array, limit: number): number {
    const count = Math.min(limit, this.length);
    into.set(this.peek(0, count));
    this.#start += count;
    return count;
  }

  /** Forgets so many bytes at the front. */
  skip(count: number): void {
    this.#start += count;
  }

  /** Room behind the bytes, for some of the `count` bytes that there are to be. */
  room(count: number): Uint8Array {
    const buffered = this.length;
    // Where it is not known whether anything comes, no large buffer waits for it; and a header that is announced
    // and does not come costs no more than what has come of it.
    this.#resize(this.#crowded ? this.#growth : buffered === 0 ? IDLE_BUFFER : 0);
    const bytes = this.#bytes;
    if (buffered === 0 || this.#start + count > bytes.length || this.#end === bytes.length) {
      bytes.copyWithin(0, this.#start, this.#end);
      this.#start = 0;
      this.#end = buffered;
    }
    return bytes.subarray(this.#end);
  }

  /** Counts bytes that were read into {@linkcode InputBuffer.room}. */
  add(count: number, room: Uint8Array): void {
    this.#end += count;
    this.#crowded = count === room.length;
    if (this.#crowded) {
      const larger = Math.max(this.#growth, 2 * this.#bytes.length);
      this.#growth = Math.min(larger, LARGEST_BUFFER);
    }
  }

  /** Gives the memory back, with the bytes in it. */
  release(): void {
    this.#lent?.[Symbol.dispose]();
    this.#lent = undefined;
    this.#start = this.#end = 0;
  }

  /** Goes on with a buffer of another size where that is of use; 0 is any that there is. */
  #resize(size: number): void {
    const old = this.#lent;
    const now = old?.bytes.length ?? 0;
    if (size === now || size === 0) return;
    if (old && size > now && !this.#buffers.has(2 * now)) return;
    this.#assertOpen();
    const fresh = this.#buffers.lend(size);
    if (old) fresh.bytes.set(old.bytes.subarray(this.#start, this.#end));
    const buffered = this.length;
    this.release();
    this.#lent = fresh;
    this.#end = buffered;
  }

  get #bytes(): Uint8Array<ArrayBuffer> {
    if (!this.#lent) this.#assertOpen();
    return this.#lent!.bytes;
  }
}
