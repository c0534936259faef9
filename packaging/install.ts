/**
 * `deno task install`: installs both programs from this checkout by `deno install`, with the permissions that they need.
 * Its arguments, such as `--root DIR`, are passed to `deno install`.
 *
 * @module
 */

import { PROGRAMS, PROJECT, runtimeFlags } from "./program.ts";

if (import.meta.main) {
  for (const program of PROGRAMS) {
    // deno install accepts the name of a permission set, but does not keep it.
    const flags = ["--config", `${PROJECT}deno.json`, ...runtimeFlags(program)];
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["install", "--global", "--force", "--name", program.name],
        ...flags,
        ...Deno.args,
        PROJECT + program.entry,
      ],
      stdin: "null",
    }).spawn().status;
    if (code !== 0) Deno.exit(code);
  }
}
