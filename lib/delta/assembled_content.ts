/**
 * A content that is put together from parts of an older one, its basis, and from literal bytes.
 *
 * @module
 */

import { FerryError, toFerryError } from "../core/errors.ts";
import { Pace } from "../core/time_slices.ts";
import type { Parts } from "./parts.ts";
import type { RandomAccess } from "./random_access.ts";

/** Copies shorter than this, in bytes, are not remembered: no storage copies so little by itself. */
const REMEMBERED_BYTES = 1024 * 1024;

/** How many copies are remembered. */
const REMEMBERED = 64;

/** A run of bytes that was read from the basis. */
interface Run {
  at: number;
  from: number;
  size: number;
}

/** Yields the content, as {@linkcode IncomingContent.read} of lib/core/bytes.ts does. */
export class AssembledContent {
  readonly #parts: Parts;
  readonly #basis: RandomAccess;
  #position = 0;
  /** How many bytes of the part at hand are left, and where the next one is in the basis. */
  #left = 0;
  #from: number | undefined;
  #ended = false;
  /** The parts may be so small that many are read at once, none of which has to be waited for. */
  readonly #pace = new Pace();
  readonly #runs: Run[] = [];

  /** @param basis the older content. It is not closed, and nothing else may read it meanwhile */
  constructor(parts: Parts, basis: RandomAccess) {
    this.#parts = parts;
    this.#basis = basis;
  }

  /**
   * Fills `into`, with less only at the end; returns 0 there.
   *
   * @throws {FerryError} `busy` if the basis cannot be read, or is shorter than it was; what the parts fail with
   */
  async read(into: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      if (this.#left === 0 && !await this.#nextPart()) break;
      const piece = into.subarray(filled, filled + this.#left);
      const count = this.#from === undefined
        ? await this.#parts.read(piece)
        : await this.#copy(piece, this.#from);
      this.#left -= count;
      this.#position += count;
      filled += count;
    }
    return filled;
  }

  /**
   * Where in the basis a range of the content is from, if all of it was copied from one place and has been read already.
   * What was read long ago may be forgotten.
   */
  originOf(at: number, size: number): number | undefined {
    for (const run of this.#runs) {
      if (run.at <= at && at + size <= run.at + run.size) return run.from + at - run.at;
    }
    return undefined;
  }

  async #nextPart(): Promise<boolean> {
    if (this.#ended) return false;
    if (this.#pace.isDue) await this.#pace.rest();
    const part = await this.#parts.next();
    this.#ended = part === null;
    if (part === null) return false;
    this.#left = part.size;
    this.#from = part.from;
    return true;
  }

  async #copy(into: Uint8Array, from: number): Promise<number> {
    let count: number | null;
    try {
      this.#basis.seek(from);
      count = await this.#basis.read(into);
    } catch (error) {
      throw unreadable(error);
    }
    if (!count) throw unreadable();
    this.#from = from + count;
    this.#remember(from, count);
    return count;
  }

  #remember(from: number, size: number): void {
    const last = this.#runs.at(-1);
    if (last && last.at + last.size === this.#position && last.from + last.size === from) {
      last.size += size;
      return;
    }
    if (last && last.size < REMEMBERED_BYTES) this.#runs.pop();
    else if (this.#runs.length === REMEMBERED) this.#runs.shift();
    this.#runs.push({ at: this.#position, from, size });
  }
}

/** The error where an older version cannot be read, or is shorter than it was: another attempt can do without it. */
export function unreadable(cause?: unknown): FerryError {
  const why = cause === undefined ? "it is shorter than it was" : toFerryError(cause).reason;
  return new FerryError("busy", `the older version cannot be read: ${why}`, { cause });
}
