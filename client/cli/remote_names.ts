/**
 * The names on the server that the arguments of a command stand for, and reports of what a listing leaves out.
 *
 * @module
 */

import { quote } from "../../lib/core/errors.ts";
import type { Client } from "../api/client.ts";
import type { OmissionHandlers } from "../transfer/omissions.ts";
import type { Context } from "./command.ts";
import { expandRemoteGlobs, type GlobOptions } from "./remote_glob.ts";

/** The handlers for what a listing or a pattern leaves out. */
type Reports = Required<OmissionHandlers & Pick<GlobOptions, "onLiteral">>;

/**
 * Handlers that report what is left out of listings. Each name is reported once, even where several arguments of the
 * command lead to it.
 */
export function omissionReports({ output, failed }: Context, op: string): Reports {
  const reported = new Set<string>();
  const isNew = (name: string) => !reported.has(name) && reported.add(name);
  return {
    onSkip: (skipped) => void (isNew(skipped.path) && output.skipped(op, skipped)),
    onError: (filename, error) => void (isNew(filename) && failed(op, error, { filename })),
    onLiteral: (arg, { reason }) => {
      output.notice(
        `${
          quote(arg)
        } is taken for a name and not for a pattern, since the list of names is denied: ${reason}`,
      );
    },
  };
}

/** Runs something for each name that the arguments stand for. A failure does not stop the others. */
export async function forEachName(
  context: Context,
  args: readonly string[],
  op: string,
  run: (client: Client, name: string) => Promise<void>,
): Promise<void> {
  const client = await context.connected();
  const { signal } = context;
  const reports = omissionReports(context, op);
  for (const arg of args) {
    await context.attempt(op, arg, async () => {
      const names = await expandRemoteGlobs(client, [arg], { op, ...reports, signal });
      for (const name of names) await context.attempt(op, name, () => run(client, name));
    });
  }
}
