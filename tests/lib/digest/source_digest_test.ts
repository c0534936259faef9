import { assertRejects } from "@std/assert";
import type { ByteSource } from "../../../lib/core/bytes.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { checksumOfSource } from "../../../lib/digest/source_digest.ts";
import { createRuntime } from "../../../lib/runtime/runtime.ts";

Deno.test("checksumOfSource() fails once with what a read fails with, whenever that is", async () => {
  const runtime = createRuntime();
  // Each number of reads before the failure is tried: some of them end while the event loop gets its turn. A rejection
  // that nobody handles would end the test as an error of its own.
  for (let good = 0; good < 20; good++) {
    let reads = 0;
    const source: ByteSource = {
      read: (into) => {
        if (reads++ === good) return Promise.reject(new FerryError("io", "the disk is gone"));
        return Promise.resolve(into.length);
      },
    };
    await assertRejects(
      () => checksumOfSource(runtime, source, { algorithm: "md5" }),
      FerryError,
      "the disk is gone",
    );
  }
});
