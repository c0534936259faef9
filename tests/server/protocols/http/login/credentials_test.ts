import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../../../lib/core/errors.ts";
import { createToken, formatToken } from "../../../../../lib/security/token.ts";
import fc from "../../../../support/properties.ts";
import { challengeFor, tokenIn } from "../../../../../server/protocols/http/login/credentials.ts";

const TOKEN = createToken();
const TEXT = formatToken(TOKEN);

const basic = (text: string) => `Basic ${btoa(text)}`;

Deno.test("tokenIn() takes a token as Bearer, and as the password of Basic", () => {
  for (
    const authorization of [
      `Bearer ${TEXT}`,
      `bearer  ${TEXT} `,
      basic(`:${TEXT}`),
      basic(`anyone:${TEXT}`),
      basic(`${TOKEN.id}:${TEXT}`),
      basic(`${TOKEN.id}:${TOKEN.secret}`),
      basic(`${TEXT}:`),
    ]
  ) {
    assertEquals(tokenIn(authorization), TOKEN, authorization);
  }
});

Deno.test("tokenIn() refuses everything else, and repeats none of it", () => {
  for (
    const authorization of [
      "",
      "Bearer",
      "Bearer secret",
      `Digest ${TEXT}`,
      TEXT,
      `Bearer ${TEXT} ${TEXT}`,
      "Basic !",
      "Basic /w==",
      basic(TEXT),
      basic("user:secret"),
      basic(`other:${TOKEN.secret}`),
      basic(`${TEXT}:secret`),
      basic(":"),
    ]
  ) {
    const { code, message } = assertThrows(() => tokenIn(authorization), FerryError);
    assertEquals([code, message.includes("secret")], ["denied", false], authorization);
  }
});

Deno.test("challengeFor() offers Basic to programs, and nothing to browsers that they would ask for", () => {
  const offered = (headers: Record<string, string>) => challengeFor(headers).split(" ")[0];
  assertEquals(offered({ "user-agent": "Wget/1.21.3" }), "Basic");
  assertEquals(offered({}), "Basic");
  assertEquals(offered({ "user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/150" }), "Bearer");
  assertEquals(offered({ "sec-fetch-mode": "cors" }), "Bearer");
});

Deno.test("tokenIn() refuses whatever it is given with the same code", () => {
  const text = fc.string({ unit: "binary" });
  fc.assert(fc.property(text, fc.constantFrom("", "Basic ", "Bearer "), (value, scheme) => {
    assertEquals(assertThrows(() => tokenIn(scheme + value), FerryError).code, "denied");
  }));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    const value = bytes.toBase64();
    assertEquals(assertThrows(() => tokenIn(`Basic ${value}`), FerryError).code, "denied");
  }));
});
