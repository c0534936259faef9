import { assert, assertEquals } from "@std/assert";
import { type Clock, SYSTEM_CLOCK } from "../../../../lib/core/clock.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { s3ErrorOf } from "../../../../server/storage/s3/s3_error.ts";
import {
  openBucket,
  type S3Bucket,
  type S3BucketOptions,
} from "../../../../server/storage/s3/s3_bucket.ts";
import type { MadeRequest } from "../../../../server/storage/s3/s3_requests.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5Of } from "../../../support/digests.ts";
import { CEPH, cephAdmin } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { bucketOptions, ENGINES } from "../../../support/engines/opened_bucket.ts";
import { errorAnswer, everyNth, FaultProxy, type FaultRule } from "../../../support/fault_proxy.ts";
import { RUNTIME } from "../../../support/runtime.ts";

const TEXT = new TextEncoder().encode("text");

/** A bucket behind a proxy. */
interface Proxied {
  bucket: S3Bucket;
  proxy: FaultProxy;
  /** What the bucket said of its requests. */
  made: MadeRequest[];
}

async function throughProxy(
  run: (proxied: Proxied) => Promise<void>,
  options: Partial<S3BucketOptions> = {},
  kind = CEPH,
): Promise<void> {
  const reached = await bucketOptions(await Engine.shared(kind));
  await using proxy = FaultProxy.start(reached.endpoint!);
  const made: MadeRequest[] = [];
  const onRequest = (request: MadeRequest) => void made.push(request);
  const bucket = openBucket({ ...reached, endpoint: proxy.url, onRequest, ...options });
  await run({ bucket, proxy, made });
}

function testThroughProxy(
  criterion: string,
  run: (proxied: Proxied) => Promise<void>,
  options: Partial<S3BucketOptions> = {},
): void {
  testWithEngine(CEPH, criterion, () => throughProxy(run, options));
}

/** A rule for the first requests only. */
function firstly(...faults: (ReturnType<FaultRule> | undefined)[]): FaultRule {
  return () => faults.shift();
}

for (const kind of ENGINES) {
  testWithEngine(
    kind,
    `every third request may fail, on ${kind.name}`,
    () =>
      throughProxy(
        async ({ bucket, proxy }) => {
          proxy.rule = everyNth(3);
          for (let i = 0; i < 10; i++) {
            const content = new TextEncoder().encode(`content ${i}`);
            assertEquals(await bucket.put(`file ${i}`, content), md5Of(content));
            const object = await bucket.get(`file ${i}`);
            assertEquals(await new Response(object!.body).text(), `content ${i}`);
          }
          assertEquals((await bucket.list()).objects.length, 10);
        },
        {},
        kind,
      ),
  );
}

/** From how many milliseconds on a timer of a clock ends a wait for an answer, and is no pause before a retry. */
const ANSWER_MS = 10_000;

/** A clock on which time passes only with the pauses before retries, and at once. */
function clockOfPauses() {
  const pauses: number[] = [];
  const passed = () => pauses.reduce((sum, ms) => sum + ms, 0);
  const clock: Clock = {
    ...SYSTEM_CLOCK,
    monotonic: passed,
    setTimeout(callback, ms) {
      if (ms >= ANSWER_MS) return SYSTEM_CLOCK.setTimeout(callback, ms);
      pauses.push(ms);
      return SYSTEM_CLOCK.setTimeout(callback, 0);
    },
  };
  return { runtime: { ...RUNTIME, clock }, pauses, passed };
}

const overloaded = clockOfPauses();

testThroughProxy(
  "a store that is overloaded for long is reported as busy",
  async ({ bucket, proxy, made }) => {
    for (
      const [status, code] of [[503, "SlowDown"], [503, ""], [429, "TooManyRequests"]] as const
    ) {
      made.length = 0;
      proxy.rule = () => ({ answer: errorAnswer(status, code) });
      overloaded.pauses.length = 0;
      const error = await assertCode("busy", () => bucket.put("file", TEXT), "overloaded");
      assertEquals([s3ErrorOf(error)?.status, s3ErrorOf(error)?.code], [status, code]);
      assert(overloaded.passed() <= 700, `paused for ${overloaded.passed()} ms`);
      assertEquals(overloaded.pauses.length, made.length - 1);
      assert(made.length > 1, "it was not retried");
      assertEquals(made.map(({ retries }) => retries), made.map((_, i) => i));
      assertEquals(new Set(made.map(({ operation }) => operation)), new Set(["PutObject"]));
    }
  },
  { retryTime: 700, runtime: overloaded.runtime },
);

