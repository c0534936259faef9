import { assert, assertEquals } from "@std/assert";
import { decodeHex } from "@std/encoding/hex";
import { sleep, SYSTEM_CLOCK } from "../../../../lib/core/clock.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5Of } from "../../../support/digests.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { Engine, testWithEngine } from "../../../support/engines/engine.ts";
import { SWIFT } from "../../../support/engines/swift.ts";
import {
  behindProxy,
  ENGINES,
  newBucket,
  testBuckets,
} from "../../../support/engines/opened_bucket.ts";
import { errorAnswer } from "../../../support/fault_proxy.ts";
import { openBucket, type S3Bucket } from "../../../../server/storage/s3/s3_bucket.ts";
import type { ListedUpload, MultipartUpload } from "../../../../server/storage/s3/bucket.ts";

const MIB = 1024 * 1024;

/** The least size of a part that is not the last one. */
const PART = new Uint8Array(5 * MIB).fill(1);

const REST = new TextEncoder().encode("rest");

function etagOf(...parts: Uint8Array[]): string {
  return `${md5Of(decodeHex(parts.map(md5Of).join("")))}-${parts.length}`;
}

async function allUploads(bucket: S3Bucket): Promise<ListedUpload[]> {
  return (await Array.fromAsync(bucket.uploads())).flat();
}

testBuckets(
  "an upload in parts becomes visible when it is completed, as one object",
  async (bucket) => {
    const upload = await bucket.begin("big +ä", { "ferry-mtime": "5" });
    const second = await bucket.uploadPart(upload, 7, REST);
    const first = await bucket.uploadPart(upload, 2, PART);
    assertEquals(first, { number: 2, etag: md5Of(PART), size: PART.length });
    assertEquals(await bucket.parts(upload), [first, second]);
    assertEquals(await bucket.head("big +ä"), undefined);
    assertEquals(await bucket.complete(upload, [second, first]), etagOf(PART, REST));
    const head = await bucket.head("big +ä");
    assertEquals([head?.size, head?.etag], [PART.length + REST.length, etagOf(PART, REST)]);
    assertEquals(head?.metadata, { "ferry-mtime": "5" });
    const end = await bucket.get("big +ä", { range: { start: PART.length - 1, count: 10 } });
    assertEquals(await new Response(end!.body).text(), "\u0001rest");
  },
);

testBuckets(
  "uploads are found with their names, and are gone when they are aborted",
  async (bucket) => {
    const names = ["a b", "plain", "per%20cent", "ü/+", "line\nend", "plain"];
    const begun: MultipartUpload[] = [];
    for (const name of names) begun.push(await bucket.begin(name));
    const found = await allUploads(bucket);
    const named = ({ key, uploadId }: { key: string; uploadId: string }) => `${key} ${uploadId}`;
    assertEquals(found.map(named).sort(), begun.map(named).sort());
    for (const { initiated } of found) assert(Math.abs(initiated - Date.now()) < 60_000);
    for (const upload of begun) await bucket.abort(upload);
    for (const upload of begun) await bucket.abort(upload);
    assertEquals(await allUploads(bucket), []);
    assertEquals(await bucket.parts(begun[0]!), undefined);
    const part = { number: 1, etag: md5Of(REST), size: REST.length };
    await assertCode("not_found", () => bucket.complete(begun[0]!, [part]));
    await assertCode("not_found", () => bucket.uploadPart(begun[0]!, 1, REST));
  },
);

testBuckets(
  "an upload of a name that XML cannot hold is found, or refused at once",
  async (bucket, kind) => {
    const begin = () => bucket.begin("control\u0001");
    if (kind === SWIFT) return void await assertCode("bad_name", begin);
    const { key, uploadId } = await begin();
    assertEquals((await allUploads(bucket)).map((one) => [one.key, one.uploadId]), [[
      key,
      uploadId,
    ]]);
  },
);

testWithEngine(CEPH, "more uploads than a page has are found", async () => {
  const bucket = await newBucket(await Engine.shared(CEPH));
  const begun: string[] = [];
  for (let i = 0; i < 1020; i += 60) {
    // Pages may end between uploads of one name.
    const uploads = Array.from({ length: 60 }, (_, k) => bucket.begin(`ä${(i + k) % 17}`));
    begun.push(...(await Promise.all(uploads)).map(({ uploadId }) => uploadId));
  }
  assertEquals((await allUploads(bucket)).map((one) => one.uploadId).sort(), begun.sort());
});

testBuckets("parts are copied from objects, of parts or not", async (bucket) => {
  const whole = await bucket.put("whole +", PART);
  const first = await bucket.begin("first");
  const copied = await bucket.copyPart(first, 1, {
    key: "whole +",
    start: 0,
    count: PART.length,
    etag: whole!,
  });
  const rest = await bucket.uploadPart(first, 2, REST);
  assertEquals(copied, { number: 1, etag: md5Of(PART), size: PART.length });
  const etag = await bucket.complete(first, [copied, rest]);
  const second = await bucket.begin("second");
  const source = { key: "first", start: PART.length - 2, count: 6, etag: etag! };
  const end = await bucket.copyPart(second, 1, source);
  assert(await bucket.complete(second, [end]) !== undefined);
  const copy = await bucket.get("second");
  assertEquals(await new Response(copy!.body).text(), "\u0001\u0001rest");
  const third = await bucket.begin("third");
  await assertCode("busy", () => bucket.copyPart(third, 1, { ...source, etag: "0".repeat(32) }));
  assertEquals(await bucket.copy("first", "whole copy", { ifMatch: etag }) !== undefined, true);
});

