/**
 * Programs that are started by another command, such as one that drops privileges.
 *
 * @module
 */

import { DENO, type Launch, programArgs } from "./programs.ts";

/** A command as a prefix for running another one; undefined where it is not available. */
export function prefix(command: string, ...args: string[]): readonly string[] | undefined {
  try {
    const { success } = new Deno.Command(command, {
      args: [...args, "true"],
      stdout: "null",
      stderr: "null",
    }).outputSync();
    return success ? [command, ...args] : undefined;
  } catch {
    return undefined;
  }
}

/** Runs programs by another command. */
export function by([command = DENO, ...args]: readonly string[]): Launch {
  const own = command === DENO ? [] : [DENO];
  return (program, options) => [command, ...args, ...own, ...programArgs(program, options)];
}

/** A prefix with which permission bits apply to root, too. */
export const BOUND = Deno.build.os === "windows"
  ? undefined
  : Deno.uid() === 0
  ? prefix("setpriv", "--bounding-set=-dac_override,-dac_read_search")
  : [];

/** Why {@linkcode BOUND} may be undefined. */
export const NO_BOUND =
  "there are no permission bits, or root has no setpriv that takes its rights away";
