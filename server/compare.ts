/**
 * Tells which of many files a client would have to send.
 *
 * @module
 */

import type { Algorithm } from "../lib/checksum.ts";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import { type FileName, parentName, parseFileName } from "../lib/file_name.ts";
import type { Entry } from "../lib/header.ts";
import type { ManifestLine, ManifestReply } from "../lib/manifest.ts";
import { decideOverwrite, type Overwrite, type OverwriteDecision } from "../lib/overwrite.ts";
import type { Storage } from "../lib/storage.ts";

/** Options of {@linkcode compareManifest}. */
export interface CompareOptions {
  /** What the client does where a name is taken. */
  overwrite: Overwrite;
  /** What files are compared by where their sizes and times do not decide. */
  algorithm: Algorithm;
  /** Whether only a checksum proves that two files are the same, not their size and time. */
  content: boolean;
}

/**
 * Compares files with those of a storage and yields what there is to do, in the order of the lines;
 * nothing for a file that need not be sent.
 *
 * A file of the same size and modification time counts as the same, unless `content` forbids it or the
 * policy is `always`. Else it is decided as for an upload, and where that takes a checksum that the line
 * does not have, the reply asks for it.
 *
 * The answers are advice: a file may change before it is sent, and the upload decides again.
 */
export async function* compareManifest(
  storage: Storage,
  lines: AsyncIterable<ManifestLine>,
  options: CompareOptions,
): AsyncGenerator<ManifestReply, void, void> {
  const lookup = new Lookup(storage, options.algorithm);
  for await (const line of lines) {
    const reply = await answer({ storage, lookup }, line, options);
    if (reply) yield reply;
  }
}

/** What is said to one file; undefined where it is there. */
async function answer(
  { storage, lookup }: { storage: Storage; lookup: Lookup },
  line: ManifestLine,
  options: CompareOptions,
): Promise<ManifestReply | undefined> {
  const { filename } = line;
  try {
    const existing = await lookup.find(parseFileName(filename));
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
  const sameSize = line.size === existing.size;
  if (overwrite !== "always" && !content && sameSize && line.mtime === existing.mtime) {
    return "have";
  }
  const decision = decideOverwrite(overwrite, line, existing);
  // A newer file may still have the same content.
  const unproven = content && overwrite === "newer" && decision === "send" && sameSize;
  if (decision !== "hash" && !unproven) return decision;
  if (line.checksum === null) return "hash";
  const checksum = await storage.checksum(parseFileName(line.filename), algorithm);
  const policy = overwrite === "newer" ? "different" : overwrite;
  return decideOverwrite(policy, line, { ...existing, checksum });
}

/** It is there. */
const ROOT = { type: "directory" };

/**
 * Looks for files. Lines come directory by directory, and where a directory is missing, so is all that
 * would be in it: the storage is asked once, and fails once, not for each file.
 */
class Lookup {
  readonly #storage: Storage;
  readonly #algorithm: Algorithm;
  #directory: FileName | "" = "";
  #isThere = true;

  constructor(storage: Storage, algorithm: Algorithm) {
    this.#storage = storage;
    this.#algorithm = algorithm;
  }

  /** The file under a name, if there is one. */
  async find(name: FileName): Promise<Entry | undefined> {
    const directory = parentName(name);
    if (directory !== this.#directory) {
      const above = directory === "" ? ROOT : await this.#storage.find(directory);
      if (above?.type === "file") {
        throw new FerryError("not_a_file", "a part of the name is a file");
      }
      this.#isThere = above !== undefined;
      this.#directory = directory;
    }
    if (!this.#isThere) return undefined;
    const entry = await this.#storage.find(name, this.#algorithm);
    if (entry?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
    return entry;
  }
}
