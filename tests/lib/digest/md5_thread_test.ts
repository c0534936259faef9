import { assert, assertEquals, assertRejects } from "@std/assert";
import { Md5Thread, Md5Threads } from "../../../lib/digest/md5_thread.ts";

const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

Deno.test("Md5Thread is never ready where it cannot start", async () => {
  let ended = 0;
  const module = new WebAssembly.Module(EMPTY_MODULE);
  using thread = Md5Thread.start({ module, onEnd: () => ended++ });
  assertEquals(await thread.started, false);
  assert(!thread.ready);
  assertEquals(ended, 1);
  await assertRejects(() => thread.digest(new Uint8Array(64)), Error, "has ended");
});

Deno.test("Md5Threads.start() starts as many threads as are of use", () => {
  const threads = new Md5Threads(2);
  const [first, second] = [threads.start()!, threads.start()!];
  assertEquals([threads.start(), threads.size], [undefined, 2]);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assertEquals(threads.size, 1);
  const third = threads.start()!;
  assertEquals([threads.start(), threads.size], [undefined, 2]);
  for (const thread of [second, third]) thread[Symbol.dispose]();
  assertEquals(threads.size, 0);
  // Where there is one processor, a thread would only take its turn.
  assertEquals(new Md5Threads(0).start(), undefined);
});
