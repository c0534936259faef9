import { assert, assertEquals } from "@std/assert";
import { type Checksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Overwrite } from "../../../lib/core/overwrite.ts";
import { parseFileName } from "../../../lib/core/remote_name.ts";
import { UploadLocks } from "../../../server/files/upload_locks.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, MIB, patterned } from "../../support/bytes.ts";
import { FastClock } from "../../support/clock.ts";
import { textOf } from "../../support/stored_files.ts";
import { Content, FileClient, QUOTA, testFiles } from "../../support/file_client.ts";

/** A file of which a partial upload is kept where it is cut. */
const LARGE = patterned(9 * MIB + 5);

/** Uploads the first bytes of the large file, as far as a cut leaves them. */
async function cutUpload(client: FileClient, cut = 9 * MIB): Promise<void> {
  await assertCode("closed", () => client.put("large", new Content(LARGE, { cut })));
}

testFiles("put() publishes what was verified, and nothing else", async (storage) => {
  const client = new FileClient(storage);
  const wrong = new Content("abc", { checksum: md5("xyz") });
  await assertCode("checksum_mismatch", () => client.put("d/f", wrong));
  assertEquals(await storage.find(parseFileName("d/f")), undefined);
  assertEquals(client.stored, []);
  const stored = { checksum: md5("abc"), size: 3, unchanged: false };
  const { checksum, size, unchanged } = await client.put("d/f", new Content("abc"));
  assertEquals({ checksum, size, unchanged }, stored);
  assertEquals(await textOf(storage, "d/f"), "abc");
  assertEquals(client.stored, [{ filename: "d/f", ...stored, resumedFrom: 0, reused: 0 }]);
});

testFiles("put() takes content of unknown size", async (storage) => {
  const client = new FileClient(storage);
  await client.put("stream", new Content("some text", { size: null }));
  assertEquals(await textOf(storage, "stream"), "some text");
});

testFiles("put() keeps nothing of an upload that cannot be resumed", async (storage) => {
  const client = new FileClient(storage);
  const cut = client.put("large", new Content(LARGE, { cut: 9 * MIB }), { resumable: false });
  await assertCode("closed", () => cut);
  assertEquals(await storage.partialUploads!.list(), []);
});

testFiles("put() takes content without a checksum where its sender gives none", async (storage) => {
  const client = new FileClient(storage);
  const unattested = { size: 3, algorithm: "md5", checksum: null, unattested: true } as const;
  const content = new Content("abc");
  const read = (into: Uint8Array) => content.read(into);
  const { checksum } = await client.put("f", { ...unattested, read });
  assertEquals([checksum, await textOf(storage, "f")], [md5("abc"), "abc"]);
});

testFiles(
  "put() is refused by a precondition before the content, or at the commit",
  async (storage) => {
    const client = new FileClient(storage);
    const replace = { overwrite: "always", precondition: { matches: [md5("old")] } } as const;
    await assertCode("not_found", () => client.put("f", unread(), replace));
    await client.put("f", new Content("old"));
    const other = { overwrite: "always", precondition: { matches: [md5("other")] } } as const;
    await assertCode("exists", () => client.put("f", unread(), other));
    const late = new Content("new");
    late.onRead = async () =>
      void await client.put("f", new Content("late"), { overwrite: "always" });
    await assertCode("exists", () => client.put("f", late, replace));
    assertEquals(await textOf(storage, "f"), "late");
    const create = { overwrite: "always", precondition: { absent: true } } as const;
    await assertCode("exists", () => client.put("f", unread(), create));
    const second = new Content("same");
    second.onRead = async () => void await client.put("g", new Content("same"));
    await assertCode("exists", () => client.put("g", second, create));
  },
);

/** Content that nobody reads. */
function unread(): Content {
  const content = new Content("content");
  content.onRead = () => assert(false, "it was read");
  return content;
}

testFiles("put() and offer() decide by the overwrite policy", async (storage) => {
  const client = new FileClient(storage);
  await client.put("f", new Content("old"), { mtime: 2000 });
  const cases: [Overwrite, content: string, mtime: number, put: string, offer: string][] = [
    ["never", "old", 9000, "unchanged", "have"],
    ["never", "new", 9000, "exists", "exists"],
    ["never", "longer", 9000, "exists", "exists"],
    ["newer", "longer", 1000, "unchanged", "have"],
    // Whether the same content is written again depends on whether the storage knows its checksum.
    ["different", "old", 9000, "either", "have"],
    ["different", "new", 1000, "stored", "send"],
    ["newer", "longer", 9000, "stored", "send"],
    ["always", "old", 1000, "stored", "send"],
  ];
  for (const [overwrite, content, mtime, put, offer] of cases) {
    await client.put("f", new Content("old"), { overwrite: "always", mtime: 2000 });
    const what = `${overwrite} ${content} ${mtime}`;
    const told = { size: content.length, overwrite, mtime, checksum: md5(content) };
    const code = (error: unknown) => ({ decision: (error as FerryError).code });
    assertEquals((await client.offer("f", told).catch(code)).decision, offer, what);
    const result = await client.put("f", new Content(content), { overwrite, mtime }).then(
      ({ unchanged }) => unchanged ? "unchanged" : "stored",
      (error) => error.code,
    );
    if (put !== "either") assertEquals(result, put, what);
    assertEquals(await textOf(storage, "f"), put === "stored" ? content : "old", what);
  }
  assertEquals(
    (await client.offer("f", { overwrite: "different", checksum: null })).decision,
    "hash",
  );
});

