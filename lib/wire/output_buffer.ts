/**
 * The output buffer of a connection: bytes that are written but not sent yet.
 *
 * @module
 */

import { type BufferBudget, type LentBuffer, SMALL_BUFFER } from "../core/buffer_budget.ts";

const LARGEST_BUFFER = 64 * 1024;

/** Collects small writes, so that a header and the first bytes of its body are sent together. */
export class OutputBuffer {
  readonly #buffers: BufferBudget;
  readonly #assertOpen: () => void;
  #lent: LentBuffer | undefined;
  #length = 0;

  /**
   * Creates an empty buffer, which uses no memory yet.
   *
   * @param assertOpen throws once the connection has ended: no memory may be allocated then
   */
  constructor(buffers: BufferBudget, assertOpen: () => void) {
    this.#buffers = buffers;
    this.#assertOpen = assertOpen;
  }

  /** The number of bytes in the buffer. */
  get length(): number {
    return this.#length;
  }

  /** Whether that many bytes should bypass the buffer because memory is short. */
  isTooDearFor(count: number): boolean {
    return count >= SMALL_BUFFER && !this.#buffers.has(LARGEST_BUFFER);
  }

  /** Whether that many bytes are best sent directly: the buffer is empty, and they would fill it. */
  isNeedlessFor(count: number): boolean {
    return this.#length === 0 && count >= LARGEST_BUFFER;
  }

  /** Copies as many of the bytes as there is room for, and returns the rest. */
  add(bytes: Uint8Array): Uint8Array {
    const memory = this.#room(this.#length + bytes.length);
    const head = bytes.subarray(0, memory.length - this.#length);
    memory.set(head, this.#length);
    this.#length += head.length;
    return bytes.subarray(head.length);
  }

  /** Whether the bytes have to be taken before more can be added. */
  get full(): boolean {
    return this.#lent !== undefined && this.#length === this.#lent.bytes.length;
  }

  /** Hands over the bytes with their memory, which the caller has to release; undefined if the buffer is empty. */
  take(): { bytes: Uint8Array; lent: LentBuffer } | undefined {
    const lent = this.#lent;
    if (!lent) return undefined;
    const bytes = lent.bytes.subarray(0, this.#length);
    this.#lent = undefined;
    this.#length = 0;
    return { bytes, lent };
  }

  /** Releases the memory, discarding the bytes in it. */
  release(): void {
    this.take()?.lent[Symbol.dispose]();
  }

  /** Free space in the buffer, which is made as large as useful for that many bytes. */
  #room(count: number): Uint8Array {
    const old = this.#lent;
    const size = count > SMALL_BUFFER ? LARGEST_BUFFER : SMALL_BUFFER;
    if (old && (old.bytes.length >= size || !this.#buffers.has(2 * old.bytes.length))) {
      return old.bytes;
    }
    this.#assertOpen();
    this.#lent = this.#buffers.lend(size);
    if (old) this.#lent.bytes.set(old.bytes.subarray(0, this.#length));
    old?.[Symbol.dispose]();
    return this.#lent.bytes;
  }
}
