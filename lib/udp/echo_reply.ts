/**
 * The reply of an echo: the same bytes with ASCII letters in upper case, or unchanged as in RFC 862.
 *
 * @module
 */

const A = 0x61;
const LETTERS = 26;
const CASE_BIT = 0x20;

/** Changes ASCII a to z to upper case, in place. Returns whether there were any. */
export function upperCase(bytes: Uint8Array): boolean {
  let changed = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte - A >>> 0 < LETTERS) {
      bytes[i] = byte & ~CASE_BIT;
      changed = true;
    }
  }
  return changed;
}

/**
 * Compares a reply with that of an echo, in upper case or unchanged. Returns the index of the first wrong byte, or the
 * length of a reply that is too short; undefined if the reply is right.
 */
export function mismatch(sent: Uint8Array, reply: Uint8Array): number | undefined {
  const [upper, same] = [agreement(sent, reply, true), agreement(sent, reply, false)];
  const longest = Math.max(upper, same);
  return longest === sent.length && longest === reply.length ? undefined : longest;
}

/** The number of correct bytes at the beginning. */
function agreement(sent: Uint8Array, reply: Uint8Array, upper: boolean): number {
  const length = Math.min(sent.length, reply.length);
  for (let i = 0; i < length; i++) {
    const byte = sent[i]!;
    const wanted = upper && byte - A >>> 0 < LETTERS ? byte & ~CASE_BIT : byte;
    if (reply[i] !== wanted) return i;
  }
  return length;
}
