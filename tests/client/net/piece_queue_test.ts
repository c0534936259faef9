import { assert, assertEquals } from "@std/assert";
import { PieceQueue } from "../../../client/net/piece_queue.ts";
import type { Span } from "../../../lib/delta/spans.ts";
import { MIB } from "../../support/bytes.ts";

function all(queue: PieceQueue, streams: number): Span[] {
  const pieces: Span[] = [];
  for (let piece; (piece = queue.next(streams));) pieces.push(piece);
  return pieces;
}

Deno.test("PieceQueue hands out each byte once, in order, in ever smaller pieces", () => {
  const queue = new PieceQueue([{ from: 0, to: 256 * MIB + 5 }]);
  const pieces = all(queue, 8);
  let end = 0;
  for (const { from, to } of pieces) {
    assertEquals(from, end);
    assert(to - from <= 8 * MIB);
    end = to;
  }
  assertEquals([end, queue.left], [256 * MIB + 5, 0]);
  assertEquals(pieces[0], { from: 0, to: 8 * MIB });
  assert(pieces.slice(-9, -1).every(({ from, to }) => to - from === MIB));
});

Deno.test("PieceQueue leaves out what is between the gaps", () => {
  const gaps = [{ from: 5, to: 9 }, { from: MIB, to: 3 * MIB }];
  assertEquals(all(new PieceQueue(gaps), 1), [
    { from: 5, to: 9 },
    { from: MIB, to: 2 * MIB },
    { from: 2 * MIB, to: 3 * MIB },
  ]);
});

Deno.test("PieceQueue hands out first what was given back", () => {
  const queue = new PieceQueue([{ from: 0, to: 4 * MIB }]);
  const [first, second] = [queue.next(4)!, queue.next(4)!];
  queue.giveBack(second);
  queue.giveBack(first);
  assertEquals(queue.left, 4 * MIB);
  assertEquals([queue.next(4), queue.next(4)], [first, second]);
  assertEquals(queue.next(4), { from: 2 * MIB, to: 3 * MIB });
});
