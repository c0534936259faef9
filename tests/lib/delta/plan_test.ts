import { assert, assertEquals } from "@std/assert";
import { AssembledContent } from "../../../lib/delta/assembled_content.ts";
import { Copies } from "../../../lib/delta/copies.ts";
import { freeSpans } from "../../../lib/delta/gaps.ts";
import { KnownParts } from "../../../lib/delta/parts.ts";
import { planGet, type PlanPiece, planPut, planPutInPieces } from "../../../lib/delta/plan.ts";
import { RangeCollector } from "../../../lib/delta/ranges.ts";
import { RecipeDecoder, RecipeSource } from "../../../lib/delta/recipe.ts";
import { recipeInPieces } from "../../../lib/delta/recipe_in_pieces.ts";
import { Signer } from "../../../lib/delta/signer.ts";
import type { FetchSignature } from "../../../lib/delta/signature.ts";
import { assertCode } from "../../support/assertions.ts";
import { KIB, MIB } from "../../support/bytes.ts";
import { ContentInMemory, readToEnd, received } from "../../support/content.ts";
import fc from "../../support/properties.ts";
import { randomBytes } from "../../support/random_file.ts";
import { signaturesOf } from "../../support/remote_content.ts";

type Bytes = Uint8Array<ArrayBuffer>;

function join(...pieces: Uint8Array[]): Bytes {
  const joined = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  pieces.reduce((end, piece) => (joined.set(piece, end), end + piece.length), 0);
  return joined;
}

/** A copy with other bytes at an offset. */
function written(bytes: Uint8Array, at: number, piece: Uint8Array): Bytes {
  const copy = new Uint8Array(bytes);
  copy.set(piece, at);
  return copy;
}

/** The basis by a put, and what crosses for it in bytes. */
async function put(old: Bytes, fresh: Bytes, offset = 0) {
  const { fetch, fetched } = signaturesOf(old);
  const local = new ContentInMemory(fresh);
  const copies = await planPut(local, { fetch, offset });
  const recipe = await readToEnd(new RecipeSource(copies, local, offset));
  const decoder = new RecipeDecoder(received(recipe), fresh.length - offset, old.length);
  const result = await readToEnd(new AssembledContent(decoder, new ContentInMemory(old)));
  return { result, copies, cost: fetched.bytes + recipe.length, fetched };
}

/** The same as by {@linkcode put}, with the recipe in pieces. */
async function putInPieces(old: Bytes, fresh: Bytes, offset = 0) {
  assertEquals(offset, 0);
  const { fetch, fetched } = signaturesOf(old);
  const local = new ContentInMemory(fresh);
  const pieces: PlanPiece[] = [];
  const copies = new Copies();
  const recipe = await Array.fromAsync(
    recipeInPieces(
      planPutInPieces(local, { fetch, pieceBytes: 64 * KIB }),
      new ContentInMemory(fresh),
      (piece) => {
        assertEquals(piece.from, pieces.at(-1)?.to ?? 0);
        for (const { at, from, size } of piece.copies) copies.add(at, from, size);
        pieces.push(piece);
      },
    ),
    (chunk) => chunk.slice(),
  );
  assertEquals(pieces.at(-1)?.to ?? 0, fresh.length);
  const encoded = join(...recipe);
  const decoder = new RecipeDecoder(received(encoded), fresh.length, old.length);
  const result = await readToEnd(new AssembledContent(decoder, new ContentInMemory(old)));
  return { result, copies, cost: fetched.bytes + encoded.length, fetched, pieces };
}

/** The new content by a get, and what crosses for it in bytes. */
async function get(old: Bytes, fresh: Bytes, offset = 0) {
  const { fetch, fetched } = signaturesOf(fresh);
  const basis = new ContentInMemory(old);
  const { copies, size } = await planGet(basis, { fetch });
  assertEquals(size, fresh.length);
  const missing = new RangeCollector(size);
  const literals: Bytes[] = [];
  for (const { from, to } of freeSpans(copies, size, offset)) {
    missing.add(from, to - from);
    literals.push(fresh.subarray(from, to));
  }
  const parts = new KnownParts(copies, size, received(join(...literals)), offset);
  const result = await readToEnd(new AssembledContent(parts, basis));
  const ranges = missing.finish();
  const cost = fetched.bytes + ranges.encoded.length + ranges.size;
  return { result, copies, cost, fetched };
}

/** Asserts that all ways give the content, each for at most so many bytes. */
async function assertCost(old: Bytes, fresh: Bytes, most: number): Promise<void> {
  for (const way of [put, putInPieces, get]) {
    const { result, cost } = await way(old, fresh);
    assertEquals(result.length, fresh.length);
    assert(result.every((byte, i) => byte === fresh[i]), `${way.name} gives another content`);
    assert(cost <= most, `${way.name} took ${cost} bytes, not ${most}`);
  }
}

