/**
 * The order of names: that of their UTF-8 bytes, in which object stores and other languages list, and which is the
 * order of their code points.
 *
 * @module
 */

/** The order of JavaScript's own comparison, that of UTF-16 units, is another one where there are such units. */
const SURROGATE = /[\ud800-\udfff]/;

/** Compares two names by their UTF-8 bytes: below 0 where the first one comes first, 0 where they are equal. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return rankOf(x) - rankOf(y);
  }
  return a.length - b.length;
}

/** Ranks UTF-16 units as the code points that they begin: surrogates stand for those above U+FFFF. */
function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Sorts names in place. */
export function sortNames(names: string[]): string[] {
  return names.some((name) => SURROGATE.test(name)) ? names.sort(compareNames) : names.sort();
}
