import { assert, assertEquals, assertRejects } from "@std/assert";
import { BufferBudget, SMALL_BUFFER } from "../../../lib/core/buffer_pool.ts";
import { md5Of, PrefixDigest, type SavedPrefix } from "../../../lib/digest/digest.ts";
import { THREADS } from "../../../lib/digest/md5.ts";
import { type Md5Thread, Md5Threads } from "../../../lib/digest/md5_worker.ts";
import { BYTES_ALONE, Pieces, THREAD_BYTES } from "../../../lib/digest/chunk_pipeline.ts";

const MIB = 1024 * 1024;

/** One thread, also where this machine has one processor, which is waited for. */
class OneThread extends Md5Threads {
  thread: Md5Thread | undefined;

  constructor() {
    super(THREADS.setup, 1);
  }

  override start(): Md5Thread | undefined {
    return this.thread ??= super.start();
  }
}

Deno.test("Pieces.next() gives memory again as soon as it is not used any more", async () => {
  const budget = new BufferBudget(8 * MIB);
  {
    using pieces = new Pieces({ most: MIB, budget });
    const used = Promise.withResolvers<void>();
    const first = await pieces.next();
    const passing = pieces.pass(first, { use: used.promise });
    const [second, third] = [await pieces.next(), await pieces.next()];
    assertEquals(new Set([first, second, third].map(({ buffer }) => buffer)).size, 3);
    assertEquals(budget.left, 5 * MIB);
    const again = pieces.next();
    used.resolve();
    await passing;
    assert((await again).buffer === first.buffer);
  }
  assertEquals(budget.left, 8 * MIB);
});

Deno.test("Pieces.next() makes do with one small piece where memory is short, and grows when it is not", async () => {
  const budget = new BufferBudget(8 * MIB);
  const others = Array.from({ length: 1000 }, () => budget.lend(MIB));
  using pieces = new Pieces({ most: MIB, budget });
  const first = await pieces.next();
  assertEquals(first.length, SMALL_BUFFER);
  const used = Promise.withResolvers<void>();
  void pieces.pass(first, { use: used.promise });
  const second = pieces.next();
  for (const one of others) one[Symbol.dispose]();
  used.resolve();
  assertEquals((await second).length, MIB);
  assertEquals(budget.left, 7 * MIB);
});

Deno.test("Pieces.pass() digests in order, here and by a thread", async () => {
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: false });
  const threads = new OneThread();
  const whole: number[] = [];
  {
    using pieces = new Pieces({ most: 100_000, digest, threads, expected: THREAD_BYTES });
    let bytes = 0;
    let aside = 0;
    // Some by a thread, and at last a few bytes, as at the end of most files.
    for (let i = 0; aside < 5 || bytes < BYTES_ALONE; i++) {
      const piece = (await pieces.next()).fill(i);
      whole.push(piece.length);
      await pieces.pass(piece);
      bytes += piece.length;
      if (threads.thread) assert(await threads.thread.started);
      if (threads.thread?.ready) aside++;
    }
    const last = (await pieces.next()).subarray(0, 77).fill(7);
    whole.push(last.length);
    void pieces.pass(last);
    await pieces.end();
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

Deno.test("Pieces.pass() remembers the state behind a piece, and not behind the next", async () => {
  const options = { algorithm: "md5", proof: true } as const;
  const [digest, expected] = [
    await PrefixDigest.create(options),
    await PrefixDigest.create(options),
  ];
  const threads = new OneThread();
  const bytes = new Uint8Array(MIB).fill(9);
  const saved: SavedPrefix[] = [];
  const states: (SavedPrefix | undefined)[] = [];
  using pieces = new Pieces({ most: MIB, digest, threads, expected: THREAD_BYTES });
  const remember = (prefix: SavedPrefix) => Promise.resolve(void saved.push(prefix));
  const count = BYTES_ALONE / MIB + 6;
  for (let i = 0; i < count; i++) {
    const piece = await pieces.next();
    piece.set(bytes);
    expected.update(bytes);
    const now = i % 3 === 0;
    if (now) states.push(expected.save());
    void pieces.pass(piece, { remember: now ? remember : undefined });
    if (threads.thread) await threads.thread.started;
  }
  await pieces.end();
  assertEquals(saved, states as SavedPrefix[]);
  assert(threads.thread?.ready);
});

Deno.test("Pieces.pass() starts no thread for what is not large, or has not come yet", async () => {
  for (const [expected, count] of [[THREAD_BYTES - 1, 20], [THREAD_BYTES, 15]] as const) {
    const threads = new OneThread();
    const digest = await PrefixDigest.create({ algorithm: "md5", proof: false });
    using pieces = new Pieces({ most: MIB, digest, threads, expected });
    for (let i = 0; i < count; i++) await pieces.pass(await pieces.next());
    assertEquals([expected, threads.size], [expected, 0]);
    if (expected === THREAD_BYTES) await pieces.pass(await pieces.next());
    assertEquals(threads.size, expected === THREAD_BYTES ? 1 : 0);
  }
});

Deno.test("Pieces tell of what the use of a piece failed with", async () => {
  using pieces = new Pieces({ most: MIB });
  const failed = new Error("the disk is full");
  const passing = pieces.pass(await pieces.next(), { use: Promise.reject(failed) });
  await assertRejects(() => passing, Error, failed.message);
  await assertRejects(() => pieces.next(), Error, failed.message);
  await assertRejects(() => pieces.end(), Error, failed.message);
});

Deno.test("Pieces.next() fails as soon as what it waits for does", async () => {
  const budget = new BufferBudget(0);
  using pieces = new Pieces({ most: MIB, budget });
  const use = Promise.withResolvers<void>();
  void pieces.pass(await pieces.next(), { use: use.promise });
  const waiting = pieces.next();
  use.reject(new Error("the peer left"));
  await assertRejects(() => waiting, Error, "the peer left");
});
