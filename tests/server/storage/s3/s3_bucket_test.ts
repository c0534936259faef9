import { assert, assertEquals } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { ObjectBody } from "../../../../server/storage/s3/bucket.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5Of } from "../../../support/digests.ts";
import fc from "../../../support/properties.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { newBucket, testBuckets } from "../../../support/engines/opened_bucket.ts";

const utf8 = new TextEncoder();

function textOf(object: ObjectBody | undefined): Promise<string> | undefined {
  return object && new Response(object.body).text();
}

/** Names with every kind of character that URLs, XML or signatures treat in a way of their own. */
const NAMES = [
  "plain",
  "a b+c%20d%",
  "!'()*~-_.,;:@&=$?#[]{}|\\^`\"<>",
  "tab\tnew\nline\rend",
  "control\u0001\u001f\u007f\u0085",
  "ümläut/\u4e2d\u6587/\u{1f600}\u{10fffd}\uffee",
  "double//slash",
  "/leading",
  "trailing/",
  "...",
  ".../..a",
];

testBuckets(
  "an object of any name keeps its content, its metadata and its place",
  async (bucket) => {
    for (const name of NAMES) {
      const content = utf8.encode(`content of ${name}`);
      const metadata = { "ferry-mtime": "1700000000123", "ferry-name": "%C3%A4".repeat(42) };
      const etag = await bucket.put(name, content, { metadata });
      assertEquals(etag, md5Of(content));
      const head = await bucket.head(name);
      assertEquals(head?.metadata, metadata);
      assertEquals([head?.key, head?.size, head?.etag], [name, content.length, etag]);
      assert(Math.abs(head!.modified - head!.now) < 60_000);
      const object = await bucket.get(name);
      assertEquals(object?.metadata, metadata);
      assertEquals(await textOf(object), `content of ${name}`);
    }
    const { objects, next } = await bucket.list();
    assertEquals(objects.map(({ key }) => key).sort(), NAMES.toSorted());
    assertEquals(next, undefined);
    assertEquals([...(await bucket.deleteAll(NAMES)).keys()], []);
    assertEquals((await bucket.list()).objects, []);
  },
);

testWithEngine(CEPH, "objects of arbitrary names are listed as they were stored", async () => {
  const bucket = await newBucket(await Engine.shared(CEPH));
  const part = fc.string({ unit: "binary", minLength: 1, maxLength: 40 })
    .filter((text) => !/[\0/]/.test(text) && text !== "." && text !== "..");
  const name = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const names = new Set(fc.sample(name, { numRuns: 300 }));
  const put = (key: string) => bucket.put(key, utf8.encode(key));
  for (const key of names) assert(await put(key) !== undefined);
  const found: string[] = [];
  for (let next: string | undefined, first = true; first || next !== undefined; first = false) {
    const page = await bucket.list({ next, max: 7 });
    found.push(...page.objects.map(({ key }) => key));
    next = page.next;
  }
  assertEquals(found.toSorted(), [...names].sort());
  assertEquals((await bucket.deleteAll(found)).size, 0);
  assertEquals((await bucket.list()).objects, []);
});

testBuckets("no object of a name that URLs cannot hold is reached", async (bucket) => {
  for (const name of ["a/../b", ".", "..", "a/./b", "nul\0", "half\ud800"]) {
    await assertCode("bad_name", () => bucket.head(name));
    await assertCode("bad_name", () => bucket.put(name, new Uint8Array()));
  }
  await assertCode("bad_name", () => bucket.put("x".repeat(1100), new Uint8Array()));
});

testBuckets("what is missing is no error to look at, to read and to delete", async (bucket) => {
  assertEquals(await bucket.head("missing"), undefined);
  assertEquals(await bucket.get("missing"), undefined);
  assertEquals(await bucket.get("missing", { range: { start: 5, count: 1 } }), undefined);
  assertEquals(await bucket.get("missing", { range: { start: 0, count: 0 } }), undefined);
  assertEquals(await bucket.copy("missing", "copy"), undefined);
  await bucket.delete("missing");
  assertEquals([...(await bucket.deleteAll(["missing", "missing\u0001"])).keys()], []);
});

testBuckets("a range is read, whatever of it there is", async (bucket) => {
  const etag = await bucket.put("file", utf8.encode("0123456789"));
  await bucket.put("empty", new Uint8Array());
  const read = async (key: string, start: number, count: number) => {
    const object = await bucket.get(key, { range: { start, count } });
    return [object?.size, await textOf(object)];
  };
  assertEquals(await read("file", 0, 3), [10, "012"]);
  assertEquals(await read("file", 0, 10), [10, "0123456789"]);
  assertEquals(await read("file", 8, 10), [10, "89"]);
  assertEquals(await read("file", 10, 1), [10, ""]);
  assertEquals(await read("file", 3, 0), [10, ""]);
  assertEquals(await read("empty", 0, 100), [0, ""]);
  const same = await bucket.get("file", { ifMatch: etag, range: { start: 1, count: 1 } });
  assertEquals(await textOf(same), "1");
  await assertCode("busy", () => bucket.get("file", { ifMatch: "0".repeat(32) }));
  const behind = { ifMatch: "0".repeat(32), range: { start: 100, count: 1 } };
  await assertCode("busy", () => bucket.get("file", behind));
});

testBuckets("a body that is cancelled frees its connection", async (bucket) => {
  await bucket.put("file", new Uint8Array(1024 * 1024));
  const object = await bucket.get("file");
  const reader = object!.body.getReader();
  assert((await reader.read()).value!.length > 0);
  await reader.cancel();
});

