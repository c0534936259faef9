/**
 * The names of backups: what is deleted or replaced keeps its name relative to the target, and gets a number where a
 * backup of that name is there already.
 *
 * @module
 */

/** The numbered name for a backup: `a.txt.~1~`. */
export function numbered(name: string, number: number): string {
  return number === 0 ? name : `${name}.~${number}~`;
}

/** The first number after those of the backups in a directory; `names` are the names in it, `own` is the new one. */
export function nextNumber(own: string, names: Iterable<string>): number {
  let last = 0;
  for (const name of names) {
    if (!name.startsWith(`${own}.~`)) continue;
    const [, digits] = /^(\d{1,9})~$/.exec(name.slice(own.length + 2)) ?? [];
    if (digits !== undefined) last = Math.max(last, Number(digits));
  }
  return last + 1;
}
