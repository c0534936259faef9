import { assert, assertEquals } from "@std/assert";
import { type Clock, sleep, SYSTEM_CLOCK } from "../../../lib/core/clock.ts";
import { connect, createRuntime, FerryError, MemoryStorage, serve } from "../../../mod.ts";
import { SMALL_BUFFER } from "../../../lib/core/buffer_budget.ts";
import { parseFileName } from "../../../lib/core/remote_name.ts";
import { Authority } from "../../../server/auth/authority.ts";
import { assertCode } from "../../support/assertions.ts";

const MIB = 1024 * 1024;

/** A clock that is turned by hand. Calls that are due are made by {@linkcode HandClock.turn}. */
class HandClock implements Clock {
  #now = 1_000_000;
  #calls = new Map<object, { due: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number): object {
    const timer = {};
    this.#calls.set(timer, { due: this.#now + ms, callback });
    return timer;
  }

  clearTimeout(timer: object | undefined): void {
    if (timer) this.#calls.delete(timer);
  }

  turn(ms: number): void {
    this.#now += ms;
    for (const [timer, { due, callback }] of this.#calls) {
      if (due > this.#now) continue;
      this.#calls.delete(timer);
      callback();
    }
  }
}

Deno.test("createRuntime() makes runtimes that share neither buffers nor threads nor digests", () => {
  const [one, other] = [createRuntime({ digestThreads: 1 }), createRuntime({ digestThreads: 1 })];
  using _lent = one.buffers.lend(2 * MIB);
  assertEquals([one.buffers.left, other.buffers.left], [6 * MIB, 8 * MIB]);
  using thread = one.digests.threads.start();
  assert(thread);
  using _shared = one.digests.threads.start();
  using _another = other.digests.threads.start();
  assertEquals([one.digests.threads.size, other.digests.threads.size], [1, 1]);
  assert(one.digests !== other.digests && one.fileSystems !== other.fileSystems);
});

Deno.test("createRuntime() refuses numbers that are negative or none", async () => {
  for (const options of [{ bufferBytes: -1 }, { digestThreads: NaN }]) {
    await assertCode("usage", () => createRuntime(options));
  }
});

Deno.test("two servers with runtimes of their own do not take each other's memory", async () => {
  const [poor, rich] = [createRuntime({ bufferBytes: 0 }), createRuntime()];
  await using storage = new MemoryStorage({ runtime: rich });
  const options = { storage, listen: "127.0.0.1:0" };
  await using narrow = await serve({ ...options, runtime: poor });
  await using wide = await serve({ ...options, runtime: rich });
  const content = new Uint8Array(3 * MIB).map((_, i) => i * 31 >> 3);
  // A server that has no memory for large buffers serves all the same.
  for (const server of [narrow, wide]) {
    await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
    await client.put(content, { as: "large", overwrite: "always" });
    assertEquals(await client.get("large").bytes(), content);
  }
  assertEquals([poor.buffers.left, rich.buffers.left], [0, 8 * MIB]);
});

Deno.test("a runtime's budget of memory is kept, whoever shares it", () => {
  const { buffers } = createRuntime({ bufferBytes: 2 * MIB });
  const lent = Array.from({ length: 100 }, () => buffers.lend(MIB));
  const large = lent.map(({ bytes }) => bytes.length).filter((size) => size > SMALL_BUFFER);
  assert(large.reduce((sum, size) => sum + size, 0) <= 2 * MIB);
  for (const one of lent) one[Symbol.dispose]();
  assertEquals(buffers.left, 2 * MIB);
});

Deno.test("sleep() ends when the clock is turned, or its signal is aborted", async () => {
  const clock = new HandClock();
  let awake = false;
  const sleeping = sleep(clock, 500).then(() => awake = true);
  clock.turn(499);
  await Promise.resolve();
  assertEquals(awake, false);
  clock.turn(1);
  await sleeping;
  const stop = new AbortController();
  const aborted = sleep(clock, 500, stop.signal).catch((reason) => reason);
  const reason = new FerryError("closed", "given up");
  stop.abort(reason);
  assertEquals(await aborted, reason);
  assertEquals(await sleep(clock, 500, stop.signal).catch((reason) => reason), reason);
});

Deno.test("the clock of a runtime decides when partial uploads expire", async () => {
  const clock = new HandClock();
  await using storage = new MemoryStorage({ runtime: createRuntime({ clock }) });
  {
    await using write = await storage.partialUploads.create(parseFileName("f"), { size: 128 });
    await write.write(new Uint8Array(64));
    await write.checkpoint({ size: 64 });
    write.keep();
  }
  const left = async () => (await storage.partialUploads.list("")).length;
  await storage.partialUploads.expire(1000);
  assertEquals(await left(), 1);
  clock.turn(1000);
  await storage.partialUploads.expire(1000);
  assertEquals(await left(), 0);
});

Deno.test("the clock of a server decides how long failed logins delay the next one", async () => {
  const clock = new HandClock();
  const { throttle } = new Authority({ anonymous: {}, clock });
  throttle.countFailure("source");
  let admitted = false;
  const { signal } = new AbortController();
  const admission = throttle.admit("source", signal).then(() => admitted = true);
  await Promise.resolve();
  assertEquals(admitted, false);
  clock.turn(250);
  await admission;
});

Deno.test("SYSTEM_CLOCK tells the time of the system", async () => {
  assert(Math.abs(SYSTEM_CLOCK.now() - Date.now()) < 1000);
  const before = SYSTEM_CLOCK.monotonic();
  await sleep(SYSTEM_CLOCK, 1);
  assert(SYSTEM_CLOCK.monotonic() > before);
  SYSTEM_CLOCK.clearTimeout(SYSTEM_CLOCK.setTimeout(() => assert(false), 10));
});
