/**
 * Standard input, standard output and standard error of the program `ferry`.
 *
 * @module
 */

import { toFerryError } from "../../lib/core/errors.ts";
import type { ByteSink } from "../../lib/core/bytes.ts";

/** How much of standard input is read at a time, in bytes. */
const PIECE_BYTES = 256 * 1024;

/** The exit status that a shell reports for a program that SIGPIPE ended: 128 + 13. */
const BROKEN_PIPE_STATUS = 141;

/**
 * Writes a complete text, or bytes, to standard output or standard error. The program exits silently where the reader
 * of a pipe has closed it, as in `ferry ls | head`.
 *
 * @throws {FerryError} `io`, … where standard output cannot be written; errors of standard error are ignored, since
 * there is no place left to report them
 */
export function write(
  to: { writeSync(bytes: Uint8Array): number },
  content: string | Uint8Array,
): void {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  try {
    for (let done = 0; done < bytes.length;) done += to.writeSync(bytes.subarray(done));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(BROKEN_PIPE_STATUS);
    if (to === Deno.stderr) return;
    throw toFerryError(error).during("write to standard output");
  }
}

/** Standard input, piece by piece. Each piece is valid until the next one is asked for. */
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

/** Standard output, for bytes. The program exits silently where the reader of a pipe has closed it. */
export const STANDARD_OUTPUT: ByteSink = sinkInto(Deno.stdout, "standard output");

/** Standard error, for bytes; the same applies. */
export const STANDARD_ERROR: ByteSink = sinkInto(Deno.stderr, "standard error");

function sinkInto(
  stream: { write(bytes: Uint8Array): Promise<number> },
  name: string,
): ByteSink {
  return {
    async write(bytes) {
      try {
        for (let done = 0; done < bytes.length;) done += await stream.write(bytes.subarray(done));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) Deno.exit(BROKEN_PIPE_STATUS);
        throw toFerryError(error).during(`write to ${name}`);
      }
    },
  };
}
