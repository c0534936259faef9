import { assert, assertEquals } from "@std/assert";
import { connect, S3Storage, serve } from "../../../../mod.ts";
import { VERSION } from "../../../../lib/core/version.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, type SharedEngine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { errorAnswer, FaultProxy } from "../../../support/fault_proxy.ts";
import { RawBucket } from "../../../support/raw_bucket.ts";
import { put } from "../../../support/stored_files.ts";

/** Options that reach a bucket of an engine. */
function reaching(
  { accessKeyId, secretAccessKey, endpoint, region }: SharedEngine,
  bucket: string,
) {
  return { bucket, endpoint, region, credentials: { accessKeyId, secretAccessKey } };
}

for (const kind of [CEPH, SWIFT]) {
  testWithEngine(kind, `two servers over one bucket of ${kind.name} are one store`, async () => {
    const engine = await Engine.shared(kind);
    const options = { ...reaching(engine, await engine.bucket()), prefix: "a/b" };
    await using one = await S3Storage.open(options);
    await using two = await S3Storage.open(options);
    await using writing = await serve({ storage: one, listen: "127.0.0.1:0" });
    await using reading = await serve({ storage: two, listen: "127.0.0.1:0" });
    await using writer = await connect(`127.0.0.1:${writing.addresses[0]!.port}`);
    await using reader = await connect(`127.0.0.1:${reading.addresses[0]!.port}`);
    const bytes = new Uint8Array(9 * MIB).map((_, at) => at * 7);
    const { checksum } = await writer.put(bytes, { as: "d/large" });
    assertEquals(checksum, md5(bytes));
    await writer.put(new TextEncoder().encode("small"), { as: "d/small" });
    const names = async () =>
      (await Array.fromAsync(reader.list("", { recursive: true }))).map(({ filename }) => filename);
    assertEquals(await names(), ["d", "d/large", "d/small"]);
    assertEquals((await reader.stat("d/large")).size, bytes.length);
    assertEquals(md5(await reader.get("d/large").bytes()), md5(bytes));
    await reader.move("d", "e");
    await writer.remove("e/small");
    assertEquals(await names(), ["e", "e/large"]);
    assertEquals((await writer.stat("e/large")).checksum, md5(bytes));
    await writer.remove("e", { recursive: true });
    assertEquals(await names(), []);
  });
}

testWithEngine(
  CEPH,
  "S3Storage keeps its version in the bucket, and refuses unknown ones",
  async () => {
    const engine = await Engine.shared(CEPH);
    const bucket = await engine.bucket();
    const options = { ...reaching(engine, bucket), prefix: "a" };
    const raw = new RawBucket(engine, bucket);
    const version = async () => {
      const bytes = await raw.get("a/.ferry/version");
      return bytes && new TextDecoder().decode(bytes);
    };
    const own = `{"format":1,"ferry":"${VERSION}"}\n`;
    await S3Storage.examine(options);
    assertEquals(await version(), undefined);
    for (const before of [undefined, '{"format":1,"ferry":"0.0.9"}\n', own]) {
      if (before !== undefined) await raw.put("a/.ferry/version", new TextEncoder().encode(before));
      await using storage = await S3Storage.open(options);
      assertEquals(await version(), own);
      assertEquals(await storage.find(name("version")), undefined);
    }
    for (
      const [text, says] of [
        ['{"format":2,"ferry":"9.8.7"}', "start ferry 9.8.7 or a newer version"],
        ["", "a/.ferry/version does not say"],
      ] as const
    ) {
      await raw.put("a/.ferry/version", new TextEncoder().encode(text));
      await assertCode("bad_version", () => S3Storage.open(options), says);
      await assertCode("bad_version", () => S3Storage.examine(options), says);
      assertEquals([await version(), await raw.keys()], [text, ["a/.ferry/version"]]);
    }
  },
);

testWithEngine(CEPH, "S3Storage says what its store cannot promise, and has no links", async () => {
  const engine = await Engine.shared(CEPH);
  await using storage = await S3Storage.open(reaching(engine, await engine.bucket()));
  assertEquals(storage.within(), storage);
  assertEquals("root" in storage, false);
  for (const sentence of storage.shortcomings) assert(/^[a-z].*[^.]$/s.test(sentence), sentence);
});

testWithEngine(
  CEPH,
  "S3Storage.assertServing() looks once in some seconds, and again after a failure",
  async () => {
    const engine = await Engine.shared(CEPH);
    await using proxy = FaultProxy.start(engine.endpoint);
    const options = {
      ...reaching(engine, await engine.bucket()),
      endpoint: proxy.url,
      retryTime: 0,
    };
    const storage = await S3Storage.open(options);
    proxy.requests.length = 0;
    await Promise.all([storage.assertServing(), storage.assertServing()]);
    await storage.assertServing();
    assertEquals(proxy.requests.length, 1);
    await storage[Symbol.asyncDispose]();
    await assertCode("closed", () => storage.assertServing());
    await using again = await S3Storage.open(options);
    proxy.rule = () => ({ answer: errorAnswer(404, "NoSuchBucket") });
    await assertCode(["io", "not_found"], () => again.assertServing(), "bucket");
    await assertCode(
      ["io", "not_found"],
      () => again.list("", { recursive: true })[Symbol.asyncIterator]().next(),
    );
    proxy.rule = () => undefined;
    await again.assertServing();
  },
);

testWithEngine(CEPH, "S3Storage refuses files that are larger than allowed", async () => {
  const engine = await Engine.shared(CEPH);
  const options = { ...reaching(engine, await engine.bucket()), maxFileSize: 10 };
  await using storage = await S3Storage.open(options);
  await put(storage, "a", "0123456789");
  await assertCode("too_large", () => put(storage, "b", "0123456789A"));
  await assertCode("too_large", () => storage.assertFits(name("b"), 11));
  await using stream = await storage.create(name("b"), { size: null });
  await assertCode("too_large", () => stream.write(new Uint8Array(11)));
  await assertCode("usage", () => S3Storage.open({ ...options, maxFileSize: -1 }));
});

testWithEngine(
  CEPH,
  "S3Storage.findAll() keeps the order, and looks at several names at once",
  async () => {
    const engine = await Engine.shared(CEPH);
    await using storage = await S3Storage.open(reaching(engine, await engine.bucket()));
    await put(storage, "d/f", "x");
    const names = Array.from({ length: 50 }, (_, at) => name(at % 2 === 0 ? "d/f" : `d/${at}`));
    const found = await storage.findAll(names);
    assertEquals(
      found.map((entry) => entry && "filename" in entry ? entry.filename : entry),
      names.map((name) => name === "d/f" ? name : undefined),
    );
  },
);
