import { assertEquals } from "@std/assert";
import { ferry, Ferryd, TempDir } from "../../../support/programs.ts";

Deno.test("ferry rm of a directory says once which option deletes it", async () => {
  await using dir = new TempDir();
  for (const name of ["a", "b"]) {
    Deno.mkdirSync(dir.join(name));
    dir.write(`${name}/file`, "content");
  }
  await using server = await Ferryd.start(dir.path);
  const options = { server: server.address };
  const why = "it is a directory; a recursive remove takes those (on the server)";
  const { code, stderr } = await ferry(["rm", "a", "b"], options);
  assertEquals([code, stderr.trimEnd().split("\n")], [5, [
    `ferry: Cannot remove "a": ${why}`,
    `ferry: Cannot remove "b": ${why}`,
    "ferry: -r deletes a directory with all that is in it",
  ]]);
  const quiet = await ferry(["rm", "a", "-q"], options);
  assertEquals([quiet.code, quiet.stderr], [5, `ferry: Cannot remove "a": ${why}\n`]);
  const missing = await ferry(["rm", "none"], options);
  assertEquals([missing.code, missing.stderr.includes("-r")], [4, false]);
  const recursive = await ferry(["rm", "-r", "a", "b"], options);
  assertEquals([recursive.code, recursive.stderr], [0, ""]);
});
