/**
 * Seals of rows of a database, which reveal flipped bits; SQLite does not detect those.
 *
 * @module
 */

/** The seal of a row whose values are in a text: FNV-1a of 32 bits, twice, from two different offsets. */
export function sealOfText(text: string): string {
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x01000193);
  }
  return `${(a >>> 0).toString(16)}:${(b >>> 0).toString(16)}`;
}
