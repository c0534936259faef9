/**
 * `ferryd status`
 *
 * @module
 */

import { onInterrupt } from "../../../lib/cli/signals.ts";
import type { FerryError } from "../../../lib/core/errors.ts";
import { type RunningOptions, RunningServer } from "../admin_client.ts";
import { command, type Voice } from "../command.ts";
import { RUNNING } from "../options.ts";
import type { MeasuredStatus } from "../status_output.ts";

/** The time between two looks at a server, in milliseconds, in which rates are measured. */
const LOOK_MS = 1000;

/** What makes a terminal begin anew at its top. */
const CLEAR = "\x1b[H\x1b[J";

/** The command. */
export const status = command({
  name: "ferryd status",
  usage: "[--root DIR]",
  summary: "Show who is connected to a ferryd that runs, what runs, and what was cut",
  details:
    `Where something runs, it looks twice within a second, to tell how fast that is. With --json each
ferryd is an object in a line: docs/operating.md describes it. The same user as that of the ferryd,
or root, has to ask.`,
  arguments: { min: 0, max: 0 },
  options: {
    ...RUNNING,
    json: { kind: "flag", help: "print JSON, a line for each ferryd" },
    watch: { kind: "flag", help: "print it anew each second, until Ctrl-C" },
  },
  async run({ json, watch, ...which }, _args, voice) {
    let ended = false;
    if (watch) onInterrupt(() => ended = true, () => Deno.exit(1));
    const home = Deno.cwd();
    do {
      // Relative paths are those of the beginning.
      Deno.chdir(home);
      const { states, failure } = await look(which, { again: watch });
      if (ended) return;
      await show(states, voice, { json, anew: watch && Deno.stdout.isTerminal() });
      if (failure) throw failure;
    } while (watch);
  },
});

/** The states of servers, after a second in which rates are measured if something runs or it is to be waited. */
async function look(
  which: RunningOptions,
  { again }: { again: boolean },
): Promise<{ states: MeasuredStatus[]; failure: FerryError | undefined }> {
  const { measured } = await import("../status_output.ts");
  const { servers, failure } = await RunningServer.all(which);
  const isBusy = servers.some(([, { connections }]) => {
    return connections.some(({ operations }) => operations.length > 0);
  });
  if (isBusy || again) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const states = await Promise.all(servers.map(async ([server, before]) => {
    return measured(before, isBusy ? await server.status() : before);
  }));
  return { states, failure };
}

async function show(
  states: readonly MeasuredStatus[],
  { print }: Voice,
  { json, anew }: { json: boolean; anew: boolean },
): Promise<void> {
  if (json) return states.forEach((state) => print(JSON.stringify(state)));
  const { statusText } = await import("../status_output.ts");
  print((anew ? CLEAR : "") + states.map((state) => `${statusText(state)}\n`).join("\n"));
}
