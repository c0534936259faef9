import { assert, assertEquals, assertRejects } from "@std/assert";
import { Digests } from "../../../lib/digest/digests.ts";
import { Md5 } from "../../../lib/digest/md5.ts";
import { type DigestedBlocks, Md5Thread, Md5Threads } from "../../../lib/digest/md5_thread.ts";
import { randomBytes } from "../../support/random_file.ts";

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

Deno.test("Md5Threads.start() starts as many threads as may be, and then shares them evenly", () => {
  const threads = new Md5Threads({ limit: 2 });
  const uses = Array.from({ length: 5 }, () => threads.start()!);
  assertEquals(threads.size, 2);
  // The first thread has three digests, the second one two.
  for (const at of [1, 3, 3]) uses[at]![Symbol.dispose]();
  assertEquals(threads.size, 1);
  using _another = threads.start();
  assertEquals(threads.size, 2);
  for (const use of uses) use[Symbol.dispose]();
  assertEquals(threads.size, 1);
  // Where there is one processor, a thread would only take its turn.
  assertEquals(new Md5Threads({ limit: 0 }).start(), undefined);
});

Deno.test("digests that share a thread do not mix, and one that ends leaves the others alone", async () => {
  const threads = new Md5Threads({ limit: 1 });
  const [some, others] = [randomBytes(64 * 50, 1), randomBytes(64 * 50, 2)];
  const [one, two, three] = [threads.start()!, threads.start()!, threads.start()!];
  assertEquals(await one.started, true);
  const digests = new Digests();
  const wordsOf = (bytes: Uint8Array) => {
    const md5 = new Md5(digests.md5Engine);
    md5.update(bytes);
    return md5.words;
  };
  const start = wordsOf(new Uint8Array());
  const results: Promise<DigestedBlocks>[] = [];
  for (let at = 0; at < some.length; at += 640) {
    const first = at === 0 ? start : undefined;
    results.push(one.digest(some.slice(at, at + 640), first));
    results.push(two.digest(others.slice(at, at + 640), first));
  }
  const given = three.digest(new Uint8Array(64), start);
  three[Symbol.dispose]();
  await assertRejects(() => given, Error, "has ended");
  const ends = (await Promise.all(results)).map(({ words }) => words);
  assertEquals([ends.at(-2), ends.at(-1)], [wordsOf(some), wordsOf(others)]);
  one[Symbol.dispose]();
  const after = await two.digest(some.slice(0, 64));
  assertEquals(after.words, wordsOf(new Uint8Array([...others, ...some.subarray(0, 64)])));
  two[Symbol.dispose]();
  assertEquals(threads.size, 0);
});
