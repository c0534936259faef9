/**
 * What to do when the name is taken: one pure decision, made by the server for uploads and by the
 * client for downloads.
 *
 * @module
 */

import type { Checksum } from "./checksum.ts";

/**
 * When a file that is there already is replaced: never (an identical one is no conflict), always,
 * when the incoming one is newer, or when its content is different.
 */
export type Overwrite = "never" | "always" | "newer" | "different";

/** The policies, the default first. */
export const OVERWRITE_POLICIES: readonly Overwrite[] = ["never", "always", "newer", "different"];

/** As much of a file as the decision needs. */
export interface FileState {
  /** Bytes; null for a stream of unknown length. */
  size: number | null;
  /** Milliseconds since 1970; undefined where the sender does not tell. */
  mtime?: number | undefined;
  /** Null where it is not known yet; of the same algorithm as that of the other file. */
  checksum: Checksum | null;
}

/**
 * - `send`: transfer it and replace what is there
 * - `have`: nothing to do
 * - `hash`: the answer depends on the checksum, which one side does not know yet
 * - `exists`: refuse
 */
export type OverwriteDecision = "send" | "have" | "hash" | "exists";

/** Decides whether `incoming` may take the place of `existing`. */
export function decideOverwrite(
  policy: Overwrite,
  incoming: FileState,
  existing: FileState,
): OverwriteDecision {
  switch (policy) {
    case "always":
      return "send";
    case "newer":
      // Without a time there is no telling that it is newer, and what is there stays.
      return (incoming.mtime ?? -Infinity) > (existing.mtime ?? -Infinity) ? "send" : "have";
    case "never":
    case "different": {
      const otherwise = policy === "never" ? "exists" : "send";
      if (incoming.size !== null && incoming.size !== existing.size) return otherwise;
      if (incoming.checksum === null || existing.checksum === null) return "hash";
      return incoming.checksum === existing.checksum ? "have" : otherwise;
    }
  }
}
