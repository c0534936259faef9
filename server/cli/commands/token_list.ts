/**
 * `ferryd token list`
 *
 * @module
 */

import { command } from "../command.ts";
import { CONFIG, HELP, TOKEN_FILE } from "../options.ts";
import { describeToken, openTokenFile } from "../tokens.ts";

/** The command. */
export const tokenList = command({
  name: "ferryd token list",
  usage: "--token-file FILE",
  summary: "Show the tokens: id, name, what they allow, when they end, their quota",
  arguments: { min: 0, max: 0 },
  options: { "token-file": TOKEN_FILE, config: CONFIG, help: HELP },
  run({ "token-file": path }, _args, { print }) {
    for (const record of openTokenFile(path).read().records.values()) print(describeToken(record));
  },
});
