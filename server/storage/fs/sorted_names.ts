/**
 * Sorts the names of directories of any size in little memory: the names of large directories wait in a temporary file.
 *
 * @module
 */

import { compareNames, sortNames } from "../../../lib/core/name_order.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { openNameless } from "../../../lib/files/unlinked_file.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** About how many bytes of memory the names of one {@linkcode NameStore} may take. */
const MEMORY_BYTES = 128 * 1024;

/** How many bytes a short text takes in memory besides its characters. */
const TEXT_BYTES = 32;

/** How many bytes of the file are read at a time; no system has longer names. */
const BLOCK_BYTES = 8 * 1024;

/** How many sorted runs are merged at a time. */
const MERGED_AT_ONCE = 64;

/** Where names are: in memory, or in the file from one byte to another. */
type Segment = { names: string[] } | { from: number; to: number };

const utf8 = new TextEncoder();

function memoryOf(names: readonly string[]): number {
  return names.reduce((sum, { length }) => sum + length + TEXT_BYTES, 0);
}

/** Sorted names that are waiting. */
export class NameQueue implements Disposable {
  readonly #store: NameStore;
  /** In order. */
  #segments: Segment[] = [];
  #memory = 0;

  /** Counts bytes of memory that are taken; a negative number is given back. */
  #count(bytes: number): void {
    this.#memory += bytes;
    this.#store.memory += bytes;
  }

  /** An empty queue; {@linkcode NameStore.read} fills one. */
  constructor(store: NameStore) {
    this.#store = store;
  }

  /** About how many bytes of memory they take. */
  get memory(): number {
    return this.#memory;
  }

  /** The byte of the file after the last of its names. */
  get end(): number {
    return this.#segments.reduce((end, part) => "to" in part ? Math.max(end, part.to) : end, 0);
  }

  /** Takes at most that many names from the front; none where none are left. */
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

  /** Puts names in front of the others. */
  putBack(names: string[]): void {
    if (names.length === 0) return;
    this.#segments.unshift({ names });
    this.#count(memoryOf(names));
  }

  /** Appends names, in the file where there is one. */
  async push(names: string[]): Promise<void> {
    const segment = await this.#store.write(names);
    const last = this.#segments.at(-1);
    const follows = last && "to" in last && "from" in segment && last.to === segment.from;
    if (follows) last.to = segment.to;
    else this.#segments.push(segment);
    if ("names" in segment) this.#count(memoryOf(names));
  }

  /** Moves what is in memory into the file, where there is one. */
  async park(): Promise<void> {
    for (const [at, segment] of this.#segments.entries()) {
      if (!("names" in segment)) continue;
      const parked = await this.#store.write(segment.names);
      this.#segments[at] = parked;
      if ("to" in parked) this.#count(-memoryOf(segment.names));
    }
  }

  /** Forgets the names. */
  [Symbol.dispose](): void {
    this.#count(-this.#memory);
    this.#store.forget(this);
    this.#segments = [];
  }
}

/** Lets one merge of names after the other run: several at once would take the memory of each. */
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
  /** Undefined before it is needed, null where there can be none. */
  #file: Deno.FsFile | null | undefined;
  /** In the order in which they were read. */
  readonly #queues = new Set<NameQueue>();
  /** The end of the part of the file that is in use; undefined where that has to be looked up. */
  #end: number | undefined = 0;
  /** About how many bytes of memory all names take. */
  memory = 0;

  /**
   * A store with no names.
   *
   * @param merges shared with the stores that may be filled at the same time. Default: it waits for none.
   */
  constructor(merges: MergeQueue = new MergeQueue()) {
    this.#merges = merges;
  }

  /**
   * Reads names, in the order of their UTF-8 bytes: all of them are read before the first is told.
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

  /** Moves names into the file where those in memory take more than they may. */
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

  /** Writes names to the file; where that fails they stay in memory. */
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

  /** The first names of a part of the file, and how many bytes they take there. */
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

  /** Forgets a queue. */
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

/** The names of sorted runs in order. */
async function* mergedNames(
  runs: readonly NameQueue[],
  pace: Pace,
): AsyncGenerator<string[], void, void> {
  /** The next names of each run. */
  const heads = runs.map((queue) => ({ queue, names: [] as string[] }));
  for (;;) {
    for (const head of heads) {
      if (head.names.length === 0) head.names = await head.queue.take(Infinity);
    }
    const left = heads.filter(({ names }) => names.length > 0);
    if (left.length === 0) return;
    // Names up to the lowest last name of the heads come before all names that were not read yet.
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

/** How many of the sorted names do not come after `bound`. */
function countUpTo(names: readonly string[], bound: string): number {
  let [from, to] = [0, names.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareNames(names[middle]!, bound) <= 0) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A temporary file for names; null where there can be none. */
async function openScratch(): Promise<Deno.FsFile | null> {
  // The runtime would ask the user otherwise.
  for (const name of ["read", "write"] as const) {
    if (Deno.permissions.querySync({ name }).state !== "granted") return null;
  }
  try {
    return await openNameless();
  } catch {
    return null;
  }
}
