/**
 * The parameters of a download.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { ByteRange } from "../net/reply_check.ts";
import type { StreamCount } from "../net/stream_count.ts";
import { DeltaChoice } from "./delta.ts";
import type { Destination } from "./destination.ts";
import { localPath } from "./local_path.ts";
import { assertOptionValues } from "./option_values.ts";
import type { GetOptions, Progress } from "./options.ts";

/** A download of one file, or of a range of one. It is made once and passed down. */
export interface DownloadPlan {
  /** The name on the server. */
  readonly filename: string;
  /** Where the file is stored. */
  readonly destination: Destination;
  /** The range to download; undefined for the whole file. */
  readonly range: ByteRange | undefined;
  /** The checksum algorithm. */
  readonly algorithm: Algorithm;
  /** What to do when another file is at the destination. */
  readonly overwrite: Overwrite;
  /** Whether the modification time and the permission bits must be kept. */
  readonly preserve: boolean;
  /** Whether the modification time is kept where the file system can, even if `preserve` is false. */
  readonly keepTime: boolean;
  /** Whether a partial download of an earlier attempt may be resumed. */
  readonly resume: boolean;
  /** Whether the file has to survive a loss of power. */
  readonly durable: boolean;
  /** Whether only what has changed is fetched where that is possible. */
  readonly delta: DeltaChoice;
  /** The path of the local file that has much in common with the server's; undefined for the one that is replaced. */
  readonly basis: string | undefined;
  /** Whether this is a dry run, which changes nothing. */
  readonly dryRun: boolean;
  /** Whether holes are made of runs of zeros. */
  readonly sparse: boolean;
  /** Called right before the file gets its name, which may be taken. Where it fails, nothing is replaced. */
  readonly beforeReplacing: (() => Promise<void>) | undefined;
  /** Over how many connections at once a large file is moved. */
  readonly streams: StreamCount;
  /** Called when fewer could be opened. */
  readonly onFewerStreams: ((streams: number, error: FerryError) => void) | undefined;
  /** Called with the progress of the download. */
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

/**
 * The plan of a download.
 *
 * @param options `keepTime` is true where the modification time is kept in any case, as in a directory
 * @throws {FerryError} `usage` for a value that an option does not have, for an invalid range, and for a range or a basis
 * that does not go with the destination
 */
export function planDownload(
  filename: string,
  destination: Destination,
  options: Omit<GetOptions, "out" | "signal"> & {
    keepTime?: boolean;
    beforeReplacing?: (() => Promise<void>) | undefined;
  },
): DownloadPlan {
  assertOptionValues(options);
  const { delta = true, basis } = options;
  if (basis !== undefined && typeof destination !== "string") {
    throw new FerryError("usage", "with a basis, `out` has to be the path of a file");
  }
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
    delta: new DeltaChoice(delta),
    basis: basis === undefined ? undefined : localPath(basis),
    dryRun: options.dryRun ?? false,
    sparse: options.sparse ?? false,
    beforeReplacing: options.beforeReplacing,
    streams: options.streams ?? 1,
    onFewerStreams: options.onFewerStreams,
    onProgress: options.onProgress,
  };
}

function rangeOf(
  { offset, length }: Pick<GetOptions, "offset" | "length">,
  destination: Destination,
): ByteRange | undefined {
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
