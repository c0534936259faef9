import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { createToken, formatToken, parseToken } from "../../../lib/security/token.ts";

Deno.test("createToken() gives 256 bits that nobody else has, as a line of text", () => {
  const tokens = Array.from({ length: 200 }, createToken);
  assertEquals(new Set(tokens.map(({ id }) => id)).size, 200);
  assertEquals(new Set(tokens.map(({ secret }) => secret)).size, 200);
  for (const token of tokens) {
    assertMatch(formatToken(token), /^ferry_[0-9a-f]{12}_[A-Za-z0-9_-]{43}$/);
    assertEquals(parseToken(formatToken(token)), token);
  }
});

Deno.test("parseToken() takes a line as it stands in a file", () => {
  const text = formatToken(createToken());
  assertEquals(parseToken(`  ${text}\r\n`), parseToken(text));
});

Deno.test("parseToken() refuses what is none, and does not show it", () => {
  const text = formatToken(createToken());
  const wrong = ["", "x", text.slice(0, -1), text + "A", text.toUpperCase(), `${text} ${text}`];
  for (const token of wrong) {
    const error = assertThrows(() => parseToken(token), FerryError);
    assertEquals(error.code, "usage");
    assert(!error.message.includes(text.slice(20)), error.message);
  }
});
