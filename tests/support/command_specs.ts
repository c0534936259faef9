/**
 * Commands for tests of command lines: one with options of every kind, and those of the programs.
 *
 * @module
 */

import { COMMANDS, FERRY } from "../../client/cli/commands/all.ts";
import type { CommandSpec, OptionTable } from "../../lib/cli/command_spec.ts";
import { COMMANDS as SERVER_COMMANDS } from "../../server/cli/commands/all.ts";
import { SERVE } from "../../server/cli/serve_spec.ts";

/** Options of every kind. */
export const OPTIONS = {
  to: { kind: "text", value: "DIR", help: "the directory" },
  server: { kind: "text", short: "s", value: "HOST", default: "localhost", help: "the server" },
  when: { kind: "text", choices: ["never", "always"], default: "never", help: "when" },
  jobs: { kind: "count", help: "how many" },
  "max-size": { kind: "size", value: "SIZE", default: "1MiB", help: "how large" },
  timeout: { kind: "time", help: "how long" },
  quiet: { kind: "flag", short: "q", help: "say nothing" },
  "dry-run": { kind: "flag", help: "do nothing" },
  config: { kind: "text", value: "FILE", help: "a file" },
} as const satisfies OptionTable;

/** A command with these options. */
export const COMMAND = {
  name: "prog cmd",
  usage: "PATH... [--to DIR]",
  summary: "Do something",
  arguments: { min: 0, max: 3 },
  options: OPTIONS,
} as const satisfies CommandSpec;

/** The command lines of both programs. */
export const REAL: readonly CommandSpec[] = [FERRY, ...COMMANDS, SERVE, ...SERVER_COMMANDS];
