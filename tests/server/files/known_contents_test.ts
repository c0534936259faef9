import { assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../lib/core/remote_name.ts";
import { parseGrants } from "../../../server/auth/grants.ts";
import { FsStorage } from "../../../server/storage/fs/fs_storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5 } from "../../support/bytes.ts";
import { Content, FileClient, testFiles } from "../../support/file_client.ts";
import { TempDir } from "../../support/programs.ts";

/** What a client that may send a content is told of it under a new name: at first, and of its checksum. */
async function told(
  client: FileClient,
  content: string,
  { as = "inbox/new", known = true } = {},
): Promise<[string, string | undefined]> {
  const ask = async (checksum: string | null) => {
    const files = [[{ filename: as, size: content.length, mtime: 1000, checksum }]];
    const options = { overwrite: "different", algorithm: "md5", content: false, known } as const;
    const results = client.files({ op: "compare" }).compare(ReadableStream.from(files), options);
    const [result] = await Array.fromAsync(results);
    return result;
  };
  const [first, second] = [await ask(null), await ask(md5(content))];
  if (second?.decision !== "send") return [first?.decision ?? "", second?.decision];
  return [first?.decision ?? "", second.known?.name];
}

const CONFINED = parseGrants(["read:inbox/", "write:inbox/"], []);

testFiles("compare() tells where a content is that need not be sent", async (storage) => {
  const client = new FileClient(storage);
  await client.put("d/there", new Content("content"));
  assertEquals(await told(client, "content"), ["hash", "d/there"]);
  assertEquals(await told(client, "CONTENT"), ["hash", undefined]);
  assertEquals(await told(client, "of another size"), ["send", undefined]);
  assertEquals(await told(client, ""), ["send", undefined]);
  assertEquals(await told(client, "content", { known: false }), ["send", undefined]);
  assertEquals(await told(client, "content", { as: "d/there" }), ["hash", undefined]);
  const files = [[{ filename: "d/there", size: 7, mtime: 1000, checksum: null }]];
  const wishes = { overwrite: "always", algorithm: "md5", content: false, known: true } as const;
  const always = client.files({ op: "compare" }).compare(ReadableStream.from(files), wishes);
  assertEquals(await Array.fromAsync(always), [{ filename: "d/there", decision: "send" }]);
  await client.put("d/new", new Content("CONTENT"));
  assertEquals(await told(client, "content", { as: "d/new" }), ["hash", "d/there"]);
});

testFiles("compare() tells nothing of contents that the client may not read", async (storage) => {
  const all = new FileClient(storage);
  await all.put("other/hidden", new Content("content"));
  await all.put("inboxes/hidden", new Content("content"));
  for (const grants of [["read:inbox/", "write:inbox/"], ["read:inbox/", "write"]]) {
    const client = new FileClient(storage, { grants: parseGrants(grants, []) });
    assertEquals(await told(client, "content"), ["send", undefined]);
  }
  await all.put("inbox/shown", new Content("content"));
  assertEquals(await told(new FileClient(storage, { grants: CONFINED }), "content"), [
    "hash",
    "inbox/shown",
  ]);
  const reader = new FileClient(storage, { grants: parseGrants(["read", "write:inbox/"], []) });
  const [, found] = await told(reader, "content");
  assertEquals(found, "inbox/shown");
  await all.files({ op: "remove" }).remove("inbox/shown", { recursive: false });
  assertEquals((await told(reader, "content"))[1], "inboxes/hidden");
});

testFiles(
  "a put does not copy what the client may not read, whether it exists or not",
  async (storage) => {
    await new FileClient(storage).put("other/hidden", new Content("content"));
    const client = new FileClient(storage, { grants: CONFINED });
    const refusals = [];
    for (const basis of ["other/hidden", "other/missing"]) {
      const request = { op: "put", filename: "inbox/new", basis } as const;
      refusals.push(await assertCode("denied", () => client.uploads(request)));
    }
    assertEquals(refusals[0]?.message, refusals[1]?.message);
  },
);

Deno.test("compare() finds no content through a link that leads out of what the client may read", async () => {
  await using dir = new TempDir();
  for (const directory of ["inbox", "other"]) Deno.mkdirSync(dir.join(directory));
  dir.write("other/hidden", "content");
  Deno.symlinkSync("../other/hidden", dir.join("inbox/link"));
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  // The name is in the index then, as that of a client that may read everything.
  assertEquals(await storage.checksum(name("inbox/link"), "md5"), md5("content"));
  assertEquals(await told(new FileClient(storage), "content"), ["hash", "inbox/link"]);
  const client = new FileClient(storage, { grants: CONFINED });
  assertEquals(await told(client, "content"), ["send", undefined]);
});
