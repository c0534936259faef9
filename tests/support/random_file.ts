/**
 * Input data for the tests, the demo and the benchmarks.
 *
 * @module
 */

const PIECE_BYTES = 1024 * 1024;

/** Marsaglia, "Xorshift RNGs", 2003: the shifts 13, 17, 5 have the full period. */
class Xorshift {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  fill(words: Uint32Array): void {
    let state = this.#state;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    this.#state = state;
  }
}

/**
 * Pseudo-random bytes, which cannot be compressed and do not repeat. The same seed, which must not be 0, yields the
 * same bytes.
 */
export function randomBytes(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(size / 4));
  new Xorshift(seed).fill(words);
  return new Uint8Array(words.buffer, 0, size);
}

/** Writes a file of such bytes. */
export async function writeRandomFile(
  path: string,
  size: number,
  { seed = 1, signal }: { seed?: number; signal?: AbortSignal } = {},
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const words = new Uint32Array(PIECE_BYTES / 4);
  const bytes = new Uint8Array(words.buffer);
  const random = new Xorshift(seed);
  for (let left = size; left > 0;) {
    signal?.throwIfAborted();
    random.fill(words);
    const piece = bytes.subarray(0, left);
    for (let done = 0; done < piece.length;) done += await file.write(piece.subarray(done));
    left -= piece.length;
  }
}
