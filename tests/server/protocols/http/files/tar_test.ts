import { assertEquals } from "@std/assert";
import type { ArchivedEntry } from "../../../../../server/files/archived_tree.ts";
import { tar } from "../../../../../server/protocols/http/files/tar.ts";
import { text } from "../../../../support/bytes.ts";
import { TempDir } from "../../../../support/programs.ts";

/** The beginning of an archive of one file: all that precedes the content. */
async function headerOf(entry: Partial<ArchivedEntry>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  const reached = Symbol();
  const whole = {
    path: "f",
    type: "file",
    size: 1,
    mtime: 0,
    mode: 0o644,
    content: () => {
      throw reached;
    },
    ...entry,
  } satisfies ArchivedEntry;
  try {
    for await (const chunk of tar(ReadableStream.from([whole]))) chunks.push(chunk);
  } catch (error) {
    if (error !== reached) throw error;
  }
  return await new Blob(chunks as BlobPart[]).bytes();
}

/** What tar says of the first entry of an archive, which need not be whole. */
async function listed(archive: Uint8Array): Promise<string[]> {
  await using dir = new TempDir();
  const path = dir.write("archive", archive);
  const { stdout } = await new Deno.Command("tar", {
    args: ["--full-time", "-tvf", path],
    env: { TZ: "UTC", LC_ALL: "C.UTF-8" },
  }).output();
  return text(stdout).trim().split(/ +/);
}

Deno.test("tar() tells sizes, times and names of any length", async () => {
  const name = `${"d".repeat(200)}/${"ö".repeat(120)}\nb`;
  const cases: [Partial<ArchivedEntry>, string[]][] = [
    [{ size: 8 ** 11 - 1 }, ["-rw-r--r--", "0/0", "8589934591", "1970-01-01", "00:00:00", "f"]],
    [{ size: 8 ** 11 }, ["-rw-r--r--", "0/0", "8589934592", "1970-01-01", "00:00:00", "f"]],
    [{ size: 2 ** 45 }, ["-rw-r--r--", "0/0", `${2 ** 45}`, "1970-01-01", "00:00:00", "f"]],
    [{ mtime: 250 }, ["-rw-r--r--", "0/0", "1", "1970-01-01", "00:00:00.25", "f"]],
    [{ mtime: -2000 }, ["-rw-r--r--", "0/0", "1", "1969-12-31", "23:59:58", "f"]],
    [{ mtime: Date.UTC(2200, 0) }, ["-rw-r--r--", "0/0", "1", "2200-01-01", "00:00:00", "f"]],
    [{ path: name }, [
      "-rw-r--r--",
      "0/0",
      "1",
      "1970-01-01",
      "00:00:00",
      name.replace("\n", "\\n"),
    ]],
    [{ mode: 0o750, type: "directory", size: 0 }, [
      "drwxr-x---",
      "0/0",
      "0",
      "1970-01-01",
      "00:00:00",
      "f/",
    ]],
  ];
  for (const [entry, line] of cases) assertEquals(await listed(await headerOf(entry)), line);
});

Deno.test("tar() fills blocks, and ends with two that are empty", async () => {
  for (const size of [0, 1, 511, 512, 513]) {
    const entry: ArchivedEntry = {
      path: "f",
      type: "file",
      size,
      mtime: 0,
      mode: 0o644,
      async *content() {
        yield new Uint8Array(size).fill(1);
      },
    };
    const chunks = await Array.fromAsync(tar(ReadableStream.from([entry])));
    const bytes = await new Blob(chunks as BlobPart[]).bytes();
    assertEquals(bytes.length, 512 + Math.ceil(size / 512) * 512 + 1024, `${size}`);
    assertEquals(bytes.slice(-1024), new Uint8Array(1024));
  }
});
