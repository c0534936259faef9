/**
 * Assertions about errors.
 *
 * @module
 */

import { assert, assertStringIncludes } from "@std/assert";
import { type ErrorCode, FerryError } from "../../lib/core/errors.ts";

/**
 * Asserts that something fails with a {@linkcode FerryError} of one of the codes, whose message contains certain words,
 * and returns that error.
 */
export async function assertCode(
  expected: ErrorCode | readonly ErrorCode[],
  run: () => unknown,
  words = "",
): Promise<FerryError> {
  const codes = [expected].flat();
  try {
    await run();
  } catch (error) {
    assert(error instanceof FerryError, `no FerryError: ${Deno.inspect(error)}`);
    assert(codes.includes(error.code), `${error.code} is not ${codes}: ${error.message}`);
    assertStringIncludes(error.message, words);
    return error;
  }
  throw new Error(`It did not fail; ${codes} was expected`);
}
