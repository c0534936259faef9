/**
 * Lines of standard input, with a prompt.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { untilAborted } from "../../lib/cli/signals.ts";
import { write } from "./stdio.ts";

const PROMPT = ">>: ";
const PIECE_BYTES = 64 * 1024;
const LF = 0x0a;
const CR = 0x0d;

/** Options of {@linkcode promptLines}. */
export interface PromptOptions {
  /** The longest line, in bytes. */
  maxBytes: number;
  /** Whether there is no prompt. */
  quiet: boolean;
  /** Aborts waiting for a line. */
  signal: AbortSignal;
}

/**
 * Asks for lines until the input ends, and yields the bytes of each without its line break. The prompt goes to
 * standard error, so that standard output holds only results.
 *
 * @throws {FerryError} `too_large` where a line is too long
 */
export async function* promptLines(
  { maxBytes, quiet, signal }: PromptOptions,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  const interactive = Deno.stdin.isTerminal();
  const show = (text: string) => {
    if (!quiet) write(Deno.stderr, text);
  };
  /** The input that has not been yielded yet. The last piece may hold several lines. */
  let pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for (;;) {
    show(PROMPT);
    let end = pieces[0]?.indexOf(LF) ?? -1;
    while (end < 0) {
      // The longest line may be followed by the CR of a CR LF.
      if (length > maxBytes + 1) throw tooLong(maxBytes);
      const piece = new Uint8Array(PIECE_BYTES);
      const count = await untilAborted(Deno.stdin.read(piece), signal);
      if (count === null) {
        if (length > maxBytes) throw tooLong(maxBytes);
        if (length > 0) yield concat(pieces, length);
        if (interactive) show("\n");
        return;
      }
      const found = piece.subarray(0, count).indexOf(LF);
      if (found >= 0) end = length + found;
      pieces.push(piece.subarray(0, count));
      length += count;
    }
    const bytes = concat(pieces, length);
    const line = bytes.subarray(0, end > 0 && bytes[end - 1] === CR ? end - 1 : end);
    if (line.length > maxBytes) throw tooLong(maxBytes);
    yield line;
    const rest = bytes.subarray(end + 1);
    pieces = rest.length > 0 ? [rest] : [];
    length = rest.length;
  }
}

function tooLong(maxBytes: number): FerryError {
  return new FerryError("too_large", `a line of more than ${maxBytes} bytes cannot be sent`);
}

function concat(
  pieces: readonly Uint8Array<ArrayBuffer>[],
  length: number,
): Uint8Array<ArrayBuffer> {
  // A piece with many short lines is not copied for each of them.
  if (pieces.length === 1) return pieces[0]!;
  const all = new Uint8Array(length);
  let filled = 0;
  for (const piece of pieces) {
    all.set(piece, filled);
    filled += piece.length;
  }
  return all;
}
