/**
 * The peers in Python of fixtures/, as processes.
 *
 * @module
 */

import { PROJECT } from "./programs.ts";

/** Starts one of the scripts. */
export function spawnPython(
  script: string,
  args: string[],
  { cwd = PROJECT, stdin = "null" }: { cwd?: string; stdin?: "null" | "piped" } = {},
): Deno.ChildProcess {
  try {
    return new Deno.Command("python3", {
      args: ["-B", `${PROJECT}fixtures/${script}`, ...args],
      cwd,
      stdin,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new Error(
      "This test needs a program python3, Python 3.9 or newer, and there is none. " +
        "Install the package python3 (Debian, Ubuntu, Fedora, Alpine) or python (Homebrew, Arch).",
      { cause: error },
    );
  }
}
