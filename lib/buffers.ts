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
  /** The buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A number of bytes that is shared among buffers. */
export class BufferBudget {
  #left: number;

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
    this.#left -= counted;
    const { buffer } = new Uint8Array(size);
    let lent = true;
    return {
      bytes: new Uint8Array(buffer),
      [Symbol.dispose]: () => {
        if (!lent) return;
        lent = false;
        this.#left += counted;
        // It is freed now, not when garbage is collected: by then there might be any number of them. It is
        // never lent again: bytes of one connection must not turn up in another.
        buffer.transfer(0);
      },
    };
  }

  /** How large a buffer would be now of which `most` bytes were asked for. */
  sizeOf(most: number): number {
    const share = 2 ** Math.floor(Math.log2(Math.max(1, this.#left / SHARE)));
    return Math.min(most, Math.max(SMALL_BUFFER, share));
  }

  /** Whether a buffer of that many bytes can be had. */
  has(size: number): boolean {
    return this.sizeOf(size) === size;
  }
}

/** The budget of this process. */
export const BUFFERS: BufferBudget = new BufferBudget(ALL_BUFFERS);

/**
 * Two buffers that are used in turn, so that one can be filled while the other is emptied. They begin as
 * large as memory allows, and become larger as it allows more.
 */
export class BufferPair implements Disposable {
  readonly #budget: BufferBudget;
  readonly #most: number;
  readonly #lent: [LentBuffer?, LentBuffer?] = [];
  #turn: 0 | 1 = 1;

  /** Two buffers of up to `most` bytes each. */
  constructor(most: number, budget: BufferBudget = BUFFERS) {
    this.#most = most;
    this.#budget = budget;
  }

  /**
   * Whether there is memory for two. Where there is not, filling one while the other is emptied gains little:
   * {@linkcode BufferPair.same} makes do with one.
   */
  get ample(): boolean {
    return (this.#lent[this.#turn]?.bytes.length ?? 0) > SMALL_BUFFER;
  }

  /** The one that was not given last; what it held is to be done with. */
  next(): Uint8Array<ArrayBuffer> {
    this.#turn = this.#turn === 0 ? 1 : 0;
    return this.same();
  }

  /** The one that was given last; what it held is to be done with. */
  same(): Uint8Array<ArrayBuffer> {
    const lent = this.#lent[this.#turn];
    if (lent && (lent.bytes.length >= this.#most || !this.#budget.has(lent.bytes.length * 2))) {
      return lent.bytes;
    }
    lent?.[Symbol.dispose]();
    return (this.#lent[this.#turn] = this.#budget.lend(this.#most)).bytes;
  }

  /** Gives both back; nothing may be on its way into them or out of them. */
  [Symbol.dispose](): void {
    for (const lent of this.#lent) lent?.[Symbol.dispose]();
  }
}

/** Where bytes go that nobody wants: all write over each other. */
export const TRASH: Uint8Array<ArrayBuffer> = new Uint8Array(64 * 1024);
