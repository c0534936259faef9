import { assertEquals } from "@std/assert";
import { assertCode } from "../../support/assertions.ts";
import { namesIn } from "../../support/directories.ts";
import { afterListing, InProcess } from "../../support/in_process.ts";
import { HOLDS_DIRECTORIES } from "../../support/programs.ts";

/**
 * A server that replaces a directory by the same one as soon as it has listed it, and the local copy of what it has:
 * `t/s/a` and `t/s/b`.
 */
async function replacing(directory: "t" | "t/s"): Promise<InProcess> {
  let times = 1;
  const p: InProcess = await InProcess.start(afterListing("t/s", () => {
    if (times-- !== 1) return;
    const [there, aside] = [p.served(directory), p.dir.join("aside")];
    Deno.renameSync(there, aside);
    make(there, directory === "t" ? "s/" : "");
    Deno.removeSync(aside, { recursive: true });
  }));
  for (const place of [p.served("t"), p.dir.join("t")]) make(place, "s/");
  return p;
}

function make(directory: string, inside: string): void {
  Deno.mkdirSync(`${directory}/${inside}`, { recursive: true });
  for (const name of ["a", "b"]) Deno.writeTextFileSync(`${directory}/${inside}${name}`, name);
}

Deno.test({
  name: "a mirror here deletes nothing that was missing in a directory that was replaced meanwhile",
  ignore: !HOLDS_DIRECTORIES,
}, async () => {
  for (const directory of ["t/s", "t"] as const) {
    await using p = await replacing(directory);
    const out = p.dir.join("t");
    const failed: string[] = [];
    const onError = (filename: string) => void failed.push(filename);
    const get = () => p.client.getTree("t", { out, delete: true, onError });
    // The list of a directory that was replaced itself is of no use at all.
    if (directory === "t") await assertCode("busy", get);
    else await get();
    assertEquals(failed, directory === "t" ? [] : ["t/s"]);
    assertEquals(namesIn(`${out}/s`), ["a", "b"]);
    failed.length = 0;
    await get();
    assertEquals(failed, []);
    assertEquals(namesIn(`${out}/s`), ["a", "b"]);
  }
});
