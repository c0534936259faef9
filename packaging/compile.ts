/**
 * Executables by `deno compile`.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../lib/core/errors.ts";
import { join } from "../lib/core/paths.ts";
import { ENTRY } from "./bundle.ts";
import { type Program, runtimeFlags } from "./program.ts";
import { reasonOf, runDeno } from "./run.ts";
import { type Target, targetOf } from "./target.ts";

/** `deno compile` could not get the Deno that the executable would contain. */
export class NoBaseBinary extends Error {}

/** Options of {@linkcode compile}. */
export interface CompileOptions {
  /** The program. */
  program: Program;
  /** The directory with its bundle. */
  directory: string;
  /** The files of the bundle. */
  files: readonly string[];
  /** The system that the executable is for. */
  target: Target;
  /** The path of the base binary. Default: the one that Deno has cached or downloads. */
  base?: string | undefined;
}

/**
 * Compiles a program.
 *
 * @param output the path of the executable
 * @throws {NoBaseBinary} with the reason in one line
 * @throws {FerryError} `io`
 */
export async function compile(
  { program, directory, files, target, base }: CompileOptions,
  output: string,
): Promise<void> {
  // Deno may not find files that are imported dynamically, so they are included explicitly.
  const included = files.filter((name) => name !== ENTRY)
    .flatMap((name) => ["--include", join(directory, name)]);
  const { success, stderr } = await runDeno([
    "compile",
    ...["--quiet", "--no-check", "--no-config", "--no-remote", "--no-npm"],
    ...["--target", target.triple, "--app-name", program.name, "--output", output],
    ...included,
    ...runtimeFlags(program),
    join(directory, ENTRY),
  ], base === undefined ? {} : { env: { DENORT_BIN: base } });
  if (success) return;
  if (/Setting up base binary|denort/.test(stderr)) throw new NoBaseBinary(reasonOf(stderr));
  throw new FerryError("io", reasonOf(stderr), { action: `compile ${quote(program.name)}` });
}

/**
 * Checks the base binary that DENORT_BIN names. `deno compile` itself would use it for any target.
 *
 * @throws {FerryError} `usage` where it is for another target, or no executable; `not_found`, … where it cannot be read
 */
export function assertBaseBinary(path: string, targets: readonly Target[]): void {
  const action = `use DENORT_BIN ${quote(path)}`;
  let target: Target | undefined;
  try {
    using file = Deno.openSync(path);
    const head = new Uint8Array(4096);
    target = targetOf(head.subarray(0, file.readSync(head) ?? 0));
  } catch (error) {
    throw toFerryError(error).during(action);
  }
  const wrong = targets.find(({ name }) => name !== target?.name);
  if (!wrong) return;
  const kind = target ? `it is for ${target.name}` : "it is no executable";
  throw new FerryError("usage", `${kind}, and not for ${wrong.name}`, { action });
}

/** How to provide a base binary by hand, in one sentence. */
export function howToProvide({ triple }: Target): string {
  const { deno } = Deno.version;
  return `get denort-${triple}.zip of Deno ${deno} from where Deno is released, and name what is in it by ` +
    `DENORT_BIN, or put it as it is into dl/release/v${deno} of Deno's cache`;
}
