/**
 * Machines for tests: this one, with systemd as its first process, in namespaces of its own. All that is changed there
 * is gone in the end.
 *
 * @module
 */

import { type Outcome, TempDir } from "../support/programs.ts";
import { Mount } from "../support/mount.ts";
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
 * Boots a machine and runs a script on it, as root, until it ends.
 *
 * @param files what the directory has that is the script's first argument: paths here
 * @returns its status, and on `stdout` all that it printed
 */
export async function runOnMachine(script: string, files: readonly string[]): Promise<Outcome> {
  await using layer = new Mount("size=1g");
  await using dir = new TempDir();
  const root = layer.path + "/root";
  for (const name of ["root", "upper", "work"]) Deno.mkdirSync(`${layer.path}/${name}`);
  const layers = `lowerdir=/,upperdir=${layer.path}/upper,workdir=${layer.path}/work`;
  await mustRun("mount", ["-t", "overlay", "-o", layers, "overlay", root]);
  try {
    Deno.mkdirSync(`${root}/trial`);
    Deno.copyFileSync(script, `${root}/trial/script`);
    Deno.chmodSync(`${root}/trial/script`, 0o755);
    for (const path of files) Deno.copyFileSync(path, `${root}/trial/${path.split("/").at(-1)}`);
    for (const [name, text] of Object.entries(UNITS)) {
      Deno.writeTextFileSync(`${root}/etc/systemd/system/${name}`, text);
    }
    const isolation = ["--register=no", "--keep-unit", "--private-network", "--console=pipe"];
    const { code, stderr } = await runTool(
      "systemd-nspawn",
      [...isolation, "--quiet", `--directory=${root}`, "--boot", "systemd.unit=trial.target"],
      dir.path,
    );
    return { code, stdout: Deno.readTextFileSync(`${root}/trial/said`), stderr };
  } finally {
    await mustRun("umount", [root]);
  }
}

async function mustRun(tool: string, args: string[]): Promise<void> {
  const { code, stderr } = await runTool(tool, args, "/");
  if (code !== 0) throw new Error(stderr);
}
