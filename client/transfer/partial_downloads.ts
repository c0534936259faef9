/**
 * Partial downloads: temporary files beside the files that they will become. One that was cut is kept with a record,
 * and the next attempt resumes it.
 *
 * @module
 */

import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { basename, dirname } from "../../lib/core/paths.ts";
import { PrefixDigest } from "../../lib/digest/prefix_digest.ts";
import {
  type PartRecord,
  readRecord,
  removeRecord,
  RESUMABLE_BYTES,
  resumePartial,
  writeRecord,
} from "../../lib/files/partial_file.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { StagedFile } from "../../lib/files/staged_file.ts";
import type { PieceTarget } from "../../lib/files/stored_pieces.ts";
import type { Resumable } from "../../lib/transfer/receive.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Prefix } from "../net/file_requests.ts";

/** The beginning of the name of each temporary file. Listings of files leave out what begins with a dot. */
export const TEMPORARY_PREFIX = ".ferry-";

/** Options of {@linkcode PartialDownload.open}. */
export interface PartialDownloadOptions {
  /** The name on the server. */
  filename: string;
  /** The checksum algorithm. */
  algorithm: Algorithm;
  /** Whether the bytes of an earlier attempt may be resumed. */
  resume: boolean;
  /** The permission bits of the published file; until then, only its owner has access. */
  mode: number | undefined;
  /** Memory, threads and the clock. */
  runtime: Runtime;
}

/** The file of the server that a partial download is of. */
export interface DownloadedFile {
  /** Its name there. */
  readonly filename: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its modification time, in milliseconds since 1970. */
  readonly mtime: number;
  /** Its checksum, where that is known in advance. */
  readonly checksum: Checksum | null;
}

/** The bytes of a file that were received so far, and those still to come. */
export class PartialDownload implements AsyncDisposable {
  /** The temporary file. */
  readonly staged: StagedFile;
  #prefix: PrefixDigest | undefined;
  /** What was recorded of them. */
  #record: PartRecord | undefined;

  private constructor(
    staged: StagedFile,
    earlier?: { prefix: PrefixDigest; record: PartRecord },
  ) {
    this.staged = staged;
    this.#prefix = earlier?.prefix;
    this.#record = earlier?.record;
  }

  /**
   * The partial download of the file that is to be at `path`, whose directory exists. Where another process has locked
   * it, a new one is made, with nothing to resume.
   */
  static async open(
    path: string,
    { filename, algorithm, resume, mode, runtime }: PartialDownloadOptions,
  ): Promise<PartialDownload> {
    const temporary = partialPathOf(path, runtime);
    const staged = await StagedFile.claimFreed(temporary, runtime, { create: true, mode });
    if (!staged) {
      const prefix = TEMPORARY_PREFIX;
      return new PartialDownload(StagedFile.create(dirname(path), runtime, { prefix, mode }));
    }
    await using claimed = new AsyncDisposableStack();
    claimed.use(staged);
    try {
      const record = resume ? readRecord(temporary) : undefined;
      const prefix = record?.filename === filename
        ? await resumePartial(staged, record, { algorithm, proof: false })
        : undefined;
      if (!prefix) startOver(staged);
      claimed.move();
      if (!prefix) return new PartialDownload(staged);
      // The checksum proves nothing to a server that is asked for another one.
      const { checksum } = record!;
      const whole = checksum !== null && algorithmOf(checksum) === algorithm ? checksum : null;
      return new PartialDownload(staged, { prefix, record: { ...record!, checksum: whole } });
    } catch (error) {
      // A failure to read it now does not mean that it is bad.
      if (readRecord(temporary)) staged.keep();
      throw error;
    }
  }

  /** The digest of the bytes of an earlier attempt; undefined where there are none. */
  get prefix(): PrefixDigest | undefined {
    return this.#prefix;
  }

  /** The proof for the server that the bytes here are of its file; undefined where there are none. */
  async proof(): Promise<Prefix | undefined> {
    return this.#prefix && { ...await this.#prefix.facts(), whole: this.#record!.checksum };
  }

  /** Discards the bytes of an earlier attempt: they are not of the file that the server has now. */
  startOver(): void {
    this.#prefix = this.#record = undefined;
    startOver(this.staged);
  }

