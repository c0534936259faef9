/**
 * What the Debian packages are made of: two trees of files as they are installed, and the directory `debian` that tells
 * debhelper about them. The programs are bundles, which share the Deno in the package ferry.
 *
 * @module
 */

import { cpSync } from "node:fs";
import { COMMANDS as CLIENT_COMMANDS, FERRY } from "../../client/cli/commands/all.ts";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { renderCompletions, type Shell } from "../../lib/cli/completions.ts";
import { dirname, join } from "../../lib/core/paths.ts";
import { VERSION } from "../../lib/core/version.ts";
import { makeDirectories } from "../../lib/files/directories.ts";
import { COMMANDS as SERVER_COMMANDS } from "../../server/cli/commands/all.ts";
import { SERVE } from "../../server/cli/serve_spec.ts";
import { bundle, ENTRY } from "../bundle.ts";
import { writeManualPages } from "../man/pages.ts";
import { type Program, PROGRAMS, PROJECT, runArguments } from "../program.ts";
import { fillTemplate } from "../template.ts";

/** What is only known when the packages are made. */
export interface Making {
  /** Who makes them: `Name <name@example.org>`. */
  maintainer: string;
  /** The date in the changelog and the manual pages. */
  date: Date;
}

/** The commands that shells complete, by program. */
const COMMANDS: Readonly<Record<Program["name"], readonly CommandSpec[]>> = {
  ferry: [FERRY, ...CLIENT_COMMANDS],
  ferryd: [SERVE, ...SERVER_COMMANDS],
};

/** Where Debian has the completions of a program for a shell. */
const COMPLETIONS: Readonly<Record<Shell, (program: string) => string>> = {
  bash: (program) => `usr/share/bash-completion/completions/${program}`,
  zsh: (program) => `usr/share/zsh/vendor-completions/_${program}`,
  fish: (program) => `usr/share/fish/vendor_completions.d/${program}.fish`,
};

/** What the packages have of the project's documents. */
const DOCUMENTS = ["CHANGELOG.md", "PROTOCOL.md", "README.md", "SECURITY.md", "docs"];

/**
 * Writes all of it into an empty directory.
 *
 * @throws {FerryError} `io` where a program cannot be bundled
 */
export async function writeTree(directory: string, making: Making): Promise<void> {
  const own = `${PROJECT}packaging/debian/`;
  for (const program of PROGRAMS) await writeProgram(join(directory, program.name), program, own);
  copy(Deno.execPath(), join(directory, "ferry/usr/lib/ferry/deno"));
  copy(`${PROJECT}packaging/systemd/ferryd.toml`, join(directory, "ferryd/etc/ferryd/ferryd.toml"));
  copy(
    `${PROJECT}packaging/wireshark/ferry.lua`,
    join(directory, "ferry/usr/share/ferry/ferry.lua"),
  );
  writeManualPages(join(directory, "man"), making.date);
  for (const name of DOCUMENTS) copy(PROJECT + name, join(directory, name));
  copy(`${own}debian`, join(directory, "debian"));
  for (const name of ["ferryd.service", "ferryd.logrotate"]) {
    copy(`${PROJECT}packaging/systemd/${name}`, join(directory, `debian/${name}`));
  }
  fill(join(directory, "debian/control"), { maintainer: making.maintainer });
  fill(join(directory, "debian/copyright"), licenses());
  Deno.writeTextFileSync(join(directory, "debian/changelog"), changelog(making));
}

async function writeProgram(directory: string, program: Program, own: string): Promise<void> {
  const { name, entry } = program;
  const library = join(directory, `usr/lib/ferry/${name}`);
  makeDirectories(library);
  await bundle(PROJECT + entry, library);
  const launcher = fillTemplate(Deno.readTextFileSync(`${own}launcher.sh`), {
    name,
    version: VERSION,
    flags: runArguments(program).map((flag) => `'${flag}'`).join(" "),
    entry: ENTRY,
  });
  write(join(directory, `usr/bin/${name}`), launcher, 0o755);
  for (const [shell, place] of Object.entries(COMPLETIONS)) {
    const text = renderCompletions(shell as Shell, name, COMMANDS[name]);
    write(join(directory, place(name)), text, 0o644);
  }
}

/** The parts of the file of licenses that follow from LICENSE. */
function licenses(): Record<string, string> {
  const [, ...rest] = Deno.readTextFileSync(`${PROJECT}LICENSE`).trim().split("\n");
  const [notice, ...text] = rest.join("\n").trim().split("\n");
  const license = text.join("\n").trim().split("\n").map((line) => ` ${line || "."}`).join("\n");
  const copyright = notice!.replace(/^Copyright \(c\) /, "");
  return { copyright, license, deno: Deno.version.deno };
}

function changelog({ maintainer, date }: Making): string {
  return `ferry (${VERSION}-1) unstable; urgency=medium

  * The release ${VERSION}. /usr/share/doc/ferry/changelog.gz says what changed.

 -- ${maintainer}  ${date.toUTCString().replace("GMT", "+0000")}
`;
}

function fill(path: string, values: Readonly<Record<string, string>>): void {
  Deno.writeTextFileSync(path, fillTemplate(Deno.readTextFileSync(path), values));
}

function copy(from: string, to: string): void {
  makeDirectories(dirname(to));
  cpSync(from, to, {
    recursive: true,
    filter: (path) => !path.startsWith(`${PROJECT}docs/generate`),
  });
}

function write(path: string, text: string, mode: number): void {
  makeDirectories(dirname(path));
  Deno.writeTextFileSync(path, text, { mode });
}
