/**
 * The records of a signature, to be found by the hashes of a block.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";
import { WEAK_BYTES } from "./block_sizes.ts";
import type { Ranges } from "./ranges.ts";
import {
  MAX_PROBES,
  powerOf,
  type RollingExports,
  startRolling,
  STATE,
  STATE_BYTES,
} from "./rolling_module.ts";
import { readEnd, readRecords, type SignatureReply } from "./signature.ts";
import { startsWith } from "./strong_hash.ts";

/** The most records of one table. */
export const MAX_ENTRIES: number = 512 * 1024;

/** How many blocks with the same weak hash and different strong hashes are kept. */
const MAX_ALIKE = 8;

/**
 * How many bits the filter has for each entry, at least, as long as it is not longer than {@linkcode FILTER_BYTES}. Each
 * position at which one is set by chance is looked up, which takes as long as to move on by ten bytes.
 */
const FILTER_BITS = 256;

/** The most bytes of the filter, so that it is kept in the processor's caches. */
const FILTER_BYTES: number = 4 * 1024 * 1024;

/** A page of a WebAssembly memory, in bytes. */
const PAGE_BYTES = 65536;

/**
 * A hash table of records. Entries are numbered from 1 in ascending order of their offsets in the remote file.
 *
 * Of blocks that are equal only the first is found. The others are its `twins`, so that a file full of zeros is no slow
 * case.
 */
export class SearchTable {
  readonly #exports: RollingExports;
  readonly #records: Uint8Array;
  readonly #strong: number;
  readonly #remoteSize: number;
  readonly #offsets: Float64Array;
  /** For the first of equal blocks: the next entry with the same weak and another strong hash. */
  readonly #alike: Uint32Array;
  /** The next entry of an equal block; 0 behind the last one. */
  readonly #twins: Uint32Array;
  /** The first one of the blocks that are equal to an entry. */
  readonly #firsts: Uint32Array;
  /** The size of a block in bytes. */
  readonly block: number;
  /** How many entries there are. */
  readonly count: number;
  /** Where windows of the local file are put to be scanned. */
  readonly window: Uint8Array;
  /** The address of `window`. */
  readonly windowAt: number;
  readonly #state: DataView;

