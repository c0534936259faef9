/**
 * Both programs as an npm package, which Deno runs: `deno run npm:@ferry/ferry/ferry`. It contains bundles, since Deno
 * runs no TypeScript of npm packages, and has no dependencies.
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
 * @param directory the directory of the package; what is in it is removed before
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
