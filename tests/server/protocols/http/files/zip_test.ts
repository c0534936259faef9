import { assertEquals } from "@std/assert";
import type { ArchivedEntry } from "../../../../../server/files/archived_tree.ts";
import { zip } from "../../../../../server/protocols/http/files/zip.ts";
import { text } from "../../../../support/bytes.ts";
import { TempDir } from "../../../../support/programs.ts";

/** An archive of so many directories. */
async function archiveOf(count: number, mtime = 0): Promise<Uint8Array[]> {
  async function* entries(): AsyncGenerator<ArchivedEntry> {
    for (let i = 0; i < count; i++) {
      yield { path: `d/${i}`, type: "directory", size: 0, mtime, mode: 0o755, async *content() {} };
    }
  }
  return await Array.fromAsync(zip(entries()));
}

async function unzip(option: string, chunks: Uint8Array[]): Promise<string> {
  await using dir = new TempDir();
  const archive = dir.write("archive.zip", await new Blob(chunks as BlobPart[]).bytes());
  const { code, stdout, stderr } = await new Deno.Command("unzip", {
    args: [option, archive],
    env: { TZ: "UTC" },
  }).output();
  assertEquals([code, text(stderr)], [0, ""]);
  return text(stdout);
}

Deno.test("zip() makes whole archives of any number of entries", async () => {
  for (const count of [2, 0x10000]) {
    const names = (await unzip("-Z1", await archiveOf(count))).trim().split("\n");
    assertEquals([names.length, names.at(-1)], [count, `d/${count - 1}/`]);
  }
});

Deno.test("zip() takes times that the format cannot hold for the nearest that it can", async () => {
  for (const [time, date] of [["1969-07-20", "1980-01-02"], ["2200-01-01", "2107-12-30"]]) {
    const listed = await unzip("-l", await archiveOf(1, Date.parse(time!)));
    assertEquals(listed.includes(` ${date} `), true, listed);
  }
});
