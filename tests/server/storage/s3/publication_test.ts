import { assert, assertEquals } from "@std/assert";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import type { CommitOptions, Committed } from "../../../../lib/files/commit.ts";
import { claimBytes, claimMetadata, STALE_CLAIM_MS } from "../../../../server/storage/s3/claim.ts";
import { attributesOf } from "../../../../server/storage/s3/object_attributes.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5, MIB } from "../../../support/bytes.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import { errorAnswer, FaultProxy, shiftedDate } from "../../../support/fault_proxy.ts";
import { Instance, newBucket, TestFile } from "../../../support/served_bucket.ts";

const LARGE = 9 * MIB;

/** Stores a file by way of one instance. */
async function put(
  { writes }: Instance,
  filename: string,
  file: TestFile,
  { announced, ...options }: Partial<CommitOptions> & { announced?: object } = {},
): Promise<Committed> {
  const { replace = true } = options;
  const { size } = file;
  await using write = await writes.create(name(filename), { size, replace, announced });
  await file.writeTo(write);
  return await write.commit({ checksum: file.md5, replace, ...options });
}

/** What becomes of several writers of one name, each on an instance of its own, at the same time. */
async function race(
  instances: readonly Instance[],
  filename: string,
  files: readonly TestFile[],
): Promise<string[]> {
  const pending = await Promise.all(files.map(async (file, at) => {
    const options = { size: file.size, replace: false };
    const write = await instances[at]!.writes.create(name(filename), options);
    await file.writeTo(write);
    return write;
  }));
  return await Promise.all(pending.map(async (write, at) => {
    await using _ended = write;
    try {
      const { unchanged } = await write.commit({ checksum: files[at]!.md5, replace: false });
      return unchanged ? "unchanged" : "stored";
    } catch (error) {
      return (error as FerryError).code;
    }
  }));
}

