import { assertEquals } from "@std/assert";
import { statfsSync } from "node:fs";
import { ferry, Ferryd, TempDir } from "./programs.ts";

/** More than 2^32 bytes, and no multiple of anything. */
const SIZE = Math.floor(4.5 * 2 ** 30) + 12345;

/** Two copies, and room for whoever else is at work. */
const NEEDED = 2 * SIZE + 2 ** 30;

function freeBytes(): number {
  const probe = Deno.makeTempDirSync();
  const { bavail, bsize } = statfsSync(probe);
  Deno.removeSync(probe);
  return bavail * bsize;
}

Deno.test({
  name: "ferry put and get move a file of 4.5 GiB",
  // The source is sparse, what arrives is not.
  ignore: freeBytes() < NEEDED,
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    await using server = await Ferryd.start(dir.join("root"), ["--durability", "none"]);
    const source = dir.write("source", "the beginning");
    Deno.truncateSync(source, SIZE - 3);
    Deno.writeTextFileSync(source, "end", { append: true });
    const options = { cwd: dir.path, server: server.address };
    const put = await ferry(["put", "source", "--as", "huge", "--json"], options);
    const sent = JSON.parse(put.stdout);
    assertEquals([put.code, sent.total_size, sent.bytes_sent], [0, SIZE, SIZE]);
    assertEquals(Deno.statSync(`${server.root}/huge`).size, SIZE);
    const get = await ferry(["get", "huge", "--json", "--durability", "none"], options);
    const received = JSON.parse(get.stdout);
    assertEquals([get.code, received.total_size, received.md5], [0, SIZE, sent.md5]);
    const { stdout } = await new Deno.Command("md5sum", { args: ["huge"], cwd: dir.path }).output();
    assertEquals(new TextDecoder().decode(stdout), `${sent.md5}  huge\n`);
  },
});
