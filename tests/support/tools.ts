/**
 * Programs of others, such as curl and wget, that are run against the server.
 *
 * @module
 */

import { type Outcome, outcome } from "./programs.ts";

/** Whether a program is installed. */
export function isInstalled(tool: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((directory) => {
    try {
      return Deno.statSync(`${directory}/${tool}`).isFile;
    } catch {
      return false;
    }
  });
}

/** Runs a program to its end, in a directory in which it finds no configuration of a user. */
export async function runTool(tool: string, args: string[], cwd: string): Promise<Outcome> {
  const child = new Deno.Command(tool, {
    args,
    cwd,
    env: { HOME: cwd, LC_ALL: "C" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return await outcome(child);
}
