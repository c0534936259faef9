/**
 * Both programs as a package for npm, to be run by Deno: `deno run npm:@ferry/ferry/ferry`. It holds bundles, for
 * Deno runs no TypeScript from there, and needs no other package.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { join } from "../lib/core/paths.ts";
import { makeDirectories } from "../lib/files/directories.ts";
import { bundle, ENTRY } from "./bundle.ts";
import { PROGRAMS, PROJECT } from "./program.ts";

/**
 * Makes the package.
 *
 * @param directory where; it is emptied before
 * @throws {FerryError} `io` where a program cannot be bundled
 */
export async function makeNpmPackage(directory: string): Promise<void> {
  await Deno.remove(directory, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  makeDirectories(directory);
  const exports: Record<string, string> = {};
  for (const { name, entry } of PROGRAMS) {
    Deno.mkdirSync(join(directory, name));
    await bundle(PROJECT + entry, join(directory, name));
    exports[`./${name}`] = `./${name}/${ENTRY}`;
  }
  for (const name of ["README.md", "LICENSE"]) {
    Deno.copyFileSync(PROJECT + name, join(directory, name));
  }
  const { name, version, license } = config;
  const description = "Moves files between machines and proves that they arrived; for Deno";
  const manifest = { name, version, description, license, type: "module", exports };
  Deno.writeTextFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}
