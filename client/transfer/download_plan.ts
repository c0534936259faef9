/**
 * What a download is to be.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Range } from "../net/reply_check.ts";
import type { Destination } from "./destination.ts";
import type { GetOptions, Progress } from "./options.ts";

/** A download of one file, or of a range of one. It is made once and handed down. */
export interface DownloadPlan {
  /** The name on the server. */
  readonly filename: string;
  /** Where the file goes. */
  readonly destination: Destination;
  /** What of the file is wanted; undefined for all of it. */
  readonly range: Range | undefined;
  /** What the file is checked with. */
  readonly algorithm: Algorithm;
  /** What to do when another file is at the destination. */
  readonly overwrite: Overwrite;
  /** Whether the modification time and the permission bits have to be kept. */
  readonly preserve: boolean;
  /** Whether the modification time is kept where the file system can, though not asked for. */
  readonly keepTime: boolean;
  /** Whether a partial download of an earlier try may be resumed. */
  readonly resume: boolean;
  /** Whether the file has to survive a loss of power. */
  readonly durable: boolean;
  /** Whether nothing is changed. */
  readonly dryRun: boolean;
  /** Told how far the download is. */
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/**
 * The plan of a download.
 *
 * @param options `keepTime` is true where the modification time is kept in any case, as in a directory
 * @throws {FerryError} `usage` for a range that is none, or that a path is to store
 */
export function planDownload(
  filename: string,
  destination: Destination,
  options: Omit<GetOptions, "out" | "signal"> & { keepTime?: boolean },
): DownloadPlan {
  return {
    filename,
    destination,
    range: rangeOf(options, destination),
    algorithm: options.algorithm ?? "md5",
    overwrite: options.overwrite ?? "never",
    preserve: options.preserve ?? false,
    keepTime: options.keepTime ?? false,
    resume: options.resume ?? true,
    durable: options.durability !== "none",
    dryRun: options.dryRun ?? false,
    onProgress: options.onProgress,
  };
}

function rangeOf(
  { offset, length }: Pick<GetOptions, "offset" | "length">,
  destination: Destination,
): Range | undefined {
  if (offset === undefined && length === undefined) return undefined;
  for (const [name, value] of Object.entries({ offset, length })) {
    if (value === undefined || Number.isSafeInteger(value) && value >= 0) continue;
    throw new FerryError("usage", `${name} is a number of bytes, and not ${value}`);
  }
  if (typeof destination === "string") {
    const reason = "a range is no whole file: `out` has to be a stream, such as an open file has";
    throw new FerryError("usage", reason);
  }
  return { start: offset ?? 0, ...(length === undefined ? {} : { count: length }) };
}