const OLD = randomBytes(4 * MIB + 1234, 11);
/** The signatures of {@linkcode OLD} with which a search begins. */
const FIRST = 6 * KIB;

Deno.test("an unchanged content costs one signature", async () => {
  await assertCost(OLD, OLD, FIRST);
  for (const way of [put, get]) {
    const { fetched, copies } = await way(OLD, OLD);
    assertEquals([fetched.requests.length, copies.count], [1, 1]);
  }
});

Deno.test("changes in place cost what changed, and little around it", async () => {
  let fresh = OLD;
  for (let i = 0; i < 10; i++) fresh = written(fresh, i * 400_123, randomBytes(1000, i + 1));
  await assertCost(OLD, fresh, FIRST + 10 * (1000 + 256 + 600));
  await assertCost(OLD, written(OLD, OLD.length - 3, randomBytes(3, 9)), FIRST + 1000);
});

Deno.test("small changes in place are planned in pieces, up to the first larger one", async () => {
  const changes = [100_000, 900_000, 1_000_000, 2_500_000];
  let fresh = OLD;
  for (const at of changes) fresh = written(fresh, at, randomBytes(500, at));
  const whole = await put(OLD, fresh);
  const inPieces = await putInPieces(OLD, fresh);
  assert(inPieces.pieces.length > 2, `${inPieces.pieces.length} pieces`);
  assertEquals([...inPieces.copies], [...whole.copies]);
  for (const { to, copies } of inPieces.pieces.slice(0, -1)) {
    const { at, size } = copies.get(copies.count - 1);
    assertEquals(at + size, to, "a piece ends with a copy");
  }
  // Behind an insertion nothing is at the same place any more.
  const inserted = join(OLD.subarray(0, 2 * MIB), randomBytes(777, 5), OLD.subarray(2 * MIB));
  const { pieces } = await putInPieces(OLD, inserted);
  const { from, to } = pieces.at(-1)!;
  assert(from > 0 && from <= 2 * MIB, `${from}`);
  assertEquals(to, inserted.length);
  // Zeros that are somewhere else in the basis are found when all of it is known.
  const zeros = join(OLD, new Uint8Array(8 * KIB));
  const moved = written(zeros, MIB, new Uint8Array(8 * KIB));
  assert((await putInPieces(zeros, moved)).pieces.at(-1)!.from <= MIB);
});

Deno.test("a file that is read slowly is planned in the same pieces", async () => {
  let fresh = OLD;
  for (const at of [100_000, 900_000, 2_500_000]) fresh = written(fresh, at, randomBytes(500, at));
  const memory = new ContentInMemory(fresh);
  // As of a file: where a read begins is decided by the last seek before it is done, and it takes longer than a question.
  let [at, last] = [0, Promise.resolve()];
  const slow = {
    size: fresh.length,
    seek: (offset: number) => void (at = offset),
    read: (into: Uint8Array) => {
      const read = last.then(async () => {
        for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve));
        memory.seek(at);
        const count = await memory.read(into);
        at += count ?? 0;
        return count;
      });
      last = read.then(() => {});
      return read;
    },
  };
  const copies = new Copies();
  const { fetch } = signaturesOf(OLD);
  for await (const piece of planPutInPieces(slow, { fetch, pieceBytes: 64 * KIB })) {
    for (const { at, from, size } of piece.copies) copies.add(at, from, size);
  }
  assertEquals([...copies], [...(await put(OLD, fresh)).copies]);
});

Deno.test("insertions and removals cost what was inserted, and the signatures of what moved", async () => {
  const moved = 3 * FIRST;
  await assertCost(OLD, join(randomBytes(777, 5), OLD), moved + 3000);
  await assertCost(OLD, OLD.subarray(777), moved + 2000);
  const middle = join(OLD.subarray(0, MIB), randomBytes(50_000, 3), OLD.subarray(MIB + 99));
  await assertCost(OLD, middle, moved + 60_000);
  await assertCost(OLD, join(OLD, randomBytes(100_000, 3)), FIRST + 103_000);
  await assertCost(OLD, OLD.subarray(0, 3 * MIB), FIRST + 1000);
});

Deno.test("parts that changed places are found", async () => {
  const fresh = join(OLD.subarray(2 * MIB), OLD.subarray(0, 2 * MIB));
  await assertCost(OLD, fresh, 3 * FIRST + 8000);
});

Deno.test("changes that are closer to each other than coarse blocks are found by finer ones", async () => {
  let fresh = OLD;
  for (let at = 100; at < MIB; at += 3000) fresh = written(fresh, at, randomBytes(40, at));
  await assertCost(OLD.subarray(0, MIB), fresh.subarray(0, MIB), MIB / 3);
});

