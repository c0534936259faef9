/**
 * A stream that keeps what is written to it.
 *
 * @module
 */

/** A stream that keeps what is written to it, without a copy. */
export function keptStream(): {
  stream: WritableStream<Uint8Array>;
  pieces: Uint8Array[];
  end: () => unknown;
} {
  const pieces: Uint8Array[] = [];
  let end: unknown = "open";
  const stream = new WritableStream<Uint8Array>({
    write: (piece) => void pieces.push(piece),
    close: () => void (end = "closed"),
    abort: (reason) => void (end = reason),
  });
  return { stream, pieces, end: () => end };
}
