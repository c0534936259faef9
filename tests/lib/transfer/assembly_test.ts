import { assert, assertEquals } from "@std/assert";
import type { IncomingContent } from "../../../lib/core/bytes.ts";
import { checksumOf } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Span } from "../../../lib/delta/spans.ts";
import { PrefixDigest, type SavedPrefix } from "../../../lib/digest/prefix_digest.ts";
import {
  MAX_PIECES,
  type PieceTarget,
  type StoredPiece,
} from "../../../lib/files/stored_pieces.ts";
import { Assembly } from "../../../lib/transfer/assembly.ts";
import { assertCode } from "../../support/assertions.ts";
import { received } from "../../support/content.ts";
import { md5Of } from "../../support/digests.ts";
import { RUNTIME } from "../../support/runtime.ts";

const KIB = 1024;
const CONTENT = Uint8Array.from({ length: 640 * KIB + 3 }, (_, i) => (i * 31) >>> 4);

/** A file in memory. */
class Memory implements PieceTarget {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly pieces: readonly StoredPiece[];
  readonly recorded: { prefix: SavedPrefix; pieces: readonly StoredPiece[] }[] = [];

  constructor(size: number, pieces: readonly StoredPiece[] = []) {
    this.bytes = new Uint8Array(size);
    this.pieces = pieces;
  }

  async writeAt(bytes: Uint8Array, offset: number): Promise<void> {
    // The caller must not change the bytes meanwhile.
    await Promise.resolve();
    this.bytes.set(bytes, offset);
  }

  readAt(into: Uint8Array, offset: number): Promise<number | null> {
    const part = this.bytes.subarray(offset, offset + into.length);
    into.set(part);
    return Promise.resolve(part.length || null);
  }

  checkpoint(prefix: SavedPrefix, pieces: readonly StoredPiece[]): Promise<void> {
    this.recorded.push({ prefix, pieces });
    return Promise.resolve();
  }
}

async function xxh128Of(bytes: Uint8Array): Promise<string> {
  return (await RUNTIME.digests.checksumOf("xxh128", bytes)).slice("xxh128:".length);
}

/** The bytes of a part of the content, as a peer sends them. */
async function bodyOf({ from, to }: Span, bytes = CONTENT.subarray(from, to)) {
  const checksum = checksumOf("xxh128", await xxh128Of(CONTENT.subarray(from, to)));
  const body: IncomingContent = {
    ...{ size: bytes.length, algorithm: "xxh128", checksum },
    ...received(bytes, 64 * KIB),
  };
  return body;
}

async function assembly(target: Memory, size = CONTENT.length, digest?: PrefixDigest) {
  digest ??= await PrefixDigest.create({ algorithm: "md5", proof: true }, RUNTIME.digests);
  return await Assembly.open(RUNTIME, { target, size, digest });
}

const PARTS = [[0, 128], [128, 256], [256, 512]].map(([from, to]) => {
  return { from: from! * KIB, to: to! * KIB };
}).concat({ from: 512 * KIB, to: CONTENT.length });

Deno.test("an Assembly takes pieces in any order, and digests the whole", async () => {
  for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]]) {
    const target = new Memory(CONTENT.length);
    await using file = await assembly(target);
    assertEquals(file.gaps, [{ from: 0, to: CONTENT.length }]);
    await Promise.all(
      order.map(async (i) => await file.receive(await bodyOf(PARTS[i]!), PARTS[i]!)),
    );
    assertEquals(file.gaps, []);
    assertEquals((await file.whole()).checksum(), md5Of(CONTENT));
    assertEquals(target.bytes, CONTENT);
  }
});

Deno.test("an Assembly counts no piece that is wrong, cut, too long or too short", async () => {
  await using file = await assembly(new Memory(CONTENT.length));
  const [part] = PARTS;
  const wrong = CONTENT.slice(part!.from, part!.to);
  wrong[70 * KIB]! ^= 1;
  await assertCode("checksum_mismatch", async () => {
    await file.receive(await bodyOf(part!, wrong), part!);
  });
  const cut = {
    ...await bodyOf(part!),
    read: () => Promise.reject(new FerryError("closed", "the connection ended")),
  };
  await assertCode("closed", () => file.receive(cut, part!));
  assertEquals(file.gaps, [{ from: 0, to: CONTENT.length }]);
  await assertCode("busy", () => file.whole());
  await file.receive(await bodyOf(part!), part!);
  assertEquals(file.gaps, [{ from: part!.to, to: CONTENT.length }]);
});

