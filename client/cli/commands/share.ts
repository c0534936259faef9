/**
 * `ferry share`
 *
 * @module
 */

import { LONGEST_VALIDITY_MS } from "../../../lib/cli/command_spec.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import { remoteName } from "../../transfer/names.ts";
import { command, type Context } from "../command.ts";
import { showLink } from "../link_output.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";
import { forEachName } from "../remote_names.ts";

const OP = "share";

/** The command. */
export const share = command({
  name: "ferry share",
  op: OP,
  usage: "NAME... | --list | --revoke ID",
  summary: "Make links by which others download, or upload, without a token",
  details:
    `Prints a link for each NAME, a file or directory of the server, to be opened in a browser or handed to curl.
Whoever knows it can use it. It ends with the token that it was made with, too. A NAME may be a pattern, as for
ferry ls. The server has to be started with --http.`,
  arguments: { min: 0, max: Infinity },
  options: {
    expires: {
      kind: "time",
      value: "TIME",
      default: "7d",
      range: [0, LONGEST_VALIDITY_MS],
      help: "how long the link is valid; 0 for ever",
    },
    downloads: {
      kind: "count",
      value: "N",
      range: [1, 10_000],
      help: "how many downloads it allows; without it, any number",
    },
    upload: {
      kind: "flag",
      help: "a link to upload into the directory NAME, which shows nothing and replaces nothing",
    },
    list: {
      kind: "flag",
      argumentOnly: true,
      help: "list the links that were made with the same token",
    },
    revoke: {
      kind: "list",
      value: "ID",
      argumentOnly: true,
      help: "take back the link with that id, which --list shows (may be repeated)",
    },
    ...COMMON_WITHOUT_RETRIES,
  },
  async run(context, { expires, downloads, upload, list, revoke }, args) {
    const { output, signal } = context;
    assertOneTask(args, { list, revoke });
    if (upload && downloads !== undefined) {
      throw new FerryError("usage", "a link for uploads has no downloads to be counted");
    }
    if (list) return await listLinks(context);
    if (revoke.length > 0) return await revokeLinks(context, revoke);
    const options = { upload, downloads, expiresIn: expires === 0 ? null : expires, signal };
    await forEachName(
      context,
      args.map(remoteName).map((name) => name || "."),
      OP,
      async (client, name) => {
        showLink(output, OP, await client.share(name, options));
      },
    );
  },
});

function assertOneTask(
  args: readonly string[],
  { list, revoke }: { list: boolean; revoke: readonly string[] },
): void {
  const tasks = [args.length > 0, list, revoke.length > 0].filter((given) => given);
  if (tasks.length === 1) return;
  throw new FerryError("usage", "it takes names, or --list, or --revoke, and one of them alone");
}

async function listLinks({ connected, output, signal }: Context): Promise<void> {
  const client = await connected();
  for await (const link of client.listShares({ signal })) showLink(output, "shares", link);
}

async function revokeLinks(context: Context, ids: readonly string[]): Promise<void> {
  const { output, signal } = context;
  const client = await context.connected();
  for (const id of ids) {
    await context.attempt("unshare", id, async () => {
      await client.unshare(id, { signal });
      output.done("unshare", { id });
    });
  }
}
