/**
 * Runs of zeros, of which files with holes and images of disks have many. Any zero block of the basis gives all of
 * those that the content has where the basis has something else.
 *
 * @module
 */

import { Copies } from "./copies.ts";
import type { Span } from "./spans.ts";
import { startsWith, type StrongHash } from "./strong_hash.ts";

/** The most runs of the content that are filled. */
const MAX_RUNS = 100_000;

/** The strong hash of a block of zeros. */
export function hashOfZeros(hash: StrongHash, block: number): Uint8Array {
  const piece = new Uint8Array(Math.min(block, 64 * 1024));
  hash.begin();
  for (let done = 0; done < block; done += piece.length) hash.update(piece);
  return hash.end();
}

/** Whether bytes begin as a block of zeros does, so that it is worthwhile to hash them. */
export function mayBeZeros(bytes: Uint8Array): boolean {
  return startsWith(bytes, new Uint8Array(16), 0, Math.min(16, bytes.length));
}

/** Collects the zero blocks of two files while they are compared from their starts to their ends. */
export class ZeroRuns {
  /** The runs of zeros in the content that the basis has not at the same place. */
  readonly #missing: Span[] = [];
  /** The longest run in the basis, and the last one. */
  #longest: Span = { from: 0, to: 0 };
  #last: Span = { from: 0, to: 0 };

  /** Notes a block of the content that has no equal one at its place in the basis. */
  addMissing(at: number, block: number): void {
    const last = this.#missing.at(-1);
    if (last?.to === at) {
      this.#missing[this.#missing.length - 1] = { from: last.from, to: at + block };
    } else if (this.#missing.length < MAX_RUNS) this.#missing.push({ from: at, to: at + block });
  }

  /** Notes a block of the basis. */
  addBasis(at: number, block: number): void {
    this.#last = { from: this.#last.to === at ? this.#last.from : at, to: at + block };
    if (length(this.#last) > length(this.#longest)) this.#longest = this.#last;
  }

  /** Whether the content has a block that the basis has not at the same place. */
  get isMissing(): boolean {
    return this.#missing.length > 0;
  }

  /** Copies for what is missing. */
  copies(): Copies {
    const copies = new Copies();
    const most = length(this.#longest);
    for (const { from, to } of most > 0 ? this.#missing : []) {
      for (let at = from; at < to; at += most) {
        copies.add(at, this.#longest.from, Math.min(most, to - at));
      }
    }
    return copies;
  }
}

function length({ from, to }: Span): number {
  return to - from;
}
