import { assert, assertEquals } from "@std/assert";
import { addChecksum, hasChecksum, isIntact, makeRoom } from "../lib/header_checksum.ts";

const utf8 = new TextEncoder();

/** A header with its checksum, as bytes. */
function withChecksum(json: string): Uint8Array<ArrayBuffer> {
  const bytes = utf8.encode(makeRoom(json));
  addChecksum(bytes);
  return bytes;
}

Deno.test("a header ends with the CRC-32 of its length and of all that stands before the key", () => {
  const text = (json: string) => new TextDecoder().decode(withChecksum(json));
  // As zlib.crc32 of Python gives it for these bytes.
  assertEquals(text('{"op":"ping"}'), '{"op":"ping","crc32":"073d00ef"}');
  assertEquals(text("{}"), '{"crc32":"94956eeb"}');
  assertEquals(text('{"filename":"é"}'), '{"filename":"é","crc32":"8b3a9ed8"}');
});

Deno.test("a header with a checksum is intact, and with any bit of it or of its length turned is not", () => {
  for (const json of ["{}", '{"op":"ping"}', `{"filename":"${"é".repeat(200)}"}`]) {
    const bytes = withChecksum(json);
    assert(hasChecksum(bytes) && isIntact(bytes));
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3]! ^= 1 << (bit & 7);
      assert(!isIntact(damaged), `${json}, bit ${bit}`);
    }
    for (let length = 0; length < bytes.length; length++) {
      assert(!isIntact(bytes.subarray(0, length)));
      assert(!isIntact(new Uint8Array([...bytes, ...bytes.subarray(0, length + 1)])));
    }
  }
});

Deno.test("a header without a checksum has none", () => {
  for (
    const json of [
      "{}",
      '{"op":"ping"}',
      '{"crc32":null}',
      '{"crc32":"00000000","op":"ping"}',
      '{"x":"\\"crc32\\":\\"00000000\\"}"}',
    ]
  ) {
    const bytes = utf8.encode(json);
    assert(!hasChecksum(bytes) && !isIntact(bytes), json);
  }
});
