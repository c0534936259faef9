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
  const plain = Deno.makeTempDirSync({ prefix: "ferry-bundle-" });
  try {
    await runBundler(["--outdir", plain, entry], entry);
    for (const { name } of Deno.readDirSync(plain)) {
      const path = join(plain, name);
      Deno.writeTextFileSync(path, keepDisposals(Deno.readTextFileSync(path)));
    }
    const main = join(plain, basename(entry).replace(/\.ts$/, ".js"));
    await runBundler(["--no-config", "--minify", "--outdir", into, main], entry);
    Deno.renameSync(join(into, basename(main)), join(into, ENTRY));
  } finally {
    Deno.removeSync(plain, { recursive: true });
  }
  const names = [...Deno.readDirSync(into)].map(({ name }) => name).sort();
  return [...names.filter((name) => name !== ENTRY), ENTRY];
}

async function runBundler(args: readonly string[], entry: string): Promise<void> {
  const style = ["--quiet", "--code-splitting", "--platform", "deno"];
  const { success, stderr } = await runDeno(["bundle", ...style, ...args], {
    cwd: dirname(entry),
  });
  if (!success) throw new FerryError("io", reasonOf(stderr), { action: `bundle "${entry}"` });
}

/** A statement with `using` as the bundler prints it: one line, or lines up to a bracket at the same depth. */
const USING =
  /^([ \t]*)((?:await )?using ([\w$]+) = (?:[^\n]*;|[^\n]*\n(?:(?!\1[^\s\])}])[^\n]*\n)*?\1[\])}][^\n]*;))$/gm;

/**
 * Keeps the minifier from dropping disposals: it puts what a variable is initialized with in the place of its only use,
 * also where the variable is declared with `using` (esbuild 0.25). A variable with two uses stays.
 *
 * @throws {FerryError} `internal` where a declaration was not found
 */
function keepDisposals(code: string): string {
  let kept = 0;
  const changed = code.replace(USING, (_, indent, statement, name) => {
    kept++;
    return `${indent}${statement}\n${indent}void ${name};`;
  });
  const all = code.match(/^[ \t]*(?:await )?using [\w$]+ = /gm)?.length ?? 0;
  if (kept === all) return changed;
  throw new FerryError("internal", `only ${kept} of ${all} disposals are kept`);
}
