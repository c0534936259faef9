import { assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import type { AddressedUploads } from "../../../server/files/addressed_uploads.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, MIB, patterned } from "../../support/bytes.ts";
import { Content, FileClient, testFiles } from "../../support/file_client.ts";
import { KeptRecords } from "../../support/kept_records.ts";
import { put, textOf } from "../../support/stored_files.ts";

const LARGE = patterned(9 * MIB + 5);

/** What is announced of an upload, unless a test says otherwise. */
const UPLOAD = { size: 5, overwrite: "never", algorithm: "md5", note: "" } as const;

/** Sends bytes at an offset. */
function append(
  uploads: AddressedUploads,
  id: string,
  offset: number,
  bytes: Uint8Array | string,
) {
  const content = new Content(bytes);
  const read = (into: Uint8Array) => content.read(into);
  return uploads.append(id, { offset, size: content.size, read });
}

testFiles("append() publishes with the last byte, and tells so once", async (storage) => {
  const client = new FileClient(storage);
  const uploads = client.addressedUploads({ op: "put", filename: "f" }, new KeptRecords());
  const { id } = await uploads.create({ ...UPLOAD, filename: "f", size: 11 });
  assertEquals((await append(uploads, id, 0, "hello")).offset, 5);
  assertEquals(client.stored, []);
  const { offset, stored } = await append(uploads, id, 5, " world");
  assertEquals([offset, stored], [11, { checksum: md5("hello world"), size: 11 }]);
  await append(uploads, id, 11, "");
  assertEquals(client.stored, [{
    filename: "f",
    size: 11,
    checksum: md5("hello world"),
    unchanged: false,
    resumedFrom: 0,
    reused: 0,
  }]);
});

testFiles("look() knows a large file whose publication could not be recorded", async (storage) => {
  const records = new KeptRecords();
  const client = new FileClient(storage);
  const uploads = client.addressedUploads({ op: "put", filename: "f" }, records);
  const { id } = await uploads.create({ ...UPLOAD, filename: "f", size: LARGE.length });
  await append(uploads, id, 0, LARGE.subarray(0, 5 * MIB));
  let writes = 0;
  records.before = (access) => {
    // The first of them says what is about to be published.
    if (access.startsWith("write") && ++writes > 1) throw new FerryError("no_space", "full");
  };
  await assertCode("no_space", () => append(uploads, id, 5 * MIB, LARGE.subarray(5 * MIB)));
  assertEquals(await storage.checksum("f" as never, "md5"), md5(LARGE));
  records.before = () => {};
  const { offset, stored } = await uploads.look(id);
  assertEquals([offset, stored?.checksum], [LARGE.length, md5(LARGE)]);
});

testFiles(
  "a file that has got the name meanwhile is judged by the policy again",
  async (storage) => {
    const client = new FileClient(storage);
    const uploads = client.addressedUploads({ op: "put", filename: "f" }, new KeptRecords());
    for (const overwrite of ["newer", "different"] as const) {
      const announced = { ...UPLOAD, filename: overwrite, overwrite, mtime: 2000 };
      const { id } = await uploads.create(announced);
      await append(uploads, id, 0, "hell");
      const [content, mtime] = overwrite === "newer" ? ["newer", 9000] : ["hello", 1000];
      await put(storage, overwrite, content, { mtime });
      const { offset, stored } = await append(uploads, id, 4, "o");
      assertEquals([offset, stored?.checksum], [5, md5(content)]);
      assertEquals(await textOf(storage, overwrite), content);
      assertEquals((await storage.stat(overwrite as never)).mtime, mtime);
    }
    assertEquals(await storage.partialUploads?.list(), []);
  },
);

testFiles("bytes beyond the announced size are never stored", async (storage) => {
  const client = new FileClient(storage);
  const uploads = client.addressedUploads({ op: "put", filename: "f" }, new KeptRecords());
  const { id } = await uploads.create({ ...UPLOAD, filename: "f" });
  const content = new Content("hello world");
  const read = (into: Uint8Array) => content.read(into);
  await assertCode("too_large", () => uploads.append(id, { offset: 0, size: null, read }));
  await assertCode("too_large", () => uploads.append(id, { offset: 0, size: 11, read }));
  assertEquals((await uploads.look(id)).offset, 0);
  assertEquals((await append(uploads, id, 0, "hello")).stored?.size, 5);
});
