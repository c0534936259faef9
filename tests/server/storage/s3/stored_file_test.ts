import { assert, assertEquals } from "@std/assert";
import type { FileName } from "../../../../lib/core/remote_name.ts";
import { createRuntime } from "../../../../lib/runtime/runtime.ts";
import { metadataOf } from "../../../../server/storage/s3/object_attributes.ts";
import { checksumOf, S3StoredFile } from "../../../../server/storage/s3/stored_file.ts";
import { assertCode } from "../../../support/assertions.ts";
import { KIB, md5, MIB } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { FaultProxy } from "../../../support/fault_proxy.ts";
import { Instance, newBucket, TestFile } from "../../../support/served_bucket.ts";

const NAME = "d/large" as FileName;

/** Stores an object of two parts as another program does. */
async function storeParts({ served: { bucket } }: Instance, file: TestFile): Promise<string> {
  const upload = await bucket.begin(NAME);
  // No part but the last may be smaller.
  const half = Math.max(5 * MIB, Math.ceil(file.size / 2));
  const parts = [
    await bucket.uploadPart(upload, 1, file.bytes.subarray(0, half)),
    await bucket.uploadPart(upload, 2, file.bytes.subarray(half)),
  ];
  return (await bucket.complete(upload, parts))!;
}

/** Reads a file from an offset to its end. */
async function readFrom(
  file: S3StoredFile,
  offset: number,
  piece = 300 * KIB,
): Promise<Uint8Array> {
  file.seek(offset);
  const bytes = new Uint8Array(file.entry.size - offset);
  let filled = 0;
  for (;;) {
    const count = await file.read(bytes.subarray(filled, filled + piece));
    if (count === null || filled === bytes.length) return bytes.subarray(0, filled);
    assert(count > 0);
    filled += count;
  }
}

