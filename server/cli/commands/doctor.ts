/**
 * `ferryd doctor`
 *
 * @module
 */

import { ENVIRONMENT } from "../../../lib/cli/permissions.ts";
import { command } from "../command.ts";
import { SERVE } from "../serve_spec.ts";

const { version: _version, "check-config": _checkConfig, ...OPTIONS } = SERVE.options;

/** The command. */
export const doctor = command({
  name: "ferryd doctor",
  usage: "[--root DIR|s3://BUCKET/PREFIX] [OPTIONS of ferryd]",
  summary: "Find out what ferryd can promise here, and what keeps it from serving",
  details:
    `It takes the options, the variables and the config file that ferryd is to be started with, and says
for each part whether it is ok: the configuration as --check-config does, the directory and what its
file system can promise by trials in .ferry, space, limits, ports, the user and what Deno permits; of a
bucket what its store can do, and its clock. It removes what it makes, and does not disturb a ferryd
that runs.

The exit status is 2 if the configuration is wrong, 1 if anything else would keep ferryd from serving,
and 0 otherwise, also with warnings.`,
  arguments: { min: 0, max: 0 },
  options: {
    ...OPTIONS,
    json: { kind: "flag", help: "print one JSON object a line instead" },
  },
  async run(options, _args, { print }) {
    const { Doctor } = await import("../../doctor/doctor.ts");
    await new Doctor(options, ENVIRONMENT, print).examine();
  },
});
