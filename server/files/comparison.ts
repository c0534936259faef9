/**
 * Tells which of many files a client would have to send.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import {
  decideOverwrite,
  type Overwrite,
  type OverwriteDecision,
} from "../../lib/core/overwrite.ts";
import { type FileName, parseFileName } from "../../lib/core/remote_name.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import type { Storage } from "../storage/storage.ts";

/** A file that the client could send. */
export interface ComparedFile {
  /** The name that it is to have, as the client gave it. */
  filename: string;
  /** Its size in bytes. */
  size: number;
  /** Its modification time in milliseconds since 1970. */
  mtime: number;
  /** The checksum of its content; null where the client does not know it yet. */
  checksum: Checksum | null;
}

/**
 * What a file needs: that the client sends it (`send`) or tells its checksum (`hash`); or why it would be refused
 * (`error`).
 */
export type ComparisonResult =
  | { filename: string; decision: "send" | "hash" }
  | { filename: string; decision: "error"; error: FerryError };

/** Options of {@linkcode compareFiles}. */
export interface CompareOptions {
  /** What the client does where a name is taken. */
  overwrite: Overwrite;
  /** What files are compared by where their sizes and times do not decide. */
  algorithm: Algorithm;
  /** Whether only a checksum proves that two files are the same, not their size and time. */
  content: boolean;
  /** Throws where the client may not ask about a file: that file alone is refused. */
  assertMay?: ((filename: string) => void) | undefined;
}

/**
 * Compares files with those of a storage and yields what they need, in their order; nothing for a file that need not
 * be sent. The storage is asked once for all files that come together.
 *
 * A file of the same size and modification time counts as the same, unless `content` is set or the policy is
 * `always`. Otherwise the decision is that of an upload; where it takes a checksum that the client has not given, the
 * result asks for it.
 *
 * The results are advice: a file may change before it is sent, and its upload decides again.
 */
export async function* compareFiles(
  storage: Storage,
  files: AsyncIterable<readonly ComparedFile[]>,
  options: CompareOptions,
): AsyncGenerator<ComparisonResult, void, void> {
  const pace = new Pace();
  for await (const some of files) {
    if (pace.isDue) await pace.rest();
    const found = await lookUp(storage, some, options);
    for (const [turn, file] of some.entries()) {
      const { name, existing } = found[turn]!;
      if (isSameAtAGlance(file, existing, options)) continue;
      const result = await resultOf(storage, { file, name, existing }, options);
      if (result) yield result;
    }
  }
}

/** What is stored under the name of a file. */
interface LookedUp {
  /** Its name; undefined where what was given is none, or not this client's. */
  name: FileName | undefined;
  /** What has the name; an error where that cannot be told. */
  existing: Entry | FerryError | undefined;
}

/** Looks all names up at once, but for those that are none or not this client's. */
async function lookUp(
  storage: Storage,
  files: readonly ComparedFile[],
  { algorithm, assertMay }: CompareOptions,
): Promise<LookedUp[]> {
  const names: FileName[] = [];
  const all = files.map(({ filename }): LookedUp => {
    try {
      assertMay?.(filename);
      const name = parseFileName(filename);
      names.push(name);
      return { name, existing: undefined };
    } catch (error) {
      return { name: undefined, existing: toFerryError(error) };
    }
  });
  const found = await storage.findAll(names, algorithm);
  let next = 0;
  for (const one of all) if (one.name !== undefined) one.existing = found[next++];
  return all;
}

/** Whether a file counts as the same by its size and time, as most of those that are compared do. */
function isSameAtAGlance(
  { size, mtime }: ComparedFile,
  existing: LookedUp["existing"],
  { overwrite, content }: CompareOptions,
): boolean {
  if (overwrite === "always" || content || existing === undefined) return false;
  if (existing instanceof FerryError || existing.type !== "file") return false;
  return size === existing.size && mtime === existing.mtime;
}

/** What one file needs; undefined where it need not be sent. */
async function resultOf(
  storage: Storage,
  { file, name, existing }: LookedUp & { file: ComparedFile },
  options: CompareOptions,
): Promise<ComparisonResult | undefined> {
  const { filename } = file;
  try {
    if (existing instanceof FerryError) throw existing;
    if (existing?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    const decision = existing
      ? await decide(storage, { file, name: name!, existing }, options)
      : "send";
    if (decision === "exists") throw new FerryError("exists", "another file has that name");
    return decision === "have" ? undefined : { filename, decision };
  } catch (reason) {
    const error = toFerryError(reason).during(`put ${quote(filename)}`);
    // An unexpected failure is not about this file alone.
    if (error.code === "internal") throw error;
    // It was there when it was looked up, and gone when it was read for its checksum.
    if (error.code === "not_found") return { filename, decision: "send" };
    return { filename, decision: "error", error };
  }
}

async function decide(
  storage: Storage,
  { file, name, existing }: { file: ComparedFile; name: FileName; existing: Entry },
  { overwrite, algorithm, content }: CompareOptions,
): Promise<OverwriteDecision> {
  const decision = decideOverwrite(overwrite, file, existing);
  // A newer file may still have the same content.
  const sameSize = file.size === existing.size;
  const unproven = content && overwrite === "newer" && decision === "send" && sameSize;
  if (decision !== "hash" && !unproven) return decision;
  if (file.checksum === null) return "hash";
  const checksum = await storage.checksum(name, algorithm);
  const policy = overwrite === "newer" ? "different" : overwrite;
  return decideOverwrite(policy, file, { ...existing, checksum });
}
