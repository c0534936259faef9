/**
 * The parts of a content that is made from an older one: copies and literal bytes.
 *
 * @module
 */

import type { IncomingContent } from "../core/bytes.ts";
import { FerryError } from "../core/errors.ts";
import type { Copies, Copy } from "./copies.ts";

/** Received bytes; reading returns 0 at the end. */
export type Received = Pick<IncomingContent, "read">;

/** A part of a content. */
export interface Part {
  /** Its length in bytes, at least 1. */
  readonly size: number;
  /** The offset in the basis, if it is copied from there; undefined for literal bytes. */
  readonly from: number | undefined;
}

/** The parts of a content in order. */
export interface Parts {
  /** The next part; null at the end. The literal bytes of the part before have to be read first. */
  next(): Promise<Part | null>;
  /** Reads some literal bytes of the part at hand. */
  read(into: Uint8Array): Promise<number>;
}

/** The parts of a content whose copies are known, and whose literal bytes are received one after the other. */
export class KnownParts implements Parts {
  readonly #literals: Received;
  readonly #size: number;
  readonly #copies: Iterator<Copy>;
  #copy: Copy | undefined;
  #position: number;
  #literal = 0;

  /**
   * @param copies the copies of the whole content
   * @param size the size of the content in bytes
   * @param literals what is between the copies, from `offset` on
   * @param offset where the parts begin in the content. Default: 0.
   */
  constructor(copies: Copies, size: number, literals: Received, offset = 0) {
    this.#literals = literals;
    this.#size = size;
    this.#position = offset;
    this.#copies = copies.behind(offset);
    this.#copy = this.#nextCopy();
  }

  /**
   * The next part; null at the end.
   *
   * @throws {FerryError} `bad_header` if more literal bytes are received than belong to the content
   */
  async next(): Promise<Part | null> {
    const copy = this.#copy;
    const size = (copy?.at ?? this.#size) - this.#position;
    if (size > 0) {
      this.#position += this.#literal = size;
      return { size, from: undefined };
    }
    if (copy) {
      this.#copy = this.#nextCopy();
      this.#position += copy.size;
      return copy;
    }
    // The receiver learns of the end, and what comes with it, only by reading on.
    if (await this.#literals.read(new Uint8Array(1)) === 0) return null;
    throw new FerryError("bad_header", "there are more bytes than were asked for");
  }

  /**
   * Reads literal bytes of the part at hand.
   *
   * @throws {FerryError} `bad_header` if there are fewer than were asked for
   */
  async read(into: Uint8Array): Promise<number> {
    const count = await this.#literals.read(into.subarray(0, this.#literal));
    if (count === 0) {
      throw new FerryError("bad_header", "there are fewer bytes than were asked for");
    }
    this.#literal -= count;
    return count;
  }

  #nextCopy(): Copy | undefined {
    const { done, value } = this.#copies.next();
    return done ? undefined : value;
  }
}
