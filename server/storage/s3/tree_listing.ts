/**
 * Lists the contents of a directory of a bucket, in the order of a tree, with few pages of the store's list in memory.
 *
 * @module
 */

import type { Listed } from "../../../lib/core/entry.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import { type FileName, parseFileName } from "../../../lib/core/remote_name.ts";
import { Pace } from "../../../lib/core/time_slices.ts";
import type { ListOptions } from "../storage.ts";
import type { ListedObject } from "./bucket.ts";
import { isClaim } from "./claim.ts";
import { FlatList } from "./flat_list.ts";
import { directoryEntry, listedFileEntry } from "./object_attributes.ts";
import { parseOwnName, prefixOf, RESERVED_PREFIX } from "./object_names.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { inTreeOrder } from "./tree_order.ts";

/** Options of {@linkcode listTree}. */
export interface ListTreeOptions extends ListOptions {
  /** How many keys a page has at most. Default: 1000. */
  pageSize?: number | undefined;
  /** How many keys are held back at most for the order. Default: that of `inTreeOrder`. */
  mostHeld?: number | undefined;
}

/**
 * Lists the contents of a directory, as `Storage.list` does. Objects of other programs whose keys are no names of files
 * are omitted.
 *
 * @throws {FerryError} `not_found`, `not_a_file`, `io`
 */
export async function* listTree(
  served: ServedBucket,
  name: FileName | "",
  { recursive, omitted = false, pageSize, mostHeld }: ListTreeOptions,
): AsyncGenerator<Listed, void, void> {
  const { bucket, lookup, closing: signal } = served;
  if (!lookup.fits(name)) throw notFound();
  const prefix = prefixOf(name);
  const delimiter = recursive ? undefined : "/";
  using source = new FlatList(bucket, { prefix, delimiter, pageSize, signal });
  if (name === "") source.skip(RESERVED_PREFIX);
  else if (await lookup.head(name)) throw new FerryError("not_a_file", "it is not a directory");
  const lines = new Lines(served, prefix);
  const pace = new Pace();
  let exists = name === "";
  for await (const { key, object } of inTreeOrder(source, { base: prefix.length, mostHeld })) {
    if (object && isClaim(object)) continue;
    exists = true;
    for (const line of lines.of(key, object)) {
      if (line.type !== undefined || omitted) yield line;
    }
    if (pace.isDue) await pace.rest();
  }
  if (exists) return;
  await lookup.assertParents(name as FileName);
  throw notFound();
}

/** Makes the lines of a list from keys in the order of a tree. */
class Lines {
  readonly #served: ServedBucket;
  /** What all keys begin with. */
  readonly #prefix: string;
  /** The prefixes of the directories around the last key, from the outside. */
  readonly #around: string[] = [];
  /** Keys that begin with this are left out. */
  #hidden: string | undefined;
  /** The name of the last file. */
  #file: string | undefined;

  constructor(served: ServedBucket, prefix: string) {
    this.#served = served;
    this.#prefix = prefix;
  }

  /**
   * The lines for a key and for the directories that it is the first one of.
   *
   * @param object undefined for what several keys have in common
   */
  *of(key: string, object?: ListedObject): Generator<Listed, void, void> {
    if (this.#hidden !== undefined && key.startsWith(this.#hidden)) return;
    const around = this.#around;
    while (around.length > 0 && !key.startsWith(around.at(-1)!)) around.pop();
    let from = around.at(-1)?.length ?? this.#prefix.length;
    for (let slash; (slash = key.indexOf("/", from)) >= 0; from = slash + 1) {
      const directory = key.slice(0, slash);
      const flaw = this.#file === directory ? fileOfSameName() : this.#flawOf(directory);
      if (flaw) {
        this.#hidden = key.slice(0, slash + 1);
        // A file of that name has its own line already, and an empty part has no name.
        const hasName = this.#file !== directory && !/(^|\/)$/.test(directory);
        yield { filename: hasName ? directory : this.#hidden, omitted: flaw };
        return;
      }
      around.push(key.slice(0, slash + 1));
      yield directoryEntry(directory as FileName);
    }
    // What ends with a slash is the directory itself.
    if (!object || from === key.length) return;
    const flaw = this.#flawOf(key);
    if (flaw) {
      yield { filename: key, omitted: flaw };
      return;
    }
    this.#file = key;
    yield listedFileEntry(key as FileName, object, this.#served.engine);
  }

  /** Why nothing can be served under a name; undefined if something can. */
  #flawOf(name: string): FerryError | undefined {
    try {
      // Only the server itself lists what is reserved for it.
      const isOwn = this.#prefix.startsWith(RESERVED_PREFIX);
      this.#served.lookup.assertFits(isOwn ? parseOwnName(name) : parseFileName(name));
      return undefined;
    } catch (error) {
      return toFerryError(error);
    }
  }
}

function notFound(): FerryError {
  return new FerryError("not_found", "no such file or directory");
}

function fileOfSameName(): FerryError {
  return new FerryError("not_a_file", "a file has the name of this directory");
}
