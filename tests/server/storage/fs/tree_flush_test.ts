import { assertEquals } from "@std/assert";
import { Directory } from "../../../../server/storage/fs/open_directory.ts";
import { flushFiles } from "../../../../server/storage/fs/tree_flush.ts";
import { PLATFORM } from "../../../../lib/core/platform.ts";
import { TempDir } from "../../../support/programs.ts";
import { assertCode } from "../../../support/assertions.ts";

const signal = new AbortController().signal;

/** Directories `d0` to `d99`, each with a file of one byte. */
function grow(dir: TempDir): Directory {
  for (let i = 0; i < 100; i++) {
    Deno.mkdirSync(dir.join(`d${i}`));
    Deno.writeTextFileSync(dir.join(`d${i}/f`), "x");
  }
  return Directory.open(dir.path);
}

Deno.test("flushFiles() counts what it flushes", async () => {
  await using dir = new TempDir();
  using cleanup = new DisposableStack();
  const top = cleanup.adopt(grow(dir), (top) => top.close());
  for (const durable of [false, true]) {
    assertEquals(await flushFiles(top, { durable, signal }), { files: 100, bytes: 100 });
  }
});

Deno.test({
  name: "flushFiles() leaves nothing running where a directory cannot be flushed",
  ignore: !PLATFORM.flushesDirectories,
  async fn() {
    await using dir = new TempDir();
    using cleanup = new DisposableStack();
    const top = cleanup.adopt(grow(dir), (top) => top.close());
    const { open } = Deno;
    let [begun, ended] = [0, 0];
    Deno.open = async (path, options) => {
      if (begun++ === 0) throw new Error("EIO: the disk is broken");
      const file = await open(path, options);
      ended++;
      return file;
    };
    try {
      await assertCode("internal", () => flushFiles(top, { durable: true, signal }));
      assertEquals(ended, begun - 1, "all that was begun is over");
      const before = begun;
      await new Promise((resolve) => setTimeout(resolve, 0));
      assertEquals(begun, before, "nothing else is begun");
    } finally {
      Deno.open = open;
    }
  },
});
