/**
 * Sorts the names of directories of any size in little memory: the names of large directories are kept in a temporary
 * file.
 *
 * @module
 */

import { compareNames, sortNames } from "../../../lib/core/name_order.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { openNameless } from "../../../lib/files/unlinked_file.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** About how much memory the names of one {@linkcode NameStore} may use, in bytes. */
const MEMORY_BYTES = 128 * 1024;

/** The memory overhead of a short string, in bytes. */
const TEXT_BYTES = 32;

/** How many bytes of the temporary file are read at a time. No system allows longer names. */
const BLOCK_BYTES = 8 * 1024;

/** How many sorted runs are merged at a time. */
const MERGED_AT_ONCE = 64;

/** Where sorted names are kept: in memory, or in a range of bytes of the temporary file. */
type Segment = { names: string[] } | { from: number; to: number };

const utf8 = new TextEncoder();

function memoryOf(names: readonly string[]): number {
  return names.reduce((sum, { length }) => sum + length + TEXT_BYTES, 0);
}

/** A queue of sorted names. */
export class NameQueue implements Disposable {
  readonly #store: NameStore;
  /** The segments, in order. */
  #segments: Segment[] = [];
  #memory = 0;

  /** Counts bytes of memory in use; a negative number subtracts. */
  #count(bytes: number): void {
    this.#memory += bytes;
    this.#store.memory += bytes;
  }

  /** An empty queue; {@linkcode NameStore.read} fills one. */
  constructor(store: NameStore) {
    this.#store = store;
  }

  /** About how much memory the names use, in bytes. */
  get memory(): number {
    return this.#memory;
  }

  /** The byte offset in the file after the last of its names. */
  get end(): number {
    return this.#segments.reduce((end, part) => "to" in part ? Math.max(end, part.to) : end, 0);
  }

  /** Takes at most that many names from the front; an empty array if none are left. */
  async take(most: number): Promise<string[]> {
    const [first] = this.#segments;
    if (!first) return [];
    if (!("names" in first)) {
      const { names, bytes } = await this.#store.block(first);
      first.from += bytes;
      if (first.from >= first.to) this.#segments.shift();
      this.putBack(names);
      return this.take(most);
    }
    const names = first.names.splice(0, most);
    if (first.names.length === 0) this.#segments.shift();
    this.#count(-memoryOf(names));
    return names;
  }

  /** Puts names back to the front. */
  putBack(names: string[]): void {
    if (names.length === 0) return;
    this.#segments.unshift({ names });
    this.#count(memoryOf(names));
  }

  /** Appends names, to the temporary file if there is one. */
  async push(names: string[]): Promise<void> {
    const segment = await this.#store.write(names);
    const last = this.#segments.at(-1);
    const follows = last && "to" in last && "from" in segment && last.to === segment.from;
    if (follows) last.to = segment.to;
    else this.#segments.push(segment);
    if ("names" in segment) this.#count(memoryOf(names));
  }

  /** Moves the names in memory to the temporary file, if there is one. */
  async park(): Promise<void> {
    for (const [at, segment] of this.#segments.entries()) {
      if (!("names" in segment)) continue;
      const parked = await this.#store.write(segment.names);
      this.#segments[at] = parked;
      if ("to" in parked) this.#count(-memoryOf(segment.names));
    }
  }

  /** Discards the names. */
  [Symbol.dispose](): void {
    this.#count(-this.#memory);
    this.#store.forget(this);
    this.#segments = [];
  }
}

/** Runs merges of names one after the other: several at the same time would add up their memory. */
export class MergeQueue {
  #last: Promise<void> = Promise.resolve();

  /** Runs a merge when those before it have ended. */
  run(merge: () => Promise<void>): Promise<void> {
    const running = this.#last.then(merge);
    this.#last = running.catch(() => {});
    return running;
  }
}

/** Keeps the names of several directories for a walk through them. */
export class NameStore implements Disposable {
  readonly #merges: MergeQueue;
  /** The temporary file; undefined before it is needed, null if none can be created. */
  #file: Deno.FsFile | null | undefined;
  /** The queues, in the order in which they were read. */
  readonly #queues = new Set<NameQueue>();
  /** The end of the used part of the file; undefined if it has to be determined again. */
  #end: number | undefined = 0;
  /** About how much memory all names use, in bytes. */
  memory = 0;

  /**
   * A store with no names.
   *
   * @param merges shared with other stores that may be filled at the same time. Default: a new queue, not shared.
   */
  constructor(merges: MergeQueue = new MergeQueue()) {
    this.#merges = merges;
  }

