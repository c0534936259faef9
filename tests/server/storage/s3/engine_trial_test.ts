import { assert, assertEquals } from "@std/assert";
import { SYSTEM_CLOCK } from "../../../../lib/core/clock.ts";
import { createRuntime } from "../../../../lib/runtime/runtime.ts";
import { tryEngine } from "../../../../server/storage/s3/engine_trial.ts";
import {
  openBucket,
  type S3Bucket,
  type S3BucketOptions,
} from "../../../../server/storage/s3/s3_bucket.ts";
import { assertCode } from "../../../support/assertions.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import {
  bucketOptions,
  ENGINES,
  newBucket,
  testBuckets,
} from "../../../support/engines/opened_bucket.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { errorAnswer, FaultProxy, type FaultRule } from "../../../support/fault_proxy.ts";
import { RUNTIME } from "../../../support/runtime.ts";
import { MINE } from "../../../support/tls_servers.ts";

/** What is below the prefix of a bucket: objects and uploads. */
async function contentOf(bucket: S3Bucket): Promise<string[]> {
  const uploads = (await Array.fromAsync(bucket.uploads())).flat();
  return [...(await bucket.list()).objects, ...uploads].map(({ key }) => key);
}

/** A bucket of Ceph behind a proxy. */
async function throughProxy(
  rule: FaultRule,
  run: (bucket: S3Bucket) => Promise<void>,
): Promise<void> {
  const options = await bucketOptions(await Engine.shared(CEPH));
  await using proxy = FaultProxy.start(options.endpoint!, rule);
  await run(openBucket({ ...options, endpoint: proxy.url }));
}

testBuckets(
  "a trial finds out what a store does, and leaves nothing behind",
  async (bucket, kind) => {
    const { shortcomings, ...engine } = await tryEngine(bucket);
    const [conditionalPut, conditionalComplete] = kind === CEPH ? [true, false] : [false, true];
    const replaceIfMatch = conditionalPut;
    assertEquals(engine, { conditionalPut, conditionalComplete, replaceIfMatch, md5Etags: true });
    assertEquals(shortcomings.length, kind === CEPH ? 0 : 1);
    assert(shortcomings.every((each) => each.includes("refuse a name that is taken")));
    assertEquals(await contentOf(bucket), []);
  },
);

testWithEngine(CEPH, "trials of several servers at once do not disturb each other", async () => {
  const options = await bucketOptions(await Engine.shared(CEPH));
  const bucket = openBucket(options);
  await bucket.put("file", new TextEncoder().encode("text"));
  const trials = Array.from({ length: 4 }, () => tryEngine(openBucket(options)));
  for (const engine of await Promise.all(trials)) assert(engine.conditionalPut);
  assertEquals(await contentOf(bucket), ["file"]);
});

/** Wrong settings, with what is said of them on each engine. */
const WRONG: readonly {
  what: string;
  wrong: (right: S3BucketOptions) => Promise<Partial<S3BucketOptions>> | Partial<S3BucketOptions>;
  says: Readonly<Record<"ceph" | "swift", string>> | string;
}[] = [
  {
    what: "access key",
    wrong: (right) => changed(right, { accessKeyId: "NOSUCHKEY" }),
    says: {
      ceph: "does not know the access key: check AWS_ACCESS_KEY_ID",
      swift: "refuses the signature: a key is wrong: check AWS_SECRET_ACCESS_KEY",
    },
  },
  {
    what: "secret key",
    wrong: (right) => changed(right, { secretAccessKey: "wrong" }),
    says: "refuses the signature: a key is wrong: check AWS_SECRET_ACCESS_KEY",
  },
  {
    what: "bucket",
    wrong: () => ({ bucket: "no-such-bucket" }),
    says: "the bucket does not exist: create it first",
  },
  { what: "clock, 20 minutes ahead", wrong: () => clock(20), says: "20 minutes ahead of its own" },
  { what: "clock, 20 minutes behind", wrong: () => clock(-20), says: "20 minutes behind its own" },
  {
    what: "scheme, https for http",
    wrong: ({ endpoint }) => ({ endpoint: endpoint!.replace("http:", "https:") }),
    says: "the endpoint speaks no https: try http://",
  },
];

async function changed(
  { credentials }: S3BucketOptions,
  change: { accessKeyId?: string; secretAccessKey?: string },
): Promise<Partial<S3BucketOptions>> {
  const keys = { ...await credentials(), ...change };
  return { credentials: () => Promise.resolve(keys) };
}

function clock(minutes: number): Partial<S3BucketOptions> {
  const now = () => Date.now() + minutes * 60_000;
  return { runtime: createRuntime({ clock: { ...SYSTEM_CLOCK, now } }) };
}

for (const kind of ENGINES) {
  for (const { what, wrong, says } of WRONG) {
    testWithEngine(
      kind,
      `a wrong ${what} is told from other mistakes, on ${kind.name}`,
      async () => {
        const right = await bucketOptions(await Engine.shared(kind));
        const bucket = openBucket({ ...right, ...await wrong(right) });
        const words = typeof says === "string" ? says : says[kind.name as "ceph" | "swift"];
        const { message } = await assertCode(["io", "unreachable"], () => tryEngine(bucket), words);
        assertEquals(message.split("\n").length, 1);
        const { secretAccessKey } = await right.credentials();
        assert(!message.includes(secretAccessKey));
      },
    );
  }
}

