/**
 * A file and a transfer that tests of the client's output print.
 *
 * @module
 */

import type { Output } from "../../client/cli/output.ts";
import { TransferOutput } from "../../client/cli/transfer_output.ts";
import type { Entry } from "../../lib/core/entry.ts";

/** The checksum of the file. */
export const MD5 = "0123456789abcdef0123456789abcdef";

/** The file. */
export const FILE: Entry = {
  filename: "d/a.bin",
  type: "file",
  size: 12345,
  mtime: Date.UTC(2024, 1, 3, 4, 5, 6, 789),
  mode: 0o640,
  checksum: MD5,
};

/** The result of its transfer. */
export const TRANSFERRED = {
  filename: "d/a.bin",
  checksum: MD5,
  size: 12345,
  skipped: false,
  transferred: 12345,
  resumedFrom: 0,
};

/** The output of transfers that are no dry run. */
export function transfersOf(output: Output): TransferOutput {
  return new TransferOutput(output, { dryRun: false });
}
