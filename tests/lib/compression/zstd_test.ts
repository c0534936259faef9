import { assert, assertEquals, assertRejects } from "@std/assert";
import { constants, createZstdCompress, zstdCompressSync } from "node:zlib";
import { Compressor, Decompressor } from "../../../lib/compression/zstd.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { randomBytes } from "../../support/random_file.ts";
import { concat } from "../../support/vectors.ts";

/** Everything that comes of compressed bytes. */
async function decompressed(decompressor: Decompressor, bytes: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const into = new Uint8Array(10_000);
  decompressor.push(bytes);
  for (let count; (count = await decompressor.read(into)) > 0;) parts.push(into.slice(0, count));
  return concat(parts);
}

/** Text that shrinks. */
function lines(count: number): Uint8Array {
  const text = Array.from({ length: count }, (_, line) => `line ${line * 7919 % 10_007}\n`).join(
    "",
  );
  return new TextEncoder().encode(text);
}

Deno.test("Decompressor gives back each part that Compressor has made, and knows the ones before", async () => {
  for (const level of [1, 3, 19]) {
    const compressor = new Compressor(level);
    const decompressor = new Decompressor();
    const sizes: number[] = [];
    for (const content of [lines(5000), lines(5000), randomBytes(70_000), lines(3), lines(5000)]) {
      const parts = await compressor.compress(content);
      const bytes = concat(parts);
      sizes.push(bytes.length);
      assertEquals(await decompressed(decompressor, bytes), content);
    }
    assert(sizes[0]! < lines(5000).length / 2 && sizes[1]! < sizes[0]! / 10, `${sizes}`);
    assert(sizes[2]! > 70_000 && sizes[2]! < 70_100, `${sizes}`);
    compressor.close();
    decompressor.close();
  }
});

Deno.test("Decompressor gives back what comes byte by byte", async () => {
  const compressor = new Compressor(3);
  const bytes = concat(await compressor.compress(lines(100)));
  compressor.close();
  const decompressor = new Decompressor();
  const parts: Uint8Array[] = [];
  for (const byte of bytes) parts.push(await decompressed(decompressor, Uint8Array.of(byte)));
  assertEquals(concat(parts), lines(100));
  decompressor.close();
});

Deno.test("Decompressor makes no more of what expands than is read", async () => {
  const bomb = zstdCompressSync(new Uint8Array(128 * 1024 * 1024));
  assert(bomb.length < 64 * 1024);
  const decompressor = new Decompressor();
  const before = Deno.memoryUsage().rss;
  decompressor.push(bomb);
  const into = new Uint8Array(100_000);
  for (let turn = 0; turn < 10; turn++) assert(await decompressor.read(into) > 0);
  assert(Deno.memoryUsage().rss - before < 32 * 1024 * 1024);
  decompressor.close();
  assertEquals((await assertRejects(() => decompressor.read(into), FerryError)).code, "closed");
});

Deno.test("Decompressor refuses what is not zstd, what ends, and what needs more memory", async () => {
  const large = createZstdCompress({
    params: { [constants.ZSTD_c_windowLog]: 22, [constants.ZSTD_c_compressionLevel]: 3 },
  });
  const parts: Uint8Array[] = [];
  large.on("data", (bytes: Uint8Array) => parts.push(bytes));
  large.write(lines(10));
  await new Promise<void>((resolve) => large.flush(constants.ZSTD_e_flush, resolve));
  large.destroy();
  const whole = zstdCompressSync(lines(10));
  for (const bytes of [randomBytes(100), concat(parts), concat([whole, randomBytes(50)])]) {
    const decompressor = new Decompressor();
    const error = await assertRejects(
      async () => {
        await decompressed(decompressor, bytes);
        // The end of a frame shows a little later than its content.
        await new Promise((resolve) => setTimeout(resolve));
        await decompressed(decompressor, Uint8Array.of(0));
      },
      FerryError,
    );
    assertEquals(error.code, "checksum_mismatch");
    decompressor.close();
  }
});

Deno.test("Compressor.compress() fails when it is closed meanwhile", async () => {
  const compressor = new Compressor(19);
  const compressing = compressor.compress(lines(5000));
  compressor.close();
  assertEquals((await assertRejects(() => compressing, FerryError)).code, "closed");
});
