import { assertEquals } from "@std/assert";
import * as v from "valibot";
import { MAX_TIMEOUT_MS } from "../../../lib/core/number_options.ts";
import { check, fileSize, integer, key, timeoutKey } from "../../../lib/wire/schema.ts";
import { assertRefuses } from "../../support/headers.ts";

Deno.test("check() supplies defaults, and names the key that is missing or wrong", () => {
  const schema = v.object({
    size: key(fileSize, "The size."),
    mode: v.optional(integer(0, 7), 5),
    names: v.optional(v.array(v.string("is not a string"))),
  });
  assertEquals({ ...check(schema, { size: 3n, later: 1 }) }, { size: 3, mode: 5 });
  const cases: [keys: unknown, words: string][] = [
    [{}, "size is missing"],
    [{ size: 3 }, "size is not an integer"],
    [{ size: 2n ** 53n }, "size is more than 2^53-1"],
    [{ size: 3n, mode: 8 }, "mode is more than 7"],
    [{ size: 3n, names: ["a", 1] }, "names.1 is not a string"],
    [null, "the header "],
  ];
  for (const [keys, words] of cases) assertRefuses(() => check(schema, keys), "bad_header", words);
});

Deno.test("timeoutKey() gives whole milliseconds that the key takes", () => {
  const given = [0, 0.5, 1.9, 60_000, Infinity].map(timeoutKey);
  assertEquals(given, [1, 1, 1, 60_000, MAX_TIMEOUT_MS]);
});
