/**
 * A program as a few JavaScript files. They load in half the time of its sources, and need no packages.
 *
 * @module
 */

import { FerryError } from "../lib/core/errors.ts";
import { basename, dirname, join } from "../lib/core/paths.ts";
import { reasonOf, runDeno } from "./run.ts";

/** The file of a bundle that is run. */
export const ENTRY = "main.js";

/**
 * Bundles a program. What it imports dynamically stays in files of its own.
 *
 * @param entry the path of its entry file
 * @param into the directory for the bundle, which is there and empty
 * @returns the names of the bundle's files, {@linkcode ENTRY} last
 * @throws {FerryError} `io`
 */
export async function bundle(entry: string, into: string): Promise<string[]> {
  // It is not minified: that drops the disposal of a `using` whose variable is used once (esbuild 0.25).
  const style = ["--code-splitting", "--platform", "deno"];
  const { success, stderr } = await runDeno(
    ["bundle", "--quiet", ...style, "--outdir", into, entry],
    { cwd: dirname(entry) },
  );
  if (!success) {
    const reason = reasonOf(stderr);
    const code = reason.includes("No space left") ? "no_space" : "io";
    throw new FerryError(code, reason, { action: `bundle "${entry}"` });
  }
  Deno.renameSync(join(into, basename(entry).replace(/\.ts$/, ".js")), join(into, ENTRY));
  const names = [...Deno.readDirSync(into)].map(({ name }) => name).sort();
  return [...names.filter((name) => name !== ENTRY), ENTRY];
}
