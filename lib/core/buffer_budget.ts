/**
 * Limits the memory of buffers. There may be any number of connections, each of which may stall in the middle of a
 * message; the limit is on what all of them hold together.
 *
 * @module
 */

/** The size of a buffer that is always granted, however little memory is left, in bytes. */
export const SMALL_BUFFER: number = 4 * 1024;

/** The memory of all larger buffers together by default, in bytes. */
export const ALL_BUFFERS: number = 8 * 1024 * 1024;

/** A buffer may take a quarter of what is left: the more are held, the smaller the next ones are. */
const SHARE = 4;

/** A buffer. Its memory is freed when it is disposed of. */
export interface LentBuffer extends Disposable {
  /** The buffer. Where its memory was transferred to another thread and back, the new array has to be put here. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** A number of bytes that buffers share. */
export class BufferBudget {
  #left: number;
  #trash: Uint8Array<ArrayBuffer> | undefined;

  /** @param total bytes for all buffers of more than {@linkcode SMALL_BUFFER} together */
  constructor(total: number) {
    this.#left = total;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#left;
  }

  /**
   * A buffer of `most` bytes; where memory is short, of a smaller power of two, at least {@linkcode SMALL_BUFFER}.
   */
  lend(most: number): LentBuffer {
    const size = this.sizeOf(most);
    const counted = size > SMALL_BUFFER ? size : 0;
    // This fails where the system has no memory left, before anything is counted.
    const bytes = new Uint8Array(size);
    this.#left -= counted;
    let lent = true;
    const buffer: LentBuffer = {
      bytes,
      [Symbol.dispose]: () => {
        if (!lent) return;
        lent = false;
        this.#left += counted;
        // It is freed now: until the garbage collector runs, there could be any number of them. It is never lent again,
        // since bytes of one connection must not appear in another.
        const memory = buffer.bytes.buffer;
        if (!memory.detached) memory.transfer(0);
      },
    };
    return buffer;
  }

  /** How many bytes {@linkcode BufferBudget.lend} would lend now. */
  sizeOf(most: number): number {
    const share = 2 ** Math.floor(Math.log2(Math.max(1, this.#left / SHARE)));
    return Math.min(most, Math.max(SMALL_BUFFER, share));
  }

  /** A buffer for bytes that are read and discarded. All readers write into the same memory. */
  get trash(): Uint8Array<ArrayBuffer> {
    return this.#trash ??= new Uint8Array(64 * 1024);
  }

  /** Whether {@linkcode BufferBudget.lend} would lend that many bytes. */
  has(size: number): boolean {
    return this.sizeOf(size) === size;
  }
}
