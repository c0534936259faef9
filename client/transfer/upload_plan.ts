/**
 * The parameters of an upload.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { StreamChoice } from "../net/stream_count.ts";
import { DeltaChoice } from "./delta.ts";
import { assertOptionValues } from "./option_values.ts";
import type { Progress, PutOptions } from "./options.ts";
import type { UploadSource } from "./source.ts";

/**
 * An upload of one file. It is made once and passed down; each attempt makes a `FileToPut` of it when it has opened
 * the source.
 */
export interface UploadPlan {
  /** The name on the server. */
  readonly filename: string;
  /** Where the bytes come from. */
  readonly source: UploadSource;
  /** The expected number of bytes, where the program states it. */
  readonly size: number | undefined;
  /** The checksum algorithm. */
  readonly algorithm: Algorithm;
  /** What to do where the name is taken. */
  readonly overwrite: Overwrite;
  /** Which metadata of the source is kept: its modification time, and its permission bits. */
  readonly keep: { readonly mtime: boolean; readonly mode: boolean };
  /** Whether a partial upload of an earlier attempt may be resumed. */
  readonly resume: boolean;
  /** Whether the checksum of a large file is computed before it is offered. */
  readonly hashFirst: boolean;
  /** The staged tree that the file is put into; undefined if it gets its name at once. */
  readonly stage: string | undefined;
  /** Whether only what has changed is sent where that is possible. */
  readonly delta: DeltaChoice;
  /** The file on the server that has much in common with this one; undefined for the one that is replaced. */
  readonly basis: string | undefined;
  /** Whether this is a dry run, which changes nothing. */
  readonly dryRun: boolean;
  /** Whether the server makes holes of runs of zeros. */
  readonly sparse: boolean;
  /** Over how many connections at once a large file is moved. */
  readonly streams: StreamChoice;
  /** Called when fewer could be opened. */
  readonly onFewerStreams: ((streams: number, error: FerryError) => void) | undefined;
  /** Called with the progress of the upload. */
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/**
 * The plan of an upload.
 *
 * @param options `keepTime` is true where the modification time is kept in any case, as in a directory
 * @throws {FerryError} `usage` for a value that an option does not have, and for a basis that is of no use
 */
export function planUpload(
  filename: string,
  source: UploadSource,
  options: Omit<PutOptions, "as" | "signal"> & {
    keepTime?: boolean;
    stage?: string | undefined;
  },
): UploadPlan {
  assertOptionValues(options);
  const { delta = true, basis } = options;
  if (basis !== undefined && source.kind === "pieces") {
    throw new FerryError("usage", "a stream cannot be compared with a basis");
  }
  const { preserve = false, overwrite = "never", keepTime = false } = options;
  // The next upload can tell which of two files is newer only if this one keeps the time.
  const mtime = preserve || keepTime || overwrite === "newer";
  return {
    filename,
    source,
    size: options.size,
    algorithm: options.algorithm ?? "md5",
    overwrite,
    keep: { mtime, mode: preserve },
    resume: options.resume ?? true,
    hashFirst: options.hashFirst ?? false,
    stage: options.stage,
    delta: new DeltaChoice(delta),
    basis,
    dryRun: options.dryRun ?? false,
    sparse: options.sparse ?? false,
    streams: new StreamChoice(options.streams ?? 1),
    onFewerStreams: options.onFewerStreams,
    onProgress: options.onProgress,
  };
}
