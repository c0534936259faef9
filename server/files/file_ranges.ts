/**
 * Ranges of a file that are sent to a client that has the rest of it already.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { type Range, Ranges } from "../../lib/delta/ranges.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { StoredFile } from "../storage/storage.ts";
import { assertVersion } from "./basis.ts";
import { checksumIn } from "./opened_file.ts";
import { type RangePiece, rangePieces } from "./range_pieces.ts";

/** Which ranges are wanted. */
export interface WantedRanges {
  /** The algorithm of the checksum of the whole file. */
  algorithm: Algorithm;
  /** The version that the file has to have. */
  version: string;
  /** The encoded ranges, in bytes. */
  ranges: Uint8Array;
}

/**
 * So many bytes, a GiB, are read for a checksum alone while ranges are sent. Ranges are sent many at a time, after all that
 * is between them was read. While more is read, a client might take the server for dead: in the middle of a body nothing
 * else can be sent.
 */
const MAX_GAPS = 2 ** 30;

/** A range that is read. */
interface ReadRange extends Range {
  /** Whether it is read for the checksum alone. */
  readonly isGap: boolean;
}

/**
 * Ranges of an open file, as a source of their bytes, one after the other. Where the checksum of the whole file is not
 * known, the rest of the file is read for it on the way.
 */
export class FileRanges implements ByteSource, AsyncDisposable {
  readonly #file: StoredFile;
  readonly #pieces: AsyncGenerator<RangePiece<ReadRange>, void, void>;
  /** The sum of the lengths of the ranges in bytes. */
  readonly size: number;
  /** The checksum of the whole file; null if it is known only at the end. */
  readonly checksum: Checksum | null;
  readonly #digest: Digest | undefined;
  /** What was read and not returned yet. */
  #piece: Uint8Array = new Uint8Array(0);
  /** How many bytes were not returned yet. */
  #left: number;

  private constructor(
    runtime: Runtime,
    file: StoredFile,
    ranges: Ranges,
    checksum: Checksum | Digest,
  ) {
    this.#file = file;
    this.size = this.#left = ranges.size;
    const isKnown = typeof checksum === "string";
    this.checksum = isKnown ? checksum : null;
    this.#digest = isKnown ? undefined : checksum;
    const read = isKnown ? withoutGaps(ranges) : withGaps(ranges, file.entry.size);
    this.#pieces = rangePieces(runtime, file, read);
  }

  /**
   * Determines which ranges of an open file are sent. The file is disposed of together with the result.
   *
   * @throws {FerryError} `busy` if the file has another version; `bad_header` for ranges that are not valid; what reading
   * the file for its checksum fails with
   */
  static async of(
    runtime: Runtime,
    file: StoredFile,
    { algorithm, version, ranges: encoded }: WantedRanges,
  ): Promise<FileRanges> {
    assertVersion(file, version);
    const ranges = Ranges.decode(encoded, file.entry.size);
    // Without a body there is no closing header that could have it.
    const isNeeded = ranges.size === 0 || file.entry.size - ranges.size > MAX_GAPS;
    const checksum = isNeeded
      ? await checksumIn(runtime, file, algorithm)
      : await file.find(algorithm) ?? await runtime.digests.create(algorithm);
    return new FileRanges(runtime, file, ranges, checksum);
  }

  /** The entry of the file when it was opened. */
  get entry(): Entry {
    return this.#file.entry;
  }

  /** The digest of the whole file, once everything was read; undefined where its checksum is known. */
  get digest(): Digest | undefined {
    const digest = this.#digest;
    return digest && { update: () => {}, checksum: () => digest.checksum() };
  }

  /** See {@linkcode ByteSource.read}. */
  async read(into: Uint8Array): Promise<number | null> {
    if (this.#left === 0) return null;
    while (this.#piece.length === 0) this.#piece = await this.#next() ?? this.#piece;
    const bytes = this.#piece.subarray(0, into.length);
    into.set(bytes);
    this.#piece = this.#piece.subarray(bytes.length);
    const count = bytes.length;
    this.#left -= count;
    // The checksum has to be known when the last bytes are sent. The memory of the pieces is freed by this.
    if (this.#left === 0) { while (await this.#next()); }
    return count;
  }

  /** The bytes of the next piece, none for a gap; undefined at the end of the file. */
  async #next(): Promise<Uint8Array | undefined> {
    const { value } = await this.#pieces.next();
    if (!value) return undefined;
    this.#digest?.update(value.bytes);
    return value.range.isGap ? value.bytes.subarray(0, 0) : value.bytes;
  }

  /** See {@linkcode ByteSource.assertUnchanged}. */
  async assertUnchanged(whole?: Checksum): Promise<void> {
    await this.#file.assertUnchanged?.(whole);
  }

  /** Gives the storage the checksum of the file that was computed on the way. */
  async remember(checksum: Checksum): Promise<void> {
    if (this.#digest) await this.#file.remember(checksum);
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pieces.return();
    await this.#file[Symbol.asyncDispose]();
  }
}

function* withoutGaps(ranges: Ranges): Generator<ReadRange, void, void> {
  for (const range of ranges) yield { ...range, isGap: false };
}

/** The ranges, and what is between them. */
function* withGaps(ranges: Ranges, fileSize: number): Generator<ReadRange, void, void> {
  let end = 0;
  for (const range of ranges) {
    if (range.from > end) yield { from: end, size: range.from - end, isGap: true };
    yield { ...range, isGap: false };
    end = range.from + range.size;
  }
  if (fileSize > end) yield { from: end, size: fileSize - end, isGap: true };
}
