/**
 * Limits the total memory of buffers. Any number of connections may stall in the middle of a message; the limit applies
 * to the buffers of all of them together.
 *
 * @module
 */

/** The size of a buffer that is always granted, however little memory is left, in bytes. */
export const SMALL_BUFFER: number = 4 * 1024;

/** The default limit for the total memory of all larger buffers, in bytes. */
export const ALL_BUFFERS: number = 8 * 1024 * 1024;

/**
 * A buffer may use at most 1/SHARE of the memory that is left. So the more are in use, the smaller the next ones are.
 */
const SHARE = 4;

/** All reserved buffers together use at most this share of the total, so that something is left for the other ones. */
const RESERVED_SHARE = 3 / 4;

/** A buffer. Its memory is freed when it is disposed of. */
export interface LentBuffer extends Disposable {
  /** The buffer. If its memory was transferred to another thread and back, the new array has to be assigned here. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** Memory that is counted, and allocated by others. It counts until it is disposed of. */
export interface CountedMemory extends Disposable {
  /** How many bytes may be allocated. */
  readonly size: number;
}

/** A caller that waits for a buffer. */
interface Waiting {
  readonly size: number;
  grant(buffer: LentBuffer): void;
  fail(error: unknown): void;
}

/** A total number of bytes that buffers share. */
export class BufferBudget {
  #left: number;
  /** The most bytes of all reserved buffers together. */
  readonly #reservable: number;
  #reserved = 0;
  /** Who waits for a reserved buffer, in the order of the calls. */
  readonly #waiting: Waiting[] = [];
  #trash: Uint8Array<ArrayBuffer> | undefined;

  /** @param total the limit in bytes for all buffers larger than {@linkcode SMALL_BUFFER} together */
  constructor(total: number) {
    this.#left = total;
    this.#reservable = total * RESERVED_SHARE;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#left;
  }

  /**
   * Returns a buffer of `most` bytes; if memory is short, of a smaller power of two, at least {@linkcode SMALL_BUFFER}.
   */
  lend(most: number): LentBuffer {
    const size = this.sizeOf(most);
    const counted = size > SMALL_BUFFER ? size : 0;
    return this.#take(size, counted);
  }

  /**
   * Counts as many bytes as {@linkcode BufferBudget.lend} would lend, for buffers that others allocate, such as those in
   * which data arrives.
   */
  count(most: number): CountedMemory {
    const size = this.sizeOf(most);
    const counted = size > SMALL_BUFFER ? size : 0;
    this.#left -= counted;
    let counts = true;
    return {
      size,
      [Symbol.dispose]: () => {
        if (!counts) return;
        counts = false;
        this.#left += counted;
        this.#serve();
      },
    };
  }

  /**
   * Returns a buffer of exactly `size` bytes, as soon as it can be granted; callers are served in the order of their
   * calls. All buffers that were granted so use at most three quarters of the total together, but one is granted
   * whenever there is no other, however little the total is. Use it for what cannot be done with less memory, and hold
   * no such buffer while waiting for a second one unless the first is sure to be freed.
   *
   * @throws the signal's abort reason when it is aborted before the buffer is granted
   */
  async reserve(size: number, signal?: AbortSignal): Promise<LentBuffer> {
    signal?.throwIfAborted();
    if (this.#waiting.length === 0 && this.#grants(size)) return this.#reserve(size);
    const { promise, resolve, reject } = Promise.withResolvers<LentBuffer>();
    const waiting: Waiting = { size, grant: resolve, fail: reject };
    const giveUp = () => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      reject(signal!.reason);
      this.#serve();
    };
    this.#waiting.push(waiting);
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }

  #grants(size: number): boolean {
    return this.#reserved === 0 ||
      this.#reserved + size <= this.#reservable && size <= this.#left;
  }

  #reserve(size: number): LentBuffer {
    const buffer = this.#take(size, size, () => void (this.#reserved -= size));
    this.#reserved += size;
    return buffer;
  }

  /** Grants what can be granted now to those that wait. */
  #serve(): void {
    for (let first; (first = this.#waiting[0]) && this.#grants(first.size);) {
      this.#waiting.shift();
      try {
        first.grant(this.#reserve(first.size));
      } catch (error) {
        first.fail(error);
      }
    }
  }

  #take(size: number, counted: number, onFreed?: () => void): LentBuffer {
    // If the system is out of memory, this throws before anything is counted.
    const bytes = new Uint8Array(size);
    this.#left -= counted;
    let lent = true;
    const buffer: LentBuffer = {
      bytes,
      [Symbol.dispose]: () => {
        if (!lent) return;
        lent = false;
        this.#left += counted;
        onFreed?.();
        // The memory is freed immediately: until the garbage collector runs, there could be any number of old buffers.
        // It is never reused, since bytes of one connection must not appear in another.
        const memory = buffer.bytes.buffer;
        if (!memory.detached) memory.transfer(0);
        this.#serve();
      },
    };
    return buffer;
  }

  /** The size in bytes of the buffer that {@linkcode BufferBudget.lend} would return now. */
  sizeOf(most: number): number {
    const share = 2 ** Math.floor(Math.log2(Math.max(1, this.#left / SHARE)));
    return Math.min(most, Math.max(SMALL_BUFFER, share));
  }

  /** A buffer for bytes that are read and discarded. All callers share the same memory. */
  get trash(): Uint8Array<ArrayBuffer> {
    return this.#trash ??= new Uint8Array(64 * 1024);
  }

  /** Whether {@linkcode BufferBudget.lend} would return a buffer of that size. */
  has(size: number): boolean {
    return this.sizeOf(size) === size;
  }
}
