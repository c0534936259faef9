/**
 * Parts of a file from one offset to another.
 *
 * @module
 */

/** A part of a file; it may be empty. */
export interface Span {
  /** The offset of its first byte. */
  readonly from: number;
  /** The offset behind its last byte. */
  readonly to: number;
}

/** What any of some spans covers, in ascending order; those that touch become one. */
export function union(spans: readonly Span[]): Span[] {
  const sorted = spans.filter(({ from, to }) => to > from).sort((a, b) => a.from - b.from);
  const joined: Span[] = [];
  for (const { from, to } of sorted) {
    const last = joined.at(-1);
    if (last && from <= last.to) {
      joined[joined.length - 1] = { from: last.from, to: Math.max(last.to, to) };
    } else joined.push({ from, to });
  }
  return joined;
}

/** What two lists of spans, each in ascending order without overlaps, have in common. */
export function intersection(some: readonly Span[], others: readonly Span[]): Span[] {
  const both: Span[] = [];
  for (let i = 0, j = 0; i < some.length && j < others.length;) {
    const [a, b] = [some[i]!, others[j]!];
    const [from, to] = [Math.max(a.from, b.from), Math.min(a.to, b.to)];
    if (to > from) both.push({ from, to });
    if (a.to < b.to) i++;
    else j++;
  }
  return both;
}

/** What spans leave out of a file of `size` bytes, in ascending order. */
export function gapsOf(spans: readonly Span[], size: number): Span[] {
  const covered = union(spans);
  const ends = [0, ...covered.map(({ to }) => to)];
  const starts = [...covered.map(({ from }) => from), size];
  return ends.map((from, i) => ({ from, to: starts[i]! })).filter(({ from, to }) => from < to);
}

/** How many bytes spans have that do not overlap. */
export function sizeOf(spans: readonly Span[]): number {
  return spans.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** A part of a span: as much as is within the other one. */
export function clip({ from, to }: Span, within: Span): Span {
  const start = Math.min(Math.max(from, within.from), within.to);
  return { from: start, to: Math.max(start, Math.min(to, within.to)) };
}
