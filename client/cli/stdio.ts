/**
 * Standard input, standard output and standard error of the program `ferry`, as bytes.
 *
 * @module
 */

import { toFerryError } from "../../lib/core/errors.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";
import { endOfPipe } from "./output.ts";

/** How much of standard input is read as one piece. */
const PIECE_BYTES = 256 * 1024;

/** Standard input, as it comes. A piece is good until the next one is asked for. */
export async function* standardInput(): AsyncGenerator<Uint8Array, void, void> {
  const piece = new Uint8Array(PIECE_BYTES);
  for (;;) {
    const count = await Deno.stdin.read(piece).catch((error) => {
      throw toFerryError(error).during("read standard input");
    });
    if (count === null) return;
    yield piece.subarray(0, count);
  }
}

/** Standard output. */
export const STANDARD_OUTPUT: ByteSink = sinkInto(Deno.stdout, "standard output");

/** Standard error. */
export const STANDARD_ERROR: ByteSink = sinkInto(Deno.stderr, "standard error");

/** Where all bytes go; a reader that went away ends the program. */
function sinkInto(
  stream: { write(bytes: Uint8Array): Promise<number> },
  name: string,
): ByteSink {
  return {
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) endOfPipe();
        throw toFerryError(error).during(`write to ${name}`);
      }
    },
  };
}
