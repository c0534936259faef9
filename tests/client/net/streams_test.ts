import { assert, assertEquals } from "@std/assert";
import type { Connection } from "../../../client/net/connection.ts";
import { moveInPieces, type PiecesToMove, streamsFor } from "../../../client/net/streams.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Span } from "../../../lib/delta/spans.ts";
import { createRuntime } from "../../../lib/runtime/runtime.ts";
import { assertCode } from "../../support/assertions.ts";
import { MIB } from "../../support/bytes.ts";
import { MovableClock } from "../../support/movable_clock.ts";

/** What a stream does with each of its pieces. */
type Moves = (piece: Span, onBytes: (count: number) => void) => Promise<void>;

const WHOLE = [{ from: 0, to: 64 * MIB }];

const moves: Moves = async ({ from, to }, onBytes) => {
  await Promise.resolve();
  onBytes(to - from);
};

/** Moves 64 MiB over streams that behave as the list says, each in its turn; the last one is for all further ones. */
async function move(
  streams: number | "auto",
  behaviours: (Moves | FerryError)[],
  { clock = new MovableClock(), usable = true } = {},
) {
  const opened: number[] = [];
  const fewer: [number, string][] = [];
  const moved: Span[] = [];
  const closed: number[] = [];
  const runtime = createRuntime({ clock });
  const movers = new Map<Connection, Moves>();
  const another = () => {
    const number = opened.push(opened.length) - 1;
    const behaviour = behaviours[Math.min(number, behaviours.length - 1)]!;
    if (behaviour instanceof FerryError) return Promise.reject(behaviour);
    const connection = { close: () => closed.push(number) } as unknown as Connection;
    movers.set(connection, behaviour);
    return Promise.resolve(connection);
  };
  const options: PiecesToMove = {
    streams,
    gaps: WHOLE,
    mover: (connection) => ({ move: movers.get(connection)! }),
    onMoved: (piece) => moved.push(piece),
    onFewer: (count, { code }) => fewer.push([count, code]),
  };
  await moveInPieces({ runtime, another, usable } as unknown as Connection, options);
  moved.sort((a, b) => a.from - b.from);
  return { opened: opened.length, fewer, moved, closed };
}

function assertWhole(moved: readonly Span[]): void {
  let end = 0;
  for (const { from, to } of moved) {
    assertEquals(from, end);
    end = to;
  }
  assertEquals(end, 64 * MIB);
}

const cut: Moves = () => Promise.reject(new FerryError("closed", "it was cut"));
const never = () => new Promise<void>(() => {});

Deno.test("moveInPieces() moves each byte once, and closes all connections", async () => {
  for (const streams of [1, 3, 8]) {
    const { opened, moved, closed } = await move(streams, [moves]);
    assertEquals([opened, closed.length], [streams, streams]);
    assertWhole(moved);
  }
});

Deno.test("moveInPieces() moves the pieces of a stream that is cut over the others", async () => {
  const { opened, moved } = await move(3, [cut, moves]);
  assertEquals(opened, 3);
  assertWhole(moved);
});

Deno.test("moveInPieces() opens another stream for one that was cut after it moved something", async () => {
  let pieces = 0;
  const once: Moves = async (piece, onBytes) => {
    if (pieces++ > 0) return await cut(piece, onBytes);
    await moves(piece, onBytes);
  };
  const { opened, moved } = await move(1, [once, moves]);
  assertEquals(opened, 2);
  assertWhole(moved);
});

Deno.test("moveInPieces() looks for the one of several servers that knows of the transfer", async () => {
  const other: Moves = () => Promise.reject(new FerryError("busy", "it knows nothing of it"));
  const { opened, moved } = await move(2, [other, other, other, moves]);
  assertEquals(opened, 5);
  assertWhole(moved);
  await assertCode("busy", () => move(2, [other]));
});

Deno.test("moveInPieces() makes do with as many streams as can be opened", async () => {
  const busy = new FerryError("busy", "too many connections");
  const { fewer, moved } = await move(3, [moves, busy]);
  assertEquals(fewer, [[1, "busy"]]);
  assertWhole(moved);
});

Deno.test("moveInPieces() fails where no stream is left", async () => {
  await assertCode("busy", () => move(2, [new FerryError("busy", "no")]));
  await assertCode("closed", () => move(2, [cut]));
});

Deno.test("moveInPieces() fails at once with an error that another stream would meet, too", async () => {
  const full: Moves = () => Promise.reject(new FerryError("no_space", "full"));
  await assertCode("no_space", () => move(4, [never, never, full]));
});

Deno.test("moveInPieces() fails when the connection that the transfer was begun on was closed", async () => {
  const clock = new MovableClock();
  const late: Moves = () => {
    clock.advance(500);
    return never();
  };
  await assertCode("closed", () => move(2, [never, late], { clock, usable: false }));
});

Deno.test("moveInPieces() gives up a stream that moves nothing while others do", async () => {
  const clock = new MovableClock();
  const rest: Moves = async (piece, onBytes) => {
    await moves(piece, onBytes);
    // Timers of this clock fire where it is moved forward.
    if (piece.to === 64 * MIB) {
      clock.setTimeout(() => {}, 0);
      for (let i = 0; i < 8; i++) clock.advance(500);
    }
  };
  const { moved, closed } = await move(2, [never, rest], { clock });
  assertEquals(closed.includes(0), true);
  assertWhole(moved);
});

Deno.test("streamsFor() uses one stream for small files, and where the server knows nothing else", async () => {
  let pings = 0;
  const clock = new MovableClock();
  const connection = (features: string[], roundTrip = 0) => ({
    ...{ hello: { features }, runtime: createRuntime({ clock }), another: () => {} },
    ping: () => {
      pings++;
      clock.advance(roundTrip);
      return Promise.resolve();
    },
  } as unknown as Connection);
  const able = connection(["streams"]);
  assertEquals(await streamsFor(able, 8, 32 * MIB), 8);
  assertEquals(await streamsFor(able, 8, 32 * MIB - 1), undefined);
  assertEquals(await streamsFor(able, 1, 32 * MIB), undefined);
  assertEquals(await streamsFor(connection([]), 8, 32 * MIB), undefined);
  assertEquals(pings, 0);
  assertEquals(await streamsFor(able, "auto", 32 * MIB), undefined);
  assertEquals(await streamsFor(connection(["streams"], 40), "auto", 32 * MIB), "auto");
  assert(pings > 0);
});
