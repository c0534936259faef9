import { assert, assertEquals } from "@std/assert";
import { emptyChecksum } from "../../../lib/core/checksum.ts";
import { isClosing, parseClosing } from "../../../lib/wire/closing_header.ts";
import { assertRefuses, header } from "../../support/headers.ts";

const EMPTY_MD5 = emptyChecksum("md5");

Deno.test("isClosing() goes by end and nothing else", () => {
  assert(isClosing(header({ end: true })));
  for (const end of [undefined, false, "true", 1]) assert(!isClosing(header({ end })), String(end));
});

Deno.test("parseClosing() needs a checksum and a size", () => {
  const closing = { end: true, md5: EMPTY_MD5, size: 0n };
  assertEquals(parseClosing(header({ ...closing, filename: "f" })).size, 0n);
  const cases: [keys: Record<string, unknown>, words: string][] = [
    [{ ...closing, md5: null }, "checksum is missing"],
    [{ ...closing, size: undefined }, "size is missing"],
    [{ ...closing, size: "0" }, "size is not an integer"],
    [{ ...closing, size: -1n }, "size is negative"],
  ];
  for (const [keys, words] of cases) {
    assertRefuses(() => parseClosing(header(keys)), "bad_header", words);
  }
});

Deno.test("parseClosing() throws the error that the sender closes with", () => {
  const closing = header({ end: true, status: "error", code: "io", message: "it changed" });
  assertRefuses(() => parseClosing(closing), "io", "it changed");
  assertRefuses(() => parseClosing(closing, "server"), "io", "it changed (on the server)");
});
