/**
 * Memory for the bytes that are on their way. Connections come in any number, and each may stop in the
 * middle of anything: what all of them hold together is limited here.
 *
 * @module
 */

/** What anybody gets who asks, however many there are, in bytes. */
export const SMALL_BUFFER: number = 4 * 1024;

/** What all larger buffers of this process may hold together, in bytes. */
export const ALL_BUFFERS: number = 8 * 1024 * 1024;

/** The part of what is left that one buffer may take: the more are held, the smaller are the next ones. */
const SHARE = 4;

/** A buffer for as long as it is needed: when it is disposed of, its memory is gone. */
export interface LentBuffer extends Disposable {
  /** The buffer. Who has its memory moved, as to another thread, puts here what it has become. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** A number of bytes that is shared among buffers. */
export class BufferBudget {
  #left: number;
  #trash: Uint8Array<ArrayBuffer> | undefined;

  /** A budget of that many bytes for all buffers of more than {@linkcode SMALL_BUFFER}. */
  constructor(total: number) {
    this.#left = total;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#left;
  }

  /**
   * A buffer of `most` bytes, or where memory is short, of a power of two below that, at least
   * {@linkcode SMALL_BUFFER}.
   */
  lend(most: number): LentBuffer {
    const size = this.sizeOf(most);
    const counted = size > SMALL_BUFFER ? size : 0;
    // The system may have none left.
    const bytes = new Uint8Array(size);
    this.#left -= counted;
    let lent = true;
    const buffer: LentBuffer = {
      bytes,
      [Symbol.dispose]: () => {
        if (!lent) return;
        lent = false;
        this.#left += counted;
        // It is freed now, not when garbage is collected: by then there might be any number of them. It is
        // never lent again: bytes of one connection must not turn up in another.
        const memory = buffer.bytes.buffer;
        if (!memory.detached) memory.transfer(0);
      },
    };
    return buffer;
  }

  /** How large a buffer would be now of which `most` bytes were asked for. */
  sizeOf(most: number): number {
    const share = 2 ** Math.floor(Math.log2(Math.max(1, this.#left / SHARE)));
    return Math.min(most, Math.max(SMALL_BUFFER, share));
  }

  /** A buffer for bytes that are read to be thrown away: all who do so write over each other. */
  get trash(): Uint8Array<ArrayBuffer> {
    return this.#trash ??= new Uint8Array(64 * 1024);
  }

  /** Whether a buffer of that many bytes can be had. */
  has(size: number): boolean {
    return this.sizeOf(size) === size;
  }
}
