/**
 * `ferryd completions`
 *
 * @module
 */

import type { CommandSpec } from "../../../lib/cli/command_spec.ts";
import { completionsSpec, renderCompletions, type Shell } from "../../../lib/cli/completions.ts";
import { type Command, command } from "../command.ts";

/** The command, for a program of the given commands. */
export function completions(commands: () => readonly CommandSpec[]): Command {
  return command({
    ...completionsSpec("ferryd"),
    run(_options, [shell], { print }) {
      print(renderCompletions(shell as Shell, "ferryd", commands()).trimEnd());
    },
  });
}
