/**
 * Runs of zeros that become holes: places of a file for which its file system stores nothing, and which read as zeros.
 *
 * @module
 */

/** A run of zeros of at least this many bytes becomes a hole. A shorter one saves too little to fragment the file. */
export const HOLE_BYTES: number = 64 * 1024;

/** Holes begin and end at multiples of this in the file: file systems have blocks of this size, or a divisor of it. */
const BLOCK_BYTES = 4096;

const ZEROS = new Uint8Array(HOLE_BYTES);

/** What holes are made in: a file that is written from its start to its end. */
export interface HoleTarget {
  /** Writes all bytes after what was written or left out before. */
  write(bytes: Uint8Array): Promise<void>;
  /** The same for few bytes, at once. */
  writeSync(bytes: Uint8Array): void;
  /** Leaves out that many bytes: what is written next comes after them. */
  skip(count: number): void;
  /** Makes the file as long as what was written and left out. */
  extend(): void;
}

/** Writes a file with holes. */
export class HoleWriter {
  readonly #target: HoleTarget;
  /** The position in the file after all that was passed to this writer. */
  #position: number;
  /** How many zeros at the end of that are neither written nor left out yet. */
  #zeros = 0;

  /** A writer that continues at a position of its target. */
  constructor(target: HoleTarget, position: number) {
    this.#target = target;
    this.#position = position;
  }

  /** Appends bytes. Zeros at their end may stay undecided until {@linkcode HoleWriter.settle}. */
  async write(bytes: Uint8Array): Promise<void> {
    const { length } = bytes;
    const zeros = new Zeros(bytes);
    /** Where the bytes begin that are neither written nor left out. */
    let from = 0;
    /** Where the run of zeros begins that ends at `at`; undecided zeros from before are part of one that begins at 0. */
    let run = 0;
    for (let at = 0; at < length;) {
      const end = Math.min(length, at + BLOCK_BYTES - (this.#position + at) % BLOCK_BYTES);
      if (!zeros.fill(at, end)) {
        const before = run === 0 ? this.#zeros : 0;
        if (before + at - run >= HOLE_BYTES) {
          if (run > from) await this.#target.write(bytes.subarray(from, run));
          this.#target.skip(before + at - run);
          from = at;
        } else if (before > 0) this.#target.writeSync(ZEROS.subarray(0, before));
        if (run === 0) this.#zeros = 0;
        run = end;
      }
      at = end;
    }
    if (run > from) await this.#target.write(bytes.subarray(from, run));
    this.#zeros = length - run + (run === 0 ? this.#zeros : 0);
    this.#position += length;
  }

  /** Decides on zeros at the end: the file has its whole length afterwards. */
  settle(): void {
    const zeros = this.#zeros;
    if (zeros === 0) return;
    this.#zeros = 0;
    if (zeros < HOLE_BYTES) return this.#target.writeSync(ZEROS.subarray(0, zeros));
    this.#target.skip(zeros);
    this.#target.extend();
  }
}

/** Finds zeros in the bytes of one buffer, in words of four bytes: one by one they would take several times as long. */
class Zeros {
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  /** The position of the first word, which is at a multiple of four in memory. */
  readonly #first: number;

  constructor(bytes: Uint8Array) {
    const { buffer, byteOffset, length } = bytes;
    this.#bytes = bytes;
    this.#first = Math.min(length, (4 - byteOffset % 4) % 4);
    this.#words = new Int32Array(buffer, byteOffset + this.#first, (length - this.#first) >> 2);
  }

  /** Whether the bytes from one position up to another are all zero. */
  fill(from: number, to: number): boolean {
    const [words, first] = [this.#words, this.#first];
    let word = Math.max(0, (from - first + 3) >> 2);
    const end = Math.max(word, (to - first) >> 2);
    if (!this.#zeroBytes(from, Math.min(to, first + word * 4))) return false;
    for (; word + 8 <= end; word += 8) {
      const some = words[word]! | words[word + 1]! | words[word + 2]! | words[word + 3]! |
        words[word + 4]! | words[word + 5]! | words[word + 6]! | words[word + 7]!;
      if (some !== 0) return false;
    }
    return this.#zeroBytes(Math.max(from, first + word * 4), to);
  }

  #zeroBytes(from: number, to: number): boolean {
    for (let at = from; at < to; at++) if (this.#bytes[at] !== 0) return false;
    return true;
  }
}
