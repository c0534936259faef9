/**
 * What the classes of `client/cli` print.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { Output } from "../../client/cli/output.ts";
import { ProgressDisplay, type ProgressRenderer } from "../../client/cli/progress_display.ts";

/** Options of {@linkcode printed}. */
export interface PrintOptions {
  json?: boolean;
  quiet?: boolean;
  renderer?: ProgressRenderer;
}

/** Captures standard output and standard error until disposed of. */
class Capture implements Disposable {
  readonly texts = { out: "", err: "" };
  readonly #streams = [["out", Deno.stdout], ["err", Deno.stderr]] as const;
  readonly #before = this.#streams.map(([, stream]) => stream.writeSync);

  constructor() {
    for (const [name, stream] of this.#streams) {
      stream.writeSync = (bytes) => {
        this.texts[name] += new TextDecoder().decode(bytes);
        return bytes.length;
      };
    }
  }

  [Symbol.dispose](): void {
    for (const [at, [, stream]] of this.#streams.entries()) stream.writeSync = this.#before[at]!;
  }
}

/** What is printed through an {@linkcode Output}. */
export function printed(
  run: (output: Output) => void,
  { json = false, quiet = false, renderer }: PrintOptions = {},
): { out: string; err: string } {
  using capture = new Capture();
  run(new Output({ json, quiet, progress: new ProgressDisplay(renderer) }));
  return capture.texts;
}

/** What is printed while something runs, and its result. */
export async function captured<T>(
  run: () => Promise<T>,
): Promise<{ result: T; out: string; err: string }> {
  using capture = new Capture();
  const result = await run();
  return { result, ...capture.texts };
}

/** The objects that are printed with `--json`; nothing may go to standard error. */
export function jsonLines(run: (output: Output) => void, options: PrintOptions = {}): unknown[] {
  const { out, err } = printed(run, { json: true, ...options });
  assertEquals(err, "");
  return out.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}
