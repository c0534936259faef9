/**
 * Entries of a tree that are not transferred.
 *
 * @module
 */

import { FerryError, printable, quote } from "../../lib/core/errors.ts";
import type { Entry, Omitted } from "../../lib/core/entry.ts";

/** An entry that is left out by a rule, which is not a failure. */
export interface SkippedEntry {
  /** Its path for a local entry; else its name on the server. */
  path: string;
  /** Why, such as `symbolic link`. */
  reason: string;
  /** `directory` where only its content is left out of a list, as of a link to a directory. */
  type?: "directory" | undefined;
}

/** Handlers for what is left out. The transfer goes on. */
export interface OmissionHandlers {
  /** Called for what is left out by a rule: links, pipes, sockets, devices, what vanished, ferry's own files. */
  onSkip?: ((skipped: SkippedEntry) => void) | undefined;
  /** Called for each file and directory that failed or cannot be read, with the error. */
  onError?: ((filename: string, error: FerryError) => void) | undefined;
}

/** The names, in words, of the kinds of entries that lists leave out. */
const KINDS: Readonly<Record<string, string>> = {
  device: "device",
  link: "symbolic link",
  pipe: "named pipe",
  socket: "socket",
  vanished: "it vanished meanwhile",
};

/** Calls the handler for an entry that a server left out; `op` is the operation that was under way. */
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
