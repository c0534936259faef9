import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { Md5, Md5Engine } from "../../../lib/digest/md5.ts";
import { BLOCK_BYTES } from "../../../lib/digest/md5_module.ts";
import fc from "../../support/properties.ts";
import { utf8 } from "../../support/bytes.ts";

fc.configureGlobal({ seed: 1321 });

const ENGINE = new Md5Engine();

function md5(...pieces: Uint8Array[]): string {
  const digest = new Md5(ENGINE);
  for (const piece of pieces) digest.update(piece);
  return digest.hex();
}

const reference = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

Deno.test("Md5.hex() gives what RFC 1321 gives", () => {
  // Appendix A.5
  const suite = {
    "": "d41d8cd98f00b204e9800998ecf8427e",
    "a": "0cc175b9c0f1b6a831c399e269772661",
    "abc": "900150983cd24fb0d6963f7d28e17f72",
    "message digest": "f96b697d7cb7938d525a2f31aaf161d0",
    "abcdefghijklmnopqrstuvwxyz": "c3fcd3d76192e4007dfb496cca67e13b",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789":
      "d174ab98d277d9f5a5611c2c9f419d9f",
    "12345678901234567890123456789012345678901234567890123456789012345678901234567890":
      "57edf4a22be3c955ac49da2e2107b67a",
  };
  for (const [text, digest] of Object.entries(suite)) assertEquals(md5(utf8.encode(text)), digest);
});

Deno.test("Md5.hex() gives what another implementation gives, at every length around a block", () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, i) => i * 37);
  for (let length = 0; length <= bytes.length; length++) {
    const part = bytes.subarray(0, length);
    assertEquals(md5(part), reference(part), `${length} bytes`);
  }
});

Deno.test("Md5.update() takes bytes in any pieces", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (pieces) => {
      const whole = new Uint8Array(pieces.flatMap((piece) => [...piece]));
      assertEquals(md5(...pieces), reference(whole));
    }),
  );
});

Deno.test("Md5.update() takes more than its memory holds, at any alignment", () => {
  const bytes = Uint8Array.from({ length: 1_000_003 }, (_, i) => i * 31 >> 3);
  for (const from of [0, 1, 2, 3]) {
    assertEquals(md5(bytes.subarray(from)), reference(bytes.subarray(from)));
  }
});

Deno.test("Md5 keeps two digests apart that are fed by turns", () => {
  const [a, b] = [new Md5(ENGINE), new Md5(ENGINE)];
  const [ones, twos] = [new Uint8Array(1000).fill(1), new Uint8Array(1000).fill(2)];
  for (let turn = 0; turn < 10; turn++) {
    a.update(ones);
    b.update(twos);
  }
  assertEquals(a.hex(), reference(new Uint8Array(10_000).fill(1)));
  assertEquals(b.hex(), reference(new Uint8Array(10_000).fill(2)));
});

Deno.test("Md5.resume() goes on behind any whole block", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
  for (let size = 0; size <= bytes.length; size += BLOCK_BYTES) {
    const first = new Md5(ENGINE);
    first.update(bytes.subarray(0, size));
    const second = Md5.resume(ENGINE, first.state!, size);
    assertEquals(second.size, size);
    second.update(bytes.subarray(size));
    assertEquals(second.hex(), reference(bytes));
  }
});

Deno.test("Md5.state is there only between two blocks", () => {
  const digest = new Md5(ENGINE);
  digest.update(new Uint8Array(63));
  assertEquals(digest.state, undefined);
  digest.update(new Uint8Array(1));
  assertEquals(digest.state?.length, 16);
});

Deno.test("Md5.hex() counts bits beyond 2^32 in both words of the length", () => {
  // The digests of 2^29 and 2^32 zeros behind a state that stands for all but their last block: only the
  // length tells them apart.
  const state = new Uint8Array(16);
  const digests = [2 ** 29, 2 ** 32, 2 ** 40].map((size) => Md5.resume(ENGINE, state, size).hex());
  assertEquals(new Set(digests).size, 3);
});
