/**
 * Programs that clean up even when they are interrupted.
 *
 * @module
 */

import { onInterrupt } from "../../lib/cli/signals.ts";
import { type Outcome, outcome } from "./programs.ts";

/**
 * Runs a program's main function and exits with the status that it returns; where it fails, with 1 and the reason. The
 * first SIGINT or SIGTERM aborts the signal passed to it, so that it fails and cleans up; a second one exits at once.
 */
export async function runInterruptibly(
  name: string,
  main: (signal: AbortSignal) => Promise<number>,
): Promise<never> {
  const stop = new AbortController();
  let status = 0;
  onInterrupt((exitStatus) => {
    status = exitStatus;
    stop.abort();
  }, (exitStatus) => Deno.exit(exitStatus));
  try {
    status = await main(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted) {
      console.error(`${name}: ${error instanceof Error ? error.message : error}`);
      status = 1;
    }
  }
  Deno.exit(status);
}

/**
 * Waits for a program, which is killed when the signal is aborted.
 *
 * @throws where its exit status is not 0, with the first line that it wrote to standard error
 */
export async function succeed(
  what: string,
  child: Deno.ChildProcess,
  signal: AbortSignal,
): Promise<Outcome> {
  const kill = () => {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has already ended.
    }
  };
  signal.addEventListener("abort", kill, { once: true });
  if (signal.aborted) kill();
  try {
    const ended = await outcome(child);
    signal.throwIfAborted();
    if (ended.code === 0) return ended;
    const [reason] = ended.stderr.trim().split("\n");
    throw new Error(`${what} failed (exit status ${ended.code}): ${reason}`);
  } finally {
    signal.removeEventListener("abort", kill);
  }
}
