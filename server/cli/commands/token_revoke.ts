/**
 * `ferryd token revoke`
 *
 * @module
 */

import { command } from "../command.ts";
import { CONFIG, HELP, TOKEN_FILE } from "../options.ts";
import { describeToken, openTokenFile } from "../tokens.ts";

/** The command. */
export const tokenRevoke = command({
  name: "ferryd token revoke",
  usage: "--token-file FILE ID|NAME...",
  summary: "Take tokens back",
  details: "A ferryd that is running ends within two seconds what goes on by them.",
  arguments: { min: 1, max: Infinity },
  options: { "token-file": TOKEN_FILE, config: CONFIG, help: HELP },
  async run({ "token-file": path }, args, { tell }) {
    const file = openTokenFile(path);
    for (const wanted of args) tell(`revoked ${describeToken(await file.revoke(wanted))}`);
    tell("a ferryd that runs with this file ends within two seconds what goes on by it");
  },
});
