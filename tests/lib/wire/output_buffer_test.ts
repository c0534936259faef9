import { assertEquals, assertThrows } from "@std/assert";
import { BufferBudget } from "../../../lib/core/buffer_budget.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { OutputBuffer } from "../../../lib/wire/output_buffer.ts";
import { KIB, MIB, text, utf8 } from "../../support/bytes.ts";

Deno.test("OutputBuffer gathers small writes, and gives its memory with them", () => {
  const budget = new BufferBudget(8 * MIB);
  const output = new OutputBuffer(budget, () => {});
  assertEquals(output.take(), undefined);
  for (const part of ["ab", "", "c"]) assertEquals(output.add(utf8.encode(part)).length, 0);
  assertEquals([output.length, output.full], [3, false]);
  // Past the first 4 KiB it goes on in a buffer of 64 KiB.
  assertEquals(output.add(new Uint8Array(4 * KIB)).length, 0);
  const { bytes, lent } = output.take()!;
  assertEquals([bytes.length, text(bytes.subarray(0, 3)), output.length], [4 * KIB + 3, "abc", 0]);
  assertEquals(budget.left, 8 * MIB - 64 * KIB);
  lent[Symbol.dispose]();
  assertEquals(budget.left, 8 * MIB);
});

Deno.test("OutputBuffer gives back what it has no room for", () => {
  const output = new OutputBuffer(new BufferBudget(8 * MIB), () => {});
  output.add(new Uint8Array(1));
  assertEquals([output.add(new Uint8Array(64 * KIB)).length, output.full], [1, true]);
  output.release();
  assertEquals([output.length, output.full], [0, false]);
});

Deno.test("OutputBuffer is passed by where it would only copy, and where memory is short", () => {
  const output = new OutputBuffer(new BufferBudget(8 * MIB), () => {});
  assertEquals([output.isNeedlessFor(64 * KIB - 1), output.isNeedlessFor(64 * KIB)], [false, true]);
  output.add(new Uint8Array(1));
  assertEquals(output.isNeedlessFor(64 * KIB), false);
  assertEquals(output.isTooDearFor(64 * KIB), false);
  const short = new OutputBuffer(new BufferBudget(0), () => {});
  assertEquals([short.isTooDearFor(4 * KIB - 1), short.isTooDearFor(4 * KIB)], [false, true]);
});

Deno.test("OutputBuffer takes no memory once the connection has ended", () => {
  const output = new OutputBuffer(new BufferBudget(8 * MIB), () => {
    throw new FerryError("closed", "connection closed");
  });
  assertThrows(() => output.add(new Uint8Array(1)), FerryError, "connection closed");
});
