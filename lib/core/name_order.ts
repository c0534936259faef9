/**
 * The order of names: that of their UTF-8 bytes, which equals the order of their code points. Object stores and other
 * languages use the same order.
 *
 * @module
 */

/** Matches surrogates. With those, JavaScript's own comparison by UTF-16 code units gives another order. */
const SURROGATE = /[\ud800-\udfff]/;

const SLASH = 0x2f;

/** Compares two names by their UTF-8 bytes: negative if the first one comes first, 0 if they are equal. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) return rankOf(x) - rankOf(y);
  }
  return a.length - b.length;
}

/**
 * Maps UTF-16 code units to ranks in the order of code points: surrogates represent code points above U+FFFF, so they
 * come last.
 */
function rankOf(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/**
 * Compares two names by the order of a tree: negative if the first one comes first, 0 if they are equal. It is the order
 * of the UTF-8 bytes, but with `/` before every other character.
 */
export function compareInTree(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x === y) continue;
    if (x === SLASH) return -1;
    if (y === SLASH) return 1;
    return compareNames(a.slice(at), b.slice(at));
  }
  return a.length - b.length;
}

/** Sorts names in place. */
export function sortNames(names: string[]): string[] {
  return names.some((name) => SURROGATE.test(name)) ? names.sort(compareNames) : names.sort();
}
