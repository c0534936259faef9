/**
 * Where bytes come from and where they go, whatever is at the other end.
 *
 * @module
 */

import type { Algorithm, Checksum } from "./checksum.ts";

/** Where bytes to be sent come from. */
export interface ByteSource {
  /** Fills some of `into` and tells how much, or null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /**
   * Fails where the source changed since it was opened, so that what was read may be a mixture.
   *
   * @param whole the checksum of the whole source as it was read, to be compared with where nothing else tells;
   * missing where the receiver compares what it gets with one that was known before
   * @throws {FerryError} `io`
   */
  assertUnchanged?(whole?: Checksum): Promise<void>;
}

/** Where received bytes go. */
export interface ByteSink {
  /** Takes all the bytes; they may be overwritten when it resolves. */
  write(bytes: Uint8Array): Promise<void>;
}

/** Content that a peer sends, and the checksum that it gives for it. */
export interface IncomingContent {
  /** Its size in bytes; null where only its end tells. */
  readonly size: number | bigint | null;
  /** What it is checked with. */
  readonly algorithm: Algorithm;
  /** The checksum that the sender gave; null before it is known, which may be at the end. */
  readonly checksum: Checksum | null;
  /**
   * Reads some bytes, at least one; 0 at the end.
   *
   * @throws {FerryError} `closed`, `timeout`, or what the sender reports
   */
  read(into: Uint8Array): Promise<number>;
}
