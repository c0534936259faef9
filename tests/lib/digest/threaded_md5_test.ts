import { assert, assertEquals, assertRejects } from "@std/assert";
import { Md5, Md5Engine } from "../../../lib/digest/md5.ts";
import { Md5Thread } from "../../../lib/digest/md5_thread.ts";
import { ThreadedMd5 } from "../../../lib/digest/threaded_md5.ts";

const ENGINE = new Md5Engine();

/** Bytes of which no two places have the same. */
function someBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 >> 3;
  return bytes;
}

/** A thread that is ready, also where this machine has one processor. */
async function ready(): Promise<Md5Thread> {
  const thread = Md5Thread.start();
  assert(!thread.ready);
  assert(await thread.started);
  return thread;
}

Deno.test("ThreadedMd5.update() gives what update() gives, wherever a block begins", async () => {
  using thread = await ready();
  const bytes = someBytes(1_000_003);
  for (const first of [0, 1, 63, 64, 300_032, 300_001]) {
    const [aside, here] = [new Md5(ENGINE), new Md5(ENGINE)];
    here.update(bytes);
    const threaded = new ThreadedMd5(aside, thread);
    const digested = [
      threaded.update(bytes.slice(0, first)),
      threaded.update(bytes.slice(first, 700_000)),
      threaded.update(bytes.slice(700_000)),
    ];
    await Promise.all(digested);
    assertEquals(aside.size, here.size);
    assertEquals(aside.hex(), here.hex(), `${first} bytes first`);
  }
});

Deno.test("ThreadedMd5.update() goes on behind what the md5 was fed before", async () => {
  using thread = await ready();
  const bytes = someBytes(262_144);
  const [aside, here] = [new Md5(ENGINE), new Md5(ENGINE)];
  for (let turn = 0; turn < 3; turn++) {
    here.update(bytes);
    here.update(bytes);
    await new ThreadedMd5(aside, thread).update(bytes.slice());
    aside.update(bytes);
  }
  assertEquals(aside.hex(), here.hex());
});

Deno.test("ThreadedMd5.update() gives the memory back, and the state behind each chunk", async () => {
  using thread = await ready();
  const [aside, here] = [new Md5(ENGINE), new Md5(ENGINE)];
  const chunks = [0, 1, 2].map((i) => someBytes(131_072).fill(i, 0, 1000));
  const expected = chunks.map((chunk) => {
    here.update(chunk);
    return { bytes: chunk.slice(), state: here.state };
  });
  // None waits for the one before it.
  const threaded = new ThreadedMd5(aside, thread);
  const handled = chunks.map((chunk) => threaded.update(chunk));
  assertEquals(chunks.map(({ length }) => length), [0, 0, 0]);
  assertEquals(await Promise.all(handled), expected);
});

Deno.test("ThreadedMd5.update() fails where its thread ends", async () => {
  const thread = await ready();
  const threaded = new ThreadedMd5(new Md5(ENGINE), thread);
  const handled = threaded.update(someBytes(1_048_576));
  const rest = threaded.update(someBytes(10));
  thread[Symbol.dispose]();
  await assertRejects(() => handled, Error, "has ended");
  await assertRejects(() => rest, Error, "has ended");
  await assertRejects(() => threaded.update(someBytes(131_072)), Error, "has ended");
});
