/**
 * Which entries of a directory are shown, and in which order.
 *
 * @module
 */

import type { Entry } from "../door/door.ts";

/** What entries are sorted by. */
export type SortKey = "name" | "size" | "mtime";

/** An order of entries. */
export interface Order {
  /** What they are sorted by. */
  readonly by: SortKey;
  /** Whether the last comes first. */
  readonly descending: boolean;
}

/** The order when a column is chosen: the other direction if it has been chosen already; else small or new ones first. */
export function nextOrder(order: Order, by: SortKey): Order {
  if (order.by === by) return { by, descending: !order.descending };
  return { by, descending: by !== "name" };
}

/** Sorts entries: directories first, equal ones by name, numbers in names by their value. */
export function sorted(
  entries: readonly Entry[],
  { by, descending }: Order,
  language: string,
): Entry[] {
  const { compare } = new Intl.Collator(language, { numeric: true });
  const sign = descending ? -1 : 1;
  const byName = (a: Entry, b: Entry) =>
    compare(a.name, b.name) || (a.name < b.name ? -1 : Number(a.name > b.name));
  const isDirectory = ({ type }: Entry) => Number(type === "directory");
  return entries.toSorted((a, b) => {
    const kinds = isDirectory(b) - isDirectory(a);
    if (kinds !== 0) return kinds;
    if (by === "name") return sign * byName(a, b);
    // Directories have no size that is shown.
    const difference = by === "size" && isDirectory(a) ? 0 : a[by] - b[by];
    return sign * difference || byName(a, b);
  });
}

/** The entries whose names contain each word of a query, whatever the case and the accents. */
export function found(entries: readonly Entry[], query: string): readonly Entry[] {
  const words = folded(query).split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return entries;
  return entries.filter(({ name }) => {
    const text = folded(name);
    return words.every((word) => text.includes(word));
  });
}

function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