testBuckets("a list goes on page by page, in the order of the bytes of names", async (bucket) => {
  const names = ["a", "a-b", "a/1", "a/2", "a\u0001", "b/\uffee", "b/\u{1f600}", "c\u0002", "d"];
  await Promise.all(names.map((name) => bucket.put(name, new Uint8Array())));
  const bytewise = names.toSorted((a, b) =>
    encodeHex(utf8.encode(a)) < encodeHex(utf8.encode(b)) ? -1 : 1
  );
  for (const max of [1, 2, 3, 1000]) {
    const found: string[] = [];
    for (let next: string | undefined, first = true; first || next !== undefined; first = false) {
      const page = await bucket.list({ max, next });
      assert(page.objects.length <= max);
      found.push(...page.objects.map(({ key }) => key));
      next = page.next;
    }
    assertEquals(found, bytewise);
  }
  const below = await bucket.list({ prefix: "b/" });
  assertEquals(below.objects.map(({ key }) => key), ["b/\uffee", "b/\u{1f600}"]);
  const after = await bucket.list({ startAfter: "a/\u{10ffff}", max: 2 });
  assertEquals(after.objects.map(({ key }) => key), ["b/\uffee", "b/\u{1f600}"]);
});

testBuckets("a list by a delimiter names what is common, page by page", async (bucket) => {
  const names = ["a", "b\u0001/1", "b\u0001/2", "c/1", "d"];
  await Promise.all(names.map((name) => bucket.put(name, new Uint8Array())));
  for (const max of [1, 2, 1000]) {
    const found: string[] = [];
    for (let next: string | undefined, first = true; first || next !== undefined; first = false) {
      const page = await bucket.list({ max, next, delimiter: "/" });
      found.push(...page.objects.map(({ key }) => key), ...page.prefixes);
      next = page.next;
    }
    assertEquals(found.sort(), ["a", "b\u0001/", "c/", "d"]);
  }
});

testWithEngine(CEPH, "more objects than a page has are listed and deleted", async () => {
  const bucket = await newBucket(await Engine.shared(CEPH));
  const names = Array.from({ length: 1005 }, (_, i) => `many/${String(i).padStart(4, "0")}`);
  for (let i = 0; i < names.length; i += 50) {
    await Promise.all(names.slice(i, i + 50).map((name) => bucket.put(name, new Uint8Array())));
  }
  const first = await bucket.list({ prefix: "many/" });
  const second = await bucket.list({ prefix: "many/", next: first.next });
  assertEquals([...first.objects, ...second.objects].map(({ key }) => key), names);
  assertEquals([first.objects.length, second.next], [1000, undefined]);
  assertEquals((await bucket.deleteAll(names.slice(0, 1000))).size, 0);
  assertEquals((await bucket.list()).objects.length, 5);
});

testWithEngine(CEPH, "a PUT that depends on what is there is refused otherwise", async () => {
  const bucket = await newBucket(await Engine.shared(CEPH));
  const put = (text: string, options: object) => bucket.put("key", utf8.encode(text), options);
  const first = await put("1", { ifAbsent: true });
  assert(first !== undefined);
  assertEquals(await put("2", { ifAbsent: true }), undefined);
  assertEquals(await put("3", { ifMatch: "0".repeat(32) }), undefined);
  const fourth = await put("4", { ifMatch: first });
  assertEquals(fourth, md5Of(utf8.encode("4")));
  assertEquals(await put("5", { ifMatch: fourth, metadata: { "a": "b" } }) !== undefined, true);
  assertEquals(await textOf(await bucket.get("key")), "5");
  assertEquals((await bucket.head("key"))?.metadata, { a: "b" });
  await bucket.delete("key");
  assertEquals(await put("6", { ifMatch: fourth }), undefined);
});

testBuckets(
  "a copy has the metadata that it is given, and else that of its source",
  async (bucket) => {
    const metadata = { "ferry-mtime": "1", "ferry-mode": "644" };
    const etag = await bucket.put("from +ä", utf8.encode("text"), { metadata });
    assertEquals(await bucket.copy("from +ä", "to +ä"), etag);
    assertEquals((await bucket.head("to +ä"))?.metadata, metadata);
    assertEquals(
      await bucket.copy("to +ä", "to +ä", { metadata: { a: "b" }, ifMatch: etag }),
      etag,
    );
    assertEquals((await bucket.head("to +ä"))?.metadata, { a: "b" });
    assertEquals(await textOf(await bucket.get("to +ä")), "text");
    assertEquals(await bucket.copy("to +ä", "other", { ifMatch: "0".repeat(32) }), undefined);
    assertEquals(await bucket.head("other"), undefined);
  },
);

testWithEngine(
  CEPH,
  "a bucket that is deleted while it is used is told from a missing object",
  async () => {
    const engine = await Engine.shared(CEPH);
    const bucket = await newBucket(engine, { prefix: "" });
    await bucket.requests.send({ operation: "HeadBucket", method: "DELETE" });
    bucket.requests.succeeded = -Infinity;
    for (
      const use of [
        () => bucket.head("file"),
        () => bucket.get("file"),
        () => bucket.put("file", new Uint8Array()),
        () => bucket.list(),
        () => bucket.begin("file"),
        () => bucket.deleteAll(["file"]),
      ]
    ) {
      await assertCode("io", use, "the bucket does not exist");
    }
  },
);

testWithEngine(CEPH, "what is given up fails with the reason for that", async () => {
  const bucket = await newBucket(await Engine.shared(CEPH));
  const reason = new FerryError("closed", "given up");
  const signal = AbortSignal.abort(reason);
  for (
    const use of [
      () => bucket.head("a", { signal }),
      () => bucket.get("a", { signal }),
      () => bucket.put("a", new Uint8Array(), { signal }),
      () => bucket.list({ signal }),
    ]
  ) {
    await assertCode("closed", use, "given up");
  }
});
