import { assert, assertEquals } from "@std/assert";
import { type Clock, SYSTEM_CLOCK } from "../../../../lib/core/clock.ts";
import { parseFileName } from "../../../../lib/core/remote_name.ts";
import { createRuntime } from "../../../../lib/runtime/runtime.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { everyNth, FaultProxy, shiftedDate } from "../../../support/fault_proxy.ts";
import {
  type BucketPlace,
  Instance,
  type InstanceOptions,
  newBucket,
  TestFile,
} from "../../../support/served_bucket.ts";

const NAME = parseFileName("d/file");

const MD5 = { algorithm: "md5" } as const;

/** Longer than a lease lasts, in milliseconds. */
const BEYOND_LEASE = 15_000;

/** A bucket that several instances serve. */
class Shared implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly place: BucketPlace;
  #abilities: InstanceOptions["abilities"];

  private constructor(place: BucketPlace) {
    this.place = place;
  }

  static async make(kind: typeof CEPH): Promise<Shared> {
    return new Shared(await newBucket(await Engine.shared(kind)));
  }

  /** Another instance. */
  async instance(options: InstanceOptions & { endpoint?: string } = {}): Promise<Instance> {
    const { endpoint = this.place.endpoint } = options;
    const known = this.#abilities ? { abilities: this.#abilities } : {};
    const instance = await Instance.open({ ...this.place, endpoint }, { ...known, ...options });
    this.#abilities = instance.served.engine;
    return this.#stack.use(instance);
  }

  /** A proxy to the store. */
  proxy(): FaultProxy {
    return this.#stack.use(FaultProxy.start(this.place.endpoint));
  }

  /** An instance that meets the records of the others after their leases. */
  async lateInstance(): Promise<Instance> {
    const proxy = this.proxy();
    proxy.rule = () => ({ change: shiftedDate(BEYOND_LEASE) });
    return await this.instance({ endpoint: proxy.url });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }
}

/** Begins to upload a file, and leaves it open. */
async function begin({ writes }: Instance, file: TestFile, end: number) {
  const write = await writes.partialUploads.create(NAME, { size: file.size, replace: false });
  await file.writeTo(write, end);
  return write;
}

/** Leaves a partial upload of a file. */
async function keep(instance: Instance, file: TestFile, end: number): Promise<string> {
  await using write = await begin(instance, file, end);
  write.keep();
  return write.id;
}

/** Ends a partial upload. */
async function goOn({ writes }: Instance, file: TestFile): Promise<number | undefined> {
  const [found] = await writes.partialUploads.find(NAME, { size: file.size });
  await using write = found && await writes.partialUploads.resume(found.id, MD5);
  if (!write) return undefined;
  // The digest counts on while bytes are written.
  const { size } = write.prefix!;
  await file.writeTo(write);
  await write.commit({ checksum: file.md5, replace: false });
  return size;
}

/** Waits until another instance sees that so many bytes are recorded. */
async function recorded({ writes }: Instance, received: number): Promise<void> {
  while (!((await writes.partialUploads.list())[0]!.entry.received >= received)) {
    await new Promise((done) => setTimeout(done, 100));
  }
}

async function assertStored(instance: Instance, file: TestFile): Promise<void> {
  assertEquals(md5((await instance.content(NAME))!), file.md5);
}