Deno.test("an Assembly refuses pieces beyond the end, and those that are there in part", async () => {
  await using file = await assembly(new Memory(CONTENT.length));
  const [, second, third] = PARTS;
  await file.receive(await bodyOf(third!), third!);
  for (
    const span of [
      { from: 0, to: CONTENT.length + 1 },
      { from: 7, to: 7 },
      { from: second!.from, to: third!.from + 1 },
      { from: third!.to - 1, to: CONTENT.length },
    ]
  ) await assertCode("usage", async () => await file.receive(await bodyOf(span), span));
});

Deno.test("an Assembly drops a piece that is there already", async () => {
  const target = new Memory(CONTENT.length);
  await using file = await assembly(target);
  for (const span of [PARTS[1]!, PARTS[2]!]) await file.receive(await bodyOf(span), span);
  const across = { from: PARTS[1]!.from + 5, to: PARTS[2]!.to - 5 };
  await file.receive(await bodyOf(across), across);
  assertEquals(file.gaps.length, 2);
});

Deno.test("of two connections that send one piece, the last one counts", async () => {
  await using file = await assembly(new Memory(CONTENT.length));
  const [part] = PARTS;
  const hold = Promise.withResolvers<void>();
  const good = await bodyOf(part!);
  const late = {
    ...good,
    read: async (into: Uint8Array) => (await hold.promise, await good.read(into)),
  };
  const first = file.receive(late, part!);
  await file.receive(await bodyOf(part!), part!);
  hold.resolve();
  await assertCode("busy", () => first);
  assertEquals(file.gaps, [{ from: part!.to, to: CONTENT.length }]);
});

Deno.test("an Assembly goes on from its record, and reads the pieces of it", async () => {
  const before = new Memory(CONTENT.length);
  {
    await using file = await assembly(before);
    for (const part of [PARTS[0]!, PARTS[3]!, PARTS[2]!]) {
      await file.receive(await bodyOf(part), part);
    }
  }
  const { prefix, pieces } = before.recorded.at(-1)!;
  assertEquals(prefix.size, PARTS[0]!.to);
  assertEquals(pieces.map(({ from, to }) => ({ from, to })), [PARTS[2]!, PARTS[3]!]);
  for (const damaged of [false, true]) {
    const target = new Memory(CONTENT.length, pieces);
    target.bytes.set(before.bytes);
    if (damaged) target.bytes[PARTS[2]!.from + 9]! ^= 1;
    const options = { algorithm: "md5", proof: true } as const;
    const digest = (await PrefixDigest.resume(prefix, options, RUNTIME.digests))!;
    await using file = await assembly(target, CONTENT.length, digest);
    const gaps = damaged ? [{ from: PARTS[1]!.from, to: PARTS[2]!.to }] : [PARTS[1]!];
    assertEquals(file.gaps, gaps);
    for (const gap of gaps) await file.receive(await bodyOf(gap), gap);
    assertEquals((await file.whole()).checksum(), md5Of(CONTENT));
  }
});

Deno.test("an Assembly records no more pieces than fit into a record", async () => {
  const target = new Memory(CONTENT.length);
  const digest = await PrefixDigest.create({ algorithm: "md5", proof: true }, RUNTIME.digests);
  {
    await using file = await assembly(target, CONTENT.length, digest);
    await file.receive(await bodyOf({ from: 0, to: KIB }), { from: 0, to: KIB });
    for (let i = 1; i <= MAX_PIECES + 5; i++) {
      const span = { from: i * 2 * KIB, to: (i * 2 + 1) * KIB };
      await file.receive(await bodyOf(span), span);
    }
  }
  const { pieces } = target.recorded.at(-1)!;
  assertEquals(pieces.length, MAX_PIECES);
  assert(pieces.every(({ from }, i) => from === (i + 1) * 2 * KIB));
});
