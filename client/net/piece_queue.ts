/**
 * Which pieces of a file are moved next.
 *
 * @module
 */

import { sizeOf, type Span } from "../../lib/delta/spans.ts";

/** The smallest and the largest piece, in bytes. */
const PIECE_BYTES = { smallest: 1024 * 1024, largest: 8 * 1024 * 1024 };

/** How many pieces each stream is to get of what is left, so that all of them end at about the same time. */
const SHARES = 4;

/** Hands out pieces in the order of their offsets: large ones first, and smaller ones towards the end. */
export class PieceQueue {
  /** What was not handed out yet, in ascending order. */
  readonly #gaps: Span[];
  /** How many bytes have to be moved. */
  #left: number;

  /** @param gaps what has to be moved, in ascending order */
  constructor(gaps: readonly Span[]) {
    this.#gaps = [...gaps];
    this.#left = sizeOf(gaps);
  }

  /** How many bytes were not handed out yet. */
  get left(): number {
    return this.#left;
  }

  /** The next piece for one of so many streams; undefined if all have been handed out. */
  next(streams: number): Span | undefined {
    const gap = this.#gaps.shift();
    if (!gap) return undefined;
    const { smallest, largest } = PIECE_BYTES;
    const share = Math.ceil(this.#left / (streams * SHARES * smallest)) * smallest;
    const to = Math.min(gap.to, gap.from + Math.min(share, largest));
    if (to < gap.to) this.#gaps.unshift({ from: to, to: gap.to });
    this.#left -= to - gap.from;
    return { from: gap.from, to };
  }

  /** Takes a piece back that was not moved. It is the next one for as many bytes as it has, if no other precedes it. */
  giveBack(piece: Span): void {
    const at = this.#gaps.findIndex(({ from }) => from > piece.from);
    this.#gaps.splice(at < 0 ? this.#gaps.length : at, 0, piece);
    this.#left += piece.to - piece.from;
  }
}
