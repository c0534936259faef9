import { keptStream } from "../../support/kept_stream.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import type { GetOptions } from "../../../mod.ts";
import { InProcess, withFiles } from "../../support/in_process.ts";
import { concat } from "../../support/vectors.ts";
import { md5, patterned } from "../../support/bytes.ts";
import { assertCode } from "../../support/assertions.ts";

Deno.test("Client.get() gives a range of a file to whatever takes its bytes", async (t) => {
  await using p = await InProcess.start();
  for (const size of [0, 1, 1000, 5_000_000]) {
    const bytes = patterned(size);
    await p.client.put(bytes, { as: "f", overwrite: "always" });
    const ranges: Pick<GetOptions, "offset" | "length">[] = [
      { offset: 0 },
      { length: 0 },
      { offset: 1, length: 3 },
      { length: 2 },
      { offset: 999 },
      { offset: 70_000, length: 2_000_000 },
      { offset: size },
      { offset: size + 1, length: 5 },
      { offset: Number.MAX_SAFE_INTEGER, length: Number.MAX_SAFE_INTEGER },
    ];
    for (const range of ranges) {
      const { offset = 0, length = Infinity } = range;
      const part = bytes.subarray(offset, offset + length);
      await t.step(`${JSON.stringify(range)} of ${size} bytes`, async () => {
        for (const algorithm of ["md5", "sha256"] as const) {
          const { stream, pieces } = keptStream();
          const out = { ...range, algorithm, out: stream };
          const { checksum, ...got } = await p.client.get("f", out);
          const expected = { size, transferred: part.length, skipped: false, resumedFrom: 0 };
          assertEquals(got, { filename: "f", ...expected });
          if (algorithm === "md5") assertEquals(checksum, md5(part));
          assertEquals(md5(concat(pieces)), md5(part));
        }
        assertEquals(md5(await p.client.get("f", range).bytes()), md5(part));
        const streamed = await Array.fromAsync(p.client.get("f", range).stream());
        assertEquals(md5(concat(streamed)), md5(part));
      });
    }
  }
});

Deno.test("Client.get() of a range tells progress by the range", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(100_000), { as: "f" });
  const seen: unknown[] = [];
  const range = { offset: 10, length: 20, onProgress: (progress: unknown) => seen.push(progress) };
  await p.client.get("f", range).bytes();
  assertEquals(seen, [{ filename: "f", bytes: 20, total: 20 }]);
});

Deno.test("Client.get() refuses ranges that are none, and to store one as a file", async () => {
  await using p = await InProcess.start();
  await p.client.put(patterned(10), { as: "f" });
  for (const range of [{ offset: -1 }, { length: 1.5 }, { offset: NaN }, { length: Infinity }]) {
    const error = await assertCode("usage", () => p.client.get("f", range).bytes());
    assertStringIncludes(error.message, "is a number of bytes");
  }
  const out = p.dir.join("out");
  const error = await assertCode("usage", () => p.client.get("f", { out, length: 1 }));
  assertStringIncludes(error.message, "a range is no whole file");
  await assertCode("not_found", () => p.client.get("nope", { length: 1 }).bytes());
  await p.client.mkdir("d");
  await assertCode("not_a_file", () => p.client.get("d", { length: 1 }).bytes());
});

Deno.test("Client.get() of a range of a file that changes meanwhile fails", async () => {
  await using p = await InProcess.start(withFiles((file) => ({
    async read(into) {
      const count = await file.read(into.subarray(0, 100_000));
      Deno.writeFileSync(p.served("f"), new Uint8Array(1), { append: true });
      return count;
    },
  })));
  await p.client.put(patterned(3_000_000), { as: "f" });
  const error = await assertCode("io", () => p.client.get("f", { offset: 5, length: 10 }).bytes());
  assertStringIncludes(error.message, "while it was sent");
});
