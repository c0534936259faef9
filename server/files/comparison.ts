/**
 * Compares many files with those stored: which of them would a client have to send?
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
import { decideOnLink } from "./linking.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import type { FoundContent, WantedContent } from "../storage/contents.ts";
import type { Storage } from "../storage/storage.ts";

/** A file that the client could send. */
export interface ComparedFile {
  /** The name that the file would get, as the client gave it. */
  filename: string;
  /** Its size in bytes. */
  size: number;
  /** Its modification time in milliseconds since 1970. */
  mtime: number;
  /** The checksum of its content; null if the client does not know it yet. */
  checksum: Checksum | null;
  /** What it says if it is a symbolic link. Default: undefined, it is a file. */
  target?: string | undefined;
}

/**
 * What the client has to do for a file: send it (`send`) or give its checksum (`hash`); or why it would be refused
 * (`error`). A file to be sent may be `known`: another one probably has its content.
 */
export type ComparisonResult =
  | { filename: string; decision: "send" | "hash"; known?: FoundContent | undefined }
  | { filename: string; decision: "error"; error: FerryError };

/** Options of {@linkcode compareFiles}. */
export interface CompareOptions {
  /** The overwrite policy for names that are taken. */
  overwrite: Overwrite;
  /** The checksum algorithm by which files are compared if sizes and times do not decide. */
  algorithm: Algorithm;
  /** Whether only a checksum proves that two files are the same, not their size and time. */
  content: boolean;
  /** Throws if the client may not ask about a file. Only that file is refused then. */
  assertMay?: ((filename: string) => void) | undefined;
  /**
   * Finds contents among the files that the client may read; see `Storage.findContents`. Default: undefined, nothing is
   * looked for.
   */
  findContents?:
    | ((wanted: readonly WantedContent[]) => Promise<(FoundContent | undefined)[]>)
    | undefined;
}

/**
 * Compares files with those of a storage, and yields a result for each file for which the client has to do something,
 * in order; nothing for a file that need not be sent. The storage is queried once for each batch of files.
 *
 * A file of the same size and modification time counts as identical, unless `content` is set or the policy is `always`.
 * Otherwise the decision is that for an upload. If it depends on a checksum that the client has not given, the result
 * is `hash`.
 *
 * With `findContents`, a file to be sent is looked for among the others: the result is `hash` where one of its size is
 * known and the client has given no checksum, and has the file that is `known` where one with its checksum is.
 *
 * The results are only advice: a file may change before it is sent, so its upload decides again.
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
    const unsent: Unsent[] = [];
    for (const [turn, file] of some.entries()) {
      const { name, existing } = found[turn]!;
      if (isSameAtAGlance(file, existing, options)) continue;
      const result = await resultOf(storage, { file, name, existing }, options);
      if (!result) continue;
      if (options.findContents) unsent.push({ file, result });
      else yield result;
    }
    if (unsent.length > 0) yield* await withKnown(unsent, options.findContents!);
  }
}

/** A file that is wanted, or would be refused. */
interface Unsent {
  file: ComparedFile;
  result: ComparisonResult;
}

/** The results, with what is known of the contents of files to be sent. */
async function withKnown(
  unsent: readonly Unsent[],
  findContents: NonNullable<CompareOptions["findContents"]>,
): Promise<ComparisonResult[]> {
  const looked = new Map<string, WantedContent>();
  for (const { file: { size, checksum }, result: { decision } } of unsent) {
    if (decision === "send" && size > 0) looked.set(`${size} ${checksum}`, { size, checksum });
  }
  const found = await findContents([...looked.values()]);
  const known = new Map([...looked.keys()].map((key, at) => [key, found[at]]));
  return unsent.map(({ file: { filename, size, checksum }, result }) => {
    if (result.decision !== "send") return result;
    const there = known.get(`${size} ${checksum}`);
    // A file that is replaced is no reason to digest the new one first: it has another content, or its own name.
    if (!there || checksum === null && there.name === filename) return result;
    return checksum === null
      ? { filename, decision: "hash" }
      : { filename, decision: "send", known: there };
  });
}

/** The result of looking up the name of a file. */
export interface LookedUp {
  /** The parsed name; undefined if it is not a valid name, or one that the client may not ask about. */
  name: FileName | undefined;
  /** The entry that has the name; an error if the look-up failed. */
  existing: Entry | FerryError | undefined;
}

/** Looks up the names of all files in one query, except invalid ones and those that the client may not ask about. */
export async function lookUp(
  storage: Pick<Storage, "findAll">,
  files: readonly ComparedFile[],
  { algorithm, assertMay }: CompareOptions,
): Promise<LookedUp[]> {
  const names: FileName[] = [];
  const all = files.map(({ filename, target }): LookedUp => {
    try {
      assertMay?.(filename);
      const name = parseFileName(filename);
      if (target === undefined) names.push(name);
      return { name, existing: undefined };
    } catch (error) {
      return { name: undefined, existing: toFerryError(error) };
    }
  });
  const found = await storage.findAll(names, algorithm);
  let next = 0;
  for (const [turn, one] of all.entries()) {
    if (one.name !== undefined && files[turn]!.target === undefined) one.existing = found[next++];
  }
  return all;
}

/** Whether a file counts as identical by its size and time. Most compared files do. */
export function isSameAtAGlance(
  { size, mtime }: ComparedFile,
  existing: LookedUp["existing"],
  { overwrite, content }: CompareOptions,
): boolean {
  if (overwrite === "always" || content || existing === undefined) return false;
  if (existing instanceof FerryError || existing.type !== "file") return false;
  return size === existing.size && mtime === existing.mtime;
}

/** The result for one file; undefined if it need not be sent. */
export async function resultOf(
  storage: Pick<Storage, "checksum" | "links">,
  { file, name, existing }: LookedUp & { file: ComparedFile },
  options: CompareOptions,
): Promise<ComparisonResult | undefined> {
  const { filename } = file;
  try {
    if (existing instanceof FerryError) throw existing;
    if (file.target !== undefined) {
      const { target, mtime } = file;
      const { overwrite } = options;
      const decision = await decideOnLink(storage.links, name!, { target, mtime, overwrite });
      return decision === "have" ? undefined : { filename, decision };
    }
    if (existing?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    const decision = existing
      ? await decide(storage, { file, name: name!, existing }, options)
      : "send";
    if (decision === "exists") throw new FerryError("exists", "another file has that name");
    return decision === "have" ? undefined : { filename, decision };
  } catch (reason) {
    const error = toFerryError(reason).during(`put ${quote(filename)}`);
    // An unexpected error is not about this file alone, so it ends the comparison.
    if (error.code === "internal") throw error;
    // It existed when it was looked up, and was gone when it was read for its checksum.
    if (error.code === "not_found") return { filename, decision: "send" };
    return { filename, decision: "error", error };
  }
}

async function decide(
  storage: Pick<Storage, "checksum">,
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
