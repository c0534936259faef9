/**
 * Machines for tests: this one, with systemd as its first process, in namespaces of its own. All that is changed there
 * is gone in the end.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { type Outcome, TempDir } from "../support/programs.ts";
import { runTool } from "../support/tools.ts";

/** What it starts: one script, and nothing else that is installed here. */
const UNITS = {
  "trial.service": `[Unit]
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
Environment=HOME=/root
ExecStart=/trial/script /trial
StandardOutput=file:/trial/said
StandardError=inherit
`,
  "trial.target": `[Unit]
Requires=trial.service
`,
};

/**
 * Makes the file system of the machine: this one, under a layer in memory that takes all changes. The mounts end with the
 * namespace of this script.
 */
const BOOT = `set -e
mount -t tmpfs -o size=1g layer "$1/layer"
mkdir "$1/layer/upper" "$1/layer/work" "$1/layer/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/layer/upper,workdir=$1/layer/work" overlay "$1/layer/root"
cp "$1"/trial/*.service "$1"/trial/*.target "$1/layer/root/etc/systemd/system"
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --console=pipe \\
  --directory="$1/layer/root" --bind="$1/trial:/trial" --boot systemd.unit=trial.target
`;

/** The reason why no machine can be booted here, such as a container that may not mount anything. */
export class NoMachine extends Error {}

/**
 * Boots a machine and runs a script on it, as root, until it ends.
 *
 * @param files what the directory has that is the script's first argument: paths here
 * @returns its status, and on `stdout` all that it printed
 * @throws {NoMachine} if it did not come to the script
 */
export async function runOnMachine(script: string, files: readonly string[]): Promise<Outcome> {
  await using dir = new TempDir();
  for (const name of ["layer", "trial"]) Deno.mkdirSync(dir.join(name));
  Deno.copyFileSync(script, dir.join("trial/script"));
  Deno.chmodSync(dir.join("trial/script"), 0o755);
  for (const path of files) Deno.copyFileSync(path, dir.join(`trial/${path.split("/").at(-1)}`));
  for (const [name, text] of Object.entries(UNITS)) dir.write(`trial/${name}`, text);
  const boot = ["--mount", "--propagation", "private", "sh", "-c", BOOT, "sh", dir.path];
  const { code, stderr } = await runTool("unshare", boot, dir.path);
  const said = dir.join("trial/said");
  if (!existsSync(said)) throw new NoMachine(stderr.trim().split("\n").at(-1));
  return { code, stdout: Deno.readTextFileSync(said), stderr };
}
