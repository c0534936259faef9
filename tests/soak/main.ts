/**
 * `deno task soak`: many clients work at the same time on two real `ferryd`s, and every byte is compared. All clients
 * are cut now and then. One server is replaced again and again, half of the times by SIGKILL; the other one runs all the
 * time, and its memory, its descriptors and its state directory have to stay as they are.
 *
 * Each client has a directory of its own, and knows what it must contain. The clients of a server also replace, fetch
 * and remove the files of one shared directory, whose contents show by themselves whether they are complete.
 *
 * @module
 */

import { runInterruptibly } from "../support/interruptible.ts";
import { isWhole, sameBytes } from "../support/known_content.ts";
import { parseNumbers, randomSeed } from "../support/numeric_options.ts";
import { filesBelow, TempDir } from "../support/programs.ts";
import { Samples } from "./samples.ts";
import { SoakedServer } from "./soaked_server.ts";
import { Tally } from "./tally.ts";
import { Worker } from "./worker.ts";

const HELP = `Usage: deno task soak [--clients N] [--minutes N | --seconds N] [--seed N]

  --clients N  how many clients work at the same time (default 64)
  --minutes N  for how long (default 1); from 10 minutes on, what grows is a failure
  --seconds N  the same in seconds
  --seed N     what the clients do follows from it; printed at the start (default: another one each time)
`;

/** Compares the files on disk with what the clients expect. */
function* wrongOnDisk(root: string, workers: readonly Worker[]): Generator<string> {
  const expected = new Map(workers.flatMap(({ files }) => [...files]));
  for (const name of filesBelow(root)) {
    if (name.startsWith(".ferry/")) continue;
    const bytes = Deno.readFileSync(`${root}/${name}`);
    const content = expected.get(name);
    expected.delete(name);
    const isRight = content
      ? sameBytes(bytes, content)
      : /^shared\/\d+$/.test(name) && isWhole(bytes);
    if (!isRight) yield `${name} on the disk is not what was put`;
  }
  for (const name of expected.keys()) yield `${name} is not on the disk`;
}

async function soak(
  { clients, seconds, seed }: { clients: number; seconds: number; seed: number },
  signal: AbortSignal,
): Promise<number> {
  await using dir = new TempDir();
  const tally = new Tally();
  await using lasting = await SoakedServer.start(dir.join("lasting"), tally);
  await using replaced = await SoakedServer.start(dir.join("replaced"), tally);
  const servers = [lasting, replaced];
  const workers = Array.from({ length: clients }, (_, number) => {
    const local = dir.join(`local-${number}`);
    Deno.mkdirSync(local);
    const server = servers[number % servers.length]!;
    return { server, worker: new Worker({ gate: server.gate(), number, local, seed, tally }) };
  });
  const samples = new Samples(seconds * 1000);
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  const around = [
    replaced.keepReplacing(seed, ended.signal),
    samples.take(lasting.pid, lasting.root, ended.signal),
  ];
  await Promise.all(workers.map(({ worker }) => worker.run(stop)));
  ended.abort();
  await Promise.all(around);
  signal.throwIfAborted();
  for (const server of servers) {
    await server.stop();
    const own = workers.filter((each) => each.server === server).map(({ worker }) => worker);
    tally.problems.push(...wrongOnDisk(server.root, own));
  }
  tally.problems.push(...samples.problems());
  for (const line of [...tally.lines(), ...samples.lines()]) console.log(line);
  const mebibytes = Math.round(tally.bytes / 1024 / 1024);
  console.log(`${clients} clients, ${seconds} s, ${mebibytes} MiB moved`);
  if (tally.problems.length === 0) return 0;
  console.log(`FAILED: deno task soak --seed ${seed}\n${tally.problems.slice(0, 20).join("\n")}`);
  return 1;
}

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  const options = parseNumbers(argv, {
    clients: 64,
    minutes: 1,
    seconds: undefined as number | undefined,
    seed: randomSeed(),
  });
  if (!options) {
    console.log(HELP);
    return 0;
  }
  const { clients, minutes, seconds = minutes * 60, seed } = options;
  console.log(`seed ${seed}`);
  return await soak({ clients, seconds, seed }, signal);
}

if (import.meta.main) await runInterruptibly("soak", (signal) => main(Deno.args, signal));
