import { assertEquals } from "@std/assert";
import { AssembledContent } from "../../../lib/delta/assembled_content.ts";
import { Copies } from "../../../lib/delta/copies.ts";
import { KnownParts } from "../../../lib/delta/parts.ts";
import { RecipeDecoder, RecipeSource } from "../../../lib/delta/recipe.ts";
import { assertCode } from "../../support/assertions.ts";
import { ContentInMemory, readToEnd, received } from "../../support/content.ts";
import fc from "../../support/properties.ts";
import { randomBytes } from "../../support/random_file.ts";

const BASIS = randomBytes(20_000, 7);

/** A content with what it takes from {@linkcode BASIS}. */
interface Made {
  content: Uint8Array<ArrayBuffer>;
  copies: Copies;
}

/** Contents that consist of literals and copies of any length. */
const made = fc.array(
  fc.tuple(fc.nat(BASIS.length - 1), fc.nat(9000), fc.nat(3000)),
  { maxLength: 8 },
).map((parts): Made => {
  const copies = new Copies();
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let at = 0;
  for (const [from, size, literal] of parts) {
    const copied = BASIS.slice(from, from + size);
    if (copied.length > 0) copies.add(at, from, copied.length);
    pieces.push(copied, randomBytes(literal, 1 + from));
    at += copied.length + literal;
  }
  const content = new Uint8Array(at);
  pieces.reduce((end, piece) => (content.set(piece, end), end + piece.length), 0);
  return { content, copies };
});

/** Decodes a recipe of a content of a certain size. */
function decode(recipe: Uint8Array | number[], size: number, most?: number): AssembledContent {
  const decoder = new RecipeDecoder(received(Uint8Array.from(recipe), most), size, BASIS.length);
  return new AssembledContent(decoder, new ContentInMemory(BASIS, { most }));
}

Deno.test("a recipe gives the content that it was made of, from any offset, in any pieces", async () => {
  const pieces = fc.constantFrom(7, 1000, 5000, 65536);
  await fc.assert(
    fc.asyncProperty(made, fc.double({ min: 0, max: 1, noNaN: true }), pieces, pieces, async (
      { content, copies },
      share,
      buffer,
      most,
    ) => {
      const offset = Math.floor(share * content.length);
      const local = new ContentInMemory(content, { most });
      const source = new RecipeSource(copies, local, offset);
      const recipe = await readToEnd(source, buffer);
      assertEquals(recipe.length, source.size);
      const rest = content.slice(offset);
      assertEquals(await readToEnd(decode(recipe, rest.length, most), buffer), rest);
    }),
    { numRuns: 60 },
  );
});

Deno.test("known copies and the bytes between them give the content, from any offset", async () => {
  await fc.assert(
    fc.asyncProperty(made, fc.double({ min: 0, max: 1, noNaN: true }), async (
      { content, copies },
      share,
    ) => {
      const offset = Math.floor(share * content.length);
      const literals: number[] = [];
      let end = offset;
      for (const copy of copies.behind(offset)) {
        literals.push(...content.subarray(end, copy.at));
        end = copy.at + copy.size;
      }
      literals.push(...content.subarray(end));
      const assemble = (bytes: number[]) => {
        const parts = new KnownParts(
          copies,
          content.length,
          received(Uint8Array.from(bytes)),
          offset,
        );
        return readToEnd(new AssembledContent(parts, new ContentInMemory(BASIS)));
      };
      assertEquals(await assemble(literals), content.slice(offset));
      await assertCode("bad_header", () => assemble([...literals, 0]), "more bytes");
      if (literals.length === 0) return;
      await assertCode("bad_header", () => assemble(literals.slice(1)), "fewer bytes");
    }),
    { numRuns: 60 },
  );
});

