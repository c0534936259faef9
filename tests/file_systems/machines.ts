/**
 * Checks of a file system that several machines share: a second mount stands for another machine.
 *
 * @module
 */

import { equals } from "@std/bytes/equals";
import { Ferryd } from "../support/programs.ts";
import { holdResumed } from "./transfers.ts";
import { LARGE, NONE, randomBytes, type Trial } from "./trial.ts";

/** How often another machine replaces a file that was looked at before. */
const REPLACED = 5;

/** How long a ferryd is suspended, in milliseconds: longer than its lease lasts. */
const SUSPENDED_MS = 12_000;

/** Serves the directory from two machines. */
export async function second(trial: Trial): Promise<string> {
  const other = await trial.mounted.mountAgain();
  if (other === undefined) return NONE;
  const root = `${other}/root`;
  await trial.stop();
  await trial.start();
  await holdRefused(trial, root, "while the first one runs");
  await replaceFrom(trial, root);
  await goOn(trial, root);
  await suspend(trial, root);
  await endMachine(trial, root);
  return "refused";
}

/** Starts ferryd on the other machine; what it says instead where it does not start. */
async function started(root: string): Promise<Ferryd | string> {
  try {
    return await Ferryd.start(root);
  } catch (error) {
    return (error as Error).message.trim();
  }
}

async function holdRefused(trial: Trial, root: string, when: string): Promise<void> {
  const server = await started(root);
  if (server instanceof Ferryd) await server.stop();
  const said = server instanceof Ferryd ? "it serves" : server;
  const refused = said.includes("another ferryd serves it");
  trial.hold(refused, `a second ferryd ${when}: ${said}`);
}

/** Starts ferryd on the other machine, which has to work, and uploads and downloads a file. */
async function holdServes(trial: Trial, root: string, when: string): Promise<Ferryd> {
  const server = await started(root);
  trial.hold(server instanceof Ferryd, `ferryd on the other machine ${when}: ${server}`);
  const name = `by-other-${crypto.randomUUID()}`;
  trial.write(name, randomBytes(1000));
  const { code, said } = await trial.tryWith(server.address, "put", name);
  trial.hold(code === 0, `put on the other machine ${when}: ${said}`);
  return server;
}

/** Another machine replaces files that ferryd has seen before; each download is the old file or the new one. */
async function replaceFrom(trial: Trial, root: string): Promise<void> {
  const [before, after] = [randomBytes(200_000), randomBytes(200_001)];
  trial.write("replaced", before);
  for (let at = 0; at < REPLACED; at++) {
    await trial.succeed("put", "replaced", "--overwrite", "always");
    await trial.succeed("stat", "replaced");
    Deno.writeFileSync(`${root}/replacement`, after);
    Deno.renameSync(`${root}/replacement`, `${root}/replaced`);
    await trial.succeed("get", "replaced", "--out", "replaced", "--overwrite", "always");
    const got = await Deno.readFile(`${trial.here}/replaced`);
    trial.hold(equals(got, before) || equals(got, after), "what was replaced is read as a mixture");
  }
}

/** Cuts an upload and kills ferryd; the one on the other machine goes on with it. */
async function goOn(trial: Trial, root: string): Promise<void> {
  const bytes = trial.write("passed-on", randomBytes(LARGE));
  await trial.cut(["put", "passed-on"], "connection");
  await trial.stop("SIGKILL");
  await using server = await holdServes(trial, root, "after the first was killed");
  const { code, events, said } = await trial.tryWith(server.address, "put", "passed-on");
  trial.hold(code === 0, `put of what was cut, on the other machine: ${said}`);
  holdResumed(trial, events, "put that goes on on the other machine");
  trial.holdFile(`${root}/passed-on`, bytes);
  await server.stop();
  await trial.start();
}

/** Suspends ferryd: either its lock goes on to exclude others, or it finds that it was replaced. */
async function suspend(trial: Trial, root: string): Promise<void> {
  const { server } = trial;
  trial.write("late", randomBytes(1000));
  Deno.kill(server.pid, "SIGSTOP");
  let other: Ferryd | string;
  try {
    await new Promise((resolve) => setTimeout(resolve, SUSPENDED_MS));
    other = await started(root);
  } finally {
    Deno.kill(server.pid, "SIGCONT");
  }
  if (other instanceof Ferryd) {
    const { code, said } = await trial.try("put", "late", "--retries", "0");
    trial.hold(code === 6, `put by a ferryd that was suspended and replaced: ${said}`);
    await other.stop();
    await trial.stop();
    await trial.start();
  } else {
    const refused = other.includes("another ferryd serves it");
    trial.hold(refused, `a second ferryd while the first one is suspended: ${other}`);
    await trial.succeed("put", "late");
  }
}

/** Ends the program of the first mount, as the end of a machine does. */
async function endMachine(trial: Trial, root: string): Promise<void> {
  trial.hold(await trial.mounted.killServer(), "nothing serves the mount");
  await using other = await holdServes(trial, root, "after the first machine has ended");
  await other.stop();
  await trial.stop("SIGKILL");
  await trial.mounted.unmount();
  await trial.mounted.mount();
}
