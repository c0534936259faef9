/**
 * `ferry mkdir`
 *
 * @module
 */

import { assertBelowRoot, remoteName } from "../../transfer/names.ts";
import { command } from "../command.ts";
import { COMMON_WITHOUT_RETRIES } from "../options.ts";

/** The command. */
export const mkdir = command({
  name: "ferry mkdir",
  op: "mkdir",
  usage: "DIR",
  summary: "Make a directory on the server, and those above it",
  arguments: { min: 1, max: 1 },
  options: COMMON_WITHOUT_RETRIES,
  async run(context, _options, [name = ""]) {
    const filename = remoteName(name);
    assertBelowRoot(filename, "make the directory");
    const client = await context.connected();
    await client.mkdir(filename, context);
    context.output.done("mkdir", { filename });
  },
});
