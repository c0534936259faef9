import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { BoundedQueue } from "../../../client/api/bounded_queue.ts";

Deno.test("BoundedQueue gives what was put in, in its order, and then the end", async () => {
  const backlog = new BoundedQueue<number>(10);
  assertEquals(backlog.untouched, true);
  const taken = Array.fromAsync(backlog.taken());
  assertEquals(backlog.put([1, 2]), undefined);
  assertEquals(backlog.untouched, false);
  assertEquals(backlog.put([]), undefined);
  await Promise.resolve();
  backlog.put([3]);
  backlog.end();
  assertEquals(await taken, [1, 2, 3]);
  const empty = new BoundedQueue<number>(1);
  empty.end();
  assertEquals(await Array.fromAsync(empty.taken()), []);
});

Deno.test("BoundedQueue is full with so many items, until they are taken", async () => {
  const backlog = new BoundedQueue<number>(2);
  assertEquals(backlog.put([1]), undefined);
  const room = backlog.put([2, 3]);
  let full = true;
  room!.then(() => full = false);
  const taking = backlog.taken();
  await Promise.resolve();
  assertEquals(full, true);
  assertEquals((await taking.next()).value, 1);
  await room;
  // Those that are on their way out count no more.
  assertEquals(backlog.put([4]), undefined);
  backlog.end();
  assertEquals(await Array.fromAsync(taking), [2, 3, 4]);
});

Deno.test("BoundedQueue tells a failure behind what came before it, or at once", async () => {
  for (const atOnce of [false, true]) {
    const backlog = new BoundedQueue<number>(10);
    backlog.put([1, 2, 3]);
    const taking = backlog.taken();
    assertEquals((await taking.next()).value, 1);
    const failure = new Error("enough");
    backlog.fail(failure, { atOnce });
    const seen: number[] = [];
    const rest = async () => {
      for await (const item of taking) seen.push(item);
    };
    assertEquals(await assertRejects(rest, Error), failure);
    assertEquals(seen, atOnce ? [] : [2, 3]);
  }
});

Deno.test("BoundedQueue tells whoever fills it that nobody takes anything any more", async () => {
  const backlog = new BoundedQueue<number>(1);
  const room = backlog.put([1])!;
  for await (const item of backlog.taken()) {
    assertEquals(item, 1);
    await room;
    const full = backlog.put([2])!;
    full.catch(() => {});
    break;
  }
  assertThrows(() => backlog.put([3]), Error, "the consumer has stopped");
  const waiting = new BoundedQueue<number>(1);
  const full = waiting.put([1, 2])!;
  const taking = waiting.taken();
  const refilled = full.then(() => waiting.put([3, 4])!);
  await taking.next();
  await Promise.resolve();
  await taking.return();
  await assertRejects(() => refilled, Error, "the consumer has stopped");
});
