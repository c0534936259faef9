import { assert, assertEquals } from "@std/assert";
import { parseFileName as name } from "../../../../lib/core/remote_name.ts";
import { FsStorage } from "../../../../server/storage/fs/fs_storage.ts";
import { assertCode } from "../../../support/assertions.ts";
import { md5 } from "../../../support/bytes.ts";
import { TempDir } from "../../../support/programs.ts";
import { bytesOf, keepPartial, put } from "../../../support/stored_files.ts";

Deno.test("FsStorage.usage() has the space, the quota, partial uploads and staged trees of all owners", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  await using storage = FsStorage.open(dir.join("root"), { durability: "none", quota: 1000 });
  const none = { count: 0, bytes: 0 };
  const { disk, ...empty } = await storage.usage();
  assertEquals(empty, {
    quota: { limit: 1000, used: 0 },
    partialUploads: none,
    stagedTrees: none,
  });
  assert(disk && disk.free > 0 && disk.size >= disk.free);
  await put(storage, "file", "four");
  for (const owner of ["a", "b"]) {
    await keepPartial(storage, "large", new Uint8Array(200), 128, owner);
  }
  await using tree = await storage.stagedTrees.begin(name("directory"), { owner: "a" });
  await using write = await tree.create(name("directory/file"), { size: 5 });
  await write.write(bytesOf("fives"));
  await write.commit({ checksum: md5("fives"), replace: true });
  const { disk: _, ...full } = await storage.usage();
  assertEquals(full, {
    quota: { limit: 1000, used: 4 + 2 * 128 + 5 },
    partialUploads: { count: 2, bytes: 256 },
    stagedTrees: { count: 1, bytes: 5 },
  });
  Deno.renameSync(dir.join("root"), dir.join("away"));
  await assertCode("io", () => storage.usage());
  Deno.renameSync(dir.join("away"), dir.join("root"));
});
