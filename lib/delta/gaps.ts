/**
 * What a plan does not cover yet, and where to look for it.
 *
 * @module
 */

import type { Copies } from "./copies.ts";
import { clip, type Span } from "./spans.ts";

/** A part of the content without a copy, and the part of the basis that was probably there before. */
export interface Gap {
  /** The part of the content. */
  readonly content: Span;
  /** The part of the basis; empty where something was only inserted. */
  readonly basis: Span;
}

/** What to compare on the two sides of gaps. */
export interface Places {
  /** Parts of the remote file whose signature is fetched. */
  readonly remote: Span[];
  /** Parts of the local file in which its blocks are looked for. */
  readonly local: Span[];
}

/** Gaps of up to so many coarser blocks are examined as a whole. */
export const SMALL_GAP = 6;

/** Of larger ones at most so many blocks between the ends are tried first. */
const MAX_SAMPLES = 64;

/** One of so many blocks is tried. */
const SAMPLE_DISTANCE = 32;

/** How many coarser blocks content may have moved within a gap if it is to be found there. */
const MAX_SHIFT = 16;

/** Local gaps of up to this size, in bytes, are searched as a whole: that takes some milliseconds. */
const SEARCHED_WHOLE: number = 4 * 1024 * 1024;

/**
 * The gaps of a plan.
 *
 * @param offset what is in front of it in the content is of no interest
 * @param margin by how much the part of the basis may exceed the part of the content on either side, in bytes
 */
export function* gapsOf(
  copies: Copies,
  { contentSize, basisSize, offset, margin }: {
    contentSize: number;
    basisSize: number;
    offset: number;
    margin: number;
  },
): Generator<Gap, void, void> {
  const basis = { from: 0, to: basisSize };
  let [at, from] = [0, 0];
  const end = { at: contentSize, from: basisSize, size: 0 };
  for (let i = 0; i <= copies.count; i++) {
    const next = i < copies.count ? copies.get(i) : end;
    const content = clip({ from: at, to: next.at }, { from: offset, to: contentSize });
    const length = content.to - content.from;
    if (length > 0) {
      const reach = length + margin;
      if (next.from >= from && next.from - from <= 2 * reach) {
        yield { content, basis: { from, to: next.from } };
      } else {
        // The copies around it are from different parts of the basis, or much was removed between them.
        yield { content, basis: clip({ from, to: from + reach }, basis) };
        yield { content, basis: clip({ from: next.from - reach, to: next.from }, basis) };
      }
    }
    at = next.at + next.size;
    from = next.from + next.size;
  }
}

/**
 * Where to look for finer blocks in a gap: in all of a small one. In a large one at its ends, where the change begins
 * and ends within a coarser block, and at samples in between.
 *
 * @param coarser the size in bytes of the blocks that were looked for before
 */
export function firstPlaces(remote: Span, local: Span, coarser: number): Places {
  const length = remote.to - remote.from;
  if (length <= SMALL_GAP * coarser) {
    return { remote: [remote], local: ends(local, length + MAX_SHIFT * coarser) };
  }
  const samples = sampleCount(length, coarser);
  const pieces: Span[] = [];
  for (let i = 0; i <= samples + 1; i++) {
    const from = Math.floor((length - coarser) / coarser * i / (samples + 1)) * coarser;
    pieces.push({ from: remote.from + from, to: remote.from + from + coarser });
  }
  pieces.push({ from: remote.to - coarser, to: remote.to });
  if (local.to - local.from <= SEARCHED_WHOLE) return { remote: pieces, local: [local] };
  const difference = Math.abs(local.to - local.from - length);
  const slack = Math.min(difference, MAX_SHIFT * coarser) + coarser;
  return {
    remote: pieces,
    local: pieces.flatMap(({ from, to }) => [
      clip({
        from: local.from + from - remote.from - slack,
        to: local.from + to - remote.from + slack,
      }, local),
      clip(
        { from: local.to + from - remote.to - slack, to: local.to + to - remote.to + slack },
        local,
      ),
    ]),
  };
}

/** At how many places a gap is tried. */
export function sampleCount(length: number, coarser: number): number {
  return Math.min(MAX_SAMPLES, Math.ceil(length / (SAMPLE_DISTANCE * coarser)));
}

/**
 * Where to look for all blocks of a gap: one pair of places, or more if the remote part is very long.
 *
 * @param most the most bytes of a remote part
 */
export function* wholePlaces(
  remote: Span,
  local: Span,
  most: number,
  block: number,
): Generator<Places, void, void> {
  const length = remote.to - remote.from;
  const slack = Math.abs(local.to - local.from - length) + MAX_SHIFT * block;
  for (let from = 0; from < length; from += most) {
    const to = Math.min(length, from + most);
    const near = { from: local.from + from - slack, to: local.from + to + slack };
    yield {
      remote: [{ from: remote.from + from, to: remote.from + to }],
      local: [clip(near, local)],
    };
  }
}

/** The parts of a content that are not copied, without what is in front of an offset. */
export function freeSpans(copies: Copies, size: number, offset = 0): Span[] {
  const free: Span[] = [];
  let end = offset;
  for (const copy of copies.behind(offset)) {
    if (copy.at > end) free.push({ from: end, to: copy.at });
    end = copy.at + copy.size;
  }
  if (size > end) free.push({ from: end, to: size });
  return free;
}

/** How many bytes of each of some spans are copied; the spans are in ascending order. */
export function coveredBytes(copies: Copies, spans: readonly Span[]): Float64Array {
  const covered = new Float64Array(spans.length);
  let first = 0;
  for (const { at, size } of copies) {
    while (first < spans.length && spans[first]!.to <= at) first++;
    for (let i = first; i < spans.length && spans[i]!.from < at + size; i++) {
      const part = clip({ from: at, to: at + size }, spans[i]!);
      covered[i]! += part.to - part.from;
    }
  }
  return covered;
}

/** A span, or its two ends if it is long. */
function ends(span: Span, length: number): Span[] {
  if (span.to - span.from <= Math.max(2 * length, SEARCHED_WHOLE)) return [span];
  return [
    { from: span.from, to: span.from + length },
    { from: span.to - length, to: span.to },
  ];
}
