/**
 * `ferry mv`
 *
 * @module
 */

import { type ErrorCode, toFerryError } from "../../../lib/core/errors.ts";
import {
  assertBelowRoot,
  assertDistinct,
  inside,
  isInto,
  lastPart,
  mayBeSeveral,
  remoteName,
} from "../../transfer/names.ts";
import { command } from "../command.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";
import { expandRemoteGlobs } from "../remote_glob.ts";
import { omissionReports } from "../remote_names.ts";

const OP = "move";

/** The errors of a server where the new name is that of an existing directory. */
const TAKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["exists", "not_a_file"]);

/** The command. */
export const mv = command({
  name: "ferry mv",
  op: "mv",
  usage: "FROM... TO",
  summary: "Rename or move files and directories on the server",
  details:
    `FROM gets the name TO; where TO is a directory, or ends with a slash, it goes into that one, and
several always do. FROM may be a pattern, as for ferry ls.`,
  arguments: { min: 2, max: Infinity },
  options: {
    overwrite: {
      kind: "text",
      value: "WHEN",
      choices: ["never", "always"],
      default: "never",
      help: "whether a file of the new name is replaced: never, always",
    },
    ...COMMON_WITHOUT_RETRIES,
  },
  async run(context, { overwrite }, args) {
    const { output, signal } = context;
    const [from, to] = [args.slice(0, -1), args.at(-1)!];
    const client = await context.connected();
    const reports = omissionReports(context, OP);
    const sources = await expandRemoteGlobs(client, from, { op: OP, ...reports, signal });
    const target = remoteName(to);
    const into = isInto(to, /\//) || mayBeSeveral(from, sources);
    const pairs = sources.map((name) => [name, inside(target, lastPart(name))] as const);
    if (into) assertDistinct(pairs);
    for (const [filename, within] of pairs) {
      await context.attempt(OP, filename, async () => {
        assertBelowRoot(filename, "move");
        const move = async (to: string) => {
          await client.move(filename, to, { overwrite, signal });
          output.done(OP, { filename, to });
        };
        try {
          await move(into ? within : target);
        } catch (error) {
          // Whether the new name is a directory is asked only where it turned out to be taken: that takes a round trip.
          if (into || !TAKEN.has(toFerryError(error).code)) throw error;
          const there = await client.stat(target, { signal }).catch(() => undefined);
          if (there?.type !== "directory") throw error;
          await move(within);
        }
      });
    }
  },
});
