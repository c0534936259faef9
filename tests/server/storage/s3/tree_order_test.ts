import { assert, assertEquals } from "@std/assert";
import { sortNames } from "../../../../lib/core/name_order.ts";
import {
  type FlatSource,
  inTreeOrder,
  type TreeOrderOptions,
} from "../../../../server/storage/s3/tree_order.ts";
import fc from "../../../support/properties.ts";
import { compareByParts } from "../../../support/stored_files.ts";

interface Key {
  readonly key: string;
}

/** Keys as a store lists them. */
class Keys implements FlatSource<Key> {
  /** How many lists were begun. */
  static lists = 0;
  #all: readonly string[];
  #at = 0;

  constructor(sorted: readonly string[]) {
    this.#all = sorted;
    Keys.lists++;
  }

  next(): Promise<Key | undefined> {
    const key = this.#all[this.#at++];
    return Promise.resolve(key === undefined ? undefined : { key });
  }

  skip(prefix: string): void {
    const rest = this.#all.slice(this.#at).filter((key) => !key.startsWith(prefix));
    this.#all = [...this.#all.slice(0, this.#at), ...rest];
  }

  within(prefix: string): Keys {
    return new Keys(this.#all.filter((key) => key.startsWith(prefix)));
  }

  [Symbol.dispose](): void {}
}

async function ordered(keys: readonly string[], options?: TreeOrderOptions): Promise<string[]> {
  const given: string[] = [];
  for await (const { key } of inTreeOrder(new Keys(sortNames([...keys])), options)) given.push(key);
  return given;
}

/** Names whose parts have characters on both sides of the slash, and outside of the Basic Multilingual Plane. */
const part = fc.string({
  unit: fc.constantFrom("a", "b", "-", ".", " ", "0", "~", "\x01", "\uff5e", "😀"),
  minLength: 1,
  maxLength: 4,
});
const key = fc.array(part, { minLength: 1, maxLength: 4 }).chain((parts) =>
  fc.constantFrom(parts.join("/"), `${parts.join("/")}/`)
);
const keys = fc.uniqueArray(key, { maxLength: 60 });

Deno.test("inTreeOrder() gives all keys in the order of a tree, however few it may hold back", async () => {
  await fc.assert(
    fc.asyncProperty(keys, fc.integer({ min: 1, max: 80 }), async (keys, mostHeld) => {
      assertEquals(await ordered(keys, { mostHeld }), [...keys].sort(compareByParts));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("inTreeOrder() compares only what follows the common prefix", async () => {
  await fc.assert(
    fc.asyncProperty(keys, fc.integer({ min: 1, max: 10 }), async (keys, mostHeld) => {
      const below = keys.map((key) => `d-x/${key}`);
      assertEquals(
        await ordered(below, { base: "d-x/".length, mostHeld }),
        below.sort(compareByParts),
      );
    }),
  );
});

Deno.test("inTreeOrder() gives every key once even where a component is empty", async () => {
  const odd = ["/a", "//", "a", "a-b", "a//", "a//b", "a/b", "-/x"];
  assertEquals(sortNames(await ordered(odd)), sortNames(odd));
});

Deno.test("inTreeOrder() asks for one list where a whole directory would be held back", async () => {
  const many = Array.from(
    { length: 50_000 },
    (_, at) => `d/file-${String(at).padStart(6, "0")}.dat`,
  );
  Keys.lists = 0;
  assertEquals(await ordered([...many, "d/file/x"]), ["d/file/x", ...many]);
  // One for all, one for what is below `d/file/`.
  assertEquals(Keys.lists, 2);
});

Deno.test("inTreeOrder() gives a key as soon as nothing can come before it", async () => {
  const source = new Keys(["a", "a/b", "b.c", "c"]);
  const given: string[] = [];
  for await (const { key } of inTreeOrder(source)) {
    given.push(key);
    // "b.c" waits until "b/" is passed; the others do not wait.
    if (key === "a/b") break;
  }
  assertEquals(given, ["a", "a/b"]);
  const { key } = await source.next() ?? {};
  assert(key === "b.c", `${key} was read ahead`);
});
