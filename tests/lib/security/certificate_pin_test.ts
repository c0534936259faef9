import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import { parsePin, pinOf } from "../../../lib/security/certificate_pin.ts";

const HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

Deno.test("pinOf() is the SHA-256 of the certificate, as parsePin() reads it", async () => {
  const pin = await pinOf(new TextEncoder().encode("test"));
  assertEquals(pin, `sha256:${HEX}`);
  assertEquals(parsePin(pin), HEX);
});

Deno.test("parsePin() reads what openssl prints", () => {
  const colons = HEX.toUpperCase().match(/../g)!.join(":");
  for (const text of [HEX, HEX.toUpperCase(), colons, `sha256:${colons}`, ` SHA256:${HEX}\n`]) {
    assertEquals(parsePin(text), HEX, text);
  }
});

Deno.test("parsePin() refuses what is no fingerprint", () => {
  const wrong = ["", "sha256:", HEX.slice(1), HEX + "0", `sha1:${HEX}`, HEX.replace("9", "g")];
  for (const text of [...wrong, HEX.slice(0, 2) + ":" + HEX.slice(2)]) {
    assertEquals(assertThrows(() => parsePin(text), FerryError).code, "usage", text);
  }
});
