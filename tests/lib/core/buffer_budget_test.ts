import { assert, assertEquals } from "@std/assert";
import { BufferBudget, SMALL_BUFFER } from "../../../lib/core/buffer_budget.ts";
import fc from "../../support/properties.ts";
import { MIB } from "../../support/bytes.ts";

Deno.test("BufferBudget.lend() lends what is asked for while there is plenty", () => {
  const budget = new BufferBudget(8 * MIB);
  for (const size of [0, 1, 5000, MIB]) {
    using lent = budget.lend(size);
    assertEquals(lent.bytes.length, size);
  }
  assertEquals(budget.left, 8 * MIB);
});

Deno.test("BufferBudget.lend() lends smaller ones where memory is short, and small ones for ever", () => {
  const budget = new BufferBudget(8 * MIB);
  const lent = Array.from({ length: 1000 }, () => budget.lend(MIB));
  const sizes = lent.map(({ bytes }) => bytes.length);
  assertEquals(sizes.slice(0, 6), [MIB, MIB, MIB, MIB, MIB, MIB / 2]);
  assertEquals(sizes.toSorted((a, b) => b - a), sizes);
  assertEquals(sizes.at(-1), SMALL_BUFFER);
  const large = sizes.filter((size) => size > SMALL_BUFFER);
  assert(large.reduce((sum, size) => sum + size, 0) <= 8 * MIB);
  assert(large.every((size) => Number.isInteger(Math.log2(size))));
  for (const one of lent) one[Symbol.dispose]();
  assertEquals(budget.left, 8 * MIB);
});

Deno.test("BufferBudget never lends more than it has, whatever is asked for and given back", () => {
  const step = fc.record({ size: fc.nat(2 * MIB), back: fc.nat(20) });
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const total = 4 * MIB;
    const budget = new BufferBudget(total);
    const held: ReturnType<BufferBudget["lend"]>[] = [];
    for (const { size, back } of steps) {
      const fits = budget.has(size);
      const lent = budget.lend(size);
      assertEquals(lent.bytes.length === size, fits || size <= SMALL_BUFFER);
      held.push(lent);
      if (back < held.length) {
        const [one] = held.splice(back, 1);
        one![Symbol.dispose]();
        // Given back once is given back.
        one![Symbol.dispose]();
      }
      const large = held.map(({ bytes }) => bytes.length).filter((size) => size > SMALL_BUFFER);
      assertEquals(budget.left, total - large.reduce((sum, size) => sum + size, 0));
      assert(budget.left >= 0);
    }
  }));
});

Deno.test("BufferBudget.lend() never lends the same memory again", () => {
  const budget = new BufferBudget(MIB);
  const first = budget.lend(1000);
  first.bytes.fill(1);
  first[Symbol.dispose]();
  using second = budget.lend(1000);
  assert(second.bytes.buffer !== first.bytes.buffer);
  assertEquals(second.bytes, new Uint8Array(1000));
});

Deno.test("BufferBudget.lend() frees the memory that a buffer has become", () => {
  const budget = new BufferBudget(4 * MIB);
  const lent = budget.lend(MIB);
  lent.bytes = new Uint8Array(lent.bytes.buffer.transfer());
  const { buffer } = lent.bytes;
  lent[Symbol.dispose]();
  assert(buffer.detached);
  // Memory that somebody else has taken is his to free.
  const gone = budget.lend(MIB);
  const taken = gone.bytes.buffer.transfer();
  gone[Symbol.dispose]();
  assertEquals([taken.byteLength, budget.left], [MIB, 4 * MIB]);
});