testThroughProxy("what is refused is not repeated", async ({ bucket, proxy, made }) => {
  const refusals = [
    [403, "AccessDenied", "io"],
    [403, "InvalidAccessKeyId", "io"],
    [403, "SignatureDoesNotMatch", "io"],
    [403, "QuotaExceeded", "quota"],
    [400, "EntityTooLarge", "too_large"],
    [400, "KeyTooLongError", "bad_name"],
    [404, "NoSuchBucket", "io"],
    [507, "InsufficientStorage", "no_space"],
    [501, "NotImplemented", "io"],
    [301, "PermanentRedirect", "io"],
    [418, "", "io"],
  ] as const;
  for (const [status, code, expected] of refusals) {
    made.length = 0;
    proxy.rule = () => ({ answer: errorAnswer(status, code) });
    await assertCode(expected, () => bucket.put("file", TEXT));
    assertEquals(made.map((request) => request.status), [status]);
  }
});

testThroughProxy("a put that is cut is repeated", async ({ bucket, proxy }) => {
  await bucket.put("before", TEXT);
  // The runtime itself repeats a request over a connection that was used before.
  for (const fault of [{ cutRequest: 2 }, { loseAnswer: true }, { cutAnswer: 0 }]) {
    proxy.rule = firstly(fault, fault, fault);
    assertEquals(await bucket.put("file", TEXT), md5Of(TEXT));
  }
});

testThroughProxy("a put that must not replace knows its own success", async ({ bucket, proxy }) => {
  for (const times of [1, 2, 3]) {
    const key = `file ${times}`;
    proxy.rule = firstly(...Array.from({ length: times }, () => ({ loseAnswer: true })));
    const metadata = { "ferry-mtime": "1" };
    assertEquals(await bucket.put(key, TEXT, { ifAbsent: true, metadata }), md5Of(TEXT));
    assertEquals((await bucket.head(key))?.metadata, metadata);
    // The same content by another one is none.
    proxy.rule = firstly({ loseAnswer: true });
    assertEquals(await bucket.put(key, TEXT, { ifAbsent: true }), undefined);
    proxy.rule = firstly({ loseAnswer: true }, { loseAnswer: true });
    const ifMatch = md5Of(TEXT);
    assert(await bucket.put(key, new Uint8Array(1), { ifMatch }) !== undefined);
    assertEquals(await bucket.put(key, new Uint8Array(2), { ifMatch }), undefined);
  }
});

testThroughProxy("a body that breaks off goes on where it was", async ({ bucket, proxy }) => {
  const content = crypto.getRandomValues(new Uint8Array(60_000));
  await bucket.put("file", content);
  for (const range of [undefined, { start: 10_000, count: 30_000 }, { start: 1, count: 100_000 }]) {
    let cuts = 0;
    proxy.rule = () => cuts++ < 4 ? { cutAnswer: 7_000 } : undefined;
    const object = await bucket.get("file", { range });
    const bytes = await new Response(object!.body).bytes();
    const { start = 0, count = Infinity } = range ?? {};
    assertEquals(bytes, content.slice(start, Math.min(start + count, content.length)));
    assert(cuts > 4);
  }
});

testThroughProxy(
  "a file that is replaced while it is read is no mixture",
  async ({ bucket, proxy }) => {
    await bucket.put("file", new Uint8Array(60_000).fill(1));
    proxy.rule = firstly({ cutAnswer: 7_000 });
    const replaced = await bucket.get("file");
    await bucket.put("file", new Uint8Array(60_000).fill(2));
    await assertCode("busy", () => new Response(replaced!.body).bytes(), "replaced or removed");
    proxy.rule = firstly({ cutAnswer: 7_000 });
    const removed = await bucket.get("file");
    await bucket.delete("file");
    await assertCode("busy", () => new Response(removed!.body).bytes(), "replaced or removed");
  },
);

testThroughProxy(
  "a store that stops in the middle of an answer is asked again",
  async ({ bucket, proxy }) => {
    const content = Uint8Array.from({ length: 500_000 }, (_, i) => i % 251);
    await bucket.put("file", content);
    proxy.rule = firstly({ stall: 2000 });
    const object = await bucket.get("file");
    assertEquals(await new Response(object!.body).bytes(), content);
    proxy.rule = () => ({ cutAnswer: 10 });
    await assertCode("unreachable", () => bucket.list());
  },
  { idleTimeout: 300, retryTime: 3000 },
);

testThroughProxy(
  "a store that does not answer in time is reported",
  async ({ bucket, proxy, made }) => {
    proxy.rule = () => ({ delay: 500 });
    await assertCode("timeout", () => bucket.head("file"), "did not answer in time");
    assert(made.length > 1);
  },
  { answerTimeout: 100, retryTime: 500 },
);

testThroughProxy(
  "an object that the store took for another one is stored once more",
  async ({ bucket, proxy }) => {
    const change = { etag: () => `"${"0".repeat(32)}"` };
    proxy.rule = firstly({ change });
    assertEquals(await bucket.put("file", TEXT), md5Of(TEXT));
    proxy.rule = firstly({ change });
    assertEquals(await bucket.put("new", TEXT, { ifAbsent: true }), md5Of(TEXT));
    proxy.rule = () => ({ change });
    await assertCode("checksum_mismatch", () => bucket.put("file", TEXT), "another checksum");
  },
);

