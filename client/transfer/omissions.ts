/**
 * What a tree holds and does not travel.
 *
 * @module
 */

import { FerryError, printable, quote } from "../../lib/core/errors.ts";
import type { Entry, Omitted } from "../../lib/core/entry.ts";

/** Something that is left out by a rule, and is nobody's failure. */
export interface SkippedEntry {
  /** Its path, where it is on this machine; else its name on the server. */
  path: string;
  /** Why, such as `symbolic link`. */
  reason: string;
  /** Where only what is in it is left out of a list, as of a link to a directory. */
  type?: "directory" | undefined;
}

/** Who is told what is left out; the others go on. */
export interface OmissionHandlers {
  /** Told what is left out by a rule: links, pipes, sockets, devices, what vanished, ferry's own files. */
  onSkip?: ((skipped: SkippedEntry) => void) | undefined;
  /** Told of each file and directory that failed or cannot be read, and why. */
  onError?: ((filename: string, error: FerryError) => void) | undefined;
}

/** What the kinds of things are called that lists leave out. */
const KINDS: Readonly<Record<string, string>> = {
  device: "device",
  link: "symbolic link",
  pipe: "named pipe",
  socket: "socket",
  vanished: "it vanished meanwhile",
};

/** Tells one of the two what a server left out, and why; `op` is what was being done. */
export function reportOmission(
  { onSkip, onError }: OmissionHandlers,
  op: string,
  { filename, type, omitted }: {
    filename: string;
    type?: Entry["type"] | undefined;
    omitted: Omitted;
  },
): void {
  if (omitted instanceof FerryError) {
    onError?.(filename, omitted.during(`${op} ${quote(filename)}`));
    return;
  }
  const only = type === "directory" ? { type } : {};
  onSkip?.({ path: filename, reason: KINDS[omitted] ?? printable(omitted), ...only });
}