for (const kind of [CEPH, SWIFT]) {
  const test = (criterion: string, run: (shared: Shared) => Promise<void>) =>
    testWithEngine(kind, `partial uploads in ${kind.name}: ${criterion}`, async () => {
      await using shared = await Shared.make(kind);
      await run(shared);
    });

  test("what was cut at one instance goes on through another from the very byte", async (shared) => {
    const [a, b, c] = [await shared.instance(), await shared.instance(), await shared.instance()];
    const file = new TestFile(30 * MIB + 5);
    await keep(a, file, 19 * MIB + 64);
    const [found] = await b.writes.partialUploads.list();
    assertEquals(found?.entry.received, 19 * MIB + 64);
    assertEquals(found?.entry.active, false);
    {
      await using write = (await b.writes.partialUploads.resume(found!.id, MD5))!;
      assertEquals(write.prefix?.size, 19 * MIB + 64);
      assertEquals((await c.writes.partialUploads.list())[0]?.entry.active, true);
      await file.writeTo(write, 26 * MIB);
      write.keep();
    }
    assertEquals(await goOn(c, file), 26 * MIB);
    await assertStored(a, file);
    assertEquals(await a.leftovers(), []);
  });

  test("what is offered and not used is kept as it was, with its tail", async (shared) => {
    const [a, b] = [await shared.instance(), await shared.instance()];
    const file = new TestFile(20 * MIB);
    const id = await keep(a, file, 9 * MIB);
    for (const instance of [b, a, b]) {
      await using write = (await instance.writes.partialUploads.resume(id, MD5))!;
      assertEquals(write.prefix?.size, 9 * MIB);
      write.keep();
    }
    assertEquals(await goOn(a, file), 9 * MIB);
    await assertStored(b, file);
    assertEquals(await a.leftovers(), []);
  });

  test("disposal without keep() leaves nothing, also of what another instance began", async (shared) => {
    const [a, b] = [await shared.instance(), await shared.instance()];
    const file = new TestFile(30 * MIB);
    await (await begin(a, file, 17 * MIB))[Symbol.asyncDispose]();
    assertEquals(await a.leftovers(), []);
    const id = await keep(a, file, 17 * MIB);
    await (await b.writes.partialUploads.resume(id, MD5))![Symbol.asyncDispose]();
    assertEquals(await a.leftovers(), []);
    await using stream = await a.writes.create(NAME, { size: null });
    await file.writeTo(stream, 20 * MIB);
    await stream[Symbol.asyncDispose]();
    assertEquals(await a.leftovers(), []);
  });

  test("of several instances one goes on with an upload", async (shared) => {
    const all = [];
    for (let at = 0; at < 6; at++) all.push(await shared.instance());
    const file = new TestFile(12 * MIB);
    const id = await keep(all[0]!, file, 9 * MIB);
    const resumed = await Promise.all(
      all.map(({ writes }) => writes.partialUploads.resume(id, MD5)),
    );
    const [write, ...others] = resumed.filter((each) => each !== undefined);
    assertEquals(others.length, 0);
    await file.writeTo(write!);
    await write!.commit({ checksum: file.md5, replace: false });
    await assertStored(all[0]!, file);
    assertEquals(await all[0]!.leftovers(), []);
  });

  test("an active holder elsewhere keeps its upload; a stalled one loses it, and spoils nothing", async (shared) => {
    const late = { by: 0 };
    const clock: Clock = { ...SYSTEM_CLOCK, monotonic: () => performance.now() + late.by };
    const runtime = createRuntime({ bufferBytes: 64 * MIB, clock });
    const [a, b] = [await shared.instance({ runtime }), await shared.instance()];
    const file = new TestFile(60 * MIB);
    const write = await begin(a, file, 17 * MIB);
    {
      // Its holder renews the lease while bytes come.
      let over = false;
      const writing = (async () => {
        for (let end = 18 * MIB; !over && end <= 25 * MIB; end += MIB) {
          await file.writeTo(write, end);
          await new Promise((done) => setTimeout(done, 1000));
        }
      })();
      assertEquals(await b.writes.partialUploads.resume(write.id, MD5), undefined);
      over = true;
      await writing;
      await assertCode("busy", () => b.writes.partialUploads.discard(write.id));
    }
    const c = await shared.lateInstance();
    let resumed;
    // For the last bytes that came, the holder renews its lease once more.
    while (!(resumed = await c.writes.partialUploads.resume(write.id, MD5)));
    await using taken = resumed;
    // The record is written once in a while, so the last whole part may not be in it.
    assert(taken.prefix!.size >= 8 * MIB, `only ${taken.prefix!.size} bytes are left`);
    await file.writeTo(taken, 34 * MIB);
    // The first holder was stopped, and comes back after its lease.
    late.by = BEYOND_LEASE;
    await assertCode("busy", () => file.writeTo(write, 50 * MIB));
    await assertCode("busy", () => write.commit({ checksum: file.md5, replace: false }));
    write.keep();
    await write[Symbol.asyncDispose]();
    await file.writeTo(taken);
    await taken.commit({ checksum: file.md5, replace: false });
    await assertStored(b, file);
    assertEquals(await b.leftovers(), []);
  });

  test("a holder that comes back before the upload is cut at the same parts spoils nothing", async (shared) => {
    const [a, b] = [await shared.instance(), await shared.instance()];
    const file = new TestFile(40 * MIB);
    const write = await begin(a, file, 17 * MIB);
    await recorded(b, 16 * MIB);
    const c = await shared.lateInstance();
    await using taken = (await c.writes.partialUploads.resume(write.id, MD5))!;
    await file.writeTo(taken, 34 * MIB);
    // It does not know yet that it has lost the upload, and uploads parts that the other one has uploaded, too.
    await file.writeTo(write, 34 * MIB).catch(() => {});
    await file.writeTo(taken);
    await taken.commit({ checksum: file.md5, replace: false });
    await assertStored(a, file);
    write.keep();
    await write[Symbol.asyncDispose]();
    await a.writes.partialUploads.expire(-1);
    await assertStored(a, file);
    assertEquals(await a.leftovers(), []);
  });

  test("stored parts that are not those of the record are not gone on with", async (shared) => {
    const a = await shared.instance();
    const file = new TestFile(20 * MIB);
    const id = await keep(a, file, 9 * MIB);
    for await (const [upload] of a.served.bucket.uploads()) {
      await a.served.bucket.uploadPart(upload!, 1, new TestFile(8 * MIB).bytes);
    }
    assertEquals(await a.writes.partialUploads.resume(id, MD5), undefined);
    assertEquals(await a.leftovers(), []);
  });

  test("a digest whose state is not known leaves the upload to others", async (shared) => {
    const a = await shared.instance();
    const file = new TestFile(20 * MIB);
    const id = await keep(a, file, 9 * MIB);
    const sha256 = { algorithm: "sha256" } as const;
    assertEquals(await a.writes.partialUploads.resume(id, sha256), undefined);
    assertEquals(await goOn(a, file), 9 * MIB);
  });

  test("a store that fails at every third request, and whose answers are lost, holds nothing up", async (shared) => {
    const proxy = shared.proxy();
    const [a, b] = [await shared.instance({ endpoint: proxy.url }), await shared.instance()];
    const file = new TestFile(30 * MIB);
    const third = everyNth(3);
    proxy.rule = (request) => request.index % 7 === 0 ? { loseAnswer: true } : third(request);
    await keep(a, file, 21 * MIB);
    assertEquals(await goOn(a, file), 21 * MIB);
    await assertStored(b, file);
    proxy.rule = () => undefined;
    await a.writes.partialUploads.expire(-1);
    assertEquals(await b.leftovers(), []);
  });

  test("a part with a wrong ETag is not published", async (shared) => {
    const proxy = shared.proxy();
    const a = await shared.instance({ endpoint: proxy.url, retryTime: 1000 });
    const file = new TestFile(20 * MIB);
    proxy.rule = ({ path }) =>
      path.includes("partNumber=2") ? { change: { etag: () => `"${md5("wrong")}"` } } : undefined;
    await using write = await a.writes.partialUploads.create(NAME, { size: file.size });
    const failed = await file.writeTo(write).then(() =>
      write.commit({ checksum: file.md5, replace: true })
    ).catch(({ code }) => code);
    assert(typeof failed === "string", "it was published");
    assertEquals(await a.content(NAME), undefined);
  });

  test("any instance expires what nobody writes, and what no record knows", async (shared) => {
    const [a, b] = [await shared.instance(), await shared.instance()];
    const file = new TestFile(20 * MIB);
    await keep(a, file, 9 * MIB);
    const active = await begin(a, file, 9 * MIB);
    const orphan = await a.served.bucket.begin("x/orphan");
    await a.served.bucket.uploadPart(orphan, 1, file.bytes.subarray(0, 1000));
    await b.writes.partialUploads.expire(60_000);
    assertEquals((await b.leftovers()).filter((key) => key.startsWith("part")).length, 3);
    await a.writes.partialUploads.expire(-1);
    assertEquals((await b.writes.partialUploads.list()).map(({ id }) => id), [active.id]);
    await file.writeTo(active, file.size);
    await active.commit({ checksum: file.md5, replace: false });
    await assertStored(a, file);
    assertEquals(await b.leftovers(), []);
  });
}

testWithEngine(
  CEPH,
  "partial uploads in ceph: many at once stay within the memory for buffers",
  async () => {
    await using shared = await Shared.make(CEPH);
    const total = 24 * MIB;
    const runtime = createRuntime({ bufferBytes: total });
    const a = await shared.instance({ runtime });
    const file = new TestFile(20 * MIB);
    let least = total;
    const lend = runtime.buffers.reserve.bind(runtime.buffers);
    runtime.buffers.reserve = async (size, signal) => {
      const lent = await lend(size, signal);
      least = Math.min(least, runtime.buffers.left);
      return lent;
    };
    await Promise.all(Array.from({ length: 6 }, async (_, at) => {
      const name = parseFileName(`f${at}`);
      await using write = await a.writes.partialUploads.create(name, { size: file.size });
      const own = new TestFile(file.bytes);
      await own.writeTo(write);
      await write.commit({ checksum: file.md5, replace: false });
    }));
    for (let at = 0; at < 6; at++) assertEquals(md5((await a.content(`f${at}`))!), file.md5);
    assert(least >= 0 && least <= total / 2, `${least} bytes were left at least`);
    assertEquals(runtime.buffers.left, total);
    assertEquals(await a.leftovers(), []);
  },
);
