import { assertEquals } from "@std/assert";
import { parseFileName } from "../../../lib/core/remote_name.ts";
import { parseGrants } from "../../../server/auth/grants.ts";
import type { Storage } from "../../../server/storage/storage.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, MIB, patterned, sha256 } from "../../support/bytes.ts";
import { Content, FileClient, testFiles } from "../../support/file_client.ts";
import { overlaid } from "../../support/in_process.ts";

testFiles("names are checked once, whatever is done with them", async (storage) => {
  const client = new FileClient(storage);
  for (const filename of ["../f", "a/../b", "/f", "", ".ferry/f"]) {
    const put = () => client.put(filename, new Content("abc"));
    const get = () => client.files({ op: "get" }).open(filename, { algorithm: "md5" });
    const move = () => client.files({ op: "move" }).move("f", filename, { replace: true });
    for (const attempt of [put, get, move, () => client.offer(filename)]) {
      await assertCode("bad_name", attempt);
    }
    if (filename === "") continue;
    await assertCode("bad_name", () => client.files({ op: "stat" }).stat(filename, "md5"));
  }
});

testFiles("open() gives what a client lacks, a range, or all of it", async (storage) => {
  const client = new FileClient(storage);
  await client.put("f", new Content("0123456789"));
  const algorithm = "md5";
  const open = async (options: object) => {
    await using file = await client.files({ op: "get" }).open("f", { algorithm, ...options });
    const into = new Uint8Array(100);
    const count = await file.read(into) ?? 0;
    const { offset, size } = file.content;
    return [offset, size, new TextDecoder().decode(into.subarray(0, count)).slice(0, size)];
  };
  const claimed = { ofChecksum: null, md5: null, xxh128: null };
  assertEquals(await open({}), [0, 10, "0123456789"]);
  assertEquals(await open({ range: { start: 2, count: 3 } }), [2, 3, "234"]);
  assertEquals(await open({ range: { start: 8, count: 99 } }), [8, 2, "89"]);
  assertEquals((await open({ range: { start: 99 } })).slice(0, 2), [10, 0]);
  const right = { ...claimed, size: 4, md5: md5("0123") };
  assertEquals(await open({ prefix: right }), [4, 6, "456789"]);
  assertEquals(await open({ prefix: { ...right, md5: md5("xxxx") } }), [0, 10, "0123456789"]);
  assertEquals(await open({ prefix: { ...right, size: 11 } }), [0, 10, "0123456789"]);
  assertEquals(await open({ prefix: { ...claimed, size: 4 } }), [0, 10, "0123456789"]);
});

testFiles(
  "open() knows the checksums that are asked for, of the file that it opened",
  async (storage) => {
    const client = new FileClient(storage);
    const checksums = ["md5", "sha256"] as const;
    // Large files are read in another way than small ones.
    for (const size of [5, 9 * MIB]) {
      const [first, second] = [patterned(size), patterned(size).reverse()];
      const sums = (bytes: Uint8Array) => [md5(bytes), `sha256:${sha256(bytes)}`];
      const open = async () => {
        const files = client.files({ op: "get" });
        await using file = await files.open("f", { algorithm: "md5", checksums });
        const part = file.part({ offset: 2, size: 2 });
        const into = new Uint8Array(10);
        const count = await part.read(into);
        assertEquals([count, await part.read(into)], [2, null]);
        return [...checksums.map((each) => file.known(each)), into[0], into[1]];
      };
      await client.put("f", new Content(first), { overwrite: "always" });
      const of = (bytes: Uint8Array) => [...sums(bytes), bytes[2], bytes[3]];
      assertEquals(await Promise.all([open(), open()]), [of(first), of(first)]);
      await client.put("f", new Content(second), { overwrite: "always" });
      assertEquals(await open(), of(second));
    }
  },
);

testFiles(
  "compare() tells what is wanted, and refuses what is out of bounds alone",
  async (storage) => {
    const all = new FileClient(storage);
    await all.put("inbox/same", new Content("abc"), { mtime: 2000 });
    await all.put("inbox/old", new Content("abc"), { mtime: 1000 });
    const client = new FileClient(storage, {
      grants: parseGrants(["read:inbox/", "write:inbox/"], []),
    });
    const file = { size: 3, mtime: 2000, checksum: null };
    const names = ["inbox/same", "inbox/old", "inbox/new", "other", "inbox/../x"];
    const files = [names.map((filename) => ({ filename, ...file }))];
    const results = client.files({ op: "compare" }).compare(ReadableStream.from(files), {
      overwrite: "different",
      algorithm: "md5",
      content: false,
    });
    const told = await Array.fromAsync(
      results,
      (
        result,
      ) => [result.filename, result.decision === "error" ? result.error.code : result.decision],
    );
    assertEquals(told, [
      ["inbox/old", "hash"],
      ["inbox/new", "send"],
      ["other", "denied"],
      ["inbox/../x", "bad_name"],
    ]);
  },
);

testFiles("confirm() says nothing of a file that is replaced meanwhile", async (storage) => {
  const client = new FileClient(storage);
  await client.put("f", new Content("abc"));
  const confirm = (of: Storage) => {
    const wanted = { size: 3, checksum: null, algorithm: "sha256" } as const;
    return new FileClient(of).files({ op: "receipt", filename: "f" }).confirm("f", wanted);
  };
  const checksum = `sha256:${sha256(new TextEncoder().encode("abc"))}`;
  assertEquals(await confirm(storage), { filename: "f", size: 3, checksum });
  const replaced: Storage = overlaid(storage, {
    within: () => replaced,
    async checksum(...args) {
      await client.put("f", new Content("another"), { overwrite: "always" });
      return await storage.checksum(...args);
    },
  });
  await assertCode("busy", () => confirm(replaced));
});

testFiles("a confined token stays in its directory", async (storage) => {
  await new FileClient(storage).put("outside", new Content("abc"));
  const grants = parseGrants(["read:inbox/", "write:inbox/", "delete:inbox/"], []);
  const client = new FileClient(storage, { grants });
  await client.put("inbox/f", new Content("abc"));
  await assertCode("denied", () => client.put("outside", new Content("abc")));
  await assertCode("denied", () => client.files({ op: "stat", filename: "outside" }));
  await assertCode("denied", () => client.files({ op: "move", filename: "inbox/f", to: "f" }));
  await assertCode("denied", () => client.files({ op: "remove", filename: "outside" }));
  assertEquals(
    (await client.files({ op: "stat", filename: "inbox/f" }).stat("inbox/f", "md5")).size,
    3,
  );
});

testFiles("directories and names", async (storage) => {
  const client = new FileClient(storage);
  await client.files({ op: "mkdir" }).mkdir("d/e");
  await client.put("d/f", new Content("abc"));
  const listed = await Array.fromAsync(
    await client.files({ op: "list" }).list("", { recursive: true }),
    ({ filename }) => filename,
  );
  assertEquals(listed, ["d", "d/e", "d/f"]);
  await assertCode(
    "not_a_file",
    () => client.files({ op: "list" }).list("d/f", { recursive: true }),
  );
  await client.files({ op: "move" }).move("d/f", "g", { replace: false });
  assertEquals((await client.files({ op: "stat" }).stat("g", "md5")).checksum, md5("abc"));
  await assertCode(
    "not_a_file",
    () => client.files({ op: "remove" }).remove("d", { recursive: false }),
  );
  await client.files({ op: "remove" }).remove("d", { recursive: true });
  assertEquals(await storage.find(parseFileName("d")), undefined);
  assertEquals((await client.files({ op: "ping" }).health()).problem, undefined);
});
