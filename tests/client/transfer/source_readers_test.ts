import { assertEquals } from "@std/assert";
import { SourceReaders } from "../../../client/transfer/source_readers.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { LocalFile } from "../../../lib/files/local_file.ts";
import { assertCode } from "../../support/assertions.ts";
import { md5, patterned } from "../../support/bytes.ts";
import { TempDir } from "../../support/programs.ts";
import { RUNTIME } from "../../support/runtime.ts";

Deno.test("SourceReaders gives each reader the bytes at its own position, however they take turns", async () => {
  await using dir = new TempDir();
  const bytes = patterned(300_000);
  await using file = LocalFile.open(dir.write("f", bytes), RUNTIME);
  const shared = new SourceReaders(file);
  const whole = async (from: number, piece: number) => {
    const reader = shared.reader();
    reader.seek(from);
    const into = new Uint8Array(piece);
    const read: number[] = [];
    for (let count; (count = await reader.read(into)) !== null;) {
      read.push(...into.subarray(0, count));
    }
    return md5(Uint8Array.from(read));
  };
  const starts = [[0, 10_000], [1, 777], [200_000, 65_536], [300_000, 10]] as const;
  assertEquals(
    await Promise.all(starts.map(([from, piece]) => whole(from, piece))),
    starts.map(([from]) => md5(bytes.subarray(from))),
  );
});

Deno.test("SourceReaders goes on after a read has failed", async () => {
  let fails = true;
  let position = 0;
  const shared = new SourceReaders({
    size: 10,
    seek: (offset) => void (position = offset),
    read(into) {
      if (fails) return Promise.reject(new FerryError("io", "it cannot be read"));
      into[0] = position++;
      return Promise.resolve(1);
    },
    assertUnchanged: () => Promise.resolve(),
  });
  const [one, other] = [shared.reader(), shared.reader()];
  const into = new Uint8Array(1);
  one.seek(5);
  await assertCode("io", () => one.read(into));
  fails = false;
  await other.read(into);
  assertEquals(into[0], 0);
  await one.read(into);
  assertEquals(into[0], 5);
});
