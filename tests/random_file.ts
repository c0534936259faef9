/**
 * Input for the demo and the benchmarks.
 *
 * @module
 */

const PIECE_BYTES = 1024 * 1024;

/**
 * Writes a file of pseudo-random bytes, which nothing on the way can compress; the same seed gives the
 * same bytes.
 */
export async function writeRandomFile(
  path: string,
  size: number,
  { seed = 1, signal }: { seed?: number; signal?: AbortSignal } = {},
): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const words = new Uint32Array(PIECE_BYTES / 4);
  const bytes = new Uint8Array(words.buffer);
  let state = seed;
  for (let left = size; left > 0;) {
    signal?.throwIfAborted();
    for (let i = 0; i < words.length; i++) {
      // Marsaglia, "Xorshift RNGs", 2003: the shifts 13, 17, 5 have the full period.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    const piece = bytes.subarray(0, left);
    for (let done = 0; done < piece.length;) done += await file.write(piece.subarray(done));
    left -= piece.length;
  }
}
