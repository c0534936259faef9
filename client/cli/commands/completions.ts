/**
 * `ferry completions`
 *
 * @module
 */

import type { CommandSpec } from "../../../lib/cli/command_spec.ts";
import { completionsSpec, renderCompletions, type Shell } from "../../../lib/cli/completions.ts";
import { type Command, command } from "../command.ts";

/** The command, for a program of the given commands. */
export function completions(commands: () => readonly CommandSpec[]): Command {
  return command({
    ...completionsSpec("ferry"),
    op: "completions",
    run({ output }, _options, [shell]) {
      output.line(renderCompletions(shell as Shell, "ferry", commands()).trimEnd());
      return Promise.resolve();
    },
  });
}