  /** Discards what an earlier attempt has left behind the first bytes. */
  discardPieces(): void {
    if (!this.#prefix) return;
    this.staged.truncate(this.#prefix.size);
    this.#record = { ...this.#record!, pieces: undefined };
  }

  /**
   * Whether the bytes of an earlier attempt seem to be of a file that the server has: undefined if nothing is known of
   * the file that they are of. That they are shows the checksum of the whole.
   */
  seemsOf({ size, mtime }: Pick<DownloadedFile, "size" | "mtime">): boolean | undefined {
    const record = this.#record;
    return record?.mtime === undefined ? undefined : record.size === size && record.mtime === mtime;
  }

  /**
   * From now on the file is written at positions, with what an earlier attempt has left of it.
   *
   * @returns where it is written to, and the digest of its first bytes
   */
  async inPieces(
    file: DownloadedFile,
    algorithm: Algorithm,
  ): Promise<{ target: PieceTarget; digest: PrefixDigest }> {
    const { staged } = this;
    const { digests } = staged.runtime;
    const pieces = this.#record?.pieces ?? [];
    const digest = this.#prefix ?? await PrefixDigest.create({ algorithm, proof: false }, digests);
    staged.beginPieces(file.size);
    const target: PieceTarget = {
      pieces,
      writeAt: (bytes, offset) => staged.writeAt(bytes, offset),
      readAt: (into, offset) => staged.readAt(into, offset),
      checkpoint: (prefix, pieces) => {
        writeRecord(staged.path, { ...file, prefix, pieces });
        return Promise.resolve();
      },
    };
    return { target, digest };
  }

  /** What makes the reception of a file resumable; undefined for a file that is too small for that. */
  resumable(file: DownloadedFile): Resumable | undefined {
    if (file.size <= RESUMABLE_BYTES) return undefined;
    return {
      checkpoint: (prefix) => {
        this.staged.settle();
        writeRecord(this.staged.path, { ...file, prefix });
        return Promise.resolve();
      },
      // Without an XXH3-128 as well: the server might have to read its file again to check it.
      proof: false,
    };
  }

  /** Keeps the received bytes for a later attempt, if there are enough of them. */
  keep(): void {
    if (readRecord(this.staged.path)) this.staged.keep();
    else this.removeRecord();
  }

  /** Makes sure that no later attempt resumes it. */
  removeRecord(): void {
    removeRecord(this.staged.path);
  }

  /** Removes the temporary file, unless it was published or is kept. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.staged[Symbol.asyncDispose]();
  }
}

function startOver(staged: StagedFile): void {
  removeRecord(staged.path);
  staged.truncate(0);
}

/**
 * The path of the partial download of the file that is to be at `path`. It is derived from that path, so that a later
 * attempt finds it.
 */
export function partialPathOf(path: string, { digests }: Pick<Runtime, "digests">): string {
  const digest = digests.md5Of(new TextEncoder().encode(basename(path)));
  return `${dirname(path)}/${TEMPORARY_PREFIX}${digest}.part`;
}

/** The name of a partial download, or of its record; the first group is what both have in common. */
const PARTIAL_NAME = /^(\.ferry-[0-9a-f-]{32,36})\.(?:part|json|json\.new)$/;

/** The kind, in words, of a file with the name of a partial download or its record; undefined for any other name. */
export function kindOfPartialDownload(name: string): string | undefined {
  return PARTIAL_NAME.test(basename(name)) ? "a part of a download" : undefined;
}

/**
 * Removes the partial downloads in a directory, except those under way. What cannot be removed stays: the files that
 * were downloaded are complete without it.
 */
export function removePartialDownloads(directory: string, runtime: Runtime): void {
  try {
    const parts = new Set<string>();
    for (const { name } of Deno.readDirSync(directory)) {
      const [, part] = PARTIAL_NAME.exec(name) ?? [];
      if (part !== undefined) parts.add(`${directory}/${part}.part`);
    }
    for (const part of parts) removePartialDownload(part, runtime);
  } catch {
    // The directory cannot be read, or no longer exists.
  }
}

/** Removes a partial download and its record, unless a download under way is using them. */
export function removePartialDownload(path: string, runtime: Runtime): void {
  const claimed = StagedFile.claim(path, runtime, { create: false });
  // A partial download that exists and cannot be locked is in use, and so is its record.
  if (!claimed && isTaken(path)) return;
  removeRecord(path);
  void claimed?.[Symbol.asyncDispose]();
}
