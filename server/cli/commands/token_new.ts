/**
 * `ferryd token new`
 *
 * @module
 */

import { LONGEST_VALIDITY_MS } from "../../../lib/cli/command_spec.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { parseGrants } from "../../auth/grants.ts";
import { command } from "../command.ts";
import { CONFIG, HELP, TOKEN_FILE } from "../options.ts";
import { describeToken, openTokenFile } from "../tokens.ts";

/** The command. */
export const tokenNew = command({
  name: "ferryd token new",
  usage: "--token-file FILE --name NAME --scope SCOPES [--path DIR]",
  summary: "Make a token and print it",
  details:
    `The token is the only line on standard output. It is shown this once: the file keeps nothing
that could be shown in its place. A ferryd that is running takes it within two seconds.

Scopes are read, write, delete and exec. --path confines all of them to directories, and a scope may
have its own: --scope read,write:inbox/. No path confines exec. --quota limits what those
directories take together that it may write to, whoever writes there.`,
  arguments: { min: 0, max: 0 },
  options: {
    "token-file": TOKEN_FILE,
    name: { kind: "text", value: "NAME", help: "what to call it, in lists and in the log" },
    scope: {
      kind: "list",
      value: "SCOPES",
      help: "what it allows: read,write,delete,exec, each with :DIR or not (may be repeated)",
    },
    path: {
      kind: "list",
      value: "DIR",
      help: "a directory of the server that it is confined to (may be repeated)",
    },
    quota: {
      kind: "size",
      value: "SIZE",
      help: "how much all that is in the directories that it may write to may take",
      argumentOnly: true,
    },
    expires: {
      kind: "time",
      value: "TIME",
      range: [1, LONGEST_VALIDITY_MS],
      help: "how long it is valid; for ever if not given",
    },
    config: CONFIG,
    help: HELP,
  },
  async run(
    { "token-file": path, name, scope, path: paths, expires, quota },
    _args,
    { print, tell },
  ) {
    const file = openTokenFile(path);
    if (name === undefined) throw new FerryError("usage", "A token needs a --name");
    const grants = parseGrants(scope, paths);
    if (Object.keys(grants).length === 0) {
      throw new FerryError("usage", "A token that allows nothing is of no use: give a --scope");
    }
    if (quota !== undefined && !grants.write) {
      throw new FerryError("usage", "A token that may not write has no use for a --quota");
    }
    const ends = expires === undefined ? null : Date.now() + expires;
    const { token, record } = await file.create({ name, grants, expires: ends, quota });
    tell(`token ${describeToken(record)}`);
    print(token);
  },
});
