/**
 * Which entries of a list are chosen, and which one the keyboard is at.
 *
 * @module
 */

/** A selection. Entries are known by their names, so that it outlives another order and a new list. */
export interface Selection {
  /** The names of the chosen entries. */
  readonly chosen: ReadonlySet<string>;
  /** The entry that the keyboard is at; undefined before the first key. */
  readonly at: string | undefined;
  /** Where a range begins that is extended. */
  readonly anchor: string | undefined;
}

/** Nothing is chosen. */
export const NOTHING: Selection = { chosen: new Set(), at: undefined, anchor: undefined };

/** Goes to an entry and chooses it alone. */
export function choose(name: string): Selection {
  return { chosen: new Set([name]), at: name, anchor: name };
}

/** Goes to an entry and chooses it as well, or no longer. */
export function toggle({ chosen }: Selection, name: string): Selection {
  const next = new Set(chosen);
  if (!next.delete(name)) next.add(name);
  return { chosen: next, at: name, anchor: name };
}

/** Goes to an entry and chooses all from the anchor to it. */
export function extend(
  selection: Selection,
  names: readonly string[],
  name: string,
): Selection {
  const anchor = selection.anchor ?? selection.at ?? name;
  const from = Math.max(0, names.indexOf(anchor));
  const to = names.indexOf(name);
  const range = names.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { chosen: new Set(range), at: name, anchor };
}

/** Goes to an entry; what is chosen stays. */
export function goTo({ chosen }: Selection, name: string): Selection {
  return { chosen, at: name, anchor: name };
}

/** Chooses all entries, or none if all are chosen. */
export function chooseAll(selection: Selection, names: readonly string[]): Selection {
  const all = names.length > 0 && names.every((name) => selection.chosen.has(name));
  return { ...selection, chosen: new Set(all ? [] : names) };
}

/** The selection before entries are removed: the keyboard goes to the next one that stays. */
export function besides(
  selection: Selection,
  names: readonly string[],
  removed: ReadonlySet<string>,
): Selection {
  const last = names.findLastIndex((name) => removed.has(name));
  const at = names.slice(last + 1)[0] ?? names.findLast((name) => !removed.has(name));
  return { ...selection, at };
}

/** The selection after the list has changed: entries that are gone are no longer chosen. */
export function among(selection: Selection, names: ReadonlySet<string>): Selection {
  const known = (name: string | undefined) => name !== undefined && names.has(name);
  return {
    chosen: new Set([...selection.chosen].filter(known)),
    at: known(selection.at) ? selection.at : undefined,
    anchor: known(selection.anchor) ? selection.anchor : undefined,
  };
}