testThroughProxy(
  "what is no answer of an object store is told from one",
  async ({ bucket, proxy }) => {
    proxy.rule = () => ({ answer: { status: 200, body: "<html>Welcome</html>" } });
    await assertCode("io", () => bucket.list(), "what answers is no object store");
    const half = "<ListBucketResult><Contents><Key>a";
    const headers = { "Content-Type": "application/xml" };
    proxy.rule = firstly({ answer: { status: 200, body: half, headers } });
    assertEquals((await bucket.list()).objects, []);
  },
);

testThroughProxy(
  "a request that is given up ends before its answer, with the reason",
  async ({ bucket, proxy, made }) => {
    const abort = new AbortController();
    const unanswered = Promise.withResolvers<undefined>();
    proxy.rule = () => {
      abort.abort(new FerryError("closed", "given up"));
      return unanswered.promise;
    };
    const { signal } = abort;
    await assertCode("closed", () => bucket.put("file", TEXT, { signal }), "given up");
    unanswered.resolve(undefined);
    assertEquals(made.map(({ status }) => status), [0]);
  },
  { answerTimeout: ANSWER_MS, retryTime: 0 },
);

testWithEngine(CEPH, "a request that is given up before it is repeated ends in the pause", () => {
  const abort = new AbortController();
  let cleared = 0;
  const clock: Clock = {
    ...SYSTEM_CLOCK,
    setTimeout(callback, ms) {
      if (ms >= ANSWER_MS) return SYSTEM_CLOCK.setTimeout(callback, ms);
      queueMicrotask(() => abort.abort(new FerryError("closed", "given up")));
      return SYSTEM_CLOCK.setTimeout(callback, ANSWER_MS);
    },
    clearTimeout(timer) {
      if (abort.signal.aborted) cleared++;
      SYSTEM_CLOCK.clearTimeout(timer);
    },
  };
  return throughProxy(async ({ bucket, proxy, made }) => {
    proxy.rule = () => ({ answer: errorAnswer(503, "SlowDown") });
    const { signal } = abort;
    await assertCode("closed", () => bucket.put("file", TEXT, { signal }), "given up");
    assertEquals([made.length, cleared], [1, 1]);
  }, { runtime: { ...RUNTIME, clock } });
});

testThroughProxy("a body is given up with its request", async ({ bucket, proxy }) => {
  await bucket.put("file", new Uint8Array(500_000));
  const abort = new AbortController();
  proxy.rule = () => ({ stall: 500 });
  const object = await bucket.get("file", { signal: abort.signal });
  setTimeout(() => abort.abort(new FerryError("closed", "given up")), 50);
  await assertCode("closed", () => new Response(object!.body).bytes(), "given up");
});

testWithEngine(CEPH, "keys that are revoked while serving are exchanged for new ones", async () => {
  await using engine = await Engine.start(CEPH);
  const options = await bucketOptions(engine);
  const { accessKeyId, secretAccessKey } = engine;
  let keys = { accessKeyId, secretAccessKey };
  const bucket = openBucket({ ...options, credentials: () => Promise.resolve(keys) });
  await bucket.put("file", TEXT);
  const found = JSON.parse(await cephAdmin(engine, "user", "list"));
  const uid = found.find((name: string) => name !== "dashboard");
  await cephAdmin(engine, "key", "create", `--uid=${uid}`, "--access-key=SECOND", "--secret=other");
  await cephAdmin(engine, "key", "rm", `--uid=${uid}`, `--access-key=${accessKeyId}`);
  // A gateway keeps what it knows of keys for a while; a new one knows none.
  await engine.kill();
  await engine.restart();
  await assertCode("io", () => bucket.put("file", TEXT), "does not know the access key");
  await assertCode("io", () => bucket.head("file"), "denies access");
  let asked = 0;
  const renewing = openBucket({
    ...options,
    credentials: ({ refresh = false } = {}) => {
      if (refresh) {
        asked++;
        keys = { accessKeyId: "SECOND", secretAccessKey: "other" };
      }
      return Promise.resolve(keys);
    },
  });
  assertEquals(await renewing.put("file", TEXT), md5Of(TEXT));
  assertEquals(asked, 1);
});

testWithEngine(CEPH, "a store that is restarted meanwhile is waited for", async () => {
  await using engine = await Engine.start(CEPH);
  const options = await bucketOptions(engine);
  const bucket = openBucket(options);
  await bucket.put("before", TEXT);
  await engine.kill();
  const put = bucket.put("after", TEXT);
  await engine.restart();
  assertEquals(await put, md5Of(TEXT));
  await engine.kill();
  const impatient = openBucket({ ...options, retryTime: 300 });
  await assertCode("unreachable", () => impatient.head("after"), "connection refused");
});
