/**
 * `deno task filesystems`: runs the real programs on every file system that this machine can mount, and prints which
 * guarantees hold.
 *
 * @module
 */

import { parseCommandLine } from "../../lib/cli/command_line.ts";
import { renderHelp } from "../../lib/cli/help.ts";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { runInterruptibly } from "../support/interruptible.ts";
import { CHECKS } from "./checks.ts";
import { type FileSystem, Mounted, NotHere } from "./mounted.ts";
import { FILE_SYSTEMS } from "./mounts.ts";
import { differences, documented, FAILS, PAGE, render } from "./table.ts";
import { NONE, Trial } from "./trial.ts";

const PREFIX = "FERRY_FILESYSTEMS";

const COMMAND = {
  name: "deno task filesystems",
  usage: "[--only NAME]... [--quick]",
  summary: "Try the programs on every file system that this machine can mount",
  details: `It prints a line for each check that does not hold, for each file system that cannot be
mounted here, and for each cell that ${PAGE} has otherwise, which makes the exit
status 1; and at the end the table. To mount takes root.

File systems: ${FILE_SYSTEMS.map(({ name }) => name).join(", ")}`,
  arguments: { min: 0, max: 0 },
  options: {
    only: {
      kind: "list",
      value: "NAME",
      choices: FILE_SYSTEMS.map(({ name }) => name),
      help: "only this one (may be repeated)",
    },
    quick: { kind: "flag", help: "only a few kinds, to be done in a minute" },
    help: { kind: "flag", short: "h", help: "show this text" },
  },
} as const satisfies CommandSpec;

/** Mounts a file system; where that is impossible, prints why. */
async function mount(system: FileSystem): Promise<Mounted | undefined> {
  try {
    return await Mounted.open(system);
  } catch (error) {
    if (!(error instanceof NotHere)) throw error;
    console.log(`${system.name}: left out: ${error.message}`);
    return undefined;
  }
}

/** Makes all checks on a file system, prints what does not hold, and returns its row of the table. */
async function tryOut(
  system: FileSystem,
  { mounted, signal }: { mounted: Mounted; signal: AbortSignal },
): Promise<Map<string, string>> {
  await using _ = mounted;
  await using trial = new Trial(system, { mounted, signal });
  const row = new Map<string, string>();
  for (const { name, readOnly, run } of CHECKS) {
    const applies = !trial.refused && (readOnly || !system.readOnly);
    try {
      row.set(name, applies ? await run(trial) : NONE);
    } catch (error) {
      signal.throwIfAborted();
      console.log(`${system.name}: ${name}: ${error instanceof Error ? error.message : error}`);
      row.set(name, FAILS);
    }
  }
  return row;
}

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    console.log(renderHelp(COMMAND, { prefix: PREFIX }).trimEnd());
    return 0;
  }
  const { options } = parseCommandLine(COMMAND, argv, {
    prefix: PREFIX,
    env: (name) => Deno.env.get(name),
    configurable: {},
  });
  const chosen = FILE_SYSTEMS.filter(({ name, quick }) => {
    return options.only.length > 0 ? options.only.includes(name) : quick || !options.quick;
  });
  const table = new Map<string, ReadonlyMap<string, string>>();
  let status = 0;
  for (const system of chosen) {
    signal.throwIfAborted();
    const mounted = await mount(system);
    if (!mounted) continue;
    const row = await tryOut(system, { mounted, signal });
    table.set(system.name, row);
    for (const line of differences(row, documented().get(system.name))) {
      console.log(`${system.name}: ${line}`);
      status = 1;
    }
  }
  if (table.size > 0) console.log(`\n${render(table)}`);
  return status;
}

if (import.meta.main) await runInterruptibly("filesystems", (signal) => main(Deno.args, signal));
