/**
 * `deno task cluster`: two servers behind haproxy over one bucket of a real Ceph, whose servers and gateway are killed
 * and started again while clients put, are cut, and get. At the end every acknowledged file is there, and nothing else.
 *
 * @module
 */

import { CEPH } from "../support/engines/ceph.ts";
import { Engine, whyNoEngine } from "../support/engines/engine.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { runInterruptibly } from "../support/interruptible.ts";
import { isThere } from "../support/mount.ts";
import { parseNumbers, randomSeed } from "../support/numeric_options.ts";
import { Cluster } from "./cluster.ts";
import { problemsIn } from "./verdict.ts";
import { Account, Worker } from "./worker.ts";

const HELP = `Usage: deno task cluster [--minutes N | --seconds N] [--clients N] [--seed N]

  --minutes N  for how long (default 5)
  --seconds N  the same in seconds
  --clients N  how many clients work at the same time (default 6)
  --seed N     what happens follows from it; printed at the start (default: another one each time)
`;

/** How often a server is killed, in milliseconds: at least, and how much longer at most. */
const KILLS = { least: 400, more: 1500 };

/** Every so many kills the gateway of the store is killed instead. */
const GATEWAY_EVERY = 12;

/** Kills servers and the gateway, and starts them again, until the signal is aborted; then all run. */
async function sabotage(
  { instances }: Cluster,
  { engine, account, seed, stop }: {
    engine: Engine;
    account: Account;
    seed: number;
    stop: AbortSignal;
  },
): Promise<void> {
  const random = randomNumbers(seed);
  for (let turn = 1; !stop.aborted; turn++) {
    await pause(KILLS.least + random(KILLS.more));
    if (turn % GATEWAY_EVERY === GATEWAY_EVERY / 2) {
      account.count("gateway killed");
      await engine.kill();
      await pause(random(1000));
      await engine.restart();
      continue;
    }
    const instance = instances[random(instances.length)]!;
    const signal = random(4) === 0 ? "SIGTERM" : "SIGKILL";
    account.count(`server: ${signal}`);
    await instance.end(signal);
    await pause(random(800));
    await instance.start();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function run(
  { seconds, clients, seed }: { seconds: number; clients: number; seed: number },
  signal: AbortSignal,
): Promise<number> {
  await using engine = await Engine.start(CEPH);
  await using cluster = await Cluster.start(engine, ["one", "two"]);
  const account = new Account();
  const stop = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]);
  const { entrance } = cluster;
  const workers = Array.from(
    { length: clients },
    (_, number) => new Worker(number, { entrance, account, seed }),
  );
  await Promise.all([
    ...workers.map((worker) => worker.run(stop)),
    sabotage(cluster, { engine, account, seed, stop }),
  ]);
  signal.throwIfAborted();
  const problems = [...account.problems, ...await problemsIn(cluster, account)];
  for (const [what, count] of [...account.counts].sort()) {
    console.log(`${String(count).padStart(7)}  ${what}`);
  }
  const mebibytes = Math.round(account.bytes / 1024 / 1024);
  console.log(`${account.files.size} files acknowledged, ${mebibytes} MiB, in ${seconds} s`);
  if (problems.length === 0) return 0;
  const again = `deno task cluster --seconds ${seconds} --clients ${clients} --seed ${seed}`;
  console.log(`FAILED: ${again}\n${problems.slice(0, 20).join("\n")}`);
  return 1;
}

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  const options = parseNumbers(argv, {
    minutes: 5,
    seconds: undefined as number | undefined,
    clients: 6,
    seed: randomSeed(),
  });
  if (!options) {
    console.log(HELP);
    return 0;
  }
  const why = whyNoEngine(CEPH) ?? (isThere("haproxy") ? undefined : "no haproxy here");
  if (why !== undefined) {
    console.log(`left out: ${why}`);
    return 0;
  }
  const { minutes, seconds = minutes * 60, clients, seed } = options;
  console.log(`seed ${seed}`);
  return await run({ seconds, clients, seed }, signal);
}

if (import.meta.main) await runInterruptibly("cluster", (signal) => main(Deno.args, signal));
