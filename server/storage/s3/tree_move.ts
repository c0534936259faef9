/**
 * Moves files and directories within a bucket: copies them on the side of the store, and then removes the originals.
 *
 * The move of a directory is many copies and removals. Before the first of them a record is kept under `.ferry/moves`,
 * by which the same move goes on where an earlier one was cut.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { sleep } from "../../../lib/core/clock.ts";
import { compareNames } from "../../../lib/core/name_order.ts";
import type { MoveOptions } from "../storage.ts";
import type { ListedObject, ObjectHead } from "./bucket.ts";
import { isClaim } from "./claim.ts";
import { FlatList } from "./flat_list.ts";
import { inParallel, settled } from "../in_parallel.ts";
import { canClaim, claimName, giveUpClaim } from "./name_claim.ts";
import { copyObject, type CopySizes } from "./object_copy.ts";
import { knownChecksum } from "./object_attributes.ts";
import { pagesOf } from "./name_lookup.ts";
import { hashOf, prefixOf, RESERVED_PREFIX } from "./object_names.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { keepingParent, Removal, removeFile } from "./tree_removal.ts";

/** How many objects are copied at the same time. */
const COPIES_AT_ONCE = 8;

/** How many originals are gathered before they are deleted. */
const GATHERED = 1000;

/** How often new objects of a directory that is being moved are taken along. */
const ROUNDS = 5;

/** For how long a move that was cut can be continued, in milliseconds. */
const CONTINUABLE_MS = 24 * 60 * 60 * 1000;

/** How long a store may take to show that a copy is younger than its original, in milliseconds. */
const SETTLE_MS = 1000;

const utf8 = new TextEncoder();

/** Options of {@linkcode move}. */
export interface MoveTreeOptions extends MoveOptions {
  /** How objects are copied. Default: that of `copyObject`. */
  sizes?: CopySizes | undefined;
}

/**
 * Moves a file or a directory, as `Storage.move` does.
 *
 * @throws {FerryError} `not_found`, `exists`, `not_a_file`, `bad_name`, `busy`, `io`
 */
export async function move(
  served: ServedBucket,
  from: FileName,
  to: FileName,
  { signal: asked, ...options }: MoveTreeOptions,
): Promise<void> {
  const { lookup, closing } = served;
  const signal = AbortSignal.any([closing, ...(asked ? [asked] : [])]);
  const work = { served, from, to, signal, ...options };
  const source = await lookup.look(from, { signal });
  if (!source) {
    if (await new TreeMove(work).isFinished()) return;
    throw new FerryError("not_found", "no such file or directory");
  }
  if (from === to) return;
  lookup.assertFits(to);
  if (source !== "directory") return await moveFile(work, source);
  if (options.keep) throw new FerryError("not_a_file", "it is a directory");
  if (prefixOf(to).startsWith(prefixOf(from))) {
    throw new FerryError("bad_name", "a directory cannot be moved into itself");
  }
  await new TreeMove(work).run();
}

interface Work {
  served: ServedBucket;
  from: FileName;
  to: FileName;
  replace: boolean;
  keep?: boolean | undefined;
  assertMay?: (() => void) | undefined;
  sizes?: CopySizes | undefined;
  signal: AbortSignal;
}

async function moveFile(work: Work, source: ObjectHead): Promise<void> {
  const { served, from, to, keep, assertMay, signal } = work;
  const replace = work.replace && !keep;
  const { bucket, lookup } = served;
  const [there] = await settled([
    lookup.look(to, { signal }),
    lookup.assertParents(to, { signal }),
  ]);
  if (there && !(replace && there !== "directory")) {
    // A copy of an earlier request, whose reply was lost.
    const isCopied = keep && there !== "directory" && there.etag === source.etag &&
      there.size === source.size;
    if (isCopied) return;
    throw taken();
  }
  assertMay?.();
  const etag = replace ? await copyTo(work, source) : await createCopy(work, source);
  lookup.published(to);
  const copy = await bucket.head(to, { signal });
  if (copy?.size !== source.size || copy.etag !== etag) {
    throw new FerryError("busy", "another writer has replaced the copy; the old name stays");
  }
  if (keep) return;
  const now = await bucket.head(from, { signal });
  if (now && now.etag !== source.etag) {
    throw new FerryError("busy", "the file was replaced while it was copied; both names stay");
  }
  await keepingParent(
    served,
    from,
    { found: source, signal },
    () => removeFile(served, source, signal),
  );
}

