/**
 * Compression by zstd as a stream: what was compressed before serves as a dictionary for what follows. A module of its
 * own, loaded with the first compressed connection: programs start faster without `node:zlib`.
 *
 * Deno compresses in the thread of the caller, so what is passed at once has to be small.
 *
 * @module
 */

import { constants, createZstdCompress, createZstdDecompress } from "node:zlib";
import { FerryError } from "../core/errors.ts";

/**
 * The base-2 logarithm of the window: how far back a compressor looks, and what a decompressor keeps in memory. With 2
 * MiB, sources of programs become 1.5 % smaller than with 1 MiB, and with 4 MiB not 1 % smaller than that.
 */
const WINDOW_LOG = 21;

/** The size of the buffers in which results arrive, in bytes. */
const RESULT_BYTES = 64 * 1024;

/** A stream of bytes that is compressed. It takes about 5 MB of memory until it is closed. */
export class Compressor {
  readonly #stream: ReturnType<typeof createZstdCompress>;
  readonly #results: Uint8Array[] = [];
  #failed: (error: unknown) => void = () => {};

  /** @param level how hard it tries, from 1 to 19 */
  constructor(level: number) {
    this.#stream = createZstdCompress({
      chunkSize: RESULT_BYTES,
      params: {
        [constants.ZSTD_c_compressionLevel]: level,
        [constants.ZSTD_c_windowLog]: WINDOW_LOG,
      },
    });
    this.#stream.on("data", (bytes: Uint8Array) => this.#results.push(bytes));
    this.#stream.on("error", (error: unknown) => this.#failed(error));
  }

  /**
   * Compresses bytes so that all of them can be decompressed from the result and those before. Not to be called before
   * the previous call has settled.
   *
   * @throws {FerryError} `closed` if it is closed meanwhile
   */
  async compress(bytes: Uint8Array): Promise<Uint8Array[]> {
    await new Promise<void>((resolve, reject) => {
      this.#failed = reject;
      this.#stream.write(bytes);
      this.#stream.flush(constants.ZSTD_e_flush, resolve);
    });
    return this.#results.splice(0);
  }

  /** Frees the memory. */
  close(): void {
    this.#stream.destroy();
    this.#failed(new FerryError("closed", "the compression has ended"));
  }
}

/** A stream of bytes that is decompressed. It takes about 4 MB of memory until it is closed. */
export class Decompressor {
  readonly #stream: ReturnType<typeof createZstdDecompress>;
  /** Decompressed bytes that were not read yet. */
  #ready: Uint8Array | undefined;
  /** Whether bytes were passed to it of which not all are decompressed. */
  #busy = false;
  #failure: FerryError | undefined;
  #changed: (() => void) | undefined;

  /** Creates a decompressor for one frame. */
  constructor() {
    this.#stream = createZstdDecompress({
      chunkSize: RESULT_BYTES,
      params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG },
    });
    const change = () => this.#changed?.();
    this.#stream.on("readable", change);
    this.#stream.on("error", () => this.#fail("what was compressed was damaged"));
    this.#stream.on("end", () => this.#fail("what was compressed ends too early"));
  }

  #fail(reason: string): void {
    this.#failure ??= new FerryError("checksum_mismatch", reason);
    this.#changed?.();
  }

  /**
   * Passes compressed bytes to it, which must not change until {@linkcode Decompressor.read} has returned 0. It must have
   * returned 0 for those before.
   */
  push(bytes: Uint8Array): void {
    this.#busy = true;
    this.#stream.write(bytes, () => {
      this.#busy = false;
      this.#changed?.();
    });
  }

  /**
   * Reads decompressed bytes; returns 0 when there are no more until compressed ones are passed to it.
   *
   * @throws {FerryError} `checksum_mismatch` if the compressed bytes are not those that were made by a compressor;
   * `closed` if it is closed meanwhile
   */
  async read(into: Uint8Array): Promise<number> {
    for (;;) {
      if (this.#failure) throw this.#failure;
      this.#ready ??= this.#stream.read() ?? undefined;
      if (this.#ready) {
        const part = this.#ready.subarray(0, into.length);
        into.set(part);
        this.#ready = part.length < this.#ready.length
          ? this.#ready.subarray(part.length)
          : undefined;
        return part.length;
      }
      if (!this.#busy) return 0;
      await new Promise<void>((resolve) => this.#changed = resolve);
      this.#changed = undefined;
    }
  }

  /** Frees the memory. */
  close(): void {
    this.#failure ??= new FerryError("closed", "the decompression has ended");
    this.#ready = undefined;
    this.#stream.destroy();
    this.#changed?.();
  }
}
