/**
 * `deno task compile`: makes executables of both programs that need nothing installed, and a file with their checksums.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { parseCommandLine } from "../lib/cli/command_line.ts";
import { renderHelp } from "../lib/cli/help.ts";
import type { CommandSpec } from "../lib/cli/command_spec.ts";
import { FerryError, quote, toFerryError } from "../lib/core/errors.ts";
import { join, resolve } from "../lib/core/paths.ts";
import { makeDirectories } from "../lib/files/directories.ts";
import { VERSION } from "../lib/core/version.ts";
import { bundle } from "./bundle.ts";
import {
  assertBaseBinary,
  compile,
  type CompileOptions,
  howToProvide,
  NoBaseBinary,
} from "./compile.ts";
import { makeNpmPackage } from "./npm_package.ts";
import { HELP, outOption } from "./options.ts";
import { PROGRAMS, PROJECT } from "./program.ts";
import { reasonOf } from "./run.ts";
import { makeSelfExtracting } from "./self_extracting.ts";
import { hostTarget, parseTarget, type Target, targetOf, TARGETS } from "./target.ts";

const PREFIX = "FERRY_COMPILE";

const SUMS = "SHA256SUMS";

const COMPILE = {
  name: "deno task compile",
  usage: "[ferry] [ferryd] [--target TARGET]... [--all]",
  summary: "Make executables that need nothing installed",
  details:
    `Without a target they are for this machine, and called ferry and ferryd; else the target is in
their names. SHA256SUMS beside them has the checksums of all that is there.

deno compile puts the bundled program behind a Deno that it downloads, or that DENORT_BIN names. Where
there is none, the executables for this machine unpack themselves when they run for the first time.

Targets: ${TARGETS.map(({ name }) => name).join(", ")}`,
  arguments: { min: 0, max: 2, choices: PROGRAMS.map(({ name }) => name) },
  options: {
    target: {
      kind: "list",
      short: "t",
      value: "TARGET",
      help: "the system to make them for (may be repeated)",
    },
    all: { kind: "flag", short: "a", help: "make them for all systems" },
    out: outOption("dist"),
    npm: { kind: "flag", help: "make the package for npm as well, in the directory npm there" },
    "self-extracting": { kind: "flag", help: "do without deno compile" },
    help: HELP,
  },
} as const satisfies CommandSpec;

async function main(argv: readonly string[]): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    console.log(renderHelp(COMPILE, { prefix: PREFIX }).trimEnd());
    return 0;
  }
  const { options, args } = parseCommandLine(COMPILE, argv, {
    prefix: PREFIX,
    env: (name) => Deno.env.get(name),
    configurable: {},
  });
  const named = options.all ? TARGETS : options.target.map(parseTarget);
  const targets = named.length > 0 ? named : [ownTarget()];
  const selfExtracting = options["self-extracting"];
  const base = Deno.env.get("DENORT_BIN") || undefined;
  if (base !== undefined && !selfExtracting) assertBaseBinary(base, targets);
  const programs = PROGRAMS.filter(({ name }) => args.length === 0 || args.includes(name));
  using work = temporaryIn(resolve(options.out));
  let status = 0;
  for (const program of programs) {
    const directory = join(work.path, `${program.name}.bundle`);
    Deno.mkdirSync(directory);
    const files = await bundle(PROJECT + program.entry, directory);
    for (const target of targets) {
      const name = named.length > 0 ? `${program.name}-${target.name}` : program.name;
      const making = { program, directory, files, target, base };
      const made = join(work.path, name + target.suffix);
      try {
        const how = selfExtracting ? await unpacking(making, made) : await compiling(making, made);
        await assertWorks(made, making);
        const output = join(options.out, name + target.suffix);
        Deno.renameSync(made, output);
        console.log(`${output}: ${how}, ${(Deno.statSync(output).size / 1e6).toFixed(1)} MB`);
      } catch (error) {
        status = complain(toFerryError(error).during(`make ${quote(name)}`));
      }
    }
  }
  writeSums(options.out);
  if (options.npm) {
    const directory = join(options.out, "npm");
    await makeNpmPackage(resolve(directory));
    console.log(`${directory}: a package for npm`);
  }
  return status;
}

/** Reasons that have been printed: both programs fail for the same one. */
const told = new Set<string>();

