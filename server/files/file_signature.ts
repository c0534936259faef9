/**
 * The signature of a file: the hashes of its blocks, by which a client finds what the file has in common with its own.
 *
 * @module
 */

import type { Entry } from "../../lib/core/entry.ts";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { assertRecordCount, strongBytes } from "../../lib/delta/block_sizes.ts";
import { type Range, Ranges } from "../../lib/delta/ranges.ts";
import { Signer } from "../../lib/delta/signer.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import { MIN_REMEMBERED_BYTES } from "../storage/kept_hashes.ts";
import type { StoredFile } from "../storage/storage.ts";
import { assertVersion, versionOf } from "./basis.ts";
import { BlockHasher, HASH_BYTES } from "./content_hashes.ts";
import { rangePieces } from "./range_pieces.ts";

/** Which signature is wanted. */
export interface WantedSignature {
  /** The size of the blocks in bytes. */
  block: number;
  /** Whether the records have the weak hashes, too. */
  rolling: boolean;
  /** The version that the file has to have. Default: undefined, any. */
  version?: string | undefined;
  /** The encoded ranges that it is wanted of, in blocks. Default: undefined, the whole file. */
  ranges?: Uint8Array | undefined;
}

/** Records are sent at the latest when they are so many bytes. */
const SEND_BYTES = 16 * 1024;

/** Records are sent at the latest after so many bytes of the file were read. */
const SEND_AFTER_BYTES = 32 * 1024 * 1024;

/** An open file whose signature is sent. */
export class FileSignature implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #file: StoredFile;
  readonly #wanted: WantedSignature;
  readonly #ranges: Ranges | undefined;
  /** How many bytes of the strong hash a record has. */
  readonly strong: number;
  /** The version of the file. */
  readonly version: string;

  private constructor(
    runtime: Runtime,
    file: StoredFile,
    wanted: WantedSignature,
    { version, ranges }: { version: string; ranges: Ranges | undefined },
  ) {
    const { size } = file.entry;
    this.#runtime = runtime;
    this.#file = file;
    this.#wanted = wanted;
    this.#ranges = ranges;
    this.version = version;
    this.strong = strongBytes(size, wanted.block);
  }

  /**
   * Determines which signature of an open file is sent. The file is disposed of together with the result.
   *
   * @throws {FerryError} `busy` if the file has another version; `bad_version` if the storage does not tell versions;
   * `bad_header` for ranges that are not valid; `too_large` if there would be too many records
   */
  static of(runtime: Runtime, file: StoredFile, wanted: WantedSignature): FileSignature {
    const { block, ranges: encoded } = wanted;
    const version = versionOf(file);
    if (wanted.version !== undefined) assertVersion(file, wanted.version);
    const { size } = file.entry;
    const ranges = encoded && Ranges.decode(encoded, size, block);
    assertRecordCount(ranges?.size ?? size, block);
    return new FileSignature(runtime, file, wanted, { version, ranges });
  }

  /** The entry of the file when it was opened. */
  get entry(): Entry {
    return this.#file.entry;
  }

  /**
   * The records, several at a time. The hashes of a whole file are remembered by the storage, and not computed again if
   * they are known.
   *
   * @throws {FerryError} `busy` if the file changes meanwhile
   */
  async *records(): AsyncGenerator<Uint8Array, void, void> {
    const { block, rolling } = this.#wanted;
    if (rolling || this.#ranges) return yield* this.#ofRanges();
    const known = await this.#file.findHashes();
    if (known?.block === block) yield shortened(known.hashes, this.strong);
    else yield* this.#ofWhole();
  }

  async *#ofRanges(): AsyncGenerator<Uint8Array, void, void> {
    const { block, rolling } = this.#wanted;
    const { size } = this.entry;
    const signer = await Signer.create({ size, block, rolling });
    const records = new Records();
    for await (const { bytes, ends } of this.#pieces(this.#ranges ?? wholeOf(size))) {
      records.add(signer.update(bytes), bytes.length);
      if (ends) records.add(signer.endRange());
      if (records.isDue) yield records.take();
    }
    yield records.take();
  }

  /** Like {@linkcode FileSignature.#ofRanges} for a whole file without weak hashes, which are remembered. */
  async *#ofWhole(): AsyncGenerator<Uint8Array, void, void> {
    const { block } = this.#wanted;
    const { size } = this.entry;
    const hasher = await BlockHasher.create(block, size);
    if (!hasher) return yield* this.#ofRanges();
    const records = new Records();
    let added = 0;
    for await (const { bytes } of this.#pieces(wholeOf(size))) {
      hasher.update(bytes);
      const { complete } = hasher;
      records.add(shortened(complete.subarray(added), this.strong), bytes.length);
      added = complete.length;
      if (records.isDue) yield records.take();
    }
    const blocks = hasher.finish();
    records.add(shortened(blocks.hashes.subarray(added), this.strong));
    yield records.take();
    if (size >= MIN_REMEMBERED_BYTES) await this.#file.rememberHashes(blocks);
  }

  async *#pieces(ranges: Iterable<Range>) {
    try {
      yield* rangePieces(this.#runtime, this.#file, ranges);
      await this.#file.assertUnchanged?.();
    } catch (error) {
      const { code, reason } = toFerryError(error);
      if (code !== "io") throw error;
      throw new FerryError("busy", `the file cannot be read to its end: ${reason}`, {
        cause: error,
      });
    }
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

/** Records that are to be sent together. */
class Records {
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #read = 0;

  /** Adds records, for which so many bytes of the file were read. */
  add(records: Uint8Array, read = 0): void {
    this.#read += read;
    if (records.length === 0) return;
    this.#pieces.push(records);
    this.#bytes += records.length;
  }

  /** Whether they should be sent now. */
  get isDue(): boolean {
    return this.#bytes >= SEND_BYTES || this.#bytes > 0 && this.#read >= SEND_AFTER_BYTES;
  }

  /** Returns and removes them. */
  take(): Uint8Array {
    const all = new Uint8Array(this.#bytes);
    let filled = 0;
    for (const piece of this.#pieces) {
      all.set(piece, filled);
      filled += piece.length;
    }
    this.#pieces = [];
    this.#bytes = this.#read = 0;
    return all;
  }
}

function wholeOf(size: number): Range[] {
  return size === 0 ? [] : [{ from: 0, size }];
}

/** The first bytes of each hash. */
function shortened(hashes: Uint8Array, strong: number): Uint8Array {
  if (strong === HASH_BYTES) return hashes.slice();
  const records = new Uint8Array(hashes.length / HASH_BYTES * strong);
  for (let from = 0, to = 0; from < hashes.length; from += HASH_BYTES, to += strong) {
    for (let i = 0; i < strong; i++) records[to + i] = hashes[from + i]!;
  }
  return records;
}
