/**
 * Brings keys from the order in which a store lists them into the order of a tree: each directory before its contents,
 * the names of one directory in the order of their UTF-8 bytes.
 *
 * A store compares keys as a whole. The orders differ only by the characters that sort before `/`: the store lists
 * `a-b` and `a.c` before `a/x`, but the directory `a` comes before them. The key `a-b` has the stem `a` for that
 * reason, and is held back until all keys that begin with `a/` were listed. That takes little memory as long as few
 * keys lie between. Where many do, the keys that begin with `a/` are listed on their own before the others go on.
 *
 * @module
 */

import { compareInTree, compareNames } from "../../../lib/core/name_order.ts";

/** How many keys are held back at most. */
const MOST_HELD = 2000;

const SLASH = 0x2f;

/** Keys in the order of their UTF-8 bytes. */
export interface FlatSource<T extends { readonly key: string }> extends Disposable {
  /** The next key; undefined at the end. */
  next(): Promise<T | undefined>;
  /** Leaves out all keys that begin with `prefix`, if they were not given yet. */
  skip(prefix: string): void;
  /** A source of its own of all keys that begin with `prefix`. */
  within(prefix: string): FlatSource<T>;
}

/** Options of {@linkcode inTreeOrder}. */
export interface TreeOrderOptions {
  /** The length of what all keys have in common: only what follows is compared. Default: 0. */
  base?: number | undefined;
  /** How many keys are held back at most. Default: 2000. */
  mostHeld?: number | undefined;
}

/**
 * Gives the keys of a source in the order of a tree. Keys with an empty component, as in `a//b`, are given too, at some
 * place behind that of their directory.
 */
export async function* inTreeOrder<T extends { readonly key: string }>(
  source: FlatSource<T>,
  { base = 0, mostHeld = MOST_HELD }: TreeOrderOptions = {},
): AsyncGenerator<T, void, void> {
  /** What was listed and not given yet, in the order of the tree. */
  const held: T[] = [];
  const stems = new Stems(base);
  for (;;) {
    for (let first; (first = held[0]);) {
      const stem = stems.blocking(first.key);
      if (stem !== undefined) {
        if (held.length < mostHeld) break;
        const region = `${stem}/`;
        stems.settle(stem);
        {
          using below = source.within(region);
          yield* inTreeOrder(below, { base: region.length, mostHeld });
        }
        source.skip(region);
        continue;
      }
      held.shift();
      yield first;
    }
    const item = await source.next();
    if (!item && held.length === 0) return;
    stems.reach(item?.key);
    if (item) insert(held, item);
  }
}

/** Decides which keys have to wait, and for what. */
class Stems {
  readonly #base: number;
  /** The last key of the source; undefined at its end. */
  #reached: string | undefined = "";
  /** Stems below which everything was given. */
  #settled = new Set<string>();

  constructor(base: number) {
    this.#base = base;
  }

  /** Says which key the source has given last; undefined at its end. */
  reach(key: string | undefined): void {
    this.#reached = key;
    for (const stem of this.#settled) if (this.#isPassed(stem)) this.#settled.delete(stem);
  }

  /** Says that everything below a stem was given. */
  settle(stem: string): void {
    this.#settled.add(stem);
  }

  /** The first stem of a key below which there may be keys that come before it; undefined if there is none. */
  blocking(key: string): string | undefined {
    for (let at = this.#base + 1; at < key.length; at++) {
      if (key.charCodeAt(at) >= SLASH || key.charCodeAt(at - 1) === SLASH) continue;
      const stem = key.slice(0, at);
      // What is below a longer stem is listed earlier.
      if (this.#isPassed(stem)) return undefined;
      if (!this.#settled.has(stem)) return stem;
    }
    return undefined;
  }

  /** Whether the source has given everything below a stem. */
  #isPassed(stem: string): boolean {
    // "0" is the character after "/".
    return this.#reached === undefined || compareNames(this.#reached, `${stem}0`) >= 0;
  }
}

/** Inserts an item into a list that is in the order of a tree. */
function insert<T extends { readonly key: string }>(items: T[], item: T): void {
  let [from, to] = [0, items.length];
  // Most keys are in order already.
  if (to > 0 && compareInTree(items[to - 1]!.key, item.key) <= 0) from = to;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareInTree(items[middle]!.key, item.key) <= 0) from = middle + 1;
    else to = middle;
  }
  items.splice(from, 0, item);
}
