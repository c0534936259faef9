/**
 * Sources and sinks of bytes, whatever they are.
 *
 * @module
 */

import type { Algorithm, Checksum } from "./checksum.ts";

/** A source of bytes to be sent. */
export interface ByteSource {
  /** Reads some bytes into `into`, and returns how many; null at the end. */
  read(into: Uint8Array): Promise<number | null>;
  /**
   * Fails if the source changed since it was opened, so that the bytes read may be a mixture of old and new content.
   *
   * @param whole the checksum of the whole source as it was read, to compare with if nothing else shows a change.
   * Undefined if the receiver verifies the bytes against a checksum that was known before
   * @throws {FerryError} `io`
   */
  assertUnchanged?(whole?: Checksum): Promise<void>;
}

/** A sink for received bytes. */
export interface ByteSink {
  /** Writes all bytes. The caller may reuse the array when this resolves. */
  write(bytes: Uint8Array): Promise<void>;
}

/** Content that a peer sends, with the checksum that the peer gives. */
export interface IncomingContent {
  /** Its size in bytes; null if it is known only at the end. */
  readonly size: number | bigint | null;
  /** The checksum algorithm. */
  readonly algorithm: Algorithm;
  /** The checksum that the sender gave; null before it is known, which may be at the end. */
  readonly checksum: Checksum | null;
  /**
   * Whether the sender gives no checksum of that algorithm, so that it is only the size, or what {@linkcode
   * IncomingContent.read} fails with, that shows whether the content is complete. Default: false.
   */
  readonly unattested?: boolean | undefined;
  /**
   * Reads at least one byte; returns 0 at the end.
   *
   * @throws {FerryError} `closed`, `timeout`, or the error that the sender reports
   */
  read(into: Uint8Array): Promise<number>;
}
