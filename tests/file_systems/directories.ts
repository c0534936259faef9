/**
 * Checks of listings, of operations on names, and of file systems below the root.
 *
 * @module
 */

import { run } from "../support/mount.ts";
import { PREPARED } from "./mounts.ts";
import { randomBytes, type Trial } from "./trial.ts";

/** Lists the files. */
export async function list(trial: Trial): Promise<string> {
  const expected = new Map<string, number>();
  if (trial.system.readOnly) {
    for (const [path, content] of PREPARED) {
      if (path.startsWith("root/list/")) expected.set(path.slice(5), content.length);
    }
  } else {
    for (const name of ["list/one", "list/below/two"]) {
      trial.holdStored(name, await uploaded(trial, name));
      expected.set(name, 1000);
    }
  }
  const entries = await trial.succeed("ls", "list", "-R");
  const files = entries.filter(({ type }) => type === "file");
  const seen = new Map(files.map(({ filename, total_size }) => [filename!, total_size!]));
  trial.hold(
    JSON.stringify([...seen].sort()) === JSON.stringify([...expected].sort()),
    `ls shows ${JSON.stringify([...seen])}`,
  );
  const directories = entries.filter(({ type }) => type === "directory");
  trial.hold(directories.length === 1, `ls shows ${directories.length} directories`);
  return "yes";
}

async function uploaded(trial: Trial, name: string): Promise<Uint8Array> {
  const bytes = trial.write(name, randomBytes(1000));
  await trial.succeed("put", name, "--as", name);
  return bytes;
}

/** Renames files and directories. */
export async function move(trial: Trial): Promise<string> {
  const bytes = await uploaded(trial, "mv/dir/file");
  await trial.succeed("mv", "mv/dir/file", "mv/dir/moved");
  trial.holdStored("mv/dir/moved", bytes);
  const taken = await uploaded(trial, "mv/taken");
  const { code, said } = await trial.try("mv", "mv/dir/moved", "mv/taken");
  trial.hold(code === 5, `mv onto a name that is taken: ${said}`);
  trial.holdStored("mv/taken", taken);
  trial.stored.delete("mv/dir/moved");
  await trial.succeed("mv", "mv/dir", "mv/other");
  trial.holdStored("mv/other/moved", bytes);
  trial.stored.delete("mv/other/moved");
  await trial.succeed("mv", "mv/other/moved", "mv/taken", "--overwrite", "always");
  trial.holdStored("mv/taken", bytes);
  trial.stored.delete("mv/taken");
  await trial.succeed("mv", "mv/taken", "mv/TAKEN");
  trial.holdStored("mv/TAKEN", bytes);
  const now = [...Deno.readDirSync(`${trial.root}/mv`)].map(({ name }) => name);
  trial.hold(now.includes("TAKEN") && !now.includes("taken"), `mv left ${now}`);
  if (now.includes("lower")) await trial.succeed("mv", "mv/lower", "mv/higher");
  return "yes";
}

/** Removes a directory with an open file in it. */
export async function remove(trial: Trial): Promise<string> {
  const bytes = await uploaded(trial, "rm/file");
  await uploaded(trial, "rm/below/file");
  {
    using held = Deno.openSync(`${trial.root}/rm/below/file`);
    await trial.succeed("rm", "rm/below/file");
    const entries = await trial.succeed("ls", "rm", "-R");
    const seen = entries.map(({ filename }) => filename).sort();
    trial.hold(seen.join() === "rm/below,rm/file", `ls shows ${seen}`);
    using other = Deno.openSync(`${trial.root}/rm/file`);
    await trial.succeed("rm", "rm", "-r");
    held.statSync();
    other.statSync();
  }
  const left = [...Deno.readDirSync(trial.root)].some(({ name }) => name === "rm");
  trial.hold(!left && bytes.length > 0, "rm -r left the directory");
  return "yes";
}

/** Uploads to other file systems below the root, and moves files between them and the root. */
export async function below(trial: Trial): Promise<string> {
  const at = `${trial.root}/below`;
  Deno.mkdirSync(at);
  must(trial, "mount", "-t", "tmpfs", "-o", "size=32m", "ferry", at);
  try {
    await holdCrossed(trial, "below");
  } finally {
    must(trial, "umount", "-l", at);
  }
  const { divide: [command, ...args] = [] } = trial.system;
  if (command !== undefined) {
    must(trial, command, ...args, `${trial.root}/part`);
    await holdCrossed(trial, "part");
  }
  return "yes";
}

function must(trial: Trial, command: string, ...args: string[]): void {
  const { success, stderr } = run(command, ...args);
  trial.hold(success, stderr);
}

async function holdCrossed(trial: Trial, directory: string): Promise<void> {
  const at = `${trial.root}/${directory}`;
  const inside = await uploaded(trial, `${directory}/inside`);
  trial.holdFile(`${at}/inside`, inside);
  const outside = await uploaded(trial, "outside");
  await trial.succeed("mv", "outside", `${directory}/from-outside`);
  trial.holdFile(`${at}/from-outside`, outside);
  await trial.succeed("mv", `${directory}/inside`, `from-${directory}`);
  trial.holdStored(`from-${directory}`, inside);
  await trial.succeed("rm", `${directory}/from-outside`);
  trial.hold([...Deno.readDirSync(at)].every(({ name }) => name.startsWith(".")), "rm left a file");
}
