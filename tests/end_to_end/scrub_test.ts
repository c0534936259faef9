import { assertEquals, assertMatch } from "@std/assert";
import { Ferryd, ferryd } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { rot } from "../support/rot.ts";

/** Waits for the end of a pass of a server over `root`, and returns its result. */
async function scrubbed(root: string): Promise<Record<string, number>> {
  const read = () => {
    try {
      return JSON.parse(Deno.readTextFileSync(`${root}/.ferry/records/scrub/state`)).last;
    } catch {
      return null;
    }
  };
  using watcher = Deno.watchFs(`${root}/.ferry`);
  for (let last = read();; last = read()) {
    if (last) return last;
    await watcher[Symbol.asyncIterator]().next();
  }
}

Deno.test("ferryd --scrub finds what the disk has damaged, and says what to do", async () => {
  await using p = await Pair.start();
  p.write("good", "content");
  p.write("bad", "content");
  assertEquals((await p.run("put", "good", "bad")).code, 0);
  await p.server.stop();
  rot(`${p.root}/bad`);
  Deno.writeTextFileSync(`${p.root}/foreign`, "written by another program");
  p.server = await Ferryd.start(p.root, ["--scrub", "7d", "--log", "json"]);
  const { files, bytes, unrecorded, damaged, unreadable } = await scrubbed(p.root);
  assertEquals({ files, bytes, unrecorded, damaged, unreadable }, {
    files: 3,
    bytes: 40,
    unrecorded: 1,
    damaged: 1,
    unreadable: 0,
  });
  const { code, stderr } = await p.server.stop();
  assertEquals(code, 0);
  const errors = stderr.split("\n").filter((line) => line.includes('"ERROR"'));
  assertEquals(errors.length, 1, stderr);
  const { message, code: reported } = JSON.parse(errors[0]!);
  assertMatch(message, /^bad is damaged: .* Restore it from a backup/);
  assertEquals(reported, "checksum_mismatch");
});

Deno.test("ferryd --scrub takes a time, and --scrub-rate a size", async () => {
  for (
    const [option, value, wanted] of [["scrub", "weekly", "a time"], ["scrub-rate", "-1", "a size"]]
  ) {
    const { code, stderr } = await ferryd([`--${option}=${value}`]);
    assertEquals(code, 2);
    assertMatch(stderr, new RegExp(`--${option} takes ${wanted} such as`));
  }
});
