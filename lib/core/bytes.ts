/**
 * Where bytes come from and where they go, whatever is at the other end.
 *
 * @module
 */

import type { Checksum } from "./checksum.ts";

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