Deno.test("a content of which nothing is known costs little more than itself", async () => {
  const other = randomBytes(OLD.length, 77);
  await assertCost(OLD, other, other.length * 1.005);
  await assertCost(OLD.subarray(0, 0), other, other.length * 1.003);
  await assertCost(OLD, other.subarray(0, 0), 2 * FIRST);
  await assertCost(OLD.subarray(0, 100), other.subarray(0, 100), 200);
});

Deno.test("equal blocks in any number are no slow case", async () => {
  const zeros = new Uint8Array(6 * MIB);
  const old = join(zeros, OLD, zeros);
  await assertCost(old, join(randomBytes(5, 8), zeros, OLD, randomBytes(5, 9), zeros), 60 * KIB);
  await assertCost(OLD, join(OLD, zeros), 6 * MIB * 1.01);
  await assertCost(zeros.subarray(0, 300_000), join(randomBytes(9, 8), zeros), 30 * KIB);
  await assertCost(join(OLD, zeros.subarray(0, 9000)), join(OLD.subarray(0, MIB), zeros), 30 * KIB);
  const pattern = new Uint8Array(6 * MIB).map((_, i) => i % 251);
  await assertCost(pattern, join(randomBytes(9, 8), pattern), 40 * KIB);
});

/** An edit at a share of the length: what is removed, and what is inserted. */
const edits = fc.array(
  fc.record({
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    removed: fc.oneof(fc.nat(300), fc.nat(60_000)),
    inserted: fc.oneof(fc.nat(300), fc.nat(60_000)),
    seed: fc.integer({ min: 1, max: 1000 }),
    again: fc.boolean(),
  }),
  { maxLength: 12 },
);

Deno.test("any edits of any content give the new one, also from an offset", async () => {
  const sizes = fc.oneof(fc.nat(3000), fc.nat(700_000));
  const shares = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1, noNaN: true }));
  await fc.assert(
    fc.asyncProperty(sizes, fc.boolean(), edits, shares, async (size, sparse, edits, share) => {
      const old = OLD.slice(0, size);
      if (sparse) old.fill(0, size / 4, size * 3 / 4);
      let fresh = old;
      for (const { share, removed, inserted, seed, again } of edits) {
        const at = Math.floor(share * fresh.length);
        const piece = again ? old.subarray(seed, seed + inserted) : randomBytes(inserted, seed);
        fresh = join(fresh.subarray(0, at), piece, fresh.subarray(at + removed));
      }
      const offset = Math.floor(share * fresh.length);
      const rest = fresh.subarray(offset);
      for (const way of offset === 0 ? [put, putInPieces, get] : [put, get]) {
        const { result, copies } = await way(old, fresh, offset);
        assertEquals(result.length, rest.length, way.name);
        assert(result.every((byte, i) => byte === rest[i]), `${way.name} gives another content`);
        let end = 0;
        for (const copy of copies) {
          assert(copy.at >= end && copy.size > 0);
          end = copy.at + copy.size;
        }
        assert(end <= fresh.length);
      }
    }),
    { numRuns: 60 },
  );
});

Deno.test("every byte of the local file passes once and in order", async () => {
  for (const local of [OLD, OLD.subarray(0, 5), OLD.subarray(0, 0), join(OLD, OLD)]) {
    const pieces: Bytes[] = [];
    const found: number[] = [];
    await planPut(new ContentInMemory(local, { most: 70_000 }), {
      fetch: signaturesOf(OLD).fetch,
      onBytes: (piece) => void pieces.push(piece.slice()),
      onFound: (bytes) => void found.push(bytes),
    });
    const passed = join(...pieces);
    assert(passed.length === local.length && passed.every((byte, i) => byte === local[i]));
    assert(found.every((bytes, i) => i === 0 || bytes >= found[i - 1]!));
  }
});

/** What is planned where the records are forged. */
function plan(forge: (records: Uint8Array, recordBytes: number) => Uint8Array) {
  const { fetch } = signaturesOf(OLD, forge);
  return planPut(new ContentInMemory(join(randomBytes(100, 4), OLD)), { fetch });
}

/** Plans in pieces what differs in one place only, and forgets it. */
async function planInPieces(fetch: FetchSignature, local = written(OLD, MIB, new Uint8Array(9))) {
  const options = { fetch, pieceBytes: 64 * KIB };
  for await (const _ of planPutInPieces(new ContentInMemory(local), options));
}

/** Whether copies are what {@linkcode RecipeDecoder} accepts for contents of such sizes. */
function assertValid(copies: Copies, size: number, basisSize: number): void {
  let end = 0;
  for (const copy of copies) {
    assert(copy.at >= end && copy.from >= 0 && copy.from + copy.size <= basisSize);
    end = copy.at + copy.size;
  }
  assert(end <= size);
}

