/**
 * A file that is open to be sent: all of it, a range of it, or the rest after the bytes that the client already has.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { checksumOfSource } from "../../lib/digest/source_digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { StoredFile } from "../storage/storage.ts";
import { assertVersion } from "./basis.ts";
import { type ClaimedPrefix, provenPrefix } from "./download_proof.ts";

/** Options of opening a file to send it. */
export interface OpenFileOptions {
  /** The checksum algorithm. */
  algorithm: Algorithm;
  /** The requested range. It is cut at the end of the file. Default: undefined, the whole file. */
  range?: ByteRange | undefined;
  /** The version that the file has to have. Default: any. */
  version?: string | undefined;
  /** The beginning of the file that the client claims to have. It is not sent again if it is proven to be the same. */
  prefix?: ClaimedPrefix | undefined;
  /**
   * The algorithms whose checksums have to be known once the file is open. Where one was recorded nowhere, the file is
   * read for it. Default: none.
   */
  checksums?: readonly Algorithm[] | undefined;
}

/** A range of a file. */
export interface ByteRange {
  /** Its first byte. Default: 0. */
  start?: number | undefined;
  /** The number of bytes. Default: all from `start` on. */
  count?: number | undefined;
}

/** The part of the file that is to be sent. */
interface Content {
  /** The offset in the file of the first byte to be sent. */
  offset: number;
  /** The number of bytes to be sent. */
  size: number;
  /** The digest of the bytes before the offset, if it was computed. */
  digest?: Digest | undefined;
}

/** A file that is open for reading. It stays the same file even if another file gets its name. */
export class OpenedFile implements ByteSource, AsyncDisposable {
  readonly #file: StoredFile;
  /** Whether a range of the file was requested. */
  readonly isRange: boolean;
  /** The part of the file that is to be sent. */
  readonly content: Content;
  /** What is known of its checksums: those that were asked for when it was opened, and what the storage said since. */
  readonly #known: Map<Algorithm, Checksum | null>;
  #checksum: Checksum | null | undefined;

  private constructor(
    file: StoredFile,
    content: Content,
    { isRange, known }: { isRange: boolean; known: Map<Algorithm, Checksum | null> },
  ) {
    this.#file = file;
    this.content = content;
    this.isRange = isRange;
    this.#known = known;
    file.seek(content.offset);
  }

  /**
   * Determines what is to be sent of an open file. The file is disposed of together with the result.
   *
   * @throws {FerryError} `busy` if it has another version than the one that is wanted; what reading it fails with
   */
  static async of(
    runtime: Runtime,
    file: StoredFile,
    { algorithm, range, version, prefix, checksums = [] }: OpenFileOptions,
  ): Promise<OpenedFile> {
    if (version !== undefined) assertVersion(file, version);
    const { size } = file.entry;
    const known = new Map<Algorithm, Checksum | null>();
    for (const each of checksums) known.set(each, await checksumIn(runtime, file, each));
    if (range) {
      const offset = Math.min(range.start ?? 0, size);
      const count = Math.min(range.count ?? size, size - offset);
      return new OpenedFile(file, { offset, size: count }, { isRange: true, known });
    }
    const { size: offset, digest } = prefix
      ? await provenPrefix(runtime, file, { algorithm, claimed: prefix })
      : { size: 0, digest: undefined };
    const content = { offset, size: size - offset, digest };
    return new OpenedFile(file, content, { isRange: false, known });
  }

  /** The entry of the file when it was opened. */
  get entry(): Entry {
    return this.#file.entry;
  }

  /** Its version; undefined if the storage does not tell versions. */
  get version(): string | undefined {
    return this.#file.version;
  }

  /**
   * The checksum of the whole file; null if it is not known before the file is read, or only a range was requested. A
   * storage may have to look it up, so it is asked for only once, and not at all for a small file.
   */
  get checksum(): Checksum | null {
    if (this.#checksum === undefined) {
      this.#checksum = this.isRange ? null : this.#file.entry.checksum;
    }
    return this.#checksum;
  }

  /** The checksum of the whole file by an algorithm, as far as it is at hand; null otherwise. */
  known(algorithm: Algorithm): Checksum | null {
    let known = this.#known.get(algorithm);
    if (known === undefined) this.#known.set(algorithm, known = this.#file.known(algorithm));
    return known;
  }

  /** A part of the file as a source. Nothing else may read the file meanwhile. */
  part({ offset, size }: { offset: number; size: number }): ByteSource {
    this.#file.seek(offset);
    let left = size;
    return {
      read: async (into) => {
        if (left === 0) return null;
        const count = await this.#file.read(into.length > left ? into.subarray(0, left) : into);
        left -= count ?? 0;
        return count;
      },
    };
  }

  /** See {@linkcode ByteSource.read}. */
  read(into: Uint8Array): Promise<number | null> {
    return this.#file.read(into);
  }

  /**
   * See {@linkcode ByteSource.assertUnchanged}. For a range, the checksum of the whole file is not known, so nothing is
   * read again.
   */
  async assertUnchanged(whole?: Checksum): Promise<void> {
    await this.#file.assertUnchanged?.(this.isRange ? undefined : whole);
  }

  /**
   * Gives the storage the checksum of the file after all of it was read, so that the storage need not read it again.
   */
  async remember(checksum: Checksum): Promise<void> {
    if (!this.isRange && this.checksum === null) await this.#file.remember(checksum);
  }

  /** Closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

/** The checksum of an open file, which is read for it if it was recorded nowhere. */
export async function checksumIn(
  runtime: Runtime,
  file: StoredFile,
  algorithm: Algorithm,
): Promise<Checksum> {
  const known = await file.find(algorithm);
  if (known !== null) return known;
  file.seek(0);
  const checksum = await checksumOfSource(runtime, file, { algorithm });
  await file.remember(checksum);
  return checksum;
}
