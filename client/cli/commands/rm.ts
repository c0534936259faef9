/**
 * `ferry rm`
 *
 * @module
 */

import { toFerryError } from "../../../lib/core/errors.ts";
import { isGlob } from "../../../lib/core/paths.ts";
import { assertBelowRoot, remoteName } from "../../transfer/names.ts";
import { command, type Context } from "../command.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";
import { namesMeant } from "../remote_glob.ts";
import { forEachName } from "../remote_names.ts";

const OP = "remove";

/** The command. */
export const rm = command({
  name: "ferry rm",
  op: "rm",
  usage: "NAME... [-r] [--partial]",
  summary: "Delete files on the server",
  details: `A NAME may be a pattern, as for ferry ls.

With --partial no file is deleted, but what is left of uploads that were cut: of the file NAME, of those that
match a pattern, with -r of all below the directory NAME. Only your own go: those of the same token. An upload
that is under way stays, and is an error.`,
  arguments: { min: 1, max: Infinity },
  options: {
    recursive: { kind: "flag", short: "r", help: "delete directories and what is in them too" },
    partial: {
      kind: "flag",
      help: "delete what the server keeps of uploads that were cut (ferry ls --partial) instead",
    },
    ...COMMON_WITHOUT_RETRIES,
  },
  async run(context, { recursive, partial }, args) {
    if (partial) return await discardPartialUploads(context, recursive, args);
    const { output, signal } = context;
    let anyDirectory = false;
    await forEachName(context, args, OP, async (client, filename) => {
      assertBelowRoot(filename, "remove");
      try {
        await client.remove(filename, { recursive, signal });
      } catch (error) {
        anyDirectory ||= toFerryError(error).code === "not_a_file";
        throw error;
      }
      output.done(OP, { filename });
    });
    if (anyDirectory) output.notice("-r deletes a directory with all that is in it");
  },
});

async function discardPartialUploads(
  context: Context,
  recursive: boolean,
  args: readonly string[],
): Promise<void> {
  const { output, signal } = context;
  const client = await context.connected();
  let known: ReadonlySet<string> | undefined;
  const all = async () => {
    const parts = await Array.fromAsync(client.listParts({ signal }));
    return known ??= new Set(parts.map(({ filename }) => filename));
  };
  for (const name of args.map(remoteName)) {
    await context.attempt(OP, name, async () => {
      const names = recursive || isGlob(name)
        ? namesMeant(name, await all(), { recursive, op: "remove the partial uploads of" })
        : [name];
      for (const filename of names) {
        await context.attempt(OP, filename, async () => {
          await client.discardParts(filename, { signal });
          output.done(OP, { filename, partial: true });
        });
      }
    });
  }
}