for (const kind of [CEPH, SWIFT]) {
  const title = (criterion: string) => `publishing in ${kind.name}: ${criterion}`;

  testWithEngine(
    kind,
    title("a file of several parts replaces another one, with its attributes"),
    async () => {
      await using instance = await Instance.open(await newBucket(await Engine.shared(kind)));
      const { served: { bucket, records } } = instance;
      const [first, second] = [new TestFile(LARGE), new TestFile(LARGE + 1)];
      const announced = { mtime: 1_234_567_890_123, mode: 0o640 };
      assertEquals(await put(instance, "a/f", first, { ...announced, announced }), {
        checksum: first.md5,
        size: LARGE,
        unchanged: false,
      });
      assertEquals(md5((await instance.content("a/f"))!), first.md5);
      const { etag, metadata } = (await bucket.head("a/f"))!;
      assertEquals(await records.find("a/f", etag, "md5"), first.md5);
      const { mtime, mode } = attributesOf(metadata);
      assertEquals({ mtime, mode }, announced);
      // Attributes that were not announced, a checksum that was.
      await put(instance, "a/f", second, {
        mtime: 1000,
        mode: 0o600,
        announced: { checksum: second.md5 },
      });
      assertEquals(md5((await instance.content("a/f"))!), second.md5);
      const kept = attributesOf((await bucket.head("a/f"))!.metadata);
      assertEquals(kept, { mtime: 1000, mode: 0o600, checksums: [second.md5] });
      assertEquals(await instance.leftovers(), []);
    },
  );

  testWithEngine(
    kind,
    title("what is announced and known by then takes no request of its own"),
    async () => {
      await using proxy = FaultProxy.start((await Engine.shared(kind)).endpoint);
      const place = { ...await newBucket(await Engine.shared(kind)), endpoint: proxy.url };
      await using instance = await Instance.open(place);
      const counted = async (file: TestFile, options: object, filename: string) => {
        const before = proxy.requests.length;
        await put(instance, filename, file, options);
        // Swift sends a body in its answer to HEAD, which spoils the connection: the next request is repeated.
        return proxy.requests.slice(before).filter(({ status }) => status! > 0)
          .map(({ method }) => method).join(" ");
      };
      const small = new TestFile(16_384);
      await put(instance, "d/first", small);
      // One look whether the name is a directory, one PUT.
      assertEquals(await counted(small, {}, "d/second"), "GET PUT");
      const never = kind === CEPH ? "GET PUT" : "GET HEAD PUT";
      assertEquals(await counted(small, { replace: false }, "d/third"), never);
      const large = new TestFile(LARGE);
      const announced = { mtime: 5, mode: 0o600, checksum: large.md5 };
      // Looks at the beginning and at the end, begins, two parts, completes.
      assertEquals(
        (await counted(large, { ...announced, announced }, "d/large")).replace(/ HEAD$/, ""),
        "GET POST PUT PUT GET POST",
      );
    },
  );

  testWithEngine(kind, title("without replace another file stays, whatever the size"), async () => {
    await using instance = await Instance.open(await newBucket(await Engine.shared(kind)));
    for (const size of [0, 1000, LARGE]) {
      const filename = `f${size}`;
      const file = new TestFile(size);
      await put(instance, filename, file, { replace: false });
      const again = await put(instance, filename, file, { replace: false });
      assertEquals(again, { checksum: file.md5, size, unchanged: true });
      for (const other of [size, size + 1].filter((size) => size > 0)) {
        await assertCode(
          "exists",
          () => put(instance, filename, new TestFile(other), { replace: false }),
        );
      }
      assertEquals(md5((await instance.content(filename))!), file.md5);
    }
    assertEquals(await instance.leftovers(), []);
  });

  testWithEngine(kind, title("content like that of a claim is a file all the same"), async () => {
    await using instance = await Instance.open(await newBucket(await Engine.shared(kind)));
    const bytes = claimBytes();
    const checksum = md5(bytes);
    const announced = { mtime: 1_700_000_000_123, mode: 0o600, checksum };
    for (const [filename, replace] of [["a", true], ["b", false], ["b", false]] as const) {
      const options = { size: bytes.length, announced };
      await using write = await instance.writes.create(name(filename), options);
      await write.write(bytes);
      await write.commit({ ...announced, replace });
      const head = await instance.served.lookup.head(name(filename));
      assertEquals(head?.size, bytes.length);
      const { mtime, mode, checksums } = attributesOf(head!.metadata);
      assertEquals([mtime, mode, checksums], [announced.mtime, announced.mode, [checksum]]);
    }
    assertEquals(await instance.leftovers(), []);
  });

  testWithEngine(
    kind,
    title("a Complete that failed is not reported as done, and leaves nothing in the way"),
    async () => {
      await using proxy = FaultProxy.start((await Engine.shared(kind)).endpoint);
      const place = { ...await newBucket(await Engine.shared(kind)), endpoint: proxy.url };
      await using instance = await Instance.open(place, { retryTime: 1000 });
      const file = new TestFile(LARGE);
      proxy.rule = ({ method, path }) =>
        method === "POST" && path.includes("uploadId")
          ? { answer: errorAnswer(500, "InternalError") }
          : undefined;
      for (const replace of [true, false]) {
        const error = await put(instance, "f", file, { replace }).catch((error) => error);
        assert(error instanceof FerryError, `it was reported as done: ${error}`);
        assertEquals(await instance.served.lookup.head(name("f")), undefined);
      }
      proxy.rule = () => undefined;
      const before = proxy.requests.length;
      assertEquals((await put(instance, "f", file, { replace: false })).unchanged, false);
      const tried = proxy.requests.slice(before)
        .filter(({ method, headers }) => method === "PUT" && headers.has("if-none-match"));
      assert(tried.length <= 1, "it waited for a claim that was given up");
      assertEquals(await instance.leftovers(), []);
    },
  );

  testWithEngine(
    kind,
    title("an answer to Complete that is lost is found to be a success"),
    async () => {
      await using proxy = FaultProxy.start((await Engine.shared(kind)).endpoint);
      const place = { ...await newBucket(await Engine.shared(kind)), endpoint: proxy.url };
      await using instance = await Instance.open(place);
      for (const replace of [true, false]) {
        const file = new TestFile(LARGE);
        let lost = 0;
        proxy.rule = ({ method, path }) =>
          method === "POST" && path.includes("uploadId") && lost++ === 0
            ? { loseAnswer: true }
            : undefined;
        assertEquals((await put(instance, `f${replace}`, file, { replace })).unchanged, false);
        assertEquals(md5((await instance.content(`f${replace}`))!), file.md5);
        assert(lost > 0);
      }
    },
  );
}

