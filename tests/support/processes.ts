/**
 * Whether processes that were started by others still run.
 *
 * @module
 */

/** How long to wait for the end of a process, in milliseconds. */
const DEADLINE_MS = 60_000;

/** Whether a process is running; a zombie is not. */
export async function runs(pid: number): Promise<boolean> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-o", "stat=", "-p", String(pid)],
    stdin: "null",
    stderr: "null",
  }).output();
  const state = new TextDecoder().decode(stdout).trim();
  return state !== "" && !state.startsWith("Z");
}

/** Waits until none of the processes runs. */
export async function allEnded(pids: readonly number[]): Promise<void> {
  if (pids.length === 0 || !pids.every((pid) => pid > 1)) throw new Error(`no processes: ${pids}`);
  const deadline = Date.now() + DEADLINE_MS;
  for (const pid of pids) {
    while (await runs(pid)) {
      if (Date.now() > deadline) throw new Error(`process ${pid} still runs`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