Deno.test("RecipeDecoder refuses a recipe that is not valid", async () => {
  const fails = async (recipe: number[], size: number, words: string) => {
    await assertCode("bad_header", () => readToEnd(decode(recipe, size)), words);
  };
  assertEquals(await readToEnd(decode([], 0)), new Uint8Array());
  assertEquals(await readToEnd(decode([1, 7, 0, 1, 8], 2)), Uint8Array.of(7, 8));
  await fails([0], 0, "goes on behind the end");
  await fails([2, 7, 8, 0], 2, "goes on behind the end");
  await fails([0, 5, 0, 0], 5, "goes on behind the end");
  await fails([], 5, "ends before");
  await fails([5, 1, 2], 5, "ends before");
  await fails([0, 3, 0], 5, "ends before");
  await fails([0x80], 5, "ends before");
  await fails([6, 1, 2, 3, 4, 5, 6], 5, "a literal reaches over the end");
  await fails([0, 6, 0], 5, "a copy reaches over the end");
  await fails([1, 1, 5, 0], 5, "a copy reaches over the end");
  await fails([0, 0], 5, "both empty");
  await fails([0, 5, 1], 5, "not within the older content");
  await fails([0, 0xa0, 0x9c, 1, 2], BASIS.length, "not within the older content");
  await fails([0, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 5, "not within the older");
  await fails([0, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], 5, "2^53-1");
});

Deno.test("RecipeDecoder ends with a content or with bad_header, whatever it is given", async () => {
  const recipes = fc.array(fc.oneof(fc.nat(12), fc.nat(255)), { maxLength: 40 });
  await fc.assert(fc.asyncProperty(recipes, fc.nat(60), async (recipe, size) => {
    const result = await readToEnd(decode(recipe, size)).catch((error) => error);
    if (result instanceof Uint8Array) assertEquals(result.length, size);
    else assertEquals(result.code, "bad_header");
  }));
});

Deno.test("a basis that is shorter than it was, or fails, is busy", async () => {
  const recipe = [0, 0xf4, 0x03, 0];
  const assemble = (basis: ContentInMemory) =>
    readToEnd(
      new AssembledContent(
        new RecipeDecoder(received(Uint8Array.from(recipe)), 500, basis.size),
        basis,
      ),
    );
  await assertCode(
    "busy",
    () => assemble(new ContentInMemory(BASIS.subarray(0, 400), { size: 500 })),
    "shorter than it was",
  );
  const failing = new ContentInMemory(BASIS);
  failing.read = () => Promise.reject(new Error("no such disk"));
  await assertCode("busy", () => assemble(failing), "no such disk");
});

Deno.test("RecipeSource fails where the content is shorter than it was", async () => {
  const source = new RecipeSource(new Copies(), new ContentInMemory(BASIS, { size: 30_000 }));
  await assertCode("io", () => readToEnd(source), "it shrank");
});

Deno.test("AssembledContent.originOf() tells what came from one place", async () => {
  const MIB = 1024 * 1024;
  const basis = randomBytes(3 * MIB, 3);
  const content = new Uint8Array(4 * MIB);
  content.set(basis.subarray(100, 2 * MIB + 100), 50);
  const copies = new Copies();
  copies.add(50, 100, 1000);
  copies.add(1050, 1100, 2 * MIB - 1000);
  assertEquals(copies.count, 1);
  copies.add(3 * MIB, 0, 200);
  const recipe = await readToEnd(new RecipeSource(copies, new ContentInMemory(content)));
  const decoder = new RecipeDecoder(received(recipe), content.length, basis.length);
  const assembled = new AssembledContent(decoder, new ContentInMemory(basis, { most: 70_000 }));
  assertEquals(assembled.originOf(50, 1), undefined);
  await readToEnd(assembled, 100_000);
  assertEquals(assembled.originOf(50, 2 * MIB), 100);
  assertEquals(assembled.originOf(1000, MIB), 1050);
  assertEquals(assembled.originOf(49, 2), undefined);
  assertEquals(assembled.originOf(50, 2 * MIB + 1), undefined);
});
