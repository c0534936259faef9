/**
 * Programs for which certain system calls fail, as on file systems that do not support them.
 *
 * @module
 */

import { DENO, type Launch, programArgs } from "./programs.ts";

/** Starts programs for which each of the system calls fails with an error, such as `EINVAL`. */
export function refusing(calls: readonly string[], error: string): Launch {
  // Not every architecture has all of these calls. The program itself is the child process and receives its own
  // signals.
  const names = calls.map((call) => `?${call}`).join();
  const args = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${names}`];
  const inject = ["-e", `inject=${names}:error=${error}`];
  return (program, options) => {
    return ["strace", ...args, ...inject, DENO, ...programArgs(program, options)];
  };
}

/** Why system calls cannot be made to fail here; undefined where they can. */
function whyNot(): string | undefined {
  if (Deno.build.os !== "linux") return "only Linux has strace";
  try {
    const args = ["-f", "-o", "/dev/null", "-e", "inject=fsync:error=EINVAL", "true"];
    const { success, stderr } = new Deno.Command("strace", { args }).outputSync();
    return success ? undefined : new TextDecoder().decode(stderr).trim();
  } catch {
    return "there is no strace";
  }
}

const noRefusal = whyNot();

/** A test that is ignored, with the reason, where system calls cannot be made to fail. */
export function testRefusals(criterion: string, fn: () => Promise<void>): void {
  const reason = noRefusal === undefined ? "" : ` (ignored: ${noRefusal})`;
  Deno.test({ name: criterion + reason, ignore: noRefusal !== undefined, fn });
}
