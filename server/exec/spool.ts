/**
 * Buffers bytes until their total number is known.
 *
 * @module
 */

import type { BufferBudget } from "../../lib/core/buffer_budget.ts";
import { openNameless } from "../../lib/files/unlinked_file.ts";

/** How many bytes are kept in memory; the rest is written to a file. */
const MEMORY_BYTES = 1024 * 1024;

/** How many bytes of the file are read at once. */
const CHUNK_BYTES = 64 * 1024;

/** Buffers few bytes in memory, and many in a temporary file without a name. */
export class Spool implements Disposable {
  readonly #buffers: BufferBudget;
  readonly #chunks: Uint8Array[] = [];
  #file: Deno.FsFile | undefined;
  #size = 0;

  /** @param buffers provides the memory for reading the file */
  constructor(buffers: BufferBudget) {
    this.#buffers = buffers;
  }

  /** The number of buffered bytes. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes. The caller may reuse the array when this resolves. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.length;
    if (this.#size <= MEMORY_BYTES) {
      this.#chunks.push(bytes.slice());
      return;
    }
    this.#file ??= await openNameless();
    for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
  }

  /** All bytes, in chunks. A chunk is valid until the next one is requested. Nothing may be added afterwards. */
  async *chunks(): AsyncGenerator<Uint8Array, void, void> {
    yield* this.#chunks;
    if (!this.#file) return;
    await this.#file.seek(0, Deno.SeekMode.Start);
    using lent = this.#buffers.lend(CHUNK_BYTES);
    for (let count; (count = await this.#file.read(lent.bytes)) !== null;) {
      yield lent.bytes.subarray(0, count);
    }
  }

  /** Discards the bytes. */
  [Symbol.dispose](): void {
    this.#file?.close();
  }
}