testWithEngine(
  CEPH,
  "publishing in ceph: of eight that must not replace exactly one wins, small or large",
  async () => {
    const place = await newBucket(await Engine.shared(CEPH));
    await using instances = new AsyncDisposableStack();
    const all: Instance[] = [];
    for (let at = 0; at < 8; at++) {
      const abilities = all[0]?.served.engine;
      all.push(instances.use(await Instance.open(place, abilities ? { abilities } : {})));
    }
    for (const [size, rounds] of [[5000, 5], [LARGE, 2]] as const) {
      for (let round = 0; round < rounds; round++) {
        const filename = `${size}-${round}`;
        const files = all.map(() => new TestFile(size));
        // One of them has the same content as another.
        files[5] = files[2]!;
        const outcomes = await race(all, filename, files);
        const winner = outcomes.indexOf("stored");
        assertEquals(outcomes.filter((each) => each === "stored").length, 1, outcomes.join(" "));
        const content = (await all[0]!.content(filename))!;
        assertEquals(md5(content), files[winner]!.md5);
        const expected = files.map((file, at) =>
          at === winner ? "stored" : file === files[winner] ? "unchanged" : "exists"
        );
        assertEquals(outcomes, expected);
      }
    }
    assertEquals(await all[0]!.leftovers(), []);
  },
);

testWithEngine(
  CEPH,
  "publishing in ceph: small and large ones that must not replace race for one name",
  async () => {
    const place = await newBucket(await Engine.shared(CEPH));
    await using instances = new AsyncDisposableStack();
    const all: Instance[] = [];
    for (let at = 0; at < 4; at++) all.push(instances.use(await Instance.open(place)));
    for (let round = 0; round < 3; round++) {
      const files = [1000, LARGE, 2000, LARGE].map((size) => new TestFile(size));
      const outcomes = await race(all, `f${round}`, files);
      assertEquals(outcomes.filter((each) => each === "stored").length, 1, outcomes.join(" "));
      const content = (await all[0]!.content(`f${round}`))!;
      assertEquals(md5(content), files[outcomes.indexOf("stored")]!.md5);
    }
  },
);

testWithEngine(
  CEPH,
  "publishing in ceph: the claim of a writer that was killed gives way, and is no file meanwhile",
  async () => {
    const engine = await Engine.shared(CEPH);
    await using proxy = FaultProxy.start(engine.endpoint);
    const place = { ...await newBucket(engine), endpoint: proxy.url };
    await using instance = await Instance.open(place);
    const { served: { bucket, lookup } } = instance;
    for (const size of [1000, LARGE]) {
      const filename = `f${size}`;
      await bucket.put(filename, claimBytes(), { metadata: claimMetadata("gone") });
      assertEquals(await lookup.head(name(filename)), undefined);
      const file = new TestFile(size);
      // While it is fresh, its writer may still be there.
      let ended = false;
      const putting = put(instance, filename, file, { replace: false }).finally(() => ended = true);
      while (proxy.requests.filter(({ method }) => method === "HEAD").length < 3) {
        await new Promise((done) => setTimeout(done, 50));
      }
      assertEquals(ended, false);
      // The clock of the store says later that it is not any more.
      proxy.rule = () => ({ change: shiftedDate(STALE_CLAIM_MS + 2000) });
      assertEquals((await putting).unchanged, false);
      proxy.rule = () => undefined;
      assertEquals(md5((await instance.content(filename))!), file.md5);
    }
  },
);

testWithEngine(CEPH, "publishing in ceph: a file that replaced a claim stays", async () => {
  const engine = await Engine.shared(CEPH);
  await using proxy = FaultProxy.start(engine.endpoint);
  const place = { ...await newBucket(engine), endpoint: proxy.url };
  await using never = await Instance.open(place);
  await using other = await Instance.open({ ...place, endpoint: engine.endpoint });
  const [large, small] = [new TestFile(LARGE), new TestFile(1000)];
  let claimed = false;
  proxy.rule = async ({ method, path }) => {
    // Right after the claim, before anything else is asked about it.
    if (method === "HEAD" && claimed) {
      claimed = false;
      await put(other, "f", small, { replace: true });
    }
    if (method === "PUT" && !path.includes("uploadId")) claimed = true;
    return undefined;
  };
  await assertCode("exists", () => put(never, "f", large, { replace: false }));
  assertEquals(md5((await other.content("f"))!), small.md5);
  assertEquals(await other.leftovers(), []);
});
