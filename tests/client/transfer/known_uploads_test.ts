import { assertEquals } from "@std/assert";
import { digestEach } from "../../../client/transfer/known_uploads.ts";
import type { UploadItem } from "../../../client/transfer/upload_items.ts";
import { md5 } from "../../support/bytes.ts";
import { TempDir } from "../../support/programs.ts";
import { RUNTIME } from "../../support/runtime.ts";

Deno.test("digestEach() reads small files while its result is read, and larger ones before", async () => {
  await using dir = new TempDir();
  const itemOf = (name: string, content: string): UploadItem => {
    const path = dir.write(name, content);
    const { length: size } = content;
    return {
      path,
      name,
      filename: name,
      type: "file",
      size,
      mtime: 0,
      mode: 0o644,
      checksum: null,
    };
  };
  const large = "x".repeat(64 * 1024 + 1);
  const items = [itemOf("a", "1"), itemOf("b", "2"), itemOf("c", large), itemOf("d", large)];
  Deno.removeSync(dir.join("d"));
  const failed: string[] = [];
  const digested = await digestEach(items, "md5", RUNTIME, ({ name }) => failed.push(name));
  assertEquals(failed, ["d"]);
  Deno.removeSync(dir.join("c"));
  const first = await digested.next();
  assertEquals(first.value?.checksum, md5("1"));
  Deno.removeSync(dir.join("b"));
  const rest = await Array.fromAsync(digested);
  assertEquals(rest.map(({ name, checksum }) => [name, checksum]), [["c", md5(large)]]);
  assertEquals(failed, ["d", "b"]);
});
