import { assert, assertEquals } from "@std/assert";
import { decodeBase64 } from "@std/encoding/base64";
import { pageSources } from "../../packaging/page.ts";
import { PARTS, SOURCES } from "../../server/protocols/http/page/parts.ts";
import { PROJECT } from "../support/programs.ts";

/** How large the whole page may be, compressed. */
const LIMIT = 60 * 1024;

Deno.test("the parts of the page were made from its sources as they are: else run `deno task page`", async () => {
  const imported = SOURCES.inputs.filter((path) => !path.startsWith("page/"));
  assert(imported.includes("lib/digest/md5.ts"), "the page computes MD5s");
  assertEquals(SOURCES, await pageSources(imported));
});

Deno.test("the page is small: at most 60 KB compressed", () => {
  const size = Object.values(PARTS).reduce((sum, part) => sum + decodeBase64(part).length, 0);
  assert(size <= LIMIT, `${size} bytes`);
});

Deno.test("the page has no `using`, whose disposal the minifier drops", () => {
  for (const path of SOURCES.inputs.filter((path) => /\.tsx?$/.test(path))) {
    assert(!/^\s*(await )?using /m.test(Deno.readTextFileSync(PROJECT + path)), path);
  }
});
