import { assert, assertEquals, assertRejects } from "@std/assert";
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

Deno.test("BufferBudget.reserve() gives exactly what is asked for, in order, within three quarters", async () => {
  const budget = new BufferBudget(8 * MIB);
  const first = await budget.reserve(4 * MIB);
  const second = await budget.reserve(2 * MIB);
  assertEquals([first.bytes.length, budget.left], [4 * MIB, 2 * MIB]);
  const granted: number[] = [];
  const waiting = [3 * MIB, 1, 4096].map(async (size) => {
    const lent = await budget.reserve(size);
    granted.push(size);
    return lent;
  });
  await Promise.resolve();
  assertEquals(granted, [], "it did not wait");
  second[Symbol.dispose]();
  await Promise.resolve();
  assertEquals(granted, [], "a small one came before one that waited longer");
  first[Symbol.dispose]();
  for (const lent of await Promise.all(waiting)) lent[Symbol.dispose]();
  assertEquals([granted, budget.left], [[3 * MIB, 1, 4096], 8 * MIB]);
});

Deno.test("BufferBudget.reserve() grants one buffer however little there is, and waits for lent ones with a second", async () => {
  const budget = new BufferBudget(MIB);
  const large = await budget.reserve(8 * MIB);
  const second = budget.reserve(1000);
  using small = budget.lend(MIB);
  assertEquals(small.bytes.length, SMALL_BUFFER);
  large[Symbol.dispose]();
  (await second)[Symbol.dispose]();
  assertEquals(budget.left, MIB);
});

Deno.test("BufferBudget.reserve() can be given up, and lets those behind it pass", async () => {
  const budget = new BufferBudget(8 * MIB);
  const first = await budget.reserve(4 * MIB);
  const given = new AbortController();
  const up = budget.reserve(4 * MIB, given.signal);
  const behind = budget.reserve(MIB);
  given.abort(new Error("given up"));
  await assertRejects(() => up, Error, "given up");
  (await behind)[Symbol.dispose]();
  first[Symbol.dispose]();
  await assertRejects(() => budget.reserve(1, given.signal), Error, "given up");
  assertEquals(budget.left, 8 * MIB);
});

Deno.test("BufferBudget.count() counts what lend() would lend, until it is disposed of", () => {
  const budget = new BufferBudget(64 * 1024);
  const counted = budget.count(8 * 1024);
  assertEquals([counted.size, budget.left], [8 * 1024, 56 * 1024]);
  const shorter = budget.count(64 * 1024);
  assertEquals([shorter.size, budget.left], [8 * 1024, 48 * 1024]);
  for (let turn = 0; turn < 2; turn++) {
    counted[Symbol.dispose]();
    shorter[Symbol.dispose]();
  }
  assertEquals(budget.left, 64 * 1024);
});
