/**
 * `ferry ls`
 *
 * @module
 */

import { toFerryError } from "../../../lib/core/errors.ts";
import type { Entry } from "../../../lib/core/entry.ts";
import { isGlob } from "../../../lib/core/paths.ts";
import { remoteName } from "../../transfer/names.ts";
import { command } from "../command.ts";
import { showEntry, showPartialUpload } from "../entry_output.ts";
import { COMMON, COMMON_WITHOUT_RETRIES } from "../options.ts";
import { entriesMatching } from "../remote_glob.ts";
import { omissionReports } from "../remote_names.ts";

const OP = "list";

/** The command. */
export const ls = command({
  name: "ferry ls",
  op: "ls",
  usage: "[NAME...] [-R]",
  summary: "List directories of the server, or files",
  details:
    `Without a NAME, or with ".", it lists all that is served. A NAME may be a pattern: "*" and "?" stand
for what is between slashes, "**" for directories. Times are those of this machine's time zone.`,
  arguments: { min: 0, max: Infinity },
  options: {
    recursive: { kind: "flag", short: "R", help: "list what is in its directories too" },
    human: { kind: "flag", short: "h", help: "show sizes in units: 1.5 KiB, 20 MiB" },
    long: { kind: "flag", short: "l", help: "changes nothing: the list is long in any case" },
    partial: {
      kind: "flag",
      help: "list the uploads that were cut and can be gone on with instead",
    },
    ...COMMON_WITHOUT_RETRIES,
    help: { kind: "flag", help: COMMON.help.help },
  },
  async run(context, { recursive, partial, human }, args) {
    const { output, signal } = context;
    const client = await context.connected();
    if (partial) {
      for await (const part of client.listParts({ signal })) {
        showPartialUpload(output, part, { human });
      }
      return;
    }
    const show = (entry: Entry) => showEntry(output, OP, entry, { human });
    const reports = omissionReports(context, OP);
    const list = async (name: string) => {
      try {
        for await (const entry of client.list(name, { recursive, ...reports, signal })) show(entry);
      } catch (error) {
        if (toFerryError(error).code !== "not_a_file") throw error;
        show(await client.stat(name, { signal }));
      }
    };
    for (const name of args.length === 0 ? [""] : args.map(remoteName)) {
      await context.attempt(OP, name, async () => {
        const matching = isGlob(name)
          ? await entriesMatching(client, name, { op: OP, ...reports, signal })
          : undefined;
        if (!matching) return await list(name);
        // Files that match are known already; only directories have to be listed.
        for (const entry of matching) {
          if (entry.type === "file") show(entry);
          else await list(entry.filename);
        }
      });
    }
  },
});
