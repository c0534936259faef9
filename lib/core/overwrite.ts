/**
 * The overwrite policy: what to do if a name is taken. The server decides for uploads, the client for downloads.
 *
 * @module
 */

import type { Checksum } from "./checksum.ts";

/**
 * When an existing file is replaced: never (an identical one is no conflict), always, if the incoming file is newer, or
 * if its content is different. If the time of the existing file may have been truncated to whole or even seconds by its
 * file system, and the sizes are equal, `newer` compares the content.
 */
export type Overwrite = "never" | "always" | "newer" | "different";

/** The policies, the default first. */
export const OVERWRITE_POLICIES: readonly Overwrite[] = ["never", "always", "newer", "different"];

/** The attributes of a file that the decision needs. */
export interface FileState {
  /** The size in bytes; null for a stream of unknown length. */
  size: number | null;
  /** The modification time in milliseconds since 1970; undefined if the sender does not give it. */
  mtime?: number | undefined;
  /** The checksum, of the same algorithm as that of the other file; null if it is not known yet. */
  checksum: Checksum | null;
}

/**
 * - `send`: transfer the file and replace an existing one
 * - `have`: nothing to do
 * - `hash`: the decision depends on a checksum that is not known yet
 * - `exists`: refuse, since another file has the name
 */
export type OverwriteDecision = "send" | "have" | "hash" | "exists";

/** Decides whether `incoming` may replace `existing`. */
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
      return decideByTime(incoming, existing);
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

/** Without a time the incoming file cannot be shown to be newer, and the existing one stays. */
function decideByTime(
  incoming: Pick<FileState, "mtime">,
  existing: Pick<FileState, "mtime">,
): "send" | "have" {
  return (incoming.mtime ?? -Infinity) > (existing.mtime ?? -Infinity) ? "send" : "have";
}

/** The coarse timestamp resolutions of file systems, in milliseconds; the last is that of FAT. */
const STEPS = [1000, 2000] as const;

/**
 * Whether the existing file may be the same as the incoming one, with a time truncated by its file system. By the time
 * alone it would be replaced by itself again and again.
 */
function mayBeCutOff(incoming: FileState, existing: FileState): boolean {
  const { mtime: whole = NaN, size } = incoming;
  const { mtime: cut = NaN } = existing;
  return size === existing.size && whole > cut &&
    STEPS.some((step) => Math.floor(whole / step) * step === cut);
}

/**
 * Decides whether a symbolic link may replace what has its name, which is no directory.
 *
 * @param existing what is there; `target` is that of a link, and undefined for anything else
 */
export function decideLink(
  policy: Overwrite,
  incoming: { target: string; mtime?: number | undefined },
  existing: { target?: string | undefined; mtime?: number | undefined },
): "send" | "have" | "exists" {
  if (incoming.target === existing.target) return "have";
  if (policy === "never") return "exists";
  return policy === "newer" ? decideByTime(incoming, existing) : "send";
}
