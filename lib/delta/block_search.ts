/**
 * Looks for the blocks of a remote file at any offset of a local one.
 *
 * @module
 */

import { Pace } from "../core/time_slices.ts";
import { Copies } from "./copies.ts";
import { type RandomAccess, readAt } from "./random_access.ts";
import type { SearchTable } from "./search_table.ts";
import type { Span } from "./spans.ts";
import type { StrongHash } from "./strong_hash.ts";

/** How much of the local file is read at once, in bytes, if blocks are not larger. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * How many bytes may be hashed in vain for each byte that is examined, before a search is given up: only a peer that
 * makes up weak hashes gets there.
 */
const MAX_WASTE = 16;

/** What it takes to look at a candidate beside hashing it, as the number of bytes that are hashed in the same time. */
const CANDIDATE_BYTES = 4096;

/** How many bytes may be hashed in vain in any case. */
const FREE_WASTE: number = 32 * 1024 * 1024;

/** How long the window of a search for blocks of a certain size has to be, in bytes. */
export function windowBytes(block: number): number {
  return 2 * Math.max(CHUNK_BYTES, block);
}

/** Notes what was found. */
export interface Finds {
  /**
   * A block was found.
   *
   * @param place its offset in the local file
   * @param first the first one of the equal entries that it may be
   * @returns the entry that it is taken for
   */
  take(place: number, first: number): number;
  /** The block behind the last one was found to be followed by the one that follows it in the remote file. */
  takeNext(place: number, entry: number): void;
  /** Whether an entry needs a place. */
  wants(entry: number): boolean;
  /** What was found, in ascending order of what is looked for. */
  finish(): Copies;
}

/** Looks for the blocks of a table. */
export class BlockSearch {
  readonly #local: RandomAccess;
  readonly #table: SearchTable;
  readonly #hash: StrongHash;
  readonly #finds: Finds;
  readonly #pace = new Pace();
  /** The local offsets of the bytes that are in the window. */
  #start = 0;
  #end = 0;
  #examined = 0;
  #wasted = 0;

  /** Creates a search that notes in `finds` what it finds. */
  constructor(local: RandomAccess, table: SearchTable, hash: StrongHash, finds: Finds) {
    this.#local = local;
    this.#table = table;
    this.#hash = hash;
    this.#finds = finds;
  }

