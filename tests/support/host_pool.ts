/**
 * The processes in which tests run command lines of `ferry`.
 *
 * @module
 */

import type { HostedCommand, HostedOutcome } from "./ferry_host.ts";

/** How long a process may take to start on a busy machine, in milliseconds. */
const START_MS = 120_000;

/** The ports of the processes that run nothing at the moment. */
const idle: number[] = [];

/**
 * Runs a command line of `ferry` in a process that runs many.
 *
 * @param start the command that starts such a process; it lacks only the last argument
 */
export async function runInHost(
  command: HostedCommand,
  start: () => readonly [string, ...string[]],
): Promise<HostedOutcome> {
  for (;;) {
    const port = idle.pop() ?? await started(start());
    const outcome = await ask(port, command);
    if (outcome === undefined) continue;
    idle.push(port);
    return outcome;
  }
}

/**
 * Starts a process and returns its port. A shell starts it in the background: for the checks of tests, a process that
 * outlives the test that needed it first would be one that was forgotten.
 */
async function started(command: readonly string[]): Promise<number> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const timer = setTimeout(() => listener.close(), START_MS);
  await new Deno.Command("sh", {
    args: ["-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", ...command, `${listener.addr.port}`],
    stdin: "null",
  }).output();
  using conn = await listener.accept();
  clearTimeout(timer);
  return Number(await textFrom(conn));
}

/** Has a process run a command; undefined if it has ended before that. */
async function ask(port: number, command: HostedCommand): Promise<HostedOutcome | undefined> {
  let reply = "";
  try {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const request = new TextEncoder().encode(JSON.stringify(command));
    for (let done = 0; done < request.length;) done += await conn.write(request.subarray(done));
    await conn.closeWrite();
    reply = await textFrom(conn);
  } catch (error) {
    const gone = error instanceof Deno.errors.ConnectionRefused ||
      error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
    if (!gone) throw error;
  }
  if (reply === "") return undefined;
  if (reply === "\n") throw new Error(`ferry ended its process: ${command.argv.join(" ")}`);
  return JSON.parse(reply);
}

/** What a connection brings until its end, as text. */
export async function textFrom(conn: Deno.Conn): Promise<string> {
  const decoder = new TextDecoder();
  const piece = new Uint8Array(64 * 1024);
  let text = "";
  for (let count; (count = await conn.read(piece)) !== null;) {
    text += decoder.decode(piece.subarray(0, count), { stream: true });
  }
  return text;
}
