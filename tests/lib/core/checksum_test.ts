import { assert, assertEquals } from "@std/assert";
import {
  algorithmOf,
  ALGORITHMS,
  emptyChecksum,
  hexOf,
  isMd5,
  sameChecksum,
} from "../../../lib/core/checksum.ts";

const EMPTY_MD5 = emptyChecksum("md5");

Deno.test("algorithmOf() and hexOf() take a checksum apart", () => {
  for (const algorithm of ALGORITHMS) {
    const checksum = emptyChecksum(algorithm);
    assertEquals(algorithmOf(checksum), algorithm);
    assert(checksum.endsWith(hexOf(checksum)) && /^[0-9a-f]+$/.test(hexOf(checksum)));
    for (const text of [checksum.slice(0, -1), `${checksum}0`, `x${checksum}`]) {
      assertEquals(algorithmOf(text), undefined, text);
    }
  }
  for (const text of ["sha256", "sha256:", `md5:${EMPTY_MD5}`, `sha512:${EMPTY_MD5}`, ":", ""]) {
    assertEquals(algorithmOf(text), undefined, text);
  }
});

Deno.test("isMd5() is true of 32 lower-case hexadecimal digits alone", () => {
  assert(isMd5(EMPTY_MD5) && isMd5("900150983cd24fb0d6963f7d28e17f72"));
  for (
    const text of [
      "",
      EMPTY_MD5.slice(1),
      `${EMPTY_MD5}0`,
      EMPTY_MD5.toUpperCase(),
      EMPTY_MD5.replace("d", "g"),
      ` ${EMPTY_MD5}`,
      `${EMPTY_MD5}\n`,
      `${EMPTY_MD5.slice(2)}\n\n`,
      emptyChecksum("xxh128"),
      "md5 of the file, if you please..",
    ]
  ) assert(!isMd5(text), JSON.stringify(text));
});

Deno.test("sameChecksum() is true of equal texts alone", () => {
  assert(sameChecksum(EMPTY_MD5, EMPTY_MD5));
  assert(sameChecksum("", ""));
  assert(!sameChecksum(EMPTY_MD5, EMPTY_MD5.slice(1)));
  assert(!sameChecksum(EMPTY_MD5, ""));
  assert(!sameChecksum("é", "e"), "as long in letters, not in bytes");
  for (let at = 0; at < EMPTY_MD5.length; at++) {
    const other = `${EMPTY_MD5.slice(0, at)}x${EMPTY_MD5.slice(at + 1)}`;
    assert(!sameChecksum(EMPTY_MD5, other), `digit ${at} was not looked at`);
  }
});
