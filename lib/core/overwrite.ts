/**
 * What to do when the name is taken: one pure decision, made by the server for uploads and by the
 * client for downloads.
 *
 * @module
 */

import type { Checksum } from "./checksum.ts";

/**
 * When a file that is there already is replaced: never (an identical one is no conflict), always,
 * when the incoming one is newer, or when its content is different. Where the time of the one that is there may have
 * been cut to whole or to even seconds by its file system, and the sizes are the same, `newer` goes by the content.
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
      if (mayBeCutOff(incoming, existing)) return decideByContent(incoming, existing, "send");
      // Without a time there is no telling that it is newer, and what is there stays.
      return (incoming.mtime ?? -Infinity) > (existing.mtime ?? -Infinity) ? "send" : "have";
    case "never":
      return decideByContent(incoming, existing, "exists");
    case "different":
      return decideByContent(incoming, existing, "send");
  }
}

function decideByContent<Otherwise extends OverwriteDecision>(
  incoming: FileState,
  existing: FileState,
  otherwise: Otherwise,
): "have" | "hash" | Otherwise {
  if (incoming.size !== null && incoming.size !== existing.size) return otherwise;
  if (incoming.checksum === null || existing.checksum === null) return "hash";
  return incoming.checksum === existing.checksum ? "have" : otherwise;
}

/** The steps in which file systems keep times, in milliseconds, where these are not kept whole: that of FAT comes last. */
const STEPS = [1000, 2000] as const;

/**
 * Whether the file that is there may be the incoming one, with a time of which its file system has cut off what is
 * less than a step. The time alone would have it replaced by itself again and again.
 */
function mayBeCutOff(incoming: FileState, existing: FileState): boolean {
  const { mtime: whole = NaN, size } = incoming;
  const { mtime: cut = NaN } = existing;
  return size === existing.size && whole > cut &&
    STEPS.some((step) => Math.floor(whole / step) * step === cut);
}
