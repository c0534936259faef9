/**
 * The program `ferry`: runs its command line, and exits with its status.
 *
 * @module
 */

import { type Environment, giveUp } from "../lib/cli/permissions.ts";
import { onInterrupt } from "../lib/cli/signals.ts";
import { Interruption, runProgram } from "./program.ts";

/** Watches for signals, and gives up the permissions that a command with these arguments does not need. */
function begin(argv: readonly string[]): { env: Environment; signal: AbortSignal } {
  const interrupted = new AbortController();
  onInterrupt(
    (exitStatus) => interrupted.abort(new Interruption(exitStatus)),
    // The second interruption exits at once.
    (exitStatus) => Deno.exit(exitStatus),
  );
  return { env: giveUp(["env", "ffi", "run"], argv), signal: interrupted.signal };
}

if (import.meta.main) Deno.exit(await runProgram(Deno.args, begin));
