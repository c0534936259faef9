/**
 * Bodies that consist of lines of text: the entries of a `list`, the files of a `compare`.
 *
 * @module
 */

import { FerryError } from "../core/errors.ts";

/** The maximum length of a line in bytes of UTF-8, without the line break. */
export const MAX_LINE_BYTES = 65536;

const utf8 = new TextEncoder();

/** The number of characters that are collected for one chunk. */
const CHUNK_CHARACTERS = 32 * 1024;

/** The maximum number of lines that are returned together, so that handling them does not block for long. */
const MOST_LINES = 64;

/** Encodes lines as the chunks of a streamed body. `encodeLine` returns a line with its line break. */
export async function* encodeLines<T>(
  items: AsyncIterable<T> | Iterable<T>,
  encodeLine: (item: T) => string,
): AsyncGenerator<Uint8Array, void, void> {
  let text = "";
  for await (const item of items) {
    text += encodeLine(item);
    if (text.length < CHUNK_CHARACTERS) continue;
    yield utf8.encode(text);
    text = "";
  }
  yield utf8.encode(text);
}

/**
 * Decodes the lines of a body, however it is divided into chunks. Lines that end in the same chunk are returned
 * together, up to 64 of them, since returning them one by one would cost more than handling them. At most one line and
 * one chunk are kept in memory.
 *
 * @throws {FerryError} `bad_header` if it is not UTF-8 or a line is too long, and what `decodeLine` throws
 */
export async function* decodeLines<T>(
  chunks: AsyncIterable<Uint8Array>,
  decodeLine: (line: string) => T,
): AsyncGenerator<T[], void, void> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const textOf = (chunk?: Uint8Array) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch {
      throw new FerryError("bad_header", "the lines are not UTF-8");
    }
  };
  let rest = "";
  for await (const chunk of chunks) {
    const text = textOf(chunk);
    // Only the new text is searched: a line may arrive byte by byte.
    if (text.includes("\n")) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (let from = 0; from < lines.length; from += MOST_LINES) {
        const some = lines.slice(from, from + MOST_LINES);
        yield some.map((line) => decodeLine(assertShort(line)));
      }
    } else rest += text;
    if (rest.length > MAX_LINE_BYTES) throw tooLong();
  }
  rest += textOf();
  if (rest !== "") yield [decodeLine(assertShort(rest))];
}

/**
 * Returns a line unless it is too long.
 *
 * @throws {FerryError} `bad_header` if it is longer than {@linkcode MAX_LINE_BYTES}
 */
export function assertShort(line: string): string {
  // A UTF-16 unit is at most three bytes of UTF-8, so most lines need no encoding to be measured.
  if (line.length * 3 > MAX_LINE_BYTES && utf8.encode(line).length > MAX_LINE_BYTES) {
    throw tooLong();
  }
  return line;
}

function tooLong(): FerryError {
  return new FerryError("bad_header", `a line is longer than ${MAX_LINE_BYTES} bytes`);
}