Deno.test("hashes that collide give a wrong content, and no invalid or slow plan", async () => {
  const size = OLD.length + 100;
  assertValid(await plan((records) => records.fill(0)), size, OLD.length);
  // The same weak hash everywhere, with strong hashes that differ.
  const sameWeak = (records: Uint8Array, recordBytes: number) => {
    for (let at = 0; at + recordBytes <= records.length; at += recordBytes) {
      records.fill(7, at, at + 4);
    }
    return records;
  };
  assertValid(await plan(sameWeak), size, OLD.length);
  const crowded = (records: Uint8Array, recordBytes: number) => {
    for (let at = 0; at + recordBytes <= records.length; at += recordBytes) {
      records.fill(0, at, at + 2);
    }
    return records;
  };
  assertValid(await plan(crowded), size, OLD.length);
});

Deno.test("a search in which all hashing is in vain ends", async () => {
  const local = new ContentInMemory(new Uint8Array(2 * MIB));
  const forge = (records: Uint8Array, recordBytes: number) => {
    for (let at = 0; at + recordBytes <= records.length; at += recordBytes) {
      records.fill(0, at, at + 4);
    }
    return records;
  };
  const { fetch } = signaturesOf(OLD, forge);
  const copies = await planPut(local, { fetch });
  assertEquals(copies.size, 0);
});

Deno.test("a plan of very many copies grows no further", async () => {
  const block = 2048;
  const local = randomBytes(8 * block, 4);
  const signer = await Signer.create({ size: block, block, rolling: true });
  const record = signer.update(local.subarray(0, block)).slice();
  // Every other block of a huge remote file is the first local one; it comes in batches of 324,288 blocks.
  const size = 1_300_000 * block;
  let requests = 0;
  const fetch: FetchSignature = ({ ranges, rolling }) => {
    requests++;
    const records = new Uint8Array((ranges?.size ?? size) / block * (rolling ? 8 : 4));
    const view = new DataView(records.buffer);
    for (let at = 0; rolling && at < records.length; at += 16) {
      records.set(record, at);
      view.setUint32(at + 8, at);
    }
    return Promise.resolve({ size, strong: 4, ...received(records) });
  };
  const { copies } = await planGet(new ContentInMemory(local), { fetch });
  assertEquals([requests, copies.count], [1 + 3, 3 * 324_288 / 2]);
});

Deno.test("damaged records cost what they no longer show", async () => {
  const copies = await plan((records) => {
    for (let at = 0; at < records.length; at += 1000) records[at]! ^= 1;
    return records;
  });
  assert(copies.size > OLD.length * 3 / 4);
  assertValid(copies, OLD.length + 100, OLD.length);
});

Deno.test("a signature that is shorter or longer than it has to be is refused", async () => {
  await assertCode("bad_header", () => plan((records) => records.subarray(1)), "ends early");
  await assertCode(
    "bad_header",
    () => plan((records) => join(records, Uint8Array.of(0))),
    "longer",
  );
  for (const [change, said] of [[-1, "ends early"], [1, "longer"]] as const) {
    const { fetch } = signaturesOf(OLD, (records) => {
      const changed = new Uint8Array(records.length + change);
      changed.set(records.subarray(0, changed.length));
      return changed;
    });
    await assertCode("bad_header", () => planInPieces(fetch), said);
  }
  await assertCode(
    "bad_header",
    () => plan((records, recordBytes) => recordBytes === 8 ? records.subarray(1) : records),
    "ends early",
  );
});

Deno.test("a header that contradicts the one before is refused", async () => {
  const local = new ContentInMemory(join(randomBytes(100, 4), OLD));
  const { fetch } = signaturesOf(OLD);
  const changed: FetchSignature = async (request) => {
    const reply = await fetch(request);
    return request.rolling ? Object.assign(reply, { size: 5 }) : reply;
  };
  await assertCode("busy", () => planPut(local, { fetch: changed }), "changed");
  await assertCode("busy", () => planInPieces(changed), "changed");
  // No memory is spent on what a server only claims.
  const huge: FetchSignature = async (request) => {
    return Object.assign(await fetch(request), { size: Number.MAX_SAFE_INTEGER });
  };
  await assertCode("bad_header", () => planInPieces(huge), "too long");
});

Deno.test("a local file that shrinks or fails ends the search with its error", async () => {
  const { fetch } = signaturesOf(OLD);
  const shrunk = new ContentInMemory(OLD.subarray(0, 3 * MIB), { size: OLD.length });
  await assertCode("io", () => planPut(shrunk, { fetch }), "it shrank");
  await assertCode("io", () => planGet(shrunk, { fetch }), "it shrank");
  const pieces = planPutInPieces(shrunk, { fetch, pieceBytes: 64 * KIB });
  await assertCode("io", () => Array.fromAsync(pieces), "it shrank");
});
