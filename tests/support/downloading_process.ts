/**
 * A process that downloads a file into its working directory, which tests of one process share. Its argument is the
 * address of the server. It prints what it saw, as JSON.
 *
 * @module
 */

import { connect } from "../../mod.ts";

/** What the process saw. */
export interface SeenDownload {
  /** The names in the working directory before the download was awaited. */
  readonly before: string[];
  /** The size that the download told, and whether it was left out: at first, and of the same download again. */
  readonly size: number;
  readonly skipped: boolean;
  /** The names afterwards. */
  readonly after: string[];
  /** Whether another download of the same file was left out. */
  readonly skippedAgain: boolean;
  /** The code of the error for a name that is not there. */
  readonly code: string;
}

/** Downloads `d/name` of a server into a directory. */
export async function downloadInto(cwd: string, address: string): Promise<SeenDownload> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "-A", import.meta.filename!, address],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("the download failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

function names(): string[] {
  return [...Deno.readDirSync(".")].map(({ name }) => name).sort();
}

async function download(address: string): Promise<SeenDownload> {
  await using client = await connect(address, { retries: 0 });
  const download = client.get("d/name");
  await client.ping();
  const before = names();
  const { size } = await download;
  // Once more is the same one.
  const { skipped } = await download;
  const after = names();
  const { skipped: skippedAgain } = await client.get("d/name").finally(() => {});
  const code = await client.get("nope").then(() => "", (error) => error.code);
  return { before, size, skipped, after, skippedAgain, code };
}

if (import.meta.main) console.log(JSON.stringify(await download(Deno.args[0]!)));
