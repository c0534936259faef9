/**
 * Downloads during which another file appears under their local name.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { type Client, connect, FsStorage, type GetTreeOptions, serve } from "../../mod.ts";
import { TempDir } from "../support/programs.ts";
import { assertCode } from "../support/assertions.ts";

const CONTENT = "the same\n";

/** A server with two files, and a client of it. */
async function withClient(run: (client: Client, dir: TempDir) => Promise<void>): Promise<void> {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root/d"), { recursive: true });
  dir.write("root/d/a", CONTENT);
  dir.write("root/d/b", CONTENT);
  await using storage = FsStorage.open(dir.join("root"));
  await using server = await serve({ storage, listen: "127.0.0.1:0" });
  await using client = await connect(`127.0.0.1:${server.addresses[0]!.port}`);
  await run(client, dir);
}

Deno.test("Client.get() takes the same content that somebody else has put there meanwhile", async () => {
  await withClient(async (client, dir) => {
    for (const checksum of ["md5", "sha256"] as const) {
      const out = dir.join(checksum);
      const onProgress = () => void dir.write(checksum, CONTENT);
      const result = await client.get("d/a", { out, algorithm: checksum, onProgress });
      assertEquals([result.skipped, result.size], [true, CONTENT.length]);
    }
    const onProgress = () => void dir.write("other", "something");
    await assertCode("exists", () => client.get("d/a", { out: dir.join("other"), onProgress }));
    assertEquals(Deno.readTextFileSync(dir.join("other")), "something");
    const names = [...Deno.readDirSync(dir.path)].map(({ name }) => name).sort();
    assertEquals(names, ["md5", "other", "root", "sha256"]);
  });
});

Deno.test("Client.getTree() does so with each file", async () => {
  await withClient(async (client, dir) => {
    const [done, failed]: string[][] = [[], []];
    const options: GetTreeOptions = {
      out: dir.join("out"),
      // This download has made the directory, so it assumes that the directory is empty.
      onPlan() {
        dir.write("out/a", CONTENT);
        dir.write("out/b", "other\n");
      },
      onFile: ({ filename, skipped }) => void done!.push(`${filename} ${skipped}`),
      onError: (filename, { code }) => void failed!.push(`${filename} ${code}`),
    };
    await client.getTree("d", options);
    assertEquals([done, failed], [["d/a true"], ["d/b exists"]]);
    assertEquals(Deno.readTextFileSync(dir.join("out/b")), "other\n");
  });
});