  private constructor(
    records: Uint8Array,
    ranges: Ranges,
    block: number,
    { size, strong }: SignatureReply,
    windowBytes: number,
  ) {
    const stride = WEAK_BYTES + strong;
    const count = records.length / stride;
    this.#records = records;
    this.#strong = strong;
    this.#remoteSize = size;
    this.block = block;
    this.count = count;
    this.#offsets = new Float64Array(count + 2);
    this.#alike = new Uint32Array(count + 1);
    this.#twins = new Uint32Array(count + 1);
    this.#firsts = new Uint32Array(count + 1);

    const slots = 2 ** Math.ceil(Math.log2(2 * count + 2));
    const filterBytes = Math.min(FILTER_BYTES, slots / 2 * FILTER_BITS / 8);
    const table = STATE_BYTES + filterBytes;
    const weaks = table + slots * 4;
    this.windowAt = weaks + count * 4;
    const pages = Math.ceil((this.windowAt + windowBytes) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.#exports = startRolling(memory);
    this.window = new Uint8Array(memory.buffer, this.windowAt, windowBytes);
    this.#state = new DataView(memory.buffer, 0, STATE_BYTES);
    this.#state.setBigUint64(STATE.power, powerOf(block), true);
    this.#state.setUint32(STATE.filter, STATE_BYTES, true);
    this.#state.setUint32(STATE.filterMask, filterBytes - 4, true);
    this.#state.setUint32(STATE.table, table, true);
    this.#state.setUint32(STATE.tableMask, slots - 1, true);
    this.#state.setUint32(STATE.weaks, weaks - 4, true);

    let entry = 1;
    for (const { from, size } of ranges) {
      for (let at = 0; at < size; at += block) this.#offsets[entry++] = from + at;
    }
    this.#offsets[entry] = NaN;
    this.#enter(memory, { filter: STATE_BYTES, filterBytes, table, slots, weaks });
  }

  /**
   * Reads the records of ranges, and makes a table of them.
   *
   * @param windowBytes how long {@linkcode SearchTable.window} has to be
   * @throws {FerryError} `bad_header` if the signature is not as long as it has to be; what the reply fails with
   */
  static async read(
    reply: SignatureReply,
    ranges: Ranges,
    block: number,
    windowBytes: number,
  ): Promise<SearchTable> {
    let count = 0;
    for (const { size } of ranges) count += Math.ceil(size / block);
    if (count > MAX_ENTRIES) throw new FerryError("internal", "too many records were asked for");
    const records = new Uint8Array(count * (WEAK_BYTES + reply.strong));
    await readRecords(reply, records);
    await readEnd(reply);
    return new SearchTable(records, ranges, block, reply, windowBytes);
  }

  /** Enters all whole blocks into the filter and the table. */
  #enter(
    { buffer }: WebAssembly.Memory,
    at: { filter: number; filterBytes: number; table: number; slots: number; weaks: number },
  ): void {
    const filter = new Uint32Array(buffer, at.filter, at.filterBytes / 4);
    const table = new Uint32Array(buffer, at.table, at.slots);
    const weaks = new Uint32Array(buffer, at.weaks, this.count);
    const view = new DataView(this.#records.buffer);
    const stride = WEAK_BYTES + this.#strong;
    /** The last one of equal blocks, by the first one. */
    const lasts = new Uint32Array(this.count + 1);
    for (let entry = 1; entry <= this.count; entry++) {
      this.#firsts[entry] = lasts[entry] = entry;
      if (this.sizeOf(entry) < this.block) continue;
      const weak = view.getUint32((entry - 1) * stride, true);
      weaks[entry - 1] = weak;
      const known = this.#exports.find(weak);
      if (known === 0) {
        for (let probe = 0; probe < MAX_PROBES; probe++) {
          const slot = weak + probe & at.slots - 1;
          if (table[slot] !== 0) continue;
          table[slot] = entry;
          filter[weak >>> 5 & filter.length - 1]! |= 1 << (weak & 31);
          break;
        }
        continue;
      }
      let last = known;
      for (
        let other = known, n = 0;
        other !== 0 && n < MAX_ALIKE;
        other = this.#alike[other]!, n++
      ) {
        if (startsWith(this.#strongOf(other), this.#records, this.#strongAt(entry), this.#strong)) {
          this.#twins[lasts[other]!] = entry;
          lasts[other] = entry;
          this.#firsts[entry] = other;
          last = 0;
          break;
        }
        last = n === MAX_ALIKE - 1 ? 0 : other;
      }
      if (last !== 0) this.#alike[last] = entry;
    }
  }

  #strongAt(entry: number): number {
    return (entry - 1) * (WEAK_BYTES + this.#strong) + WEAK_BYTES;
  }

  #strongOf(entry: number): Uint8Array {
    const at = this.#strongAt(entry);
    return this.#records.subarray(at, at + this.#strong);
  }

  /** The offset of the block of an entry in the remote file, in bytes. NaN behind the last entry. */
  offsetOf(entry: number): number {
    return this.#offsets[entry]!;
  }

  /** The size of the block of an entry in bytes: that of the last block of the file may be smaller than the others. */
  sizeOf(entry: number): number {
    return Math.min(this.block, this.#remoteSize - this.#offsets[entry]!);
  }

  /** Whether a strong hash is that of an entry. */
  matches(entry: number, hash: Uint8Array): boolean {
    return startsWith(hash, this.#records, this.#strongAt(entry), this.#strong);
  }

  /** Of entries with the same weak hash, the one after `entry` whose blocks differ from it; 0 behind the last one. */
  nextAlike(entry: number): number {
    return this.#alike[entry]!;
  }

  /** The next entry whose block is equal to that of `entry`; 0 behind the last one. */
  nextTwin(entry: number): number {
    return this.#twins[entry]!;
  }

  /** The first entry whose block is equal to that of `entry`. */
  firstTwin(entry: number): number {
    return this.#firsts[entry]!;
  }

  /** Begins a scan with the window at an address. Returns an entry with its weak hash; 0 if there is none. */
  begin(address: number): number {
    this.#state.setBigUint64(STATE.hash, 0n, true);
    return this.#exports.find(this.#exports.hash(address, address + this.block));
  }

  /**
   * Goes on with the scan from the window at an address to the next one whose weak hash is that of an entry.
   *
   * @param last the address of the last window
   * @returns its address and the entry; undefined if there is none up to the last one
   */
  scan(address: number, last: number): { address: number; entry: number } | undefined {
    const found = this.#exports.scan(address, last, this.block);
    if (found === -1) return undefined;
    return { address: found, entry: this.#state.getUint32(STATE.entry, true) };
  }
}
