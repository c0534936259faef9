/**
 * `ferry cat`
 *
 * @module
 */

import { command } from "../command.ts";
import { CHECKSUM, COMMON, PROGRESS } from "../options.ts";
import { getFiles } from "./get.ts";

/** The command. */
export const cat = command({
  name: "ferry cat",
  op: "cat",
  usage: "NAME...",
  summary: "Write files to standard output: ferry get NAME... --out -",
  details: "What is written is verified only at its end: see the exit status.",
  arguments: { min: 1, max: Infinity },
  options: { checksum: CHECKSUM, progress: PROGRESS, ...COMMON },
  async run(context, { checksum }, args) {
    await getFiles(context, {
      backup: undefined,
      basis: undefined,
      checksum,
      delete: false,
      "delete-excluded": false,
      "dry-run": false,
      durability: "full",
      exclude: [],
      force: false,
      include: [],
      jobs: 1,
      "max-delete": undefined,
      "no-delta": false,
      "no-resume": false,
      out: "-",
      overwrite: "never",
      preserve: false,
      links: false,
      sparse: false,
      streams: 1,
    }, args);
  },
});
