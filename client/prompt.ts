/**
 * Lines that people type, or that come in on standard input.
 *
 * @module
 */

import { FerryError } from "../lib/errors.ts";
import { untilAborted } from "../lib/interrupts.ts";
import { write } from "./output.ts";

const PROMPT = ">>: ";
const PIECE_BYTES = 64 * 1024;
const LF = 0x0a;
const CR = 0x0d;

/** Options of {@linkcode promptLines}. */
export interface PromptOptions {
  /** The longest line that is taken, in bytes. */
  maxBytes: number;
  /** Whether nothing is shown. */
  quiet: boolean;
  /** Gives up. */
  signal: AbortSignal;
}

/**
 * Asks for lines until the input ends, and gives the bytes of each without its end. The prompt goes to
 * standard error, so that standard output holds answers only.
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
  const piece = new Uint8Array(PIECE_BYTES);
  let rest = new Uint8Array(0);
  for (;;) {
    show(PROMPT);
    let end: number;
    // What was searched already is not searched again.
    let searched = 0;
    while ((end = rest.indexOf(LF, searched)) < 0) {
      searched = rest.length;
      // A line break of two bytes may stand behind the longest line.
      if (rest.length > maxBytes + 1) throw tooLong(maxBytes);
      const count = await untilAborted(Deno.stdin.read(piece), signal);
      if (count === null) {
        if (rest.length > maxBytes) throw tooLong(maxBytes);
        if (rest.length > 0) yield rest;
        if (interactive) show("\n");
        return;
      }
      rest = concat(rest, piece.subarray(0, count));
    }
    const line = rest.subarray(0, end > 0 && rest[end - 1] === CR ? end - 1 : end);
    if (line.length > maxBytes) throw tooLong(maxBytes);
    yield line;
    rest = rest.subarray(end + 1);
  }
}

function tooLong(maxBytes: number): FerryError {
  return new FerryError("too_large", `a line of more than ${maxBytes} bytes cannot be sent`);
}

function concat(head: Uint8Array, tail: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(head.length + tail.length);
  both.set(head);
  both.set(tail, head.length);
  return both;
}
