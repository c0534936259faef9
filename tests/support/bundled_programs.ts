/**
 * Bundles of the programs, made once for each state of the sources. A bundle starts in half the time of the sources,
 * and the tests start thousands of programs.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { ENTRY } from "../../packaging/bundle.ts";
import { PROJECT } from "../../packaging/program.ts";

/** What a bundle is made of, relative to the project's directory. */
const SOURCES = [
  "client",
  "deno.json",
  "deno.lock",
  "lib",
  "packaging",
  "server",
  "tests/support/ferry_host.ts",
  "tests/support/host_pool.ts",
];

/** The entry file of each bundle, relative to the project's directory. */
export const ENTRIES = {
  ferry: "client/main.ts",
  ferryd: "server/main.ts",
  ferryHost: "tests/support/ferry_host.ts",
};

/** What there is a bundle of. */
export type Bundled = keyof typeof ENTRIES;

/** How long an unused bundle is kept, in milliseconds. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/** The directory with the bundles of the current sources; undefined until it exists. */
let bundles: string | undefined;

/** The entry file of a program's bundle. Concurrent test files wait for the one that makes it. */
export function bundledEntry(program: Bundled): string {
  bundles ??= ready(`${cache()}/${stateOfSources()}`);
  return `${bundles}/${program}/${ENTRY}`;
}

/** A directory that only this user can access, as programs are run from it. */
function cache(): string {
  const path = `${tmpdir()}/ferry-bundles-${Deno.uid() ?? "all"}`;
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  const { isDirectory, uid } = Deno.lstatSync(path);
  if (!isDirectory || uid !== Deno.uid()) throw new Error(`${path} belongs to somebody else`);
  return path;
}

/** A digest of everything that the bundles depend on. */
function stateOfSources(): string {
  const digest = createHash("sha256").update(Deno.version.deno);
  const add = (path: string): void => {
    if (Deno.statSync(path).isFile) {
      digest.update(path.slice(PROJECT.length)).update("\0").update(Deno.readFileSync(path));
    } else {
      for (const name of [...Deno.readDirSync(path)].map(({ name }) => name).sort()) {
        add(`${path}/${name}`);
      }
    }
  };
  for (const path of SOURCES) add(PROJECT + path);
  return digest.digest("hex");
}

/** Makes the bundles, unless they exist. */
function ready(path: string): string {
  using lock = Deno.openSync(`${path}.lock`, { create: true, write: true });
  lock.lockSync(true);
  if (!exists(path)) {
    removeOld();
    const into = Deno.makeTempDirSync({ dir: cache() });
    const { success, stderr } = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "-P=programs", import.meta.filename!, into],
      cwd: PROJECT,
      stdin: "null",
    }).outputSync();
    if (!success) throw new Error(`no bundles: ${new TextDecoder().decode(stderr)}`);
    Deno.renameSync(into, path);
  }
  // The new time keeps other test runs from removing the bundles.
  Deno.utimeSync(path, new Date(), new Date());
  return path;
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Removes the bundles of other states of the sources. */
function removeOld(): void {
  for (const { name } of Deno.readDirSync(cache())) {
    const path = `${cache()}/${name}`;
    const { mtime } = Deno.statSync(path);
    if (Date.now() - mtime!.getTime() > KEPT_MS) Deno.removeSync(path, { recursive: true });
  }
}

if (import.meta.main) {
  const { bundle } = await import("../../packaging/bundle.ts");
  const [into] = Deno.args;
  await Promise.all(
    Object.entries(ENTRIES).map(async ([name, entry]) => {
      Deno.mkdirSync(`${into}/${name}`);
      await bundle(PROJECT + entry, `${into}/${name}`);
    }),
  );
}
