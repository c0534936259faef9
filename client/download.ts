/**
 * Downloads go the way uploads go on the server: into a temporary file beside the final name, verified,
 * flushed, and only then renamed.
 *
 * @module
 */

import { dirname } from "@std/path";
import { StagedFile, syncDirectory } from "../lib/staging.ts";
import { type OnBytes, receive, type Verified } from "../lib/transfer.ts";
import type { IncomingBody } from "../lib/wire.ts";

/** Options of {@linkcode download}. */
export interface DownloadOptions {
  /** Whether a file that is there is replaced. */
  replace: boolean;
  /** Whether it has to survive a loss of power. */
  durable: boolean;
  /** The modification time to keep, in milliseconds since 1970. */
  mtime?: number | undefined;
  /** The permission bits to keep. */
  mode?: number | undefined;
  /** Told of each piece. */
  onBytes?: OnBytes | undefined;
}

/**
 * Receives a body as a file.
 *
 * @throws {FerryError} `checksum_mismatch`, `exists`, `not_found` where the directory is missing,
 * `no_space`, `denied`, the connection's errors; nothing is left behind then
 */
export async function download(
  body: IncomingBody,
  path: string,
  { replace, durable, mtime, mode, onBytes }: DownloadOptions,
): Promise<Verified> {
  const directory = dirname(path);
  await using staged = StagedFile.create(directory, { prefix: ".ferry-" });
  const received = await receive(body, staged, { onBytes });
  staged.stamp({ mtime, mode });
  if (durable) await staged.sync();
  staged.publish(path, { replace });
  if (durable) await syncDirectory(directory);
  return received;
}
