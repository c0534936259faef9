import { assert, assertEquals, assertRejects } from "@std/assert";
import { inParallel, settled } from "../../../server/storage/in_parallel.ts";

Deno.test("inParallel() works on so many items at the same time, and on each once", async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  async function* items() {
    for (let item = 0; item < 20; item++) {
      await Promise.resolve();
      yield item;
    }
  }
  for (const source of [items(), Array.from({ length: 20 }, (_, item) => item)]) {
    done.length = most = 0;
    await inParallel(3, source, async (item) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      done.push(item);
    });
    assertEquals(done.sort((a, b) => a - b), Array.from({ length: 20 }, (_, item) => item));
    assertEquals([most, running], [3, 0]);
  }
});

Deno.test("inParallel() begins nothing after a failure, and leaves nothing running", async () => {
  let [begun, running, isClosed] = [0, 0, false];
  function* items() {
    try {
      for (;;) yield ++begun;
    } finally {
      isClosed = true;
    }
  }
  const failure = new Error("the third");
  const run = inParallel(2, items(), async (item, signal) => {
    running++;
    try {
      if (item === 3) throw failure;
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
      if (item > 3) assert(signal.aborted);
    } finally {
      running--;
    }
  });
  assertEquals(await assertRejects(() => run, Error), failure);
  assert(begun <= 4, `${begun} were begun`);
  assertEquals([running, isClosed], [0, true]);
});

Deno.test("inParallel() fails with what the items fail with", async () => {
  async function* items() {
    yield await Promise.resolve(1);
    throw new Error("no more items");
  }
  await assertRejects(
    () => inParallel(2, items(), () => Promise.resolve()),
    Error,
    "no more items",
  );
  await inParallel(2, [], () => Promise.reject(new Error("never called")));
});

Deno.test("settled() waits for all before it fails", async () => {
  let isDone = false;
  const slow = new Promise<number>((resolve) =>
    setTimeout(() => {
      isDone = true;
      resolve(1);
    }, 5)
  );
  await assertRejects(() => settled([Promise.reject(new Error("early")), slow]), Error, "early");
  assert(isDone);
  assertEquals(await settled([slow, Promise.resolve("x")]), [1, "x"]);
});
