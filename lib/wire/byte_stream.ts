/**
 * What a connection is made of: a stream of bytes, and limits on how they move.
 *
 * @module
 */

import type { Runtime } from "../runtime/runtime.ts";
import type { DeadlineOptions } from "./deadlines.ts";

/** The stream under a `ByteConnection`: a `Deno.Conn`, or anything that reads and writes like one. */
export interface ByteStream {
  /** Reads some bytes into `buffer`, and returns how many; null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Writes some of `bytes`, and returns how many. */
  write(bytes: Uint8Array): Promise<number>;
  /** Closes only the outgoing direction (half-close). */
  closeWrite(): Promise<void>;
  /** Closes both directions. A pending read or write fails. */
  close(): void;
}

/** Limits the transfer rate of a connection. */
export interface Pace {
  /** The maximum number of bytes to transfer at once. */
  readonly pieceBytes: number;
  /** Waits until that many bytes may be transferred, or may have been. */
  take(count: number): Promise<void>;
}

/** Options of a `ByteConnection`. */
export interface ConnectionOptions extends Omit<DeadlineOptions, "clock"> {
  /** Provides buffers, digests and the clock. */
  runtime: Runtime;
  /** Limits the combined transfer rate of both directions. Default: undefined, no limit. */
  pace?: Pace | undefined;
}

/** How long a side that closes waits for the peer to read what was sent last, in milliseconds. */
const LINGER_MS = 2000;

/**
 * Reads and discards what comes, until the peer closes its direction.
 *
 * @param giveUp called if that takes too long; it has to end the read
 */
export async function discardRest(
  stream: ByteStream,
  buffer: Uint8Array,
  giveUp: () => void,
): Promise<void> {
  const deadline = setTimeout(giveUp, LINGER_MS);
  try {
    while (await stream.read(buffer) !== null);
  } finally {
    clearTimeout(deadline);
  }
}
