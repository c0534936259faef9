/**
 * What an upload is to be.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Progress, PutOptions } from "./options.ts";
import type { UploadSource } from "./source.ts";

/**
 * An upload of one file. It is made once and handed down; each try makes a `PutRequest` of it when it has looked at
 * the source.
 */
export interface UploadPlan {
  /** The name on the server. */
  readonly filename: string;
  /** Where the bytes come from. */
  readonly source: UploadSource;
  /** How many bytes there are to be, where the program says so. */
  readonly size: number | undefined;
  /** What the file is checked with. */
  readonly algorithm: Algorithm;
  /** What to do when the name is taken. */
  readonly overwrite: Overwrite;
  /** What of the source is kept: its modification time, and its permission bits too. */
  readonly keep: { readonly mtime: boolean; readonly mode: boolean };
  /** Whether a partial upload of an earlier try may be resumed. */
  readonly resume: boolean;
  /** Whether the checksum of a large file is computed before it is offered. */
  readonly hashFirst: boolean;
  /** Whether nothing is changed. */
  readonly dryRun: boolean;
  /** Told how far the upload is. */
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/**
 * The plan of an upload.
 *
 * @param options `keepTime` is true where the modification time is kept in any case, as in a directory
 */
export function planUpload(
  filename: string,
  source: UploadSource,
  options: Omit<PutOptions, "as" | "signal"> & { keepTime?: boolean },
): UploadPlan {
  const { preserve = false, overwrite = "never", keepTime = false } = options;
  // Which of two files is newer can be told the next time only if the time is kept this time.
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
    dryRun: options.dryRun ?? false,
    onProgress: options.onProgress,
  };
}