function copyTo({ served, to, sizes, signal }: Work, source: ObjectHead): Promise<string> {
  return copyObject(served, source, to, { sizes, signal });
}

/** Copies a file to a name that nothing may have, under a claim where the store knows conditions. */
async function createCopy(work: Work, source: ObjectHead): Promise<string> {
  const { served, to: name, assertMay } = work;
  if (!canClaim(served)) return await copyTo(work, source);
  const claim = await claimName(served, { name, holder: crypto.randomUUID(), assertMay });
  if ("existing" in claim) throw taken();
  try {
    return await copyTo(work, source);
  } catch (error) {
    await giveUpClaim(served, name, claim.claimed);
    throw error;
  }
}

/** An object of the directory that is moved, and what is under the new name of it. */
interface Pair {
  source: ListedObject;
  /** The key of the copy. */
  to: string;
  /** Undefined if there is none. */
  copy: ListedObject | undefined;
}

/** The move of a directory. */
class TreeMove {
  readonly #work: Work;
  readonly #from: string;
  readonly #to: string;
  /** Whether an earlier move has begun it, so that what is under the new name need not be a copy of this one. */
  #isContinued = false;
  /** How many objects the directory had at the start. */
  #total = 0;
  #copied = 0;

  constructor(work: Work) {
    this.#work = work;
    this.#from = prefixOf(work.from);
    this.#to = prefixOf(work.to);
  }

  /** Whether an earlier move has done everything but to delete its record, which is deleted then. */
  async isFinished(): Promise<boolean> {
    const { served: { bucket, lookup }, to, signal } = this.#work;
    const record = await this.#record();
    if (!await this.#isBegun(record) || !await lookup.isDirectory(to, { signal })) return false;
    await bucket.delete(record);
    return true;
  }

  async run(): Promise<void> {
    const { served, from, to, assertMay, signal } = this.#work;
    const { bucket, lookup } = served;
    const record = await this.#record();
    const [there] = await settled([
      lookup.look(to, { signal }),
      lookup.assertParents(to, { signal }),
    ]);
    this.#isContinued = there === "directory" && await this.#isBegun(record);
    if (there && !this.#isContinued) throw taken();
    await this.#count();
    assertMay?.();
    lookup.madeDirectory(to);
    await bucket.put(record, utf8.encode(JSON.stringify({ from, to })), { signal });
    const removal = new Removal(served, signal);
    try {
      await this.#copyAll();
      const found = "directory";
      await keepingParent(served, from, { found, signal }, () => this.#finish(removal));
      await bucket.delete(record);
    } catch (error) {
      const { code, reason, cause = error } = toFerryError(error);
      const copied = `${this.#copied} of ${this.#total} objects were copied`;
      const removed = removal.deleted === 0
        ? "nothing was removed yet"
        : `${removal.deleted} were removed under the old name`;
      const told = `${reason}; ${copied}, ${removed}; the same move would go on from there`;
      throw new FerryError(code, told, { cause });
    }
  }

  /** Removes the originals. What others have stored there meanwhile is taken along. */
  async #finish(removal: Removal): Promise<void> {
    const { served: { runtime: { clock } }, signal } = this.#work;
    for (let round = 1; !await this.#removeAll(removal); round++) {
      if (round === ROUNDS) throw new FerryError("busy", "other programs keep changing it");
      await sleep(clock, SETTLE_MS, signal);
      await this.#copyAll();
    }
    removal.assertComplete();
  }

  /** The key of the record about this move. */
  async #record(): Promise<string> {
    const { from, to } = this.#work;
    return `${RESERVED_PREFIX}moves/${await hashOf(`${from}\0${to}`)}`;
  }

  async #isBegun(record: string): Promise<boolean> {
    const { served: { bucket }, signal } = this.#work;
    const begun = await bucket.head(record, { signal });
    return begun !== undefined && begun.now - begun.modified < CONTINUABLE_MS;
  }

