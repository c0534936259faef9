import { assertEquals } from "@std/assert";
import { connect } from "../../client/api/connect.ts";
import type { FerryError } from "../../lib/core/errors.ts";
import { Mount, testWithMount } from "../support/mount.ts";
import { Pair } from "../support/pair.ts";
import { MIB } from "../support/bytes.ts";

/** A size at which the client closes the connection instead of reading the rest of the body. */
const LARGE = 32 * MIB;

/** The result of a tree: the files that are done, and the error codes of those that failed. */
class Outcome {
  readonly done: string[] = [];
  readonly failed: [string, string, string | undefined][] = [];
  readonly onFile = ({ filename }: { filename: string }) => void this.done.push(filename);
  readonly onError = (filename: string, { code, place }: FerryError) => {
    this.failed.push([filename, code, place?.side]);
  };
}

testWithMount(
  "a download that fails here ends its connection, and the next files come",
  async () => {
    await using p = await Pair.start();
    await using disk = new Mount("size=8m");
    Deno.mkdirSync(`${p.root}/tree`);
    for (const [name, size] of [["a", LARGE], ["b", LARGE], ["c", 2 * MIB]] as const) {
      Deno.writeFileSync(`${p.root}/tree/${name}`, new Uint8Array(size));
    }
    await using client = await connect(p.server.address, { retries: 0 });
    for (const jobs of [1, 2]) {
      const outcome = new Outcome();
      await client.getTree("tree", { out: `${disk.path}/${jobs}`, jobs, ...outcome });
      assertEquals(outcome.done, ["tree/c"]);
      assertEquals(outcome.failed.toSorted(), [
        ["tree/a", "no_space", "here"],
        ["tree/b", "no_space", "here"],
      ]);
      Deno.removeSync(`${disk.path}/${jobs}`, { recursive: true });
    }
  },
);

Deno.test("an upload that fails here ends its connection, and the next files go", async () => {
  await using p = await Pair.start();
  Deno.mkdirSync(`${p.cwd}/tree`);
  for (const [name, size] of [["a", LARGE], ["b", 2 * MIB]] as const) {
    Deno.writeFileSync(`${p.cwd}/tree/${name}`, new Uint8Array(size));
  }
  await using client = await connect(p.server.address, { retries: 0 });
  const outcome = new Outcome();
  const onProgress = ({ filename }: { filename: string }) => {
    if (filename === "tree/a") Deno.truncateSync(`${p.cwd}/tree/a`, MIB);
  };
  await client.putTree(`${p.cwd}/tree`, { ...outcome, onProgress });
  assertEquals([outcome.done, outcome.failed], [["tree/b"], [["tree/a", "io", "here"]]]);
});
