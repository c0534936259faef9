/**
 * The keys of a bucket below a prefix, page by page, in the order in which the store lists them. While a page is used,
 * the next one is requested.
 *
 * @module
 */

import { compareNames } from "../../../lib/core/name_order.ts";
import type { Bucket, ListedObject, ListPage, ListPageOptions } from "./bucket.ts";
import { endOf } from "./object_names.ts";
import type { FlatSource } from "./tree_order.ts";

/** A key in a list. */
export interface FlatItem {
  /** The key; with a delimiter, also what several keys have in common up to it. */
  readonly key: string;
  /** The object; undefined for a common prefix. */
  readonly object?: ListedObject | undefined;
}

/** Options of {@linkcode FlatList}. */
export interface FlatListOptions {
  /** What all keys begin with. */
  prefix: string;
  /** Groups keys up to the delimiter. Default: undefined, no groups. */
  delimiter?: "/" | undefined;
  /** How many keys a page has at most. Default: 1000. */
  pageSize?: number | undefined;
  /** Ends the list with the signal's abort reason. */
  signal: AbortSignal;
}

/** A list of keys. It holds two pages in memory. */
export class FlatList implements FlatSource<FlatItem> {
  readonly #bucket: Bucket;
  readonly #options: FlatListOptions;
  readonly #left = new AbortController();
  /** Prefixes of keys that are left out. */
  #skips: string[] = [];
  #page: FlatItem[] = [];
  #at = 0;
  /** The next page; null at the end. */
  #ahead: Promise<ListPage> | null;

  /** Begins to list. */
  constructor(bucket: Bucket, options: FlatListOptions) {
    this.#bucket = bucket;
    this.#options = options;
    this.#ahead = this.#request({});
  }

  #request(options: ListPageOptions): Promise<ListPage> {
    const { prefix, delimiter, pageSize, signal } = this.#options;
    const requested = this.#bucket.list({
      prefix,
      delimiter,
      max: pageSize,
      ...options,
      signal: AbortSignal.any([signal, this.#left.signal]),
    });
    // Nobody may be waiting for it any more when it fails.
    requested.catch(() => {});
    return requested;
  }

  /** The next key; undefined at the end. */
  async next(): Promise<FlatItem | undefined> {
    for (;;) {
      const item = this.#page[this.#at++];
      if (!item) {
        if (!await this.#turn()) return undefined;
        continue;
      }
      const skip = this.#skips.find((prefix) => item.key.startsWith(prefix));
      if (skip === undefined) return item;
      // Where the rest of the page is skipped as well, the pages in between need not be listed.
      if (this.#page.at(-1)!.key.startsWith(skip) && this.#ahead) {
        this.#page = [];
        this.#ahead = this.#request({ startAfter: endOf(skip) });
      }
    }
  }

  /** Takes the next page. Returns whether there is one. */
  async #turn(): Promise<boolean> {
    if (!this.#ahead) return false;
    const { objects, prefixes, next } = await this.#ahead;
    this.#ahead = next === undefined ? null : this.#request({ next });
    this.#page = merged(
      objects.map((object) => ({ key: object.key, object })),
      prefixes.map((key) => ({ key })),
    );
    this.#at = 0;
    const first = this.#page[0]?.key;
    if (first !== undefined) {
      this.#skips = this.#skips.filter((prefix) => compareNames(first, endOf(prefix)) < 0);
    }
    return true;
  }

  /** Leaves out all keys that begin with `prefix`, if they were not given yet. */
  skip(prefix: string): void {
    this.#skips.push(prefix);
  }

  /** A list of its own of the keys that begin with `prefix`, with the same options. */
  within(prefix: string): FlatSource<FlatItem> {
    const { delimiter, signal } = this.#options;
    return delimiter
      ? new CommonPrefix(this.#bucket, prefix, signal)
      : new FlatList(this.#bucket, { ...this.#options, prefix });
  }

  /** Gives up what was requested. */
  [Symbol.dispose](): void {
    this.#ahead = null;
    this.#left.abort(new DOMException("the list was left", "AbortError"));
  }
}

/** The list of one common prefix, if there is a key that begins with it. */
class CommonPrefix implements FlatSource<FlatItem> {
  readonly #bucket: Bucket;
  readonly #signal: AbortSignal;
  #prefix: string | undefined;

  constructor(bucket: Bucket, prefix: string, signal: AbortSignal) {
    this.#bucket = bucket;
    this.#prefix = prefix;
    this.#signal = signal;
  }

  async next(): Promise<FlatItem | undefined> {
    const prefix = this.#prefix;
    if (prefix === undefined) return undefined;
    this.#prefix = undefined;
    const { objects } = await this.#bucket.list({ prefix, max: 1, signal: this.#signal });
    return objects.length > 0 ? { key: prefix } : undefined;
  }

  skip(): void {
    this.#prefix = undefined;
  }

  within(): CommonPrefix {
    return this;
  }

  [Symbol.dispose](): void {}
}

/** Merges two sorted lists of keys. */
function merged(objects: readonly FlatItem[], prefixes: readonly FlatItem[]): FlatItem[] {
  const items: FlatItem[] = [];
  let at = 0;
  for (const object of objects) {
    while (at < prefixes.length && compareNames(prefixes[at]!.key, object.key) < 0) {
      items.push(prefixes[at++]!);
    }
    items.push(object);
  }
  return [...items, ...prefixes.slice(at)];
}