  /**
   * Reads names, in the order of their UTF-8 bytes: all of them are read before the first is returned.
   *
   * @throws what `names` throws
   */
  async read(names: AsyncIterable<string> | Iterable<string>): Promise<NameQueue> {
    using scratch = new NameStore(this.#merges);
    const runs: NameQueue[] = [];
    const pace = new Pace();
    let run: string[] = [];
    let memory = 0;
    for await (const name of names) {
      run.push(name);
      memory += name.length + TEXT_BYTES;
      if (pace.isDue) await pace.rest();
      if (memory < MEMORY_BYTES) continue;
      runs.push(await scratch.#queue(sortNames(run)));
      run = [];
      memory = 0;
    }
    sortNames(run);
    const queue = new NameQueue(this);
    this.#queues.add(queue);
    if (runs.length === 0) queue.putBack(run);
    else {
      runs.push(await scratch.#queue(run));
      await this.#merges.run(() => scratch.#merge(runs, queue, pace));
    }
    await this.settle();
    return queue;
  }

  /** Moves names to the file if those in memory exceed the limit. */
  async settle(): Promise<void> {
    if (this.memory <= MEMORY_BYTES) return;
    for (const queue of this.#queues) if (queue.memory > 0) await queue.park();
  }

  async #queue(names: string[]): Promise<NameQueue> {
    const queue = new NameQueue(this);
    this.#queues.add(queue);
    await queue.push(names);
    return queue;
  }

  /** Merges sorted runs of this store into a queue of another. */
  async #merge(runs: NameQueue[], into: NameQueue, pace: Pace): Promise<void> {
    while (runs.length > MERGED_AT_ONCE) {
      const merged = new NameQueue(this);
      this.#queues.add(merged);
      for await (const names of mergedNames(runs.splice(0, MERGED_AT_ONCE), pace)) {
        await merged.push(names);
      }
      runs.push(merged);
    }
    for await (const names of mergedNames(runs, pace)) await into.push(names);
  }

  /** Writes names to the file. If that fails, they stay in memory. */
  async write(names: string[]): Promise<Segment> {
    if (this.#file === undefined) this.#file = await openScratch();
    if (!this.#file || names.length === 0) return { names };
    const bytes = utf8.encode(names.join("\0") + "\0");
    const from = this.#end ??= this.#lastEnd();
    try {
      this.#file.seekSync(from, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) {
        done += await this.#file.write(bytes.subarray(done));
      }
      this.#end = from + bytes.length;
      return { from, to: this.#end };
    } catch {
      // The disk may be full.
      return { names };
    }
  }

  #lastEnd(): number {
    let end = 0;
    for (const queue of this.#queues) end = Math.max(end, queue.end);
    return end;
  }

  /** The first names of a range of the file, and their length there in bytes. */
  async block(
    { from, to }: { from: number; to: number },
  ): Promise<{ names: string[]; bytes: number }> {
    const block = new Uint8Array(Math.min(BLOCK_BYTES, to - from));
    this.#file!.seekSync(from, Deno.SeekMode.Start);
    let filled = 0;
    while (filled < block.length) {
      const count = await this.#file!.read(block.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    const bytes = block.lastIndexOf(0, filled - 1) + 1;
    if (bytes === 0) throw new FerryError("io", "a temporary file lost what was written to it");
    const text = new TextDecoder("utf-8", { ignoreBOM: true });
    return { names: text.decode(block.subarray(0, bytes - 1)).split("\0"), bytes };
  }

  /** Removes a queue. */
  forget(queue: NameQueue): void {
    this.#queues.delete(queue);
    if (this.#file) this.#end = undefined;
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = null;
  }
}

/** Merges the names of sorted runs. */
async function* mergedNames(
  runs: readonly NameQueue[],
  pace: Pace,
): AsyncGenerator<string[], void, void> {
  /** The runs with their next names. */
  const heads = runs.map((queue) => ({ queue, names: [] as string[] }));
  for (;;) {
    for (const head of heads) {
      if (head.names.length === 0) head.names = await head.queue.take(Infinity);
    }
    const left = heads.filter(({ names }) => names.length > 0);
    if (left.length === 0) return;
    // Names up to the lowest of the heads' last names precede all names that were not read yet.
    const bound = left.map(({ names }) => names.at(-1)!).reduce((a, b) =>
      compareNames(a, b) < 0 ? a : b
    );
    const next: string[] = [];
    for (const head of left) {
      const count = countUpTo(head.names, bound);
      next.push(...head.names.slice(0, count));
      head.names = head.names.slice(count);
    }
    yield sortNames(next);
    if (pace.isDue) await pace.rest();
  }
}

/** How many of the sorted names are not greater than `bound`. */
function countUpTo(names: readonly string[], bound: string): number {
  let [from, to] = [0, names.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareNames(names[middle]!, bound) <= 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** Opens a temporary file for names; null if none can be created. */
async function openScratch(): Promise<Deno.FsFile | null> {
  // Without the permission the runtime would prompt the user.
  for (const name of ["read", "write"] as const) {
    if (Deno.permissions.querySync({ name }).state !== "granted") return null;
  }
  try {
    return await openNameless();
  } catch {
    return null;
  }
}
