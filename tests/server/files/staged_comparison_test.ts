import { assertEquals } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { keepInStaged } from "../../../server/files/staged_comparison.ts";
import type { StagedTree } from "../../../server/storage/staged_trees.ts";
import { assertCode } from "../../support/assertions.ts";

/** The results for two files, of which the first one fails with an error. */
async function keep(error: unknown) {
  const fails = (name: string) => name === "d/a" ? Promise.reject(error) : Promise.resolve(false);
  const tree = { keep: fails } as unknown as StagedTree;
  const lines = ["d/a", "d/b"].map((filename) => ({ filename, size: 1, mtime: 0, checksum: null }));
  const files = (async function* () {
    yield await Promise.resolve(lines);
  })();
  return await Array.fromAsync(keepInStaged(tree, files, { assertMay: () => {} }));
}

Deno.test("keepInStaged() goes on after a file that cannot be kept, but not after an unexpected error", async () => {
  const error = new FerryError("not_a_file", "it is a pipe");
  assertEquals(await keep(error), [
    { filename: "d/a", decision: "error", error },
    { filename: "d/b", decision: "send" },
  ]);
  await assertCode("internal", () => keep(new TypeError("a fault of the server")));
});
