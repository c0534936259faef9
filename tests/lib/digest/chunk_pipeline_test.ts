import { assert, assertEquals, assertRejects } from "@std/assert";
import { BufferBudget, SMALL_BUFFER } from "../../../lib/core/buffer_budget.ts";
import { BYTES_ALONE } from "../../../lib/digest/chunk_digest.ts";
import { ChunkPipeline, type ChunkPipelineOptions } from "../../../lib/digest/chunk_pipeline.ts";
import { Digests } from "../../../lib/digest/digests.ts";
import { type Md5Thread, Md5Threads, THREAD_BYTES } from "../../../lib/digest/md5_thread.ts";
import { PrefixDigest, type SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import { md5Of } from "../../support/digests.ts";
import { MIB } from "../../support/bytes.ts";

/** One thread, also where this machine has one processor, which is waited for. */
class OneThread extends Md5Threads {
  thread: Md5Thread | undefined;

  constructor() {
    super({ limit: 1 });
  }

  override start(): Md5Thread | undefined {
    return this.thread ??= super.start();
  }
}

/** The chunks of a transfer that has all memory for itself. */
function pipeline(
  options: ChunkPipelineOptions,
  threads: Md5Threads = new Md5Threads({ limit: 0 }),
): ChunkPipeline {
  return new ChunkPipeline(
    { buffers: new BufferBudget(8 * MIB), digests: new Digests(threads) },
    options,
  );
}

Deno.test("ChunkPipeline.next() gives memory again as soon as it is not used any more", async () => {
  const buffers = new BufferBudget(8 * MIB);
  {
    using chunks = new ChunkPipeline({ buffers, digests: new Digests() }, { most: MIB });
    const used = Promise.withResolvers<void>();
    const first = await chunks.next();
    const passing = chunks.pass(first, { use: used.promise });
    const [second, third] = [await chunks.next(), await chunks.next()];
    assertEquals(new Set([first, second, third].map(({ buffer }) => buffer)).size, 3);
    assertEquals(buffers.left, 5 * MIB);
    const again = chunks.next();
    used.resolve();
    await passing;
    assert((await again).buffer === first.buffer);
  }
  assertEquals(buffers.left, 8 * MIB);
});

Deno.test("ChunkPipeline.next() makes do with one small chunk where memory is short, and grows when it is not", async () => {
  const buffers = new BufferBudget(8 * MIB);
  const others = Array.from({ length: 1000 }, () => buffers.lend(MIB));
  using chunks = new ChunkPipeline({ buffers, digests: new Digests() }, { most: MIB });
  const first = await chunks.next();
  assertEquals(first.length, SMALL_BUFFER);
  const used = Promise.withResolvers<void>();
  void chunks.pass(first, { use: used.promise });
  const second = chunks.next();
  for (const one of others) one[Symbol.dispose]();
  used.resolve();
  assertEquals((await second).length, MIB);
  assertEquals(buffers.left, 7 * MIB);
});

Deno.test("ChunkPipeline.pass() digests in order, here and by a thread", async () => {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: false });
  const threads = new OneThread();
  const whole: number[] = [];
  {
    using chunks = pipeline({ most: 100_000, digest, expected: THREAD_BYTES }, threads);
    let bytes = 0;
    let aside = 0;
    // Some by a thread, and at last a few bytes, as at the end of most files.
    for (let i = 0; aside < 5 || bytes < BYTES_ALONE; i++) {
      const chunk = (await chunks.next()).fill(i);
      whole.push(chunk.length);
      await chunks.pass(chunk);
      bytes += chunk.length;
      if (threads.thread) assert(await threads.thread.started);
      if (threads.thread?.ready) aside++;
    }
    const last = (await chunks.next()).subarray(0, 77).fill(7);
    whole.push(last.length);
    void chunks.pass(last);
    await chunks.end();
    assertEquals(threads.size, 1);
  }
  assertEquals(threads.size, 0);
  const file = new Uint8Array(whole.reduce((sum, length) => sum + length, 0));
  let at = 0;
  whole.forEach((length, i) => {
    file.fill(i === whole.length - 1 ? 7 : i, at, at + length);
    at += length;
  });
  assertEquals(digest.checksum(), md5Of(file));
});

