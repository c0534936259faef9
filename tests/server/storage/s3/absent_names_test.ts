import { assertEquals, assertRejects } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { createRuntime } from "../../../../lib/runtime/runtime.ts";
import { absentNames } from "../../../../server/storage/s3/absent_names.ts";
import { inParallel } from "../../../../server/storage/in_parallel.ts";
import { openBucket, type S3Bucket } from "../../../../server/storage/s3/s3_bucket.ts";
import type { MadeRequest } from "../../../../server/storage/s3/s3_requests.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, type EngineKind, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";

/** A bucket with objects, and the requests that are made to it from then on. */
async function bucketWith(
  kind: EngineKind,
  keys: readonly string[],
): Promise<{ bucket: S3Bucket; requests: MadeRequest[] }> {
  const engine = await Engine.shared(kind);
  const { endpoint, region, accessKeyId, secretAccessKey } = engine;
  const requests: MadeRequest[] = [];
  const bucket = openBucket({
    bucket: await engine.bucket(),
    endpoint,
    region,
    credentials: () => Promise.resolve({ accessKeyId, secretAccessKey }),
    runtime: createRuntime(),
    onRequest: (request) => requests.push(request),
  });
  await inParallel(16, keys, (key) => bucket.put(key, new Uint8Array()));
  requests.length = 0;
  return { bucket, requests };
}

for (const kind of [CEPH, SWIFT]) {
  const test = (criterion: string, run: () => Promise<void>) =>
    testWithEngine(kind, `absentNames() on ${kind.name} ${criterion}`, run);

  test("tells files and directories from what is not there, by one list", async () => {
    const keys = ["d/a", "d/b/", "d/c/x", "d/c-", "d/\uff5e", "d/zz/y", "e/a", "a"];
    const { bucket, requests } = await bucketWith(kind, keys);
    const names = ["a", "b", "c", "c-", "c-d", "\u{1f600}", "\uff5e", "z", "zz", "zzz"]
      .map((child) => name(`d/${child}`));
    const absent = await absentNames(bucket, names);
    assertEquals([...absent].sort(), ["d/c-d", "d/z", "d/zzz", "d/\u{1f600}"].sort());
    assertEquals(requests.length, 1);
  });

  test("looks at no few names, and finds all of an empty bucket absent", async () => {
    const { bucket, requests } = await bucketWith(kind, []);
    assertEquals(await absentNames(bucket, ["a", "b", "c"].map(name)), new Set());
    assertEquals(requests.length, 0);
    const names = ["a", "b", "c", "d/e"].map(name);
    assertEquals(await absentNames(bucket, [...names, name("f")]), new Set([..."abcf"]) as never);
  });
}

testWithEngine(CEPH, "absentNames() gives up where a directory has much else in it", async () => {
  const much = Array.from({ length: 1100 }, (_, i) => `d/m${String(i).padStart(4, "0")}`);
  const { bucket, requests } = await bucketWith(CEPH, much);
  const names = ["a", "b", "m0000", "n", "o", "p"].map((child) => name(`d/${child}`));
  assertEquals(
    [...await absentNames(bucket, names)],
    ["a", "b"].map((child) => name(`d/${child}`)),
  );
  assertEquals(requests.length, 1);
});

testWithEngine(CEPH, "absentNames() ends with the reason of its signal", async () => {
  const { bucket } = await bucketWith(CEPH, []);
  const stopped = AbortSignal.abort(new Error("no more"));
  await assertRejects(
    () => absentNames(bucket, ["a", "b", "c", "d"].map(name), { signal: stopped }),
    Error,
    "no more",
  );
});
