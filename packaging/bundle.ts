/**
 * A program as a few JavaScript files: they load in half the time of its sources, and need no packages.
 *
 * @module
 */

import { FerryError } from "../lib/core/errors.ts";
import { basename, dirname, join } from "../lib/core/paths.ts";
import { reasonOf, runDeno } from "./run.ts";

/** The file of a bundle that is run. */
export const ENTRY = "main.js";

/**
 * Bundles a program. What it imports when it needs it stays in files of its own, and so do workers.
 *
 * @param entry the path of its entry file
 * @param into the directory for the bundle, which is there and empty
 * @returns the names of the bundle's files, {@linkcode ENTRY} last
 * @throws {FerryError} `io`
 */
export async function bundle(entry: string, into: string): Promise<string[]> {
  await bundleOne(entry, into);
  Deno.renameSync(join(into, basename(entry).replace(/\.ts$/, ".js")), join(into, ENTRY));
  for (const worker of await workersOf(entry)) {
    await bundleOne(worker, into);
    // The bundle asks for it by the name of its source.
    const name = basename(worker);
    Deno.renameSync(join(into, name.replace(/\.ts$/, ".js")), join(into, name));
  }
  const names = [...Deno.readDirSync(into)].map(({ name }) => name).sort();
  return [...names.filter((name) => name !== ENTRY), ENTRY];
}

async function bundleOne(entry: string, into: string): Promise<void> {
  // Names are kept: --json tells what failed by the name of a function.
  const style = ["--minify", "--keep-names", "--code-splitting", "--platform", "deno"];
  const { success, stderr } = await runDeno(
    ["bundle", "--quiet", ...style, "--outdir", into, entry],
    { cwd: dirname(entry) },
  );
  if (!success) throw new FerryError("io", reasonOf(stderr), { action: `bundle "${entry}"` });
}

/** The modules that a program starts as workers. */
async function workersOf(entry: string): Promise<string[]> {
  const { success, stdout, stderr } = await runDeno(["info", "--json", entry], {
    cwd: dirname(entry),
  });
  if (!success) throw new FerryError("io", reasonOf(stderr), { action: `look into "${entry}"` });
  const { modules }: { modules: { specifier: string; local?: string }[] } = JSON.parse(stdout);
  const start = /new Worker\(\s*new URL\(\s*"([^"]+)",\s*import\.meta\.url\s*\)/g;
  return modules.flatMap(({ specifier, local }) => {
    if (!specifier.startsWith("file:") || local === undefined) return [];
    return [...Deno.readTextFileSync(local).matchAll(start)]
      .map(([, name]) => join(dirname(local), name!));
  });
}
