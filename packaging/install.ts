/**
 * `deno task install`: `deno install` of both programs from this checkout, with the permissions that they need.
 * Its own arguments, such as `--root DIR`, go to `deno install`.
 *
 * @module
 */

import { PROGRAMS, PROJECT, runtimeFlags } from "./program.ts";

if (import.meta.main) {
  for (const program of PROGRAMS) {
    // deno install takes a set of permissions by its name, too, and then forgets it.
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