/** Starts an engine with a proxy in front of it, which counts requests. */
async function counted(bufferBytes?: number) {
  const stack = new AsyncDisposableStack();
  const place = await newBucket(await Engine.shared(CEPH));
  const proxy = stack.use(FaultProxy.start(place.endpoint));
  const runtime = createRuntime({ bufferBytes });
  const instance = stack.use(await Instance.open({ ...place, endpoint: proxy.url }, { runtime }));
  const gets = () => proxy.requests.filter(({ method }) => method === "GET").length;
  return { instance, proxy, gets, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

for (const kind of [CEPH, SWIFT]) {
  testWithEngine(kind, `a large file is read from anywhere, in ${kind.name}`, async () => {
    await using instance = await Instance.open(await newBucket(await Engine.shared(kind)));
    const content = new TestFile(7 * MIB + 17);
    await storeParts(instance, content);
    // Much memory, little, and none.
    for (const bufferBytes of kind === CEPH ? [64 * MIB, 3 * MIB, 0] : [3 * MIB]) {
      const runtime = createRuntime({ bufferBytes });
      await using file = await S3StoredFile.open({ ...instance.served, runtime }, NAME, "md5");
      assertEquals(file.entry.size, content.size);
      for (const offset of [0, 5 * MIB + 3, content.size - 1, MIB, content.size]) {
        const read = await readFrom(file, offset);
        assertEquals(md5(read), md5(content.bytes.subarray(offset)), `from ${offset}`);
        assertEquals(await file.read(new Uint8Array(1)), null);
      }
      assert(runtime.buffers.left >= 0);
      await file[Symbol.asyncDispose]();
      assertEquals(runtime.buffers.left, bufferBytes);
    }
  });
}

testWithEngine(CEPH, "a file of up to 1 MiB takes one request to open and read", async () => {
  await using store = await counted(64 * MIB);
  const { instance, gets } = store;
  const content = new TestFile(MIB);
  const metadata = metadataOf({ mtime: 5000, mode: 0o600, checksums: [content.md5] });
  await instance.served.bucket.put(NAME, content.bytes, { metadata });
  const before = store.proxy.requests.length;
  await using file = await S3StoredFile.open(instance.served, NAME, "md5");
  assertEquals(md5(await readFrom(file, 0)), content.md5);
  assertEquals(store.proxy.requests.length - before, 1);
  assertEquals(file.entry, {
    filename: NAME,
    type: "file",
    size: MIB,
    mtime: 5000,
    mode: 0o600,
    checksum: content.md5,
  });
  assert(gets() > 0);
});

testWithEngine(CEPH, "several ranges of a large file are requested ahead", async () => {
  await using store = await counted(64 * MIB);
  const { instance, proxy } = store;
  await storeParts(instance, new TestFile(20 * MIB));
  proxy.requests.length = 0;
  await using file = await S3StoredFile.open(instance.served, NAME, "md5");
  await file.read(new Uint8Array(1));
  const requested = () => proxy.requests.filter(({ path }) => path.includes("large"));
  while (requested().length < 5) await new Promise((resolve) => setTimeout(resolve, 1));
  const ranges = requested().map(({ headers }) => headers.get("range"));
  assertEquals(ranges[0], "bytes=0-1048575");
  assertEquals(ranges.slice(1).sort(), [
    "bytes=1048576-5242879",
    "bytes=13631488-17825791",
    "bytes=5242880-9437183",
    "bytes=9437184-13631487",
  ]);
});

testWithEngine(
  CEPH,
  "a file that is replaced or removed while it is read gives no mixture",
  async () => {
    await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
    const { bucket } = instance.served;
    const runtime = createRuntime({ bufferBytes: 2 * MIB });
    const content = new TestFile(30 * MIB);
    for (const replace of [true, false]) {
      await storeParts(instance, content);
      await using file = await S3StoredFile.open({ ...instance.served, runtime }, NAME, "md5");
      const first = new Uint8Array(64 * KIB);
      const count = (await file.read(first))!;
      assertEquals(first.subarray(0, count), content.bytes.subarray(0, count));
      if (replace) await bucket.put(NAME, new TestFile(30 * MIB).bytes);
      else await bucket.delete(NAME);
      const error = await assertCode("busy", async () => {
        const rest = await readFrom(file, count);
        assertEquals(md5(rest), md5(content.bytes.subarray(count)), "other bytes");
        throw new Error("the store gave all of the old object");
      });
      assert(/replaced|removed/.test(error.message), error.message);
    }
  },
);

testWithEngine(CEPH, "an object of another program is read once for its checksum", async () => {
  await using store = await counted(64 * MIB);
  const { instance: { served }, gets } = store;
  const content = new TestFile(9 * MIB);
  const etag = await storeParts(store.instance, content);
  assert(etag.endsWith("-2"), etag);
  const head = (await served.bucket.head(NAME))!;
  // Two that ask at the same time share one reading.
  const [one, two] = await Promise.all([
    checksumOf(served, head, "md5"),
    checksumOf(served, head, "md5"),
  ]);
  assertEquals([one, two], [content.md5, content.md5]);
  const before = gets();
  assertEquals(await checksumOf(served, head, "md5"), content.md5);
  assertEquals(gets() - before, 1, "more than the record was read");
  await using file = await S3StoredFile.open(served, NAME, "md5");
  assertEquals(file.entry.checksum, content.md5);
  assertEquals([file.known("md5"), file.known("sha256")], [content.md5, null]);
  assertEquals([await file.find("md5"), await file.find("sha256")], [content.md5, null]);
  // Other algorithms are remembered beside it.
  const sha256 = await checksumOf(served, head, "sha256");
  assert(sha256.startsWith("sha256:"));
  assertEquals(await served.records.find(NAME, etag, "sha256"), sha256);
  assertEquals(await served.records.find(NAME, etag, "md5"), content.md5);
  assertEquals(await file.find("sha256"), sha256);
});

testWithEngine(
  CEPH,
  "what was remembered of a replaced file is not told of the new one",
  async () => {
    await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
    const { served } = instance;
    const [old, now] = [new TestFile(6 * MIB), new TestFile(6 * MIB)];
    await storeParts(instance, old);
    await using file = await S3StoredFile.open(served, NAME, "md5");
    await storeParts(instance, now);
    await file.remember(old.md5);
    const head = (await served.bucket.head(NAME))!;
    assertEquals(await served.records.all(NAME, file.etag), []);
    assertEquals(await checksumOf(served, head, "md5"), now.md5);
    await served.records.remember(NAME, file.etag, [old.md5]);
    await served.records.forget(NAME, file.etag);
    assertEquals(await served.records.all(NAME, file.etag), []);
    assertEquals(await served.records.all(NAME, head.etag), [now.md5]);
  },
);

testWithEngine(CEPH, "records that others damaged are ignored", async () => {
  await using instance = await Instance.open(await newBucket(await Engine.shared(CEPH)));
  const { bucket, records } = instance.served;
  await records.remember("a", "e-1", [md5("x")]);
  const { objects: [record] } = await bucket.list({ prefix: ".ferry/checksums/" });
  for (const text of ["", "{", "[]", "null", '{"checksums":[5,"x",null]}', "x".repeat(5000)]) {
    await bucket.put(record!.key, new TextEncoder().encode(text));
    assertEquals(await records.all("a", "e-1"), []);
  }
});
