import { RUNTIME } from "../../support/runtime.ts";
import { assertEquals } from "@std/assert";
import { Spool } from "../../../server/exec/spool.ts";
import { runSource } from "../../support/programs.ts";

async function contentOf(spool: Spool): Promise<Uint8Array> {
  const pieces: BlobPart[] = [];
  for await (const piece of spool.chunks()) pieces.push(piece.slice());
  return await new Blob(pieces).bytes();
}

for (const size of [0, 1, 1024 * 1024, 1024 * 1024 + 1, 5_000_000]) {
  Deno.test(`Spool keeps ${size} bytes`, async () => {
    using spool = new Spool(RUNTIME.buffers);
    const bytes = new Uint8Array(size).map((_, i) => i * 7 + (i >> 8));
    const buffer = new Uint8Array(70_000);
    for (let start = 0; start < size; start += buffer.length) {
      const piece = buffer.subarray(0, Math.min(buffer.length, size - start));
      piece.set(bytes.subarray(start, start + piece.length));
      await spool.write(piece);
      buffer.fill(0);
    }
    assertEquals(spool.size, size);
    assertEquals(await contentOf(spool), bytes);
    // They may be wanted twice: for a digest, and to be sent.
    assertEquals(await contentOf(spool), bytes);
  });
}

Deno.test("Spool leaves no file behind, even where nobody disposes of it", async () => {
  const dir = Deno.makeTempDirSync();
  const program = `
    import { createRuntime } from ${
    JSON.stringify(new URL("../../../lib/runtime/runtime.ts", import.meta.url).href)
  };
    import { Spool } from ${
    JSON.stringify(new URL("../../../server/exec/spool.ts", import.meta.url).href)
  };
    const spool = new Spool(createRuntime().buffers);
    await spool.write(new Uint8Array(3_000_000));
    Deno.exit(0);
  `;
  assertEquals(await runSource(program, { TMPDIR: dir }), { code: 0, stdout: "", stderr: "" });
  assertEquals([...Deno.readDirSync(dir)], []);
  Deno.removeSync(dir);
});