testFiles("an upload that was cut is resumed with the right proof", async (storage) => {
  const client = new FileClient(storage);
  await cutUpload(client);
  const partial = await client.offerPartial("large", LARGE.length);
  const { size: offset, xxh128 } = partial.facts;
  assert(offset > 0 && offset <= 9 * MIB && xxh128 !== null, `${offset}`);
  const rest = new Content(LARGE.subarray(offset), { checksum: md5(LARGE) });
  const { checksum } = await client.put("large", rest, { offset, size: LARGE.length, partial });
  assertEquals(checksum, md5(LARGE));
  assertEquals(client.stored.map(({ resumedFrom }) => resumedFrom), [offset]);
  assertEquals(await client.uploads({ op: "list", parts: true }).partials.list(""), []);
});

testFiles(
  "an upload goes on only where it was offered, and with the same file",
  async (storage) => {
    const client = new FileClient(storage);
    await cutUpload(client);
    const size = LARGE.length;
    const partial = await client.offerPartial("large", size);
    const { size: offset } = partial.facts;
    const rest = () => new Content(LARGE.subarray(offset), { checksum: md5(LARGE) });
    await assertCode("busy", () => client.put("large", rest(), { offset, size }));
    await assertCode("busy", () => client.put("large", rest(), { offset: 64, size, partial }));
    await assertCode("busy", () => client.put("other", rest(), { offset, size, partial }));
    await assertCode(
      "busy",
      () => client.put("large", rest(), { offset, size: size + 1, partial }),
    );
    // What does not belong behind the prefix is refused, and nothing is left of it.
    const wrong = new Content(
      LARGE.subarray(offset).map((byte) => byte ^ 1),
      {
        checksum: md5(LARGE),
      },
    );
    await assertCode(
      "checksum_mismatch",
      () => client.put("large", wrong, { offset, size, partial }),
    );
    assertEquals(await storage.find(parseFileName("large")), undefined);
    assertEquals(await client.uploads({ op: "list", parts: true }).partials.list(""), []);
  },
);

for (const [overwrite, mtime] of [["never", 2000], ["newer", 1000]] as const) {
  testFiles(
    `the rest of an upload comes, and with ${overwrite} the file stays that came meanwhile`,
    async (storage) => {
      const client = new FileClient(storage);
      const size = LARGE.length;
      const resume = async (checksum: Checksum) => {
        const partial = await client.offerPartial("large", size);
        const offset = partial.facts.size;
        assert(size - offset > MIB, `${offset}`);
        await new FileClient(storage).put("large", new Content(LARGE), { mtime: 2000 });
        await using _partial = partial;
        const rest = new Content(LARGE.subarray(offset), { checksum });
        return await client.put("large", rest, { offset, size, partial, overwrite, mtime });
      };
      const partials = () => client.uploads({ op: "list", parts: true }).partials.list("");
      await cutUpload(client, 6 * MIB);
      const { checksum, unchanged } = await resume(md5(LARGE));
      assertEquals({ checksum, unchanged }, { checksum: md5(LARGE), unchanged: true });
      assertEquals(await partials(), []);
      await client.files({ op: "remove" }).remove("large", { recursive: false });
      if (overwrite !== "newer") return;
      await cutUpload(client, 6 * MIB);
      await assertCode("checksum_mismatch", () => resume(md5("other")));
      assertEquals(await partials(), []);
    },
  );
}

testFiles("a partial upload is its owner's alone", async (storage) => {
  const locks = new UploadLocks();
  const mine = new FileClient(storage, { owner: "me", locks });
  await cutUpload(mine);
  const other = new FileClient(storage, { owner: "other", locks });
  const answer = await other.offer("large", { size: LARGE.length });
  assertEquals(answer, { decision: "send", partial: undefined, replaces: false });
  assertEquals(await other.uploads({ op: "list", parts: true }).partials.list(""), []);
  await assertCode("not_found", () => other.uploads({ op: "discard" }).partials.discard("large"));
  await mine.uploads({ op: "discard" }).partials.discard("large");
  assertEquals(await mine.uploads({ op: "list", parts: true }).partials.list(""), []);
});

testFiles(
  "nothing is kept of a small upload that was cut, nor of one that was damaged",
  async (storage) => {
    const client = new FileClient(storage);
    const small = new Content(patterned(7 * MIB), { cut: 6 * MIB });
    await assertCode("closed", () => client.put("small", small));
    const damaged = new Content(LARGE, { checksum: md5("other") });
    await assertCode("checksum_mismatch", () => client.put("large", damaged));
    assertEquals(await client.uploads({ op: "list", parts: true }).partials.list(""), []);
  },
);

testFiles("another client takes over from a writer that has fallen silent", async (storage) => {
  const locks = new UploadLocks();
  const [silent, next] = [new FileClient(storage, { locks }), new FileClient(storage, { locks })];
  await cutUpload(silent);
  const partial = await silent.offerPartial("large", LARGE.length);
  using clock = new FastClock();
  // From then on it has as long as it needs.
  silent.onTakenOver = () => clock[Symbol.dispose]();
  const offering = next.offerPartial("large", LARGE.length);
  await silent.takenOver.promise;
  await partial[Symbol.asyncDispose]();
  await using taken = await offering;
  assertEquals(taken.facts, partial.facts);
});

testFiles("an upload beyond the quota says how much the client could free", async (storage) => {
  const client = new FileClient(storage, { owner: "me" });
  await cutUpload(client);
  const size = QUOTA - MIB;
  const partials = /your uploads that were cut take \d+(\.\d)? MiB of it/;
  const offered = await assertCode("quota", () => client.offer("more", { size }));
  assert(partials.test(offered.message), offered.message);
  const content = new Content("", { size, checksum: null });
  const put = await assertCode("quota", () => client.put("more", content));
  assert(partials.test(put.message), put.message);
  const other = new FileClient(storage, { owner: "other" });
  const told = await assertCode("quota", () => other.offer("more", { size }));
  assert(!partials.test(told.message), told.message);
});