testWithEngine(SWIFT, "a wrong region is named with the right one", async () => {
  const bucket = await newBucket(await Engine.shared(SWIFT), { region: "eu-west-9" });
  await assertCode("io", () => tryEngine(bucket), "the bucket belongs to the region us-east-1");
});

/** Starts something that is no object store, and tries it. */
async function tryServer(
  endpoint: string,
  options: Partial<S3BucketOptions> = {},
): Promise<void> {
  const credentials = () => Promise.resolve({ accessKeyId: "key", secretAccessKey: "secret" });
  await tryEngine(openBucket({ bucket: "b", endpoint, credentials, runtime: RUNTIME, ...options }));
}

Deno.test("an endpoint that is no object store is told from one", async () => {
  for (const status of [200, 403, 404]) {
    const answer = () => new Response("<html>Welcome</html>", { status });
    await using web = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
    const words = status === 200 ? "what answers is no object store" : "may be no S3 endpoint";
    await assertCode("io", () => tryServer(`http://127.0.0.1:${web.addr.port}`), words);
  }
});

Deno.test("an endpoint that nobody serves, or nobody knows, is told", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  listener.close();
  const { port } = listener.addr;
  await assertCode(
    "unreachable",
    () => tryServer(`http://127.0.0.1:${port}`),
    "connection refused",
  );
  const unknown = "http://no-such-host.invalid";
  await assertCode("unreachable", () => tryServer(unknown), "host name of the endpoint");
});

testWithEngine(CEPH, "credentials that may not write are told, and may read", async () => {
  const answer = errorAnswer(403, "AccessDenied");
  await throughProxy(({ method }) => method === "PUT" ? { answer } : undefined, async (bucket) => {
    const { unwritable, shortcomings } = await tryEngine(bucket);
    assertEquals(unwritable?.code, "io");
    assertEquals(shortcomings.length, 1);
    assert(shortcomings[0]!.startsWith("nothing can be uploaded here: "));
  });
});

testWithEngine(
  CEPH,
  "ETags that are no MD5s are found, and not compared from then on",
  async () => {
    const change = { etag: () => `"${"0".repeat(32)}"` };
    await throughProxy(() => ({ change }), async (bucket) => {
      const { md5Etags, shortcomings } = await tryEngine(bucket);
      assertEquals([md5Etags, bucket.comparesEtags, shortcomings.length], [false, false, 1]);
      assertEquals(await bucket.put("file", new Uint8Array(1)), "0".repeat(32));
    });
  },
);

testWithEngine(CEPH, "metadata that does not come back is a shortcoming", async () => {
  const change = { "x-amz-meta-ferry-trial": () => "cut" };
  await throughProxy(() => ({ change }), async (bucket) => {
    const { shortcomings } = await tryEngine(bucket);
    assertEquals(shortcomings.map((each) => each.includes("does not keep metadata")), [true]);
  });
});

testWithEngine(CEPH, "a trial that fails removes what it made", async () => {
  const answer = errorAnswer(400, "MalformedXML");
  let lists = 0;
  const rule: FaultRule = ({ path }) =>
    path.includes("list-type") && lists++ === 1 ? { answer } : undefined;
  await throughProxy(rule, async (bucket) => {
    await assertCode("io", () => tryEngine(bucket), "Cannot use the bucket");
    assertEquals(await contentOf(bucket), []);
  });
});

testWithEngine(CEPH, "a store that is not ready yet is waited for", async () => {
  let refused = 0;
  const answer = errorAnswer(503, "SlowDown");
  await throughProxy(() => refused++ < 3 ? { answer } : undefined, async (bucket) => {
    assert((await tryEngine(bucket)).conditionalPut);
  });
});

Deno.test("an endpoint that speaks https is told from one that does not, and from a trusted one", async () => {
  const options = { port: 0, hostname: "127.0.0.1", onListen() {}, ...MINE };
  await using web = Deno.serve(options, () => new Response("", { status: 404 }));
  const { port } = web.addr;
  const plain = () => tryServer(`http://127.0.0.1:${port}`);
  await assertCode("unreachable", plain, "the endpoint speaks https: write https://");
  const untrusted = () => tryServer(`https://127.0.0.1:${port}`);
  await assertCode(
    "unreachable",
    untrusted,
    "its certificate is not trusted: name the file of its authority in DENO_CERT",
  );
});

Deno.test("an endpoint that never answers is given up soon", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const accepted: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const conn of listener) accepted.push(conn);
  })();
  const waits: number[] = [];
  const setTimeout = (callback: () => void, ms: number) => {
    waits.push(ms);
    return SYSTEM_CLOCK.setTimeout(callback, ms / 100);
  };
  const runtime = createRuntime({ clock: { ...SYSTEM_CLOCK, setTimeout } });
  const endpoint = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  await assertCode("timeout", () => tryServer(endpoint, { runtime }), "did not answer in time");
  assertEquals(waits, [10_000]);
  listener.close();
  await accepting;
  for (const conn of accepted) conn.close();
});
