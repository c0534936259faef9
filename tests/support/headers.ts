/**
 * Headers in memory, for tests of code that reads them.
 *
 * @module
 */

import { assertEquals, assertThrows } from "@std/assert";
import { type ErrorCode, FerryError } from "../../lib/core/errors.ts";
import { utf8 } from "./bytes.ts";
import { decodeHeader, type Header } from "../../lib/wire/codec.ts";

/** A header as `decodeHeader` would return it. */
export function header(keys: Record<string, unknown>): Header {
  return {
    total_size: 0n,
    algorithm: "md5",
    checksum: (keys.md5 ?? null) as string | null,
    ...keys,
  };
}

/** A header from its JSON. */
export function decode(json: string): Header {
  return decodeHeader(utf8.encode(json));
}

/** Asserts that a function throws an error with a code and with certain words in its message. */
export function assertRefuses(run: () => unknown, code: ErrorCode, words: string): void {
  const error = assertThrows(run, FerryError, words);
  assertEquals(error.code, code, `${error.message}: the code is wrong`);
}