Deno.test("ChunkPipeline.pass() remembers the state behind a chunk, and not behind the next", async () => {
  const options = { algorithm: "md5", proof: true } as const;
  const [digest, expected] = [
    await PrefixDigest.create(options),
    await PrefixDigest.create(options),
  ];
  const threads = new OneThread();
  const bytes = new Uint8Array(MIB).fill(9);
  const saved: SavedPrefix[] = [];
  const states: (SavedPrefix | undefined)[] = [];
  using chunks = pipeline({ most: MIB, digest, expected: THREAD_BYTES }, threads);
  const remember = (prefix: SavedPrefix) => Promise.resolve(void saved.push(prefix));
  const count = BYTES_ALONE / MIB + 6;
  for (let i = 0; i < count; i++) {
    const chunk = await chunks.next();
    chunk.set(bytes);
    expected.update(bytes);
    const now = i % 3 === 0;
    if (now) states.push(expected.save());
    void chunks.pass(chunk, { remember: now ? remember : undefined });
    if (threads.thread) await threads.thread.started;
  }
  await chunks.end();
  assertEquals(saved, states as SavedPrefix[]);
  assert(threads.thread?.ready);
});

Deno.test("ChunkPipeline.pass() starts no thread for what is not large, or has not come yet", async () => {
  const cases = [
    { expected: THREAD_BYTES - 1, announced: false, alone: 20 },
    { expected: THREAD_BYTES, announced: true, alone: BYTES_ALONE / MIB - 1 },
    { expected: THREAD_BYTES, announced: false, alone: 0 },
  ];
  for (const { expected, announced, alone } of cases) {
    const threads = new OneThread();
    const digest = await PrefixDigest.create({ algorithm: "md5", proof: false });
    using chunks = pipeline({ most: MIB, digest, expected, announced }, threads);
    for (let i = 0; i < alone; i++) await chunks.pass(await chunks.next());
    assertEquals([expected, threads.size], [expected, 0]);
    if (expected === THREAD_BYTES) await chunks.pass(await chunks.next());
    assertEquals(threads.size, expected === THREAD_BYTES ? 1 : 0);
  }
});

Deno.test("ChunkPipeline.pass() uses from the first byte on a thread that runs for others", async () => {
  const threads = new Md5Threads({ limit: 1 });
  using others = threads.start();
  assert(await others?.started);
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: false });
  using chunks = pipeline({ most: MIB, digest, expected: THREAD_BYTES, announced: true }, threads);
  const chunk = await chunks.next();
  const passing = chunks.pass(chunk);
  await Promise.resolve();
  // The memory is with the thread.
  assertEquals(chunk.length, 0);
  await passing;
  assertEquals(digest.checksum(), md5Of(new Uint8Array(MIB)));
});

Deno.test("ChunkPipeline tells what the use of a chunk failed with", async () => {
  using chunks = pipeline({ most: MIB });
  const failed = new Error("the disk is full");
  const passing = chunks.pass(await chunks.next(), { use: Promise.reject(failed) });
  await assertRejects(() => passing, Error, failed.message);
  await assertRejects(() => chunks.next(), Error, failed.message);
  await assertRejects(() => chunks.end(), Error, failed.message);
});

Deno.test("ChunkPipeline.next() fails as soon as what it waits for does", async () => {
  const buffers = new BufferBudget(0);
  using chunks = new ChunkPipeline({ buffers, digests: new Digests() }, { most: MIB });
  const use = Promise.withResolvers<void>();
  void chunks.pass(await chunks.next(), { use: use.promise });
  const waiting = chunks.next();
  use.reject(new Error("the peer left"));
  await assertRejects(() => waiting, Error, "the peer left");
});
