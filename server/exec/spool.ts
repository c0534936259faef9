/**
 * Bytes that have to wait until it is known how many they will be.
 *
 * @module
 */

import { BUFFERS } from "../../lib/core/buffer_pool.ts";
import { openNameless } from "../../lib/files/unlinked_file.ts";

/** How much is kept in memory; what is more goes into a file. */
const MEMORY_BYTES = 1024 * 1024;

/** The piece in which the file is read. */
const PIECE_BYTES = 64 * 1024;

/** Bytes that wait: few in memory, many in a temporary file without a name. */
export class Spool implements Disposable {
  readonly #pieces: Uint8Array[] = [];
  #file: Deno.FsFile | undefined;
  #size = 0;

  /** How many bytes wait. */
  get size(): number {
    return this.#size;
  }

  /** Adds bytes, which may be overwritten when this returns. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.length;
    if (this.#size <= MEMORY_BYTES) {
      this.#pieces.push(bytes.slice());
      return;
    }
    this.#file ??= await openNameless();
    for (let done = 0; done < bytes.length;) done += await this.#file.write(bytes.subarray(done));
  }

  /** All of them. A piece is good until the next one is asked for. Nothing may be added after that. */
  async *pieces(): AsyncGenerator<Uint8Array, void, void> {
    yield* this.#pieces;
    if (!this.#file) return;
    await this.#file.seek(0, Deno.SeekMode.Start);
    using lent = BUFFERS.lend(PIECE_BYTES);
    for (let count; (count = await this.#file.read(lent.bytes)) !== null;) {
      yield lent.bytes.subarray(0, count);
    }
  }

  /** Throws them away. */
  [Symbol.dispose](): void {
    this.#file?.close();
  }
}
