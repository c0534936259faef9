/**
 * Partial downloads: the temporary files beside the files that they become. One that was cut stays with its record, and
 * the next try resumes it.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { type Algorithm, algorithmOf, type Checksum } from "../../lib/core/checksum.ts";
import { basename, dirname } from "../../lib/core/paths.ts";
import type { PrefixDigest, SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import {
  readRecord,
  removeRecord,
  resumePartial,
  writeRecord,
} from "../../lib/files/partial_file.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { StagedFile } from "../../lib/files/staged_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { Prefix } from "../net/file_requests.ts";

/** The beginning of the name of each temporary file. Listings of files leave out what begins with a dot. */
export const TEMPORARY_PREFIX = ".ferry-";

/** How often, and in which interval in milliseconds, a partial download is asked for that another process has. */
const CLAIM = { tries: 10, interval: 50 };

/** Options of {@linkcode PartialDownload.open}. */
export interface PartialDownloadOptions {
  /** The name on the server. */
  filename: string;
  /** What the file is checked with. */
  algorithm: Algorithm;
  /** Whether what an earlier try has left may be resumed. */
  resume: boolean;
  /** The permission bits to publish the file with; until then it has no others. */
  mode: number | undefined;
  /** What is used of the machine. */
  runtime: Runtime;
}

/** The bytes of a file that have come, and those that are coming. */
export class PartialDownload implements AsyncDisposable {
  /** The temporary file. */
  readonly staged: StagedFile;
  /** The digest of the bytes that an earlier try has left; undefined where there are none. */
  readonly prefix: PrefixDigest | undefined;
  /** The checksum of the whole file that they are of, where it is known. */
  readonly #whole: Checksum | null;

  private constructor(
    staged: StagedFile,
    { prefix, whole = null }: { prefix?: PrefixDigest; whole?: Checksum | null } = {},
  ) {
    this.staged = staged;
    this.prefix = prefix;
    this.#whole = whole;
  }

  /**
   * The partial download of the file that is to be at `path`, whose directory is there. Where another process has it,
   * this is another one, with nothing to resume.
   */
  static async open(
    path: string,
    { filename, algorithm, resume, mode, runtime }: PartialDownloadOptions,
  ): Promise<PartialDownload> {
    const temporary = partialPathOf(path, runtime);
    const claim = () => StagedFile.claim(temporary, runtime, { create: true, mode });
    let staged = claim();
    for (let tries = 1; !staged && tries < CLAIM.tries; tries++) {
      await delay(CLAIM.interval);
      staged = claim();
    }
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
      const { checksum } = record!;
      const whole = checksum !== null && algorithmOf(checksum) === algorithm ? checksum : null;
      return new PartialDownload(staged, { prefix, whole });
    } catch (error) {
      // That it could not be read now does not mean that it is bad.
      if (readRecord(temporary)) staged.keep();
      throw error;
    }
  }

  /** By what the server sees that the bytes that are here are of its file; undefined where there are none. */
  async proof(): Promise<Prefix | undefined> {
    return this.prefix && { ...await this.prefix.facts(), whole: this.#whole };
  }

  /** Forgets the bytes of an earlier try: they are not of the file that the server has now. */
  startOver(): void {
    startOver(this.staged);
  }

  /** Notes how far the download of a file has come, for a later try. */
  checkpoint(
    file: { filename: string; size: number; checksum: Checksum | null },
    prefix: SavedPrefix,
  ): void {
    writeRecord(this.staged.path, { ...file, prefix });
  }

  /** Keeps what has come for a later try, if there is enough of it. */
  keep(): void {
    if (readRecord(this.staged.path)) this.staged.keep();
    else this.removeRecord();
  }

  /** Makes sure that no later try resumes it. */
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
 * The path of the partial download of the file that is to be at `path`. It follows from the name of that file, so that
 * a later try finds it.
 */
export function partialPathOf(path: string, { digests }: Pick<Runtime, "digests">): string {
  const digest = digests.md5Of(new TextEncoder().encode(basename(path)));
  return `${dirname(path)}/${TEMPORARY_PREFIX}${digest}.part`;
}

/** The name of a partial download, or of its record; the first group is what both have in common. */
const PARTIAL_NAME = /^(\.ferry-[0-9a-f-]{32,36})\.(?:part|json|json\.new)$/;

/** What a file is, in words, whose name is that of a partial download; undefined for any other name. */
export function kindOfPartialDownload(name: string): string | undefined {
  return PARTIAL_NAME.test(basename(name)) ? "a part of a download" : undefined;
}

/**
 * Removes the partial downloads in a directory, but for those of downloads under way. What cannot be removed stays: the
 * files that were downloaded are whole without it.
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
    // The directory cannot be read, or has gone.
  }
}

/** Removes a partial download and its record, unless a download under way has them. */
export function removePartialDownload(path: string, runtime: Runtime): void {
  const claimed = StagedFile.claim(path, runtime, { create: false });
  // One that is there and cannot be claimed belongs to a download under way, and so does its record.
  if (!claimed && isTaken(path)) return;
  removeRecord(path);
  void claimed?.[Symbol.asyncDispose]();
}