  /**
   * Looks for blocks within a part of the local file. What it finds is in ascending order and does not overlap.
   *
   * @throws {FerryError} `io` if the local file cannot be read or is shorter than it was
   */
  async search(span: Span): Promise<void> {
    if (this.#pace.isDue) await this.#pace.rest();
    const { block } = this.#table;
    const last = span.to - block;
    this.#start = this.#end = span.from;
    let position = span.from;
    while (position <= last && !this.#isVain) {
      await this.#load(position, block, span);
      let entry = this.#table.begin(this.#addressOf(position));
      let first = this.#verified(entry, position);
      this.#examined++;
      while (first === 0 && position < last && !this.#isVain) {
        await this.#load(position, block + 1, span);
        const farthest = Math.min(last, this.#end - block);
        const found = this.#table.scan(this.#addressOf(position), this.#addressOf(farthest));
        entry = found?.entry ?? 0;
        const reached = found ? found.address - this.#addressOf(0) : farthest;
        this.#examined += reached - position;
        position = reached;
        first = this.#verified(entry, position);
      }
      if (first === 0) break;
      position = await this.#follow(position, first, span);
    }
    await this.#findTail(position, span);
  }

  get #isVain(): boolean {
    return this.#wasted > FREE_WASTE + MAX_WASTE * this.#examined;
  }

  /** Notes a block that was found, and those behind it that follow each other in both files. Returns their end. */
  async #follow(place: number, first: number, span: Span): Promise<number> {
    const { block } = this.#table;
    let entry = this.#finds.take(place, first);
    let position = place + block;
    while (this.#table.offsetOf(entry) + block === this.#table.offsetOf(++entry)) {
      const size = this.#table.sizeOf(entry);
      if (position + size > span.to || !this.#finds.wants(entry)) break;
      await this.#load(position, size, span);
      if (!this.#table.matches(entry, this.#hashOf(position, size))) break;
      this.#finds.takeNext(position, entry);
      position += size;
    }
    return position;
  }

  /** Looks for the last block of the remote file at the end of the local one, if it is shorter than the others. */
  async #findTail(position: number, span: Span): Promise<void> {
    const entry = this.#table.count;
    const size = entry === 0 ? 0 : this.#table.sizeOf(entry);
    const place = span.to - size;
    if (size === 0 || size === this.#table.block || !this.#finds.wants(entry)) return;
    if (span.to !== this.#local.size || place < position) return;
    await this.#load(place, size, span);
    if (this.#table.matches(entry, this.#hashOf(place, size))) this.#finds.takeNext(place, entry);
  }

  /** The first entry of the blocks that are equal to the one at a local offset; 0 if there is none. */
  #verified(candidate: number, position: number): number {
    if (candidate === 0) return 0;
    const hash = this.#hashOf(position, this.#table.block);
    for (let entry = candidate; entry !== 0; entry = this.#table.nextAlike(entry)) {
      if (this.#table.matches(entry, hash)) return entry;
    }
    this.#wasted += CANDIDATE_BYTES + this.#table.block;
    return 0;
  }

  #hashOf(position: number, size: number): Uint8Array {
    const at = position - this.#start;
    this.#hash.begin();
    this.#hash.update(this.#table.window.subarray(at, at + size));
    return this.#hash.end();
  }

  #addressOf(position: number): number {
    return this.#table.windowAt + position - this.#start;
  }

  /** Reads at least `size` bytes at an offset into the window, unless they are there. */
  async #load(position: number, size: number, span: Span): Promise<void> {
    if (position >= this.#start && position + size <= this.#end) return;
    const { window } = this.#table;
    const kept = Math.max(0, this.#end - Math.max(position, this.#start));
    if (kept > 0) window.copyWithin(0, position - this.#start, this.#end - this.#start);
    const filled = Math.min(window.length, span.to - position);
    await readAt(this.#local, position + kept, window.subarray(kept, filled));
    this.#start = position;
    this.#end = position + filled;
  }
}

/** Gives each local place the first one of the equal blocks: for a local file that is to be described. */
export class FoundPlaces implements Finds {
  readonly #table: SearchTable;
  readonly #copies = new Copies();

  /** @param table the blocks that are looked for */
  constructor(table: SearchTable) {
    this.#table = table;
  }

  /** Notes a block. */
  take(place: number, first: number): number {
    this.takeNext(place, first);
    return first;
  }

  /** Notes a block. */
  takeNext(place: number, entry: number): void {
    this.#copies.add(place, this.#table.offsetOf(entry), this.#table.sizeOf(entry));
  }

  /** Always true: any number of places may be the same block. */
  wants(): boolean {
    return true;
  }

  /** What was found, by offsets in the local file. */
  finish(): Copies {
    return this.#copies;
  }
}

/** Gives each remote block a local place: for a remote file that is to be assembled. */
export class FoundBlocks implements Finds {
  readonly #table: SearchTable;
  /** The local place of each block; -1 if it has none. */
  readonly #places: Float64Array;
  /** By the first one of equal blocks: the first one that may have no place yet. */
  readonly #open: Uint32Array;

  /** @param table the blocks that are looked for */
  constructor(table: SearchTable) {
    this.#table = table;
    this.#places = new Float64Array(table.count + 2).fill(-1);
    this.#open = Uint32Array.from({ length: table.count + 1 }, (_, entry) => entry);
  }

  /** Notes the place for the first one of equal blocks that has none. */
  take(place: number, first: number): number {
    let entry = this.#open[first]!;
    while (entry !== 0 && !this.wants(entry)) entry = this.#table.nextTwin(entry);
    this.#open[first] = entry;
    if (entry === 0) return first;
    this.takeNext(place, entry);
    return entry;
  }

  /** Notes the place of a block. */
  takeNext(place: number, entry: number): void {
    this.#places[entry] = place;
  }

  /** Whether a block has no place yet. */
  wants(entry: number): boolean {
    return this.#places[entry] === -1;
  }

  /** What was found, by offsets in the remote file. A block has the place of any equal one if it has none itself. */
  finish(): Copies {
    const places = this.#places;
    const { count } = this.#table;
    for (let entry = 1; entry <= count; entry++) {
      const first = this.#table.firstTwin(entry);
      if (!this.wants(entry) && this.wants(first)) places[first] = places[entry]!;
    }
    const copies = new Copies();
    for (let entry = 1; entry <= count; entry++) {
      const place = this.wants(entry) ? places[this.#table.firstTwin(entry)]! : places[entry]!;
      if (place < 0) continue;
      copies.add(this.#table.offsetOf(entry), place, this.#table.sizeOf(entry));
    }
    return copies;
  }
}
