/**
 * The input buffer of a connection: bytes that were received but not requested yet.
 *
 * @module
 */

import { type BufferBudget, type LentBuffer, SMALL_BUFFER } from "../core/buffer_budget.ts";

/** The maximum number of bytes read at once while no data is expected. Most requests fit. */
export const IDLE_BUFFER: number = 1024;

const LARGEST_BUFFER = 256 * 1024;

/**
 * A buffer of variable size. It is tiny while nothing is received, since a server has one for each silent connection.
 * It grows when a read fills it, since reading many small messages at once is fastest.
 */
export class InputBuffer {
  readonly #buffers: BufferBudget;
  readonly #assertOpen: () => void;
  #lent: LentBuffer | undefined;
  // The bytes are in #lent between #start and #end.
  #start = 0;
  #end = 0;
  /** Whether the last read filled the whole free space, so that more data was probably waiting. */
  #crowded = false;
  /** The size to which the buffer grows when a read fills it. */
  #growth = 2 * SMALL_BUFFER;

  /**
   * Creates an empty buffer, which uses no memory yet.
   *
   * @param assertOpen throws once the connection has ended: the buffer must not be used any more then
   */
  constructor(buffers: BufferBudget, assertOpen: () => void) {
    this.#buffers = buffers;
    this.#assertOpen = assertOpen;
  }

  /** The number of bytes in the buffer. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Whether the buffer is full, so that bytes have to be taken before more can be read. */
  get full(): boolean {
    const size = this.#lent?.bytes.length ?? 0;
    if (size === 0 || this.length < size) return false;
    return size === LARGEST_BUFFER || !this.#buffers.has(2 * size);
  }

  /**
   * Whether reading directly into a reader's own buffer of that size is at least as good as reading into this one. If
   * no more is received at once than fits there, this buffer would only use memory.
   */
  isNeedlessFor(size: number): boolean {
    return size >= (this.#crowded ? this.#buffers.sizeOf(this.#growth) : IDLE_BUFFER);
  }

  /** Records the result of a read that bypassed this buffer. */
  passed(count: number, room: number): void {
    this.#crowded = count === room;
  }

  /** A view of some of the bytes, valid until more are read. */
  peek(start: number, end: number): Uint8Array {
    return this.#bytes.subarray(this.#start + start, this.#start + end);
  }

  /** Moves at most `limit` bytes into `into`, and returns how many. */
  take(into: Uint8Array, limit: number): number {
    const count = Math.min(limit, this.length);
    into.set(this.peek(0, count));
    this.#start += count;
    return count;
  }

  /** Drops that many bytes from the front. */
  skip(count: number): void {
    this.#start += count;
  }

  /** Free space after the bytes, for some of the `count` bytes that the buffer is to contain in all. */
  room(count: number): Uint8Array {
    const buffered = this.length;
    // While it is uncertain whether data will arrive, no large buffer is kept for it. And a header that is announced
    // but not sent costs no more memory than the part that was received.
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

  /** Releases the memory, discarding the bytes in it. */
  release(): void {
    this.#lent?.[Symbol.dispose]();
    this.#lent = undefined;
    this.#start = this.#end = 0;
  }

  /** Switches to a buffer of another size if that is useful; 0 means to keep the present size if possible. */
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
