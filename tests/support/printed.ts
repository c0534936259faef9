/**
 * What the classes of `client/cli` print.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Output } from "../../client/cli/output.ts";
import { ProgressDisplay, type ProgressRenderer } from "../../client/cli/progress_display.ts";

/** How {@linkcode printed} prints. */
export interface PrintOptions {
  json?: boolean;
  quiet?: boolean;
  renderer?: ProgressRenderer;
}

/** What is written to standard output and standard error while something runs. */
export function printed(
  run: (output: Output) => void,
  { json = false, quiet = false, renderer }: PrintOptions = {},
): { out: string; err: string } {
  const texts = { out: "", err: "" };
  const streams = [["out", Deno.stdout], ["err", Deno.stderr]] as const;
  const before = streams.map(([, stream]) => stream.writeSync);
  try {
    for (const [name, stream] of streams) {
      stream.writeSync = (bytes) => {
        texts[name] += new TextDecoder().decode(bytes);
        return bytes.length;
      };
    }
    run(new Output({ json, quiet, progress: new ProgressDisplay(renderer) }));
  } finally {
    for (const [at, [, stream]] of streams.entries()) stream.writeSync = before[at]!;
  }
  return texts;
}

/** The objects that are printed with `--json`; nothing may go to standard error. */
export function jsonLines(run: (output: Output) => void, options: PrintOptions = {}): unknown[] {
  const { out, err } = printed(run, { json: true, ...options });
  assertEquals(err, "");
  return out.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}
