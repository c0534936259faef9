import { assertEquals, assertThrows } from "@std/assert";
import { BufferBudget } from "../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { IDLE_BUFFER, InputBuffer } from "../../../lib/wire/input_buffer.ts";
import { KIB, MIB, text, utf8 } from "../../support/bytes.ts";

function buffer(budget = new BufferBudget(8 * MIB)): InputBuffer {
  return new InputBuffer(budget, () => {});
}

/** Has a read give some bytes. */
function read(input: InputBuffer, bytes: Uint8Array): void {
  const room = input.room(input.length + 1);
  room.set(bytes);
  input.add(bytes.length, room);
}

Deno.test("InputBuffer gives what was read, in parts and in order", () => {
  const input = buffer();
  read(input, utf8.encode("abcd"));
  read(input, utf8.encode("ef"));
  assertEquals([input.length, text(input.peek(1, 3))], [6, "bc"]);
  input.skip(1);
  const into = new Uint8Array(3);
  assertEquals([input.take(into, 2), text(into.subarray(0, 2))], [2, "bc"]);
  assertEquals([input.take(into, 3), text(into)], [3, "def"]);
  assertEquals([input.length, input.take(into, 3)], [0, 0]);
});

Deno.test("InputBuffer is small until a read fills it, and grows no further than 256 KiB", () => {
  const budget = new BufferBudget(8 * MIB);
  const input = buffer(budget);
  const sizes: number[] = [];
  for (let i = 0; i < 8; i++) {
    const room = input.room(input.length + 1);
    sizes.push(room.length);
    input.add(room.length, room);
    input.skip(input.length);
  }
  assertEquals(sizes, [IDLE_BUFFER, ...[8, 16, 32, 64, 128, 256, 256].map((size) => size * KIB)]);
  // A read that fills nothing is followed by a small one.
  read(input, utf8.encode("a"));
  input.skip(1);
  assertEquals(input.room(1).length, IDLE_BUFFER);
  input.release();
  assertEquals(budget.left, 8 * MIB);
});

Deno.test("InputBuffer is full where it may not grow", () => {
  const input = buffer(new BufferBudget(0));
  assertEquals(input.full, false);
  const room = input.room(1);
  input.add(room.length, room);
  assertEquals(input.full, false);
  const more = input.room(input.length + 1);
  input.add(more.length, more);
  assertEquals([input.full, input.length, input.room(1).length], [true, 4 * KIB, 0]);
});

Deno.test("InputBuffer makes a reader's own buffer do where no more comes than fits", () => {
  const input = buffer();
  assertEquals([input.isNeedlessFor(IDLE_BUFFER - 1), input.isNeedlessFor(IDLE_BUFFER)], [
    false,
    true,
  ]);
  // More was probably waiting: a large buffer takes it at once.
  input.passed(IDLE_BUFFER, IDLE_BUFFER);
  assertEquals(input.isNeedlessFor(IDLE_BUFFER), false);
  input.passed(IDLE_BUFFER - 1, IDLE_BUFFER);
  assertEquals(input.isNeedlessFor(IDLE_BUFFER), true);
});

Deno.test("InputBuffer takes no memory, and shows none, once the connection has ended", () => {
  const budget = new BufferBudget(8 * MIB);
  let ended = false;
  const input = new InputBuffer(budget, () => {
    if (ended) throw new FerryError("closed", "connection closed");
  });
  read(input, utf8.encode("abc"));
  ended = true;
  input.release();
  assertEquals([input.length, budget.left], [0, 8 * MIB]);
  assertThrows(() => input.room(1), FerryError, "connection closed");
  assertThrows(() => input.peek(0, 1), FerryError, "connection closed");
});
