import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { openBucket, type S3BucketOptions } from "../../../../server/storage/s3/s3_bucket.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5Of } from "../../../support/digests.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { bucketOptions, ENGINES, newBucket } from "../../../support/engines/opened_bucket.ts";
import { errorAnswer, FaultProxy, type HttpFault } from "../../../support/fault_proxy.ts";
import { RUNTIME } from "../../../support/runtime.ts";

/** Larger than what systems buffer of a connection. */
const LARGE = Uint8Array.from({ length: 9_000_001 }, (_, i) => i % 251);

for (const kind of ENGINES) {
  testWithEngine(kind, `large bodies arrive as they are, on ${kind.name}`, async () => {
    const bucket = await newBucket(await Engine.shared(kind));
    for (const size of [256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, LARGE.length]) {
      const content = LARGE.subarray(0, size);
      const metadata = { "ferry-mtime": "1" };
      assertEquals(await bucket.put("ä +", content, { metadata }), md5Of(content));
      const object = await bucket.get("ä +");
      assertEquals(object!.metadata, metadata);
      assertEquals(md5Of(await new Response(object!.body).bytes()), md5Of(content));
    }
  });
}

testWithEngine(CEPH, "several large bodies are sent at once", async () => {
  const bucket = await newBucket(await Engine.shared(CEPH));
  const names = Array.from("abcdef");
  const etags = await Promise.all(names.map((name, i) => bucket.put(name, LARGE.subarray(i))));
  assertEquals(etags, names.map((_, i) => md5Of(LARGE.subarray(i))));
});

/** A bucket of Ceph, behind a proxy with faults for the first requests. */
async function withFaults(
  faults: (HttpFault | undefined)[],
  run: (bucket: ReturnType<typeof openBucket>, proxy: FaultProxy) => Promise<void>,
  options: Partial<S3BucketOptions> = {},
): Promise<void> {
  const reached = await bucketOptions(await Engine.shared(CEPH));
  await using proxy = FaultProxy.start(reached.endpoint!, () => faults.shift());
  await run(openBucket({ ...reached, endpoint: proxy.url, ...options }), proxy);
}

testWithEngine(CEPH, "a large body is sent again where it was cut, or its answer was", async () => {
  const faults: HttpFault[] = [
    { cutRequest: 100_000 },
    { cutRequest: 8_000_000 },
    { loseAnswer: true },
    { answer: errorAnswer(500, "InternalError") },
    { answer: errorAnswer(503, "SlowDown") },
  ];
  await withFaults(faults, async (bucket, proxy) => {
    assertEquals(await bucket.put("file", LARGE, { ifAbsent: true }), md5Of(LARGE));
    assertEquals(faults, []);
    assert(proxy.requests.length >= 6);
  });
});

testWithEngine(CEPH, "a large body that is refused is not sent again", async () => {
  await withFaults([{ answer: errorAnswer(403, "AccessDenied") }], async (bucket, proxy) => {
    await assertCode("io", () => bucket.put("file", LARGE), "denies access");
    assertEquals(proxy.requests.length, 1);
  });
});

Deno.test("a large body that is refused before all of it was sent is not waited for", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const refusing = (async () => {
    for await (const conn of listener) {
      await conn.read(new Uint8Array(100));
      const body = "<Error><Code>EntityTooLarge</Code></Error>";
      const head = `HTTP/1.1 400 Bad Request\r\nContent-Length: ${body.length}\r\n\r\n`;
      await conn.write(new TextEncoder().encode(head + body));
      // The client closes the connection, without having been read from any further.
      await new Promise((resolve) => setTimeout(resolve, 200));
      conn.close();
    }
  })();
  const { port } = listener.addr as Deno.NetAddr;
  const bucket = openBucket({
    bucket: "b",
    endpoint: `http://127.0.0.1:${port}`,
    credentials: () => Promise.resolve({ accessKeyId: "a", secretAccessKey: "b" }),
    runtime: RUNTIME,
    retryTime: 300,
  });
  await assertCode("too_large", () => bucket.put("file", LARGE));
  listener.close();
  await refusing;
  await assertCode("unreachable", () => bucket.put("file", LARGE), "connection refused");
});

testWithEngine(CEPH, "a large body is given up in time, and when that is asked for", async () => {
  const late = { delay: 400, answer: errorAnswer(500, "InternalError") };
  const faults = [late, late];
  // Sending it may take a second for each 128 KiB, which is not what is tested here.
  const options = { answerTimeout: 100 - LARGE.length / 131.072, retryTime: 0 };
  await withFaults(faults, async (bucket) => {
    await assertCode("timeout", () => bucket.put("file", LARGE), "did not answer in time");
    const abort = new AbortController();
    setTimeout(() => abort.abort(new FerryError("closed", "given up")), 20);
    const { signal } = abort;
    await assertCode("closed", () => bucket.put("file", LARGE, { signal }), "given up");
  }, options);
});
