/**
 * Tells which of many files a client would have to send.
 *
 * @module
 */

import type { Algorithm } from "../../../lib/core/checksum.ts";
import { FerryError, quote, toFerryError } from "../../../lib/core/errors.ts";
import { parseFileName } from "../../../lib/core/remote_name.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import type { ManifestLine, ManifestReply } from "../../../lib/wire/manifest.ts";
import {
  decideOverwrite,
  type Overwrite,
  type OverwriteDecision,
} from "../../../lib/core/overwrite.ts";
import type { Storage } from "../../storage/storage.ts";
import { Pace } from "../../../lib/core/time_slices.ts";

/** Options of {@linkcode compareManifest}. */
export interface CompareOptions {
  /** What the client does where a name is taken. */
  overwrite: Overwrite;
  /** What files are compared by where their sizes and times do not decide. */
  algorithm: Algorithm;
  /** Whether only a checksum proves that two files are the same, not their size and time. */
  content: boolean;
  /** Throws where the client may not ask about a file; only that file's line is refused then. */
  assertMay?: ((filename: string) => void) | undefined;
}

/**
 * Compares files with those of a storage and yields what there is to do, in the order of the lines;
 * nothing for a file that need not be sent. The storage is asked once for all lines that come together.
 *
 * A file of the same size and modification time counts as the same, unless `content` forbids it or the
 * policy is `always`. Else it is decided as for an upload, and where that takes a checksum that the line
 * does not have, the reply asks for it.
 *
 * The answers are advice: a file may change before it is sent, and the upload decides again.
 */
export async function* compareManifest(
  storage: Storage,
  lines: AsyncIterable<readonly ManifestLine[]>,
  options: CompareOptions,
): AsyncGenerator<ManifestReply, void, void> {
  const pace = new Pace();
  for await (const some of lines) {
    if (pace.isDue) await pace.rest();
    const found = await lookUp(storage, some, options);
    for (const [turn, line] of some.entries()) {
      const existing = found[turn];
      if (isThere(line, existing, options)) continue;
      const reply = await answer(storage, line, existing, options);
      if (reply) yield reply;
    }
  }
}

/** What is under the name of a file, or why nothing can be. */
type Existing = Entry | FerryError | undefined;

/** Asks for all names at once; those that are none, or not this client's, are not asked for. */
async function lookUp(
  storage: Storage,
  lines: readonly ManifestLine[],
  { algorithm, assertMay }: CompareOptions,
): Promise<Existing[]> {
  const names = lines.map(({ filename }) => {
    try {
      assertMay?.(filename);
      return parseFileName(filename);
    } catch (error) {
      return toFerryError(error);
    }
  });
  const known = names.filter((name) => typeof name === "string");
  const found = await storage.findAll(known, algorithm);
  if (known.length === names.length) return found;
  let next = 0;
  return names.map((name) => typeof name === "string" ? found[next++] : name);
}

/** Whether a file is taken for the same without a look into it: most of those that are compared. */
function isThere(
  { size, mtime }: ManifestLine,
  existing: Existing,
  { overwrite, content }: CompareOptions,
): boolean {
  if (overwrite === "always" || content || existing === undefined) return false;
  if (existing instanceof FerryError || existing.type !== "file") return false;
  return size === existing.size && mtime === existing.mtime;
}

/** What is said to one file; undefined where it is there. */
async function answer(
  storage: Storage,
  line: ManifestLine,
  existing: Existing,
  options: CompareOptions,
): Promise<ManifestReply | undefined> {
  const { filename } = line;
  try {
    if (existing instanceof FerryError) throw existing;
    if (existing?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    const decision = existing ? await decide(storage, line, existing, options) : "send";
    if (decision === "exists") throw new FerryError("exists", "another file has that name");
    return decision === "have" ? undefined : { filename, decision };
  } catch (reason) {
    const error = toFerryError(reason).during(`put ${quote(filename)}`);
    const { code, message } = error;
    // What nobody foresaw is not an answer to one file.
    if (code === "internal") throw error;
    // It was there when it was looked for, and gone when its checksum was.
    if (code === "not_found") return { filename, decision: "send" };
    return { filename, decision: "error", code, message };
  }
}

async function decide(
  storage: Storage,
  line: ManifestLine,
  existing: Entry,
  { overwrite, algorithm, content }: CompareOptions,
): Promise<OverwriteDecision> {
  const decision = decideOverwrite(overwrite, line, existing);
  // A newer file may still have the same content.
  const sameSize = line.size === existing.size;
  const unproven = content && overwrite === "newer" && decision === "send" && sameSize;
  if (decision !== "hash" && !unproven) return decision;
  if (line.checksum === null) return "hash";
  const checksum = await storage.checksum(parseFileName(line.filename), algorithm);
  const policy = overwrite === "newer" ? "different" : overwrite;
  return decideOverwrite(policy, line, { ...existing, checksum });
}
