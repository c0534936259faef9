import { assert, assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  unzigzag,
  VARINT_BYTES,
  varintLength,
  VarintReader,
  writeVarint,
  zigzag,
} from "../../../lib/delta/varint.ts";
import fc from "../../support/properties.ts";

Deno.test("VarintReader reads what writeVarint() wrote, whose length varintLength() knows", () => {
  const reader = new VarintReader();
  fc.assert(fc.property(fc.maxSafeNat(), fc.nat(52), (large, shift) => {
    const value = Math.floor(large / 2 ** shift);
    const bytes = new Uint8Array(VARINT_BYTES);
    const length = writeVarint(bytes, 0, value);
    assertEquals(varintLength(value), length);
    for (const byte of bytes.subarray(0, length - 1)) assertEquals(reader.take(byte), undefined);
    assertEquals(reader.pending, length > 1);
    assertEquals(reader.take(bytes[length - 1]!), value);
    assertEquals(reader.pending, false);
  }));
});

Deno.test("VarintReader refuses what is more than 2^53-1 or too long", () => {
  const fails = (bytes: number[]) => {
    const reader = new VarintReader();
    const error = assertThrows(() => bytes.forEach((byte) => reader.take(byte)), FerryError);
    assertEquals(error.code, "bad_header");
  };
  fails([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
  fails([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
  fails([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]);
});

Deno.test("unzigzag() turns back what zigzag() did, small values into small codes", () => {
  assertEquals([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
  const values = fc.maxSafeInteger().map((value) => Math.trunc(value / 2));
  fc.assert(fc.property(values, (value) => {
    assert(Object.is(unzigzag(zigzag(value)) + 0, value + 0));
  }));
});
