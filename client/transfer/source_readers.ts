/**
 * A source that several readers read, each from a position of its own.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import type { Checksum } from "../../lib/core/checksum.ts";
import type { RandomAccess } from "../../lib/delta/random_access.ts";
import type { SizedSource } from "./source.ts";

/** A reader of a source. */
export interface Reader extends RandomAccess, Required<ByteSource> {}

/** Lets readers take turns. */
export class SourceReaders {
  readonly #source: Pick<SizedSource, "size" | "seek" | "read" | "assertUnchanged">;
  /** The last read, which the next one waits for. */
  #last: Promise<unknown> = Promise.resolve();
  /** Where the source reads next, if the last read has not failed. */
  #position: number | undefined;

  /** @param source nothing else may read it while there are readers */
  constructor(source: Pick<SizedSource, "size" | "seek" | "read" | "assertUnchanged">) {
    this.#source = source;
  }

  /** The size of the source in bytes. */
  get size(): number {
    return this.#source.size;
  }

  /** A new reader, at the start. It has one read at a time. */
  reader(): Reader {
    let position = 0;
    return {
      size: this.#source.size,
      seek: (offset) => void (position = offset),
      read: async (into) => {
        const count = await this.#inTurn(() => this.#readAt(position, into));
        position += count ?? 0;
        return count;
      },
      assertUnchanged: (whole?: Checksum) => {
        return this.#inTurn(async () => {
          this.#position = undefined;
          await this.#source.assertUnchanged?.(whole);
        });
      },
    };
  }

  async #readAt(offset: number, into: Uint8Array): Promise<number | null> {
    if (this.#position !== offset) this.#source.seek(offset);
    this.#position = undefined;
    const count = await this.#source.read(into);
    this.#position = offset + (count ?? 0);
    return count;
  }

  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#last.then(run);
    this.#last = result.catch(() => {});
    return result;
  }
}
