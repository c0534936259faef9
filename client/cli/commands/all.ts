/**
 * All commands of `ferry`, in the order of its help text. A new command is a file of this directory and a line here.
 *
 * @module
 */

import type { CommandSpec, OptionTable } from "../../../lib/cli/command_spec.ts";
import type { Command } from "../command.ts";
import { COMMON } from "../options.ts";
import { cat } from "./cat.ts";
import { completions } from "./completions.ts";
import { doctor } from "./doctor.ts";
import { echo } from "./echo.ts";
import { exec } from "./exec.ts";
import { download, get } from "./get.ts";
import { ls } from "./ls.ts";
import { mkdir } from "./mkdir.ts";
import { mv } from "./mv.ts";
import { ping } from "./ping.ts";
import { put, upload } from "./put.ts";
import { rm } from "./rm.ts";
import { share } from "./share.ts";
import { stat } from "./stat.ts";
import { verify } from "./verify.ts";

/** The commands. */
export const COMMANDS: readonly Command[] = [
  put,
  get,
  cat,
  ls,
  stat,
  verify,
  rm,
  mv,
  mkdir,
  share,
  exec,
  ping,
  echo,
  doctor,
  completions(() => [FERRY, ...COMMANDS]),
  upload,
  download,
];

/** `ferry` without a command. */
export const FERRY = {
  name: "ferry",
  usage: "COMMAND [ARGUMENTS]",
  summary: "Move files to and from a ferryd, and prove that they arrived",
  arguments: { min: 1, max: Infinity },
  options: {
    help: COMMON.help,
    version: { kind: "flag", short: "V", argumentOnly: true, help: "show the version" },
  },
} as const satisfies CommandSpec;

/** Every option of every command: what a config file may set. */
export const CONFIGURABLE: OptionTable = Object.assign(
  {},
  ...COMMANDS.map(({ options }) => options),
);
