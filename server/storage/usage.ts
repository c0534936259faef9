/**
 * What a storage holds, and how much more it could take.
 *
 * @module
 */

/** Things of one kind. */
export interface Amount {
  /** How many there are. */
  readonly count: number;
  /** How many bytes they have together. */
  readonly bytes: number;
}

/** What a storage holds and could take, all sizes in bytes. */
export interface StorageUsage {
  /** The file system: its size, and what an upload could use of it. Undefined: the system does not tell. */
  readonly disk: { readonly size: number; readonly free: number } | undefined;
  /** The quota, and what is counted so far. Undefined: there is none. */
  readonly quota: { readonly limit: number; readonly used: number } | undefined;
  /** The partial uploads of all owners, as far as they are recorded. Undefined: they are not counted yet. */
  readonly partialUploads: Amount | undefined;
  /** The staged trees. The bytes do not include what an earlier process has left in them. Undefined: it keeps none. */
  readonly stagedTrees: Amount | undefined;
}

/** A storage that may know what it holds. */
export interface TellsUsage {
  /** What it holds and could take; fails with `io` if nothing can be served. Default: undefined, nobody counts. */
  readonly usage?: (() => Promise<StorageUsage>) | undefined;
}

/** The sum of several amounts. */
export function sumOf(amounts: Iterable<Amount>): Amount {
  let [count, bytes] = [0, 0];
  for (const each of amounts) {
    count += each.count;
    bytes += each.bytes;
  }
  return { count, bytes };
}
