/**
 * The interface of the files of a storage that are open for reading.
 *
 * @module
 */

import type { ByteSource } from "../../lib/core/bytes.ts";
import { type Algorithm, ALGORITHMS, type Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";

/**
 * The strong hashes of the blocks of a file, in order: 8 bytes for each, also for the last one, which may be shorter
 * than the others.
 */
export interface BlockHashes {
  /** The size of the blocks in bytes. */
  readonly block: number;
  /** The hashes. */
  readonly hashes: Uint8Array<ArrayBuffer>;
}

/** Bytes in an open file. */
export interface FileRange {
  /** The file, which the same storage has opened. */
  readonly file: StoredFile;
  /** The offset of the first byte. */
  readonly offset: number;
}

/** A file that is open for reading. It stays the same file even if another file gets its name. */
export interface StoredFile extends ByteSource, AsyncDisposable {
  /** Makes the next read start at that byte offset. */
  seek(offset: number): void;

  /** The entry of the file when it was opened; `checksum` is null if it is not known without reading the file. */
  readonly entry: Entry;

  /**
   * The checksum of that algorithm if it is at hand: neither the file nor anything over a network is read for it.
   * Otherwise null.
   */
  known(algorithm: Algorithm): Checksum | null;

  /** The checksum of that algorithm if it has been recorded anywhere; the file itself is not read for it. */
  find(algorithm: Algorithm): Promise<Checksum | null>;

  /**
   * A checksum that its bytes should still have, of any algorithm: that of its upload, or the first one that was
   * remembered since a program has changed the file. In contrast to {@linkcode StoredFile.find} it MAY be from before a
   * change of its name or of other metadata. Null if none was recorded.
   */
  expected(): Promise<Checksum | null>;

  /**
   * Gives the storage the checksum of the file after the whole file was read, so that the storage need not read it
   * again. The storage MAY use it only where it can detect every change made since the file was opened. What is
   * {@linkcode StoredFile.expected} MUST stay the same.
   */
  remember(checksum: Checksum): Promise<void>;

  /**
   * An opaque name of the state of the content, of at most 128 characters, which another content of that name SHOULD NOT
   * have. It reveals nothing about the machine. Undefined if the storage cannot tell.
   */
  readonly version: string | undefined;

  /**
   * The hashes of its blocks, if they were remembered of exactly this state of the file. They are a hint: what is made
   * with them has to be verified.
   */
  findHashes(): Promise<BlockHashes | undefined>;

  /**
   * Gives the storage the hashes of the file's blocks after the whole file was read, so that the storage need not read
   * it again. They replace what was remembered before. The storage MAY ignore them, and MUST do so
   * where it cannot detect every change made since the file was opened.
   */
  rememberHashes(blocks: BlockHashes): Promise<void>;

  /** Forgets remembered hashes, which turned out to be wrong. */
  forgetHashes(): Promise<void>;
}

/** The first checksum that `find` finds; null if there is none. */
export async function firstFound(
  find: (algorithm: Algorithm) => Promise<Checksum | null>,
): Promise<Checksum | null> {
  for (const algorithm of ALGORITHMS) {
    const found = await find(algorithm);
    if (found !== null) return found;
  }
  return null;
}
