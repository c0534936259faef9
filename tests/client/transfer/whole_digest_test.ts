import { assertEquals } from "@std/assert";
import { SourceReaders } from "../../../client/transfer/source_readers.ts";
import { MemorySource } from "../../../client/transfer/source.ts";
import { WholeDigest } from "../../../client/transfer/whole_digest.ts";
import { ALGORITHMS } from "../../../lib/core/checksum.ts";
import { assertCode } from "../../support/assertions.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { MIB, patterned } from "../../support/bytes.ts";
import { randomBytes } from "../../support/random_file.ts";
import { RUNTIME } from "../../support/runtime.ts";

const runtime = RUNTIME;

Deno.test("WholeDigest.checksum() is that of the file, whatever of it was taken", async () => {
  const bytes = patterned(3 * MIB + 5);
  for (const algorithm of ALGORITHMS) {
    const expected = await runtime.digests.checksumOf(algorithm, bytes);
    for (const pieces of [[], [1], [MIB, MIB, MIB, 5], [MIB + 1, 77]]) {
      const source = new SourceReaders(new MemorySource(bytes));
      await using whole = await WholeDigest.start(source, { algorithm, offset: 0, runtime });
      let at = 0;
      const take = whole.take!;
      for (const piece of pieces) take(bytes.subarray(at, at += piece));
      assertEquals(await whole.checksum(), expected, `${algorithm} after ${pieces}`);
    }
  }
});

Deno.test("WholeDigest.checksum() continues behind bytes that were digested before", async () => {
  const bytes = patterned(2 * MIB);
  const algorithm = "sha256";
  for (const offset of [1, MIB - 1, 2 * MIB]) {
    const behind = await runtime.digests.create(algorithm);
    behind.update(bytes.subarray(0, offset));
    const source = new SourceReaders(new MemorySource(bytes));
    await using whole = await WholeDigest.start(source, { algorithm, behind, offset, runtime });
    const take = whole.take!;
    for (let at = 0; at < MIB; at += 1000) take(bytes.subarray(at, Math.min(at + 1000, MIB)));
    const expected = await runtime.digests.checksumOf(algorithm, bytes);
    assertEquals(await whole.checksum(), expected, `${offset}`);
  }
});

Deno.test("WholeDigest reads a large file by itself for md5, and stops when it is not needed", async () => {
  const bytes = randomBytes(33 * MIB);
  const algorithm = "md5";
  const expected = await runtime.digests.checksumOf(algorithm, bytes);
  {
    const source = new SourceReaders(new MemorySource(bytes));
    await using whole = await WholeDigest.start(source, { algorithm, offset: 0, runtime });
    assertEquals(whole.take, undefined);
    assertEquals(await whole.checksum(), expected);
  }
  const source = new SourceReaders(new MemorySource(bytes));
  const whole = await WholeDigest.start(source, { algorithm, offset: 0, runtime });
  await whole[Symbol.asyncDispose]();
  await assertCode("closed", () => whole.checksum());
});

Deno.test("WholeDigest.checksum() fails with what the source fails with", async () => {
  const source = new SourceReaders({
    size: 33 * MIB,
    seek() {},
    read: () => Promise.reject(new FerryError("io", "it shrank")),
  });
  await using whole = await WholeDigest.start(source, { algorithm: "md5", offset: 0, runtime });
  await assertCode("io", () => whole.checksum());
});
