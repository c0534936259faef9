/**
 * `deno task test`: runs all tests, and the examples in documents. Arguments are options of `deno test`.
 *
 * `deno test` runs each module that it is given in an isolate of its own, which compiles all that the module imports
 * once more: for most files of tests that takes longer than their tests. So it is given modules that import many files.
 *
 * @module
 */

import { pathToFileURL } from "node:url";
import { onInterrupt } from "../lib/cli/signals.ts";
import { PROJECT } from "../packaging/program.ts";
import { DENO, TempDir } from "./support/programs.ts";

/** How many modules are run at once: many tests wait for other programs. */
const AT_ONCE = Math.ceil(navigator.hardwareConcurrency * 1.5);

/** So many modules are run one after the other. More compile more, fewer end at different times. */
const ROUNDS = 8;

/** What has examples. */
const DOCUMENTED = ["README.md", "docs", "mod.ts", "lib", "server", "client"];

/** The files of tests below a directory, in order. */
function testFilesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
    isDirectory
      ? testFilesIn(`${directory}/${name}`)
      : name.endsWith("_test.ts")
      ? [`${directory}/${name}`]
      : []
  ).sort();
}

/** Writes modules that import the files between them. Neighbours, which need the same, come into different ones. */
function writeGroups(files: readonly string[], dir: TempDir): string[] {
  const count = Math.min(files.length, AT_ONCE * ROUNDS);
  return Array.from({ length: count }, (_, group) => {
    const own = files.filter((_, at) => at % count === group);
    const source = own.map((path) => `import ${JSON.stringify(pathToFileURL(path).href)};\n`);
    return dir.write(`group_${group + 1}_of_${count}.ts`, source.join(""));
  });
}

if (import.meta.main) {
  await using dir = new TempDir();
  const options = ["--quiet", "--no-check", "-P=programs", "--parallel", "--doc", ...Deno.args];
  const groups = writeGroups(testFilesIn(`${PROJECT}tests`), dir);
  const tests = new Deno.Command(DENO, {
    args: ["test", ...options, ...DOCUMENTED, ...groups],
    cwd: PROJECT,
    env: { DENO_JOBS: `${AT_ONCE}` },
  }).spawn();
  onInterrupt(() => tests.kill("SIGINT"), () => tests.kill("SIGKILL"));
  const { code } = await tests.status;
  Deno.exitCode = code;
}
