/**
 * The temporary files of downloads, which stand beside the files that they become: their names, and the end
 * of those that nobody goes on with.
 *
 * @module
 */

import { SHARED_RUNTIME } from "../../lib/runtime/runtime.ts";
import { removeRecord } from "../../lib/files/partial_file.ts";
import { basename, dirname } from "../../lib/core/paths.ts";
import { StagedFile } from "../../lib/files/staged_file.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";

/** How each of them begins; a listing does not show what begins with a dot. */
export const TEMPORARY_PREFIX = ".ferry-";

/** The part of a file that is to be at `path`. Its name follows from that of the file, so that a later try finds it. */
export function partialPathOf(path: string): string {
  const digest = SHARED_RUNTIME.digests.md5Of(new TextEncoder().encode(basename(path)));
  return `${dirname(path)}/${TEMPORARY_PREFIX}${digest}.part`;
}

/** A part, or the record of one, with the name of the part as the first group. */
const LEFTOVER = /^(\.ferry-[0-9a-f-]{32,36})\.(?:part|json|json\.new)$/;

/** What a file is, by its name, that such a temporary file is; undefined where it is none. */
export function kindOfPartialDownload(name: string): string | undefined {
  return LEFTOVER.test(basename(name)) ? "a part of a download" : undefined;
}

/**
 * Removes the temporary files in a directory, but for those that a download under way has. What cannot be removed
 * stays: it takes nothing from what was downloaded.
 */
export function removePartialDownloads(directory: string): void {
  try {
    removeUnclaimed(directory);
  } catch {
    // The directory cannot be read, or has gone.
  }
}

function removeUnclaimed(directory: string): void {
  const parts = new Set<string>();
  for (const { name } of Deno.readDirSync(directory)) {
    const [, part] = LEFTOVER.exec(name) ?? [];
    if (part !== undefined) parts.add(`${directory}/${part}.part`);
  }
  for (const part of parts) removePartialDownload(part);
}

/** Removes a part and its record, unless a download under way has them. */
export function removePartialDownload(part: string): void {
  const claimed = StagedFile.claim(part, SHARED_RUNTIME, { create: false });
  // One that is there and cannot be had is somebody's, and so is its record.
  if (!claimed && isTaken(part)) return;
  removeRecord(part);
  void claimed?.[Symbol.asyncDispose]();
}
