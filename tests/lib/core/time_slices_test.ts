import { assert, assertEquals } from "@std/assert";
import { Pace, turn } from "../../../lib/core/time_slices.ts";

Deno.test("turn() lets on those who wait in their order, one at a time", async () => {
  const order: string[] = [];
  const worker = async (name: string) => {
    for (let slice = 0; slice < 3; slice++) {
      await turn();
      order.push(name);
      // What a slice leads to at once belongs to it.
      await Promise.resolve();
      order.push(name.toUpperCase());
    }
  };
  await Promise.all(["a", "b", "c"].map(worker));
  assertEquals(order.join(""), "aAbBcC".repeat(3));
});

Deno.test("turn() lets connections be served between the slices of many that have long work", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const served = (async () => {
    using conn = await listener.accept();
    const byte = new Uint8Array(1);
    for (let round = 0; round < 10; round++) {
      await conn.read(byte);
      await conn.write(byte);
    }
  })();
  let slices = 0;
  let ended = false;
  const workers = Array.from({ length: 10 }, async () => {
    for (; !ended && slices < 100_000; slices++) await turn();
  });
  const { port } = listener.addr;
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const byte = new Uint8Array(1);
  for (let round = 0; round < 10; round++) {
    await conn.write(byte);
    await conn.read(byte);
  }
  ended = true;
  await Promise.all([served, ...workers]);
  // Each way takes a few turns; where connections are seldom looked at, it takes 60 of them.
  assert(slices < 10 * 20, `${slices} slices for 10 rounds`);
});

Deno.test("Pace is due after a while, and not behind a rest", async () => {
  const pace = new Pace();
  assert(!pace.isDue);
  const until = performance.now() + 6;
  while (performance.now() < until);
  assert(pace.isDue);
  await pace.rest();
  assert(!pace.isDue);
});
