/**
 * Contents of files, as a storage finds files by them.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import type { FileName } from "../../lib/core/remote_name.ts";

/** A content that {@linkcode ContentFinder.findContents} looks for. */
export interface WantedContent {
  /** Its size in bytes, above 0. */
  readonly size: number;
  /** Its checksum; null if any content of that size will do. */
  readonly checksum: Checksum | null;
}

/** A file that probably has a wanted content. */
export interface FoundContent {
  /** Its name. */
  readonly name: FileName;
  /** As `StoredFile.version`. */
  readonly version: string;
}

/** Finds files by their contents. */
export interface ContentFinder {
  /**
   * Finds files by their contents: one file for each that is wanted, in that order, or undefined. It has that size, and
   * has or had that checksum: whoever uses its content MUST verify it. Not all files need be known. What is found, and
   * how long it takes, MUST NOT depend on contents outside of the directories `below`. Default: undefined, no way.
   */
  findContents?(
    wanted: readonly WantedContent[],
    below: readonly (FileName | "")[],
  ): Promise<(FoundContent | undefined)[]>;
}