for (const kind of ENGINES) {
  testWithEngine(
    kind,
    `a completion whose answer is lost has happened, on ${kind.name}`,
    async () => {
      await using opened = await behindProxy(kind);
      const { bucket, proxy } = opened;
      const upload = await bucket.begin("file");
      const part = await bucket.uploadPart(upload, 1, REST);
      proxy.rule = ({ method }) => method === "POST" ? { loseAnswer: true } : undefined;
      assertEquals(await bucket.complete(upload, [part]), etagOf(REST));
    },
  );

  testWithEngine(kind, `a completion that is refused is repeated, on ${kind.name}`, async () => {
    await using opened = await behindProxy(kind);
    const { bucket, proxy } = opened;
    const upload = await bucket.begin("file");
    const part = await bucket.uploadPart(upload, 1, REST);
    const answers = [
      errorAnswer(500, "InternalError"),
      // A store that has begun to answer cannot change the status any more.
      errorAnswer(200, "InternalError"),
      errorAnswer(503, "SlowDown"),
    ];
    proxy.rule = ({ method }) => {
      const answer = method === "POST" ? answers.shift() : undefined;
      return answer && { answer };
    };
    assertEquals(await bucket.complete(upload, [part]), etagOf(REST));
    assertEquals(answers, []);
  });
}

testWithEngine(CEPH, "a completion that goes on failing leaves the upload as it is", async () => {
  await using opened = await behindProxy(CEPH, { retryTime: 500 });
  const { bucket, proxy } = opened;
  const upload = await bucket.begin("file");
  const part = await bucket.uploadPart(upload, 1, REST);
  proxy.rule = ({ method }) =>
    method === "POST" ? { answer: errorAnswer(500, "InternalError") } : undefined;
  await assertCode("io", () => bucket.complete(upload, [part]));
  assertEquals(await bucket.head("file"), undefined);
  proxy.rule = () => undefined;
  assertEquals(await bucket.complete(upload, [part]), etagOf(REST));
});

testWithEngine(
  CEPH,
  "a completion that was lost, and replaced by others since, is not found",
  async () => {
    await using opened = await behindProxy(CEPH);
    const { bucket } = opened;
    const upload = await bucket.begin("file");
    const part = await bucket.uploadPart(upload, 1, REST);
    assertEquals(await bucket.complete(upload, [part]), etagOf(REST));
    await bucket.put("file", new TextEncoder().encode("other"));
    await assertCode("not_found", () => bucket.complete(upload, [part]));
  },
);

testWithEngine(
  CEPH,
  "a completion is one, also if another writer replaces or removes the object at once",
  async () => {
    await using opened = await behindProxy(CEPH);
    const { bucket, proxy } = opened;
    const other = openBucket(opened.direct);
    // Ceph leaves the ETag of its answer empty, so that a look follows, and finds what the others have left.
    const isLook = ({ method, path }: { method: string; path: string }) =>
      method === "HEAD" && path.endsWith("/file");
    for (
      const interfere of [
        () => other.put("file", new TextEncoder().encode("other")),
        () => other.delete("file"),
      ]
    ) {
      const upload = await bucket.begin("file");
      const part = await bucket.uploadPart(upload, 1, REST);
      let looks = 0;
      proxy.rule = (request) => isLook(request) && looks++ === 0 ? { delay: 500 } : undefined;
      const completing = bucket.complete(upload, [part]);
      while (looks === 0 && (await other.head("file"))?.etag !== etagOf(REST)) {
        await sleep(SYSTEM_CLOCK, 10);
      }
      await interfere();
      assertEquals(await completing, etagOf(REST));
    }
  },
);

testWithEngine(
  CEPH,
  "a completion whose answer tells another ETag is none",
  async () => {
    await using opened = await behindProxy(CEPH);
    const { bucket, proxy } = opened;
    const upload = await bucket.begin("file");
    const part = await bucket.uploadPart(upload, 1, REST);
    const etag = `<ETag>"${"0".repeat(32)}-1"</ETag>`;
    const body = `<CompleteMultipartUploadResult>${etag}</CompleteMultipartUploadResult>`;
    proxy.rule = ({ method }) => method === "POST" ? { answer: { status: 200, body } } : undefined;
    await assertCode("checksum_mismatch", () => bucket.complete(upload, [part]));
  },
);

testWithEngine(
  CEPH,
  "a part that the store took for another one is uploaded once more",
  async () => {
    await using opened = await behindProxy(CEPH);
    const { bucket, proxy } = opened;
    const upload = await bucket.begin("file");
    const change = { etag: () => `"${"0".repeat(32)}"` };
    let wrong = 0;
    proxy.rule = ({ method }) => method === "PUT" && wrong++ === 0 ? { change } : undefined;
    assertEquals((await bucket.uploadPart(upload, 1, REST)).etag, md5Of(REST));
    proxy.rule = () => ({ change });
    await assertCode("checksum_mismatch", () => bucket.uploadPart(upload, 1, REST));
  },
);
