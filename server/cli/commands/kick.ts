/**
 * `ferryd kick`
 *
 * @module
 */

import { FerryError, quote } from "../../../lib/core/errors.ts";
import { RunningServer } from "../admin_client.ts";
import { command } from "../command.ts";
import { RUNNING } from "../options.ts";

/** The command. */
export const kick = command({
  name: "ferryd kick",
  usage: "CONNECTION|TOKEN|PEER...",
  summary: "Close connections of a ferryd that runs",
  details:
    `They are those with that id, those whose clients have shown a token with that id or name, and those
from that address, with or without a port; ferryd status shows them. Clients connect again by
themselves and resume: ferryd token revoke keeps those of a token out.`,
  arguments: { min: 1, max: Infinity },
  options: RUNNING,
  async run(options, who, { print }) {
    const { servers, failure } = await RunningServer.all(options);
    const kicked = (await Promise.all(servers.map(([server]) => server.kick(who)))).flat();
    const { connectionText } = await import("../status_output.ts");
    for (const each of kicked) print(`closed ${connectionText(each)}`);
    if (failure) throw failure;
    if (kicked.length > 0) return;
    throw new FerryError(
      "not_found",
      `no connection is, has or comes from ${who.map(quote).join(", ")} (see ferryd status)`,
    );
  },
});
