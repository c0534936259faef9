import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async/delay";
import { watchFile } from "../../../server/cli/file_watch.ts";
import { TempDir } from "../../support/programs.ts";

/** It looks often, so that little time passes. */
const QUICK = { interval: 5 };

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
  }, QUICK);
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
  using _watch = watchFile(path, () => told.push(Deno.readTextFileSync(path)), {
    ...QUICK,
    grain: 200,
  });
  const write = (content: string) => {
    dir.write("file", content);
    Deno.utimeSync(path, at, at);
  };
  // Both within one second: the time of an inode's last change is told in whole seconds.
  while (Date.now() % 1000 > 500) await delay(10);
  write("1");
  while (told.length === 0) await delay(10);
  write("2");
  while (!told.includes("2")) await delay(10);
});

/** Counts how often a path is looked at, until it is disposed of. */
function countLooks(path: string): Disposable & { count: number } {
  const { stat } = Deno;
  const looks = { count: 0, [Symbol.dispose]: () => void (Deno.stat = stat) };
  Deno.stat = async (at) => {
    try {
      return await stat(at);
    } finally {
      if (at === path) looks.count++;
    }
  };
  return looks;
}

Deno.test("watchFile() tells nothing of a file that stays as it is, but once more where that is not sure yet", async () => {
  await using dir = new TempDir();
  const path = dir.write("file", "1");
  using looks = countLooks(path);
  let told = 0;
  {
    using _watch = watchFile(path, () => told++, { interval: 2, grain: 20 });
    while (told === 0) await delay(1);
    const { count } = looks;
    while (looks.count < count + 10) await delay(1);
    assertEquals(told, 1);
    dir.write("file", "2");
  }
  const { count } = looks;
  // One may have begun before its end.
  await delay(20);
  assert(looks.count <= count + 1, "it looks again after its end");
  assertEquals(told, 1, "it tells of changes after its end");
});
