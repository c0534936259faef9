/**
 * Contents of files that tell by themselves whether they are complete.
 *
 * @module
 */

import { randomNumbers } from "./faulty_peer.ts";

/**
 * Bytes that can be recognised: the first 8 are the seed and the length, which determine all others, so that a mixture
 * of two files, or a piece of one, never passes for a complete one. Contents shorter than that are zeros.
 */
export function contentOf(seed: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  if (size < 8) return bytes;
  const random = randomNumbers(seed);
  const words = new Uint32Array(bytes.buffer, 0, size >> 2);
  const period = Math.min(words.length, 4099);
  for (let at = 0; at < period; at++) words[at] = random(2 ** 32);
  for (let at = period; at < words.length; at++) words[at] = words[at % period]! ^ at;
  words[0] = seed;
  words[1] = size;
  return bytes;
}

/** Whether bytes are a complete result of {@linkcode contentOf} for some seed. */
export function isWhole(bytes: Uint8Array): boolean {
  if (bytes.length < 8) return bytes.every((byte) => byte === 0);
  const [seed, size] = new Uint32Array(bytes.slice(0, 8).buffer);
  return size === bytes.length && sameBytes(bytes, contentOf(seed!, size));
}

/** Whether two arrays have the same bytes. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
