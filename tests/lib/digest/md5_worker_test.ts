import { assert, assertEquals, assertRejects } from "@std/assert";
import { Md5, THREADS } from "../../../lib/digest/md5.ts";
import { Md5Thread, Md5Threads } from "../../../lib/digest/md5_worker.ts";

/** Bytes of which no two places have the same. */
function someBytes(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 >> 3;
  return bytes;
}

/** A thread that is ready, also where this machine has one processor. */
async function ready(): Promise<Md5Thread> {
  const thread = new Md5Threads(THREADS.setup, 1).start()!;
  assert(!thread.ready);
  assert(await thread.started);
  return thread;
}

const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** A thread that cannot start. */
function broken(onEnd?: () => void): Md5Thread {
  return new Md5Thread(
    { module: new WebAssembly.Module(EMPTY_MODULE), input: 0, inputBytes: 1 },
    onEnd,
  );
}

Deno.test("Md5.updateOn() gives what update() gives, wherever a block begins", async () => {
  using thread = await ready();
  const bytes = someBytes(1_000_003);
  for (const first of [0, 1, 63, 64, 300_032, 300_001]) {
    const [aside, here] = [new Md5(), new Md5()];
    here.update(bytes);
    const handled = [
      aside.updateOn(thread, bytes.slice(0, first)),
      aside.updateOn(thread, bytes.slice(first, 700_000)),
      aside.updateOn(thread, bytes.slice(700_000)),
    ];
    await Promise.all(handled);
    assertEquals(aside.size, here.size);
    assertEquals(aside.hex(), here.hex(), `${first} bytes first`);
  }
});

Deno.test("Md5.updateOn() goes on behind what was fed here meanwhile", async () => {
  using thread = await ready();
  const bytes = someBytes(262_144);
  const [aside, here] = [new Md5(), new Md5()];
  for (let turn = 0; turn < 3; turn++) {
    here.update(bytes);
    here.update(bytes);
    await aside.updateOn(thread, bytes.slice());
    aside.update(bytes);
  }
  assertEquals(aside.hex(), here.hex());
});

Deno.test("Md5.updateOn() gives the memory back, and the state behind each piece", async () => {
  using thread = await ready();
  const [aside, here] = [new Md5(), new Md5()];
  const pieces = [0, 1, 2].map((i) => someBytes(131_072).fill(i, 0, 1000));
  const expected = pieces.map((piece) => {
    here.update(piece);
    return { bytes: piece.slice(), state: here.state };
  });
  // None waits for the one before it.
  const handled = pieces.map((piece) => aside.updateOn(thread, piece));
  assertEquals(pieces.map(({ length }) => length), [0, 0, 0]);
  assertEquals(await Promise.all(handled), expected);
});

Deno.test("Md5.updateOn() fails where its thread ends", async () => {
  const thread = await ready();
  const md5 = new Md5();
  const handled = md5.updateOn(thread, someBytes(1_048_576));
  const rest = md5.updateOn(thread, someBytes(10));
  thread[Symbol.dispose]();
  await assertRejects(() => handled, Error, "has ended");
  await assertRejects(() => rest, Error, "has ended");
  await assertRejects(() => md5.updateOn(thread, someBytes(131_072)), Error, "has ended");
});

Deno.test("Md5Thread is never ready where it cannot start", async () => {
  let ended = 0;
  using thread = broken(() => ended++);
  assertEquals(await thread.started, false);
  assert(!thread.ready);
  assertEquals(ended, 1);
  await assertRejects(() => thread.digest(someBytes(64)), Error, "has ended");
});

Deno.test("Md5Threads.start() starts as many threads as are of use", () => {
  const threads = new Md5Threads(THREADS.setup, 2);
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
  assertEquals(new Md5Threads(THREADS.setup, 0).start(), undefined);
});
