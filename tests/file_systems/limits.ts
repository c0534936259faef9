/**
 * Checks of a file system that is full, mounted again, or gone.
 *
 * @module
 */

import { Ferryd } from "../support/programs.ts";
import { type Answer, NONE, randomBytes, SAID, type Trial } from "./trial.ts";
import { md5, MIB } from "../support/bytes.ts";

/** Uploads and downloads to a full file system. */
export async function full(trial: Trial): Promise<string> {
  const large = trial.write("large", randomBytes(12 * MIB));
  if (trial.system.endless) return NONE;
  for (let at = 0; at < 8; at++) trial.write(`many/${at}`, randomBytes(MIB));
  await using server = await Ferryd.start(trial.local);
  trial.mounted.fill(3 * MIB);
  try {
    for (const args of [["put", "large", "--to", "full"], ["put", "many", "--as", "full/many"]]) {
      await holdNoSpace(trial, args, await trial.try(...args));
    }
    const piped = await trial.pipe(large, "--as", "full/piped");
    const refused = piped.code === 5 && piped.stderr.includes("no space left");
    trial.hold(refused, `put - onto a full file system: ${piped.code} ${piped.stderr}`);
    for (const args of [["get", "large"], ["get", "many"]]) {
      await holdNoSpace(trial, args, await trial.tryWith(server.address, ...args));
    }
  } finally {
    trial.mounted.drain();
  }
  await trial.succeed("put", "large", "--as", "full/later");
  trial.holdStored("full/later", large);
  return "told";
}

/** Asserts that acknowledged files exist, and that the others failed with the right error. */
async function holdNoSpace(
  trial: Trial,
  args: readonly string[],
  { code, events, said }: Answer,
): Promise<void> {
  for (const { event, filename } of events) {
    if (event !== "done") continue;
    const bytes = await Deno.readFile(`${trial.local}/${filename!.replace("full/", "")}`);
    if (args[0] === "put") trial.holdStored(filename!, bytes);
    else trial.holdFile(`${trial.here}/${filename}`, bytes);
  }
  const errors = events.filter(({ event }) => event === "error");
  const right = code === 5 && errors.length > 0 && errors.every(({ code }) => code === "no_space");
  trial.hold(right, `${args.join(" ")} onto a full file system: ${said}`);
}

/** Starts ferryd, and checks its warnings about what it cannot guarantee. */
export async function start(trial: Trial): Promise<string> {
  try {
    await trial.start();
  } catch (error) {
    trial.refused = true;
    const lines = (error as Error).message.trim().split("\n");
    trial.hold(lines.length === 1 && lines[0]!.includes("ferryd: Cannot serve"), `${error}`);
    return "refused";
  }
  const said = await trial.stop();
  trial.said = SAID.filter(([sentence]) => said.includes(`ferryd: ${sentence}`))
    .map(([, word]) => word);
  await trial.start();
  if (!trial.system.readOnly) await prepareAlike(trial);
  return trial.said.join(", ") || "yes";
}

/** How many files are told apart by their checksums. */
const ALIKE = 12;

/** Uploads files of the same size and time; {@linkcode remount} asks for their checksums. */
async function prepareAlike(trial: Trial): Promise<void> {
  const time = new Date("2020-01-02T03:04:05Z");
  for (let at = 0; at < ALIKE; at++) {
    trial.write(`alike/${at}`, randomBytes(4096));
    Deno.utimeSync(`${trial.local}/alike/${at}`, time, time);
  }
  await trial.succeed("put", "alike");
  for (let at = 0; at < ALIKE; at++) {
    trial.holdStored(`alike/${at}`, Deno.readFileSync(`${trial.local}/alike/${at}`));
  }
}

/**
 * Mounts the file system again without ferryd, and checks all acknowledged files and the checksums. File systems that
 * assign inode numbers in the order of access assign others the second time.
 */
export async function remount(trial: Trial): Promise<string> {
  if (trial.system.forgets) return NONE;
  const numbers = Array.from({ length: ALIKE }, (_, at) => at);
  for (const order of [numbers, numbers.toReversed()]) {
    await trial.stop();
    await trial.mounted.unmount();
    await trial.mounted.mount();
    await trial.start();
    for (const at of order) Deno.statSync(`${trial.root}/alike/${at}`);
    await holdChecksums(trial);
  }
  for (const [name, bytes] of trial.stored) trial.holdStored(name, bytes);
  return "yes";
}

async function holdChecksums(trial: Trial): Promise<void> {
  for (const args of [["ls", "alike"], ["stat", "alike/*"], ["ls", "alike"]]) {
    for (const { event, filename, md5: told } of await trial.succeed(...args)) {
      const bytes = filename && trial.stored.get(filename);
      if (!bytes || !told || event === "summary") continue;
      trial.hold(told === md5(bytes), `${args.join(" ")} tells another md5 of ${filename}`);
    }
  }
}

/** Removes the file system under ferryd, first its program where it has one, and mounts it again. */
export async function gone(trial: Trial): Promise<string> {
  if (trial.system.forgets) return NONE;
  const holdTold = async (when: string) => {
    for (const args of [["ls", "alike"], ["put", "large", "--as", "gone"]]) {
      const { code, events, said } = await trial.try(...args);
      const told = code === 1 && events.every((event) => event.event !== "done");
      trial.hold(told, `ferry ${args.join(" ")} ${when}: ${said}`);
    }
  };
  if (await trial.mounted.killServer()) await holdTold("when its program has ended");
  await trial.mounted.unmount();
  await holdTold("when it is unmounted");
  await trial.mounted.mount();
  const name = "alike/0";
  const back = await trial.try("stat", name);
  trial.hold(back.code === 0, `ferry stat once it is mounted again: ${back.said}`);
  trial.holdStored(name, trial.stored.get(name)!);
  await trial.stop();
  return "yes";
}
