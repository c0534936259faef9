/// <reference lib="dom" />
import { assertEquals, assertRejects } from "@std/assert";
import { Digests, type DigestWorker, type FileDigest } from "../../../page/upload/digests.ts";
import { UploadFailure } from "../../../page/upload/failure.ts";
import { md5Of } from "../../support/digests.ts";
import { randomBytes } from "../../support/random_file.ts";

/** Digests files in real workers, and ends these. */
async function withDigests(
  run: (digests: Digests) => Promise<void>,
  most = 2,
): Promise<number> {
  const workers: Worker[] = [];
  const digests = new Digests(() => {
    const url = new URL("../../../page/upload/md5_worker.ts", import.meta.url);
    workers.push(new Worker(url, { type: "module" }));
    return workers.at(-1)!;
  }, most);
  try {
    await run(digests);
  } finally {
    for (const worker of workers) worker.terminate();
  }
  return workers.length;
}

Deno.test("the MD5 of each beginning of a file is told, in any order", async () => {
  const bytes = randomBytes(9_000_001);
  await withDigests(async (digests) => {
    const digest = digests.of(new Blob([bytes]));
    for (const end of [0, 1, 64, 5_000_000, bytes.length, 63, bytes.length]) {
      assertEquals(await digest.at(end), md5Of(bytes.subarray(0, end)), `${end}`);
    }
    digest.end();
  });
});

Deno.test("several files are digested at the same time, by no more workers than are allowed", async () => {
  const count = await withDigests(async (digests) => {
    const files = [1, 2, 3, 4, 5].map((seed) => randomBytes(100_000 * seed, seed));
    const all: [FileDigest, Uint8Array][] = files.map((bytes) => [
      digests.of(new Blob([bytes])),
      bytes,
    ]);
    for (const [digest] of all) digest.advance(90_000);
    for (const [digest, bytes] of all) assertEquals(await digest.at(bytes.length), md5Of(bytes));
  });
  assertEquals(count, 2);
});

Deno.test("a file that cannot be read, or was changed, fails as unreadable", async () => {
  const worker: DigestWorker = {
    onmessage: null,
    postMessage(ask) {
      if (!("to" in ask)) return;
      const data = { job: ask.job, unreadable: "NotReadableError" };
      queueMicrotask(() => worker.onmessage!(new MessageEvent("message", { data })));
    },
  };
  const digest = new Digests(() => worker, 1).of(new Blob(["content"]));
  const failure = await assertRejects(() => digest.at(7), UploadFailure);
  assertEquals(failure.code, "unreadable");
});
