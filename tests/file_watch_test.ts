import { assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { watchFile } from "../server/file_watch.ts";
import { TempDir } from "./programs.ts";

Deno.test("watchFile() tells of a file that is written, replaced, removed and made", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "1");
  let told: string[] = [];
  using _watch = watchFile(path, () => {
    try {
      told.push(Deno.readTextFileSync(path));
    } catch {
      told.push("gone");
    }
  });
  const changes: [content: string, change: () => void][] = [
    ["2", () => dir.write("file", "2")],
    ["3", () => Deno.renameSync(dir.write("new", "3"), path)],
    ["gone", () => Deno.removeSync(path)],
    ["4", () => Deno.symlinkSync(dir.write("elsewhere", "4"), path)],
    ["5", () => dir.write("elsewhere", "5")],
  ];
  for (const [content, change] of changes) {
    told = [];
    change();
    while (!told.includes(content)) await delay(10);
  }
});

Deno.test("watchFile() tells of a second change that leaves the same size and times as the first", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "0");
  const at = new Date(1_700_000_000_000);
  const told: string[] = [];
  using _watch = watchFile(path, () => told.push(Deno.readTextFileSync(path)));
  const write = (content: string) => {
    dir.write("file", content);
    Deno.utimeSync(path, at, at);
  };
  // Both within one second: the time of an inode's last change is told in whole seconds.
  while (Date.now() % 1000 > 100) await delay(10);
  write("1");
  while (told.length === 0) await delay(10);
  write("2");
  while (!told.includes("2")) await delay(10);
});

Deno.test("watchFile() tells nothing of a file that stays as it is, but once more where that is not sure yet", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "1");
  let told = 0;
  {
    using _watch = watchFile(path, () => told++);
    while (told === 0) await delay(10);
    await delay(1200);
    assertEquals(told, 1);
    dir.write("file", "2");
  }
  await delay(1200);
  assertEquals(told, 1, "it tells of changes after its end");
});
