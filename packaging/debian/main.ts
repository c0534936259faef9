/**
 * `deno task deb`: makes the Debian packages of ferry and ferryd.
 *
 * @module
 */

import { parseCommandLine } from "../../lib/cli/command_line.ts";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { renderHelp } from "../../lib/cli/help.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { join, resolve } from "../../lib/core/paths.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { buildDate } from "../build_date.ts";
import { HELP, outOption } from "../options.ts";
import { reasonOf } from "../run.ts";
import { writeTree } from "./tree.ts";

const PREFIX = "FERRY_DEB";

const DEB = {
  name: "deno task deb",
  usage: "[--out DIR]",
  summary: "Make the Debian packages ferry and ferryd, for this kind of machine",
  details: `It needs debhelper. The packages contain the Deno that runs this task.

DEBEMAIL and DEBFULLNAME name the maintainer in them, as for other tools of Debian. SOURCE_DATE_EPOCH
sets the date in them, DPKG_DEB_COMPRESSOR_TYPE how they are compressed: gzip is quicker.`,
  arguments: { min: 0, max: 0 },
  options: {
    out: outOption("dist"),
    help: HELP,
  },
} as const satisfies CommandSpec;

const ENVIRONMENT = (name: string) => Deno.env.get(name);

async function main(argv: readonly string[]): Promise<void> {
  if (argv.includes("--help") || argv.includes("-h")) {
    console.log(renderHelp(DEB, { prefix: PREFIX }).trimEnd());
    return;
  }
  const { options: { out } } = parseCommandLine(DEB, argv, {
    prefix: PREFIX,
    env: ENVIRONMENT,
    configurable: {},
  });
  const making = { maintainer: maintainer(), date: buildDate(ENVIRONMENT) };
  await assertDebhelper();
  const work = Deno.makeTempDirSync({ prefix: "ferry-deb-" });
  try {
    const source = join(work, "source");
    Deno.mkdirSync(source);
    await writeTree(source, making);
    await build(source, making.date);
    makeDirectories(out);
    for (const { name } of [...Deno.readDirSync(work)].sort((a, b) => a.name < b.name ? -1 : 1)) {
      if (!name.endsWith(".deb")) continue;
      const path = join(out, name);
      Deno.copyFileSync(join(work, name), path);
      console.log(`${path}: ${(Deno.statSync(path).size / 1e6).toFixed(1)} MB`);
    }
  } catch (error) {
    throw toFerryError(error).during(`make packages in ${quote(resolve(out))}`);
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

/** Who makes the packages. */
function maintainer(): string {
  const address = ENVIRONMENT("DEBEMAIL");
  if (!address || !/^[^\s<>@]+@[^\s<>@]+$/.test(address)) {
    const what = address ? `DEBEMAIL is ${quote(address)}` : "DEBEMAIL is not set";
    throw new FerryError("usage", `${what}: set it to the address of the packages' maintainer`);
  }
  return `${ENVIRONMENT("DEBFULLNAME") || "ferry maintainers"} <${address}>`;
}

/**
 * Checks that debhelper is there.
 *
 * @throws {FerryError} `usage`
 */
async function assertDebhelper(): Promise<void> {
  try {
    await new Deno.Command("dh", { args: ["--list"], stdin: "null" }).output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const reason = "There is no dh here: install debhelper, on Debian or a relative of it";
    throw new FerryError("usage", reason);
  }
}

/** Runs debhelper, which puts the packages beside the directory. */
async function build(source: string, date: Date): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(join(source, "debian/rules"), {
    args: ["binary"],
    cwd: source,
    env: { LC_ALL: "C", SOURCE_DATE_EPOCH: `${Math.floor(date.getTime() / 1000)}` },
    stdin: "null",
  }).output();
  if (success) return;
  const [said, printed] = [stderr, stdout].map((bytes) => new TextDecoder().decode(bytes));
  throw new FerryError("io", reasonOf(said || printed!));
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    const { message, exitStatus } = toFerryError(error);
    console.error(`deb: ${message}`);
    Deno.exit(exitStatus);
  }
}
