import { assert, assertEquals, assertRejects } from "@std/assert";
import { delay } from "@std/async/delay";
import { Md5, THREADS } from "../lib/md5.ts";
import { Md5Thread, Md5Threads } from "../lib/md5_threads.ts";

/** A thread that is ready. */
async function idle(threads: Md5Threads): Promise<Md5Thread> {
  for (;;) {
    const thread = threads.idle;
    if (thread) return thread;
    await delay(1);
  }
}

/** Bytes in shared memory, which no two places have the same of. */
function shared(length: number): Uint8Array<SharedArrayBuffer> {
  const bytes = new Uint8Array(new SharedArrayBuffer(length));
  for (let i = 0; i < length; i++) bytes[i] = i * 31 >> 3;
  return bytes;
}

/** A thread that ends as soon as it is asked to do something. */
class Dying extends Md5Thread {
  asked = 0;

  constructor() {
    super({ module: new WebAssembly.Module(EMPTY_MODULE), input: 0, inputBytes: 1 });
  }

  override get idle(): boolean {
    return this.asked === 0;
  }

  override compress(): Promise<Uint32Array> {
    this.asked++;
    this[Symbol.dispose]();
    return super.compress(new Uint32Array(4), new Uint8Array(new SharedArrayBuffer(64)));
  }
}

const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

Deno.test("Md5.updateAside() gives what update() gives, wherever a block begins", async () => {
  using _lease = THREADS.lease();
  await idle(THREADS);
  const bytes = shared(1_000_003);
  for (const first of [0, 1, 63, 64, 300_000]) {
    const [aside, here] = [new Md5(), new Md5()];
    here.update(bytes);
    await aside.updateAside(bytes.subarray(0, first));
    await aside.updateAside(bytes.subarray(first));
    assertEquals(aside.size, here.size);
    assertEquals(aside.hex(), here.hex(), `${first} bytes first`);
  }
});

Deno.test("Md5.updateAside() lets several digests share a thread", async () => {
  using _lease = THREADS.lease();
  await idle(THREADS);
  const bytes = shared(600_000);
  const digests = Array.from({ length: 5 }, () => new Md5());
  for (let turn = 0; turn < 3; turn++) {
    await Promise.all(digests.map((md5, i) => md5.updateAside(bytes.subarray(i * 64))));
  }
  digests.forEach((md5, i) => {
    const here = new Md5();
    for (let turn = 0; turn < 3; turn++) here.update(bytes.subarray(i * 64));
    assertEquals(md5.hex(), here.hex());
  });
});

Deno.test("Md5.updateAside() goes on by itself where its thread ends", async () => {
  const bytes = shared(600_000);
  const here = new Md5();
  here.update(bytes);
  const thread = new Dying();
  const threads = new Md5Threads(() => thread, 1);
  using _lease = threads.lease();
  const md5 = new Md5();
  await md5.updateAside(bytes, threads);
  assertEquals(thread.asked, 1);
  assertEquals(md5.hex(), here.hex());
});

Deno.test("Md5Thread is never idle where it cannot start", async () => {
  using thread = new Md5Thread({
    module: new WebAssembly.Module(EMPTY_MODULE),
    input: 0,
    inputBytes: 1,
  });
  await thread.ended;
  assert(!thread.idle);
  await assertRejects(() => thread.compress(new Uint32Array(4), shared(64)), Error);
});

Deno.test("Md5Threads.lease() starts as many threads as are of use, and ends them with the last", () => {
  const started: Md5Thread[] = [];
  const start = () => {
    const thread = new Dying();
    started.push(thread);
    return thread;
  };
  const threads = new Md5Threads(start, 2);
  assertEquals(threads.idle, undefined);
  const leases = [threads.lease()];
  assertEquals(started.length, 1);
  leases.push(threads.lease(), threads.lease());
  assertEquals(started.length, 2);
  leases.pop()![Symbol.dispose]();
  leases.pop()![Symbol.dispose]();
  assertEquals(threads.idle, started[0]);
  leases.pop()![Symbol.dispose]();
  assertEquals(threads.idle, undefined);
  // Where there is one processor, a thread would only take its turn.
  using _lease = new Md5Threads(start, 0).lease();
  assertEquals(started.length, 2);
});
