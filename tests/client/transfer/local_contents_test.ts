import { assertEquals } from "@std/assert";
import { LocalContents } from "../../../client/transfer/local_contents.ts";
import { TempDir } from "../../support/programs.ts";
import { RUNTIME } from "../../support/runtime.ts";

Deno.test("of many files with the same size, only the most likely ones are read for a content", async () => {
  await using dir = new TempDir();
  const size = 100_000;
  Deno.mkdirSync(dir.join("before"));
  for (let at = 10; at < 30; at++) {
    Deno.writeFileSync(dir.join(`${at}`), new Uint8Array(size).fill(at));
    Deno.utimeSync(dir.join(`${at}`), 1000, 1000 + at);
  }
  Deno.renameSync(dir.join("20"), dir.join("before/wanted"));
  const here = await LocalContents.below(dir.path, new Set([size]), RUNTIME);
  const candidates = here.candidates({ path: dir.join("wanted"), size, mtime: 1025 * 1000 });
  assertEquals(candidates.slice(0, 2).map(({ name }) => name), ["25", "before/wanted"]);
  assertEquals(candidates.length, 8);
});
