/**
 * The digest of a whole file, which is computed while the file is searched and sent.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { ChunkPipeline } from "../../lib/digest/chunk_pipeline.ts";
import type { Digest } from "../../lib/digest/digest.ts";
import { PrefixDigest } from "../../lib/digest/prefix_digest.ts";
import { CHUNK_BYTES, fillChunk } from "../../lib/digest/source_digest.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { SourceReaders } from "./source_readers.ts";

/** From this size on, in bytes, md5 is worth a thread of its own: meanwhile the main thread has other work. */
const THREADED_BYTES = 32 * 1024 * 1024;

/** Up to this size, in bytes, a file is likely to be in memory still when it is read for the second time. */
const REREAD_BYTES = 2 * 1024 * 1024 * 1024;

/** Options of {@linkcode WholeDigest.start}. */
export interface WholeDigestOptions {
  /** The checksum algorithm. */
  algorithm: Algorithm;
  /** The digest of the first `offset` bytes; undefined where that is 0. */
  behind?: Digest | undefined;
  /** From where on the file is to be digested. */
  offset: number;
  /** Provides buffers and threads. */
  runtime: Runtime;
  /** Whether the server makes the new version while the file is searched. Default: false, afterwards. */
  meanwhile?: boolean | undefined;
}

/**
 * Digests a file in one of three ways. md5 of a large file takes much longer than all else, so a thread computes it from
 * the beginning, and reads the file by itself. With another algorithm, a file that is not too large is read once more
 * when the search is over: then the server makes the new version, and this side has nothing else to do. Of all others,
 * small files, very large ones and those that the server makes meanwhile, the bytes are digested that are read for the
 * search anyway.
 */
export class WholeDigest implements AsyncDisposable {
  readonly #digest: Digest;
  readonly #source: SourceReaders;
  readonly #runtime: Runtime;
  /** How many bytes of the file have been digested, those that a thread digests aside. */
  #position: number;
  /** Whether what is read for the search is digested. */
  readonly #takes: boolean;
  /** The rest of the file, which is being digested. */
  #rest: Promise<void> | undefined;
  #stopped = false;

  private constructor(
    source: SourceReaders,
    digest: Digest,
    { offset, runtime, threaded, meanwhile }:
      & Pick<WholeDigestOptions, "offset" | "runtime" | "meanwhile">
      & { threaded: boolean },
  ) {
    this.#source = source;
    this.#digest = digest;
    this.#position = offset;
    this.#runtime = runtime;
    this.#takes = source.size < THREADED_BYTES ||
      !threaded && (meanwhile || source.size > REREAD_BYTES);
    if (threaded) void this.#digestRest();
  }

  /** Begins to digest a file. */
  static async start(
    source: SourceReaders,
    { algorithm, behind, offset, runtime, meanwhile }: WholeDigestOptions,
  ): Promise<WholeDigest> {
    const threaded = algorithm === "md5" && !behind && source.size >= THREADED_BYTES;
    const digest = behind ??
      (threaded
        ? await PrefixDigest.create({ algorithm, proof: false }, runtime.digests)
        : await runtime.digests.create(algorithm));
    return new WholeDigest(source, digest, { offset, runtime, threaded, meanwhile });
  }

  /**
   * Takes the next bytes of the file, counted from its start: they need not be read again. Undefined where they are read
   * by themselves.
   */
  get take(): ((piece: Uint8Array) => void) | undefined {
    if (!this.#takes) return undefined;
    let at = 0;
    return (piece) => {
      const known = this.#position - at;
      at += piece.length;
      if (known >= piece.length) return;
      this.#digest.update(known > 0 ? piece.subarray(known) : piece);
      this.#position = at;
    };
  }

  /**
   * The checksum of the whole file, once the rest of it has been read.
   *
   * @throws {FerryError} the source's errors
   */
  async checksum(): Promise<Checksum> {
    await this.#digestRest();
    return this.#digest.checksum();
  }

  /** Digests what was not taken, once. */
  #digestRest(): Promise<void> {
    if (!this.#rest) {
      this.#rest = this.#readRest();
      // A failure is reported by `checksum`.
      this.#rest.catch(() => {});
    }
    return this.#rest;
  }

  async #readRest(): Promise<void> {
    const reader = this.#source.reader();
    reader.seek(this.#position);
    const resources = this.#runtime;
    const options = { most: CHUNK_BYTES, digest: this.#digest, expected: Infinity };
    using chunks = new ChunkPipeline(resources, options);
    try {
      for (;;) {
        const memory = await chunks.next();
        if (this.#stopped) throw new FerryError("closed", "given up");
        const chunk = await fillChunk(reader, memory, Infinity);
        if (chunk.length === 0) break;
        void chunks.pass(chunk);
      }
    } finally {
      await chunks.end();
    }
  }

  /** Stops reading. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#rest?.catch(() => {});
  }
}
