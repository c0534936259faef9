import { assert, assertEquals } from "@std/assert";
import type { Connection } from "../../../client/net/connection.ts";
import { TreeUpload } from "../../../client/transfer/tree_upload.ts";
import { RUNTIME } from "../../support/runtime.ts";
import type { ManifestLine } from "../../../lib/wire/manifest.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { TempDir } from "../../support/programs.ts";
import { assertCode } from "../../support/assertions.ts";

/** As much of a connection as comparing takes; `compare` gets what the manifest tells. */
function comparing(compare: (files: AsyncIterable<ManifestLine>) => Promise<void>): Connection {
  const connection = {
    hello: { features: ["compare"] },
    runtime: RUNTIME,
    assertOffers() {},
    async *compare(files: AsyncIterable<ManifestLine>) {
      await compare(files);
      yield [];
    },
    async putEach(next: () => unknown) {
      assert(!await next(), "nothing is to be sent");
    },
  };
  return connection as unknown as Connection;
}

Deno.test("TreeUpload.run() goes on with a walk that a lost connection interrupted", async () => {
  await using dir = new TempDir();
  for (let file = 0; file < 2000; file++) dir.write(`${file}`.padStart(8, "0"), "x");
  const skipped = new Set<string>();
  const plans: [files: number, bytes: number][] = [];
  const upload = await TreeUpload.begin(dir.path, "tree", {
    onPlan: (files, bytes) => plans.push([files, bytes]),
    onFile: ({ filename, skipped: there }) => there && skipped.add(filename),
    onError: (_filename, error) => {
      throw error;
    },
  });
  const lost = comparing(async (files) => {
    let told = 0;
    for await (const _file of files) {
      if (++told === 500) throw new FerryError("closed", "the connection is lost");
    }
  });
  await assertCode("closed", () => upload.run([lost]));
  assertEquals([skipped.size, plans.length], [0, 0]);
  let lines = 0;
  const good = comparing(async (files) => {
    for await (const _file of files) lines++;
  });
  await upload.run([good]);
  assertEquals([lines, skipped.size, plans], [2000, 2000, [[2000, 2000]]]);
});

Deno.test("TreeUpload.begin() of what is no directory fails before anything is asked", async () => {
  await using dir = new TempDir();
  await assertCode("not_found", () => TreeUpload.begin(dir.join("missing"), "tree", {}));
  await assertCode("not_a_file", () => TreeUpload.begin(dir.write("file", "x"), "tree", {}));
});
