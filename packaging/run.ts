/**
 * Runs Deno as a tool.
 *
 * @module
 */

/** The outcome of a tool. */
export interface ToolOutcome {
  /** Whether it succeeded. */
  success: boolean;
  /** What it wrote to standard output. */
  stdout: string;
  /** What it wrote to standard error, without colours. */
  stderr: string;
}

/** Runs the Deno that runs this, and waits for its end. */
export async function runDeno(
  args: readonly string[],
  { cwd, env = {} }: { cwd?: string; env?: Record<string, string> } = {},
): Promise<ToolOutcome> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    ...(cwd === undefined ? {} : { cwd }),
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { success, stdout: text(stdout), stderr: text(stderr) };
}

/**
 * Why a tool failed, in one line: the last of the causes that it printed, else its error.
 *
 * @param stderr its standard error
 */
export function reasonOf(stderr: string): string {
  const lines = stderr.split("\n").map((line) => line.trim());
  const end = lines.findIndex((line) => line === "Stack backtrace:");
  const said = lines.slice(0, end < 0 ? undefined : end).filter((line) => line !== "");
  const error = said.find((line) => line.startsWith("error: "))?.slice("error: ".length);
  const cause = said.findLast((line) => /^\d+: /.test(line))?.replace(/^\d+: /, "");
  return cause ?? error ?? said.at(-1) ?? "it said nothing";
}