  /**
   * Counts the objects, and fails if one of them cannot be moved.
   *
   * @throws {FerryError} `bad_name`
   */
  async #count(): Promise<void> {
    const { served: { bucket, lookup }, signal } = this.#work;
    for await (const objects of pagesOf(bucket, { prefix: this.#from, signal })) {
      for (const { key } of objects) {
        this.#total++;
        const below = key.slice(this.#from.length);
        lookup.assertFits(this.#to + below);
        if (below.split("/").some((part) => part === "." || part === "..")) {
          throw new FerryError("bad_name", `${quote(key)} cannot be copied because of its name`);
        }
      }
    }
  }

  /** Copies what has no copy yet. */
  async #copyAll(): Promise<void> {
    const { served, sizes, signal } = this.#work;
    let copied = 0;
    await inParallel(COPIES_AT_ONCE, this.#pairs(), async (pair, failed) => {
      if (!pair.copy || !await this.#isCopy(pair, pair.copy)) {
        this.#assertFree(pair);
        const options = { sizes, signal: AbortSignal.any([signal, failed]) };
        await copyObject(served, pair.source, pair.to, options);
      }
      this.#copied = Math.max(this.#copied, ++copied);
    });
  }

  /**
   * Fails if the object under the new name is not an earlier copy of an object that was replaced meanwhile.
   *
   * @throws {FerryError} `exists`
   */
  #assertFree({ to, copy }: Pair): void {
    if (!copy || !this.#isContinued) return;
    throw new FerryError("exists", `${quote(to)} exists already, with other content`);
  }

  /** Removes the originals that have a copy. Returns whether all have. */
  async #removeAll(removal: Removal): Promise<boolean> {
    let isComplete = true;
    let batch: ListedObject[] = [];
    for await (const pair of this.#pairs()) {
      if (!pair.copy || !await this.#isCopy(pair, pair.copy)) {
        isComplete = false;
        continue;
      }
      batch.push(pair.source);
      if (batch.length < GATHERED) continue;
      await removal.delete(batch);
      batch = [];
    }
    await removal.delete(batch);
    return isComplete;
  }

  /** The objects of the directory, each with what is under the new name of it. */
  async *#pairs(): AsyncGenerator<Pair, void, void> {
    const { served: { bucket }, signal } = this.#work;
    using sources = new FlatList(bucket, { prefix: this.#from, signal });
    using copies = new FlatList(bucket, { prefix: this.#to, signal });
    let copy = await copies.next();
    for (let source; (source = await sources.next());) {
      // An upload under that name is about to complete; it is not moved.
      if (isClaim(source.object!)) continue;
      const to = this.#to + source.key.slice(this.#from.length);
      while (copy && compareNames(copy.key, to) < 0) copy = await copies.next();
      yield { source: source.object!, to, copy: copy?.key === to ? copy.object : undefined };
    }
  }

  /** Whether an object is a copy of another one, as it is now. */
  async #isCopy({ source, to }: Pair, copy: ListedObject): Promise<boolean> {
    if (source.size !== copy.size) return false;
    if (source.etag === copy.etag) return true;
    // Some stores give the copy of an object of several parts another ETag, others list it with another one.
    const { served: { bucket, engine }, signal } = this.#work;
    const [original, copied] = await settled([
      bucket.head(source.key, { signal }),
      bucket.head(to, { signal }),
    ]);
    if (!original || original.size !== copied?.size) return false;
    if (original.etag === copied.etag) return true;
    const md5 = knownChecksum(original, "md5", engine);
    if (md5 !== null) return md5 === knownChecksum(copied, "md5", engine);
    return !this.#isContinued && copy.modified > source.modified;
  }
}

function taken(): FerryError {
  return new FerryError("exists", "it exists already");
}
