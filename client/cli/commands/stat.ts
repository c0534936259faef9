/**
 * `ferry stat`
 *
 * @module
 */

import { command } from "../command.ts";
import { showDetails } from "../entry_output.ts";
import { CHECKSUM, COMMON_WITHOUT_RETRIES } from "../options.ts";
import { forEachName } from "../remote_names.ts";

/** The command. */
export const stat = command({
  name: "ferry stat",
  op: "stat",
  usage: "NAME...",
  summary: "Show size, times and checksum of files on the server",
  details: "A NAME may be a pattern, as for ferry ls.",
  arguments: { min: 1, max: Infinity },
  options: { checksum: CHECKSUM, ...COMMON_WITHOUT_RETRIES },
  async run(context, { checksum: algorithm }, args) {
    const { output, signal } = context;
    await forEachName(context, args, "stat", async (client, name) => {
      showDetails(output, await client.stat(name, { algorithm, signal }));
    });
  },
});