/** Makes an executable by `deno compile`, or a self-extracting one where that is not possible. Returns how. */
async function compiling(making: CompileOptions, output: string): Promise<string> {
  try {
    await compile(making, output);
    return `compiled for ${making.target.name} by Deno ${Deno.version.deno}`;
  } catch (error) {
    if (!(error instanceof NoBaseBinary)) throw error;
    const { target } = making;
    const reason = `deno compile has no base binary for ${target.name} (${error.message}): ${
      howToProvide(target)
    }`;
    const known = told.has(reason);
    told.add(reason);
    if (target !== hostTarget()) {
      throw new FerryError("io", known ? `there is no base binary for ${target.name}` : reason);
    }
    if (!known) console.error(`compile: ${reason}`);
    return await unpacking(making, output);
  }
}

async function unpacking(making: CompileOptions, output: string): Promise<string> {
  const { target } = making;
  if (target !== hostTarget()) {
    throw new FerryError("usage", `what unpacks itself can only be made on ${target.name}`);
  }
  await makeSelfExtracting(making, output);
  return `self-extracting for ${target.name} around Deno ${Deno.version.deno}`;
}

/** Checks that an executable is for its target, and where that is this machine, that it runs. */
async function assertWorks(path: string, { program, target }: CompileOptions): Promise<void> {
  if (target !== hostTarget()) {
    using file = Deno.openSync(path);
    const head = new Uint8Array(4096);
    if (targetOf(head.subarray(0, file.readSync(head) ?? 0)) === target) return;
    throw new FerryError("io", `what came out is not for ${target.name}`);
  }
  // The file is unpacked beside the executable, where there is room. The directory for temporary files may be mounted
  // with noexec.
  const unpacked = `${path}.unpacked`;
  Deno.mkdirSync(unpacked, { mode: 0o700 });
  const { stdout, stderr } = await output(path, {
    args: ["--version"],
    env: { FERRY_UNPACK_DIR: unpacked, CAXA_TEMP_DIR: unpacked },
    stdin: "null",
  });
  Deno.removeSync(unpacked, { recursive: true });
  const [said, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (said === `${program.name} ${VERSION}`) return;
  const reason = complaint ? reasonOf(complaint) : `it says ${quote(said!)} for its version`;
  throw new FerryError("io", `what came out does not run: ${reason}`);
}

async function output(path: string, options: Deno.CommandOptions): Promise<Deno.CommandOutput> {
  try {
    return await new Deno.Command(path, options).output();
  } catch (error) {
    const { code, message } = toFerryError(error);
    throw new FerryError(code, `what came out does not run: ${message}`);
  }
}

/** A temporary directory in `parent`, which is made where it is missing. */
function temporaryIn(parent: string): { path: string } & Disposable {
  let path: string;
  try {
    makeDirectories(parent);
    // Hidden, since its files are incomplete.
    path = Deno.makeTempDirSync({ dir: parent, prefix: ".ferry-" });
  } catch (error) {
    throw toFerryError(error).during(`write to ${quote(parent)}`);
  }
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Writes the checksums of the files in a directory, in the format of `sha256sum -c`. */
function writeSums(directory: string): void {
  const names = [...Deno.readDirSync(directory)]
    .filter(({ name, isFile }) => isFile && name !== SUMS && !name.startsWith("."))
    .map(({ name }) => name).sort();
  const lines = names.map((name) => {
    const digest = createHash("sha256").update(Deno.readFileSync(join(directory, name)));
    return `${digest.digest("hex")}  ${name}\n`;
  });
  if (lines.length > 0) Deno.writeTextFileSync(join(directory, SUMS), lines.join(""));
}

/** The target that is this machine. */
function ownTarget(): Target {
  const target = hostTarget();
  if (target) return target;
  const { target: triple } = Deno.build;
  throw new FerryError(
    "usage",
    `Deno has no base binary for this machine, ${triple}; name a --target`,
  );
}

function complain({ message, exitStatus }: FerryError): number {
  console.error(`compile: ${message}`);
  return exitStatus;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    Deno.exit(complain(toFerryError(error)));
  }
}
