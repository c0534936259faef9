/**
 * How well a rate limit is kept, over ten seconds.
 *
 * @module
 */

import { succeed } from "../support/interruptible.ts";
import { Ferryd, ferryd, spawnFerry } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { type Bench, median, status, table } from "./measure.ts";
import { spawn, startRsyncDaemon, startSshd } from "./peers.ts";
import { MIB } from "../support/bytes.ts";

/** The limit in bytes per second, and one at which large pieces have to be transferred. */
const RATE = 8 * MIB;
const FAST_RATE = 50 * MIB;

/** The time for flushing to disk is not part of the measurement. */
const WITHOUT_DISK = ["--durability", "none"];

/** How long the limit has to be kept, in seconds. */
const SECONDS = 10;

/** The greatest relative deviation from the limit. */
const GOAL = 0.05;

interface Contestant {
  name: string;
  /** The limit. Default: {@linkcode RATE}. */
  rate?: number;
  run(): Promise<unknown>;
}

/** Compares the rate of limited transfers with the limit. */
export async function limitRate(bench: Bench): Promise<string> {
  const { dir, signal, installed } = bench;
  const home = Deno.makeTempDirSync({ dir });
  const root = `${home}/root`;
  Deno.mkdirSync(root);
  const input = `${home}/input`;
  await writeRandomFile(input, RATE * SECONDS, bench);
  const large = `${home}/large`;
  await writeRandomFile(large, FAST_RATE * SECONDS, bench);
  await using stack = new AsyncDisposableStack();
  const { address } = stack.use(await Ferryd.start(root, WITHOUT_DISK));
  const pair = ["--tls-cert", `${home}/cert.pem`, "--tls-key", `${home}/key.pem`];
  await ferryd(["cert", "--host", "127.0.0.1", ...pair]);
  Deno.mkdirSync(`${home}/secret`);
  const secured = stack.use(await Ferryd.start(`${home}/secret`, [...WITHOUT_DISK, ...pair]));
  const overTls = ["--server", secured.address, "--tls", "--ca", `${home}/cert.pem`];
  const ferry = async (rate: number, ...args: string[]) => {
    const all = [...args, "--limit-rate", `${rate}`, "--overwrite", "always", "--json"];
    const { stdout } = await succeed("ferry", spawnFerry(all, { server: address }), signal);
    // The start of the program is not part of the transfer.
    return JSON.parse(stdout).seconds;
  };
  let gets = 0;
  const both = (name: string, rate: number, file: string, ...args: string[]): Contestant[] => [
    { name: `ferry put${name}`, rate, run: () => ferry(rate, "put", file, "--as", "f", ...args) },
    {
      name: `ferry get${name}`,
      rate,
      run: () => {
        return ferry(rate, "get", "f", "--out", `${home}/got${gets++}`, ...WITHOUT_DISK, ...args);
      },
    },
  ];
  const contestants = [
    ...both("", RATE, input),
    ...both(", TLS", RATE, input, ...overTls),
    ...both(", 50 MiB/s", FAST_RATE, large),
    ...both(", 50 MiB/s, TLS", FAST_RATE, large, ...overTls),
  ];
  if (installed.has("rsync")) {
    const { port } = stack.use(await startRsyncDaemon(Deno.makeTempDirSync({ dir: home }), root));
    const args = ["--whole-file", "--ignore-times", `--bwlimit=${RATE / 1024}`, input];
    const to = `rsync://127.0.0.1:${port}/files/rsync`;
    contestants.push({
      name: "rsync",
      run: () => succeed("rsync", spawn("rsync", [...args, to]), signal),
    });
  }
  if (installed.has("scp") && installed.has("sshd")) {
    const sshd = stack.use(await startSshd(Deno.makeTempDirSync({ dir: home })));
    const to = `${sshd.user}@127.0.0.1:${root}/scp`;
    const args = [
      "-q",
      "-P",
      `${sshd.port}`,
      ...sshd.options,
      "-l",
      `${Math.round(RATE * 8 / 1000)}`,
      input,
      to,
    ];
    contestants.push({ name: "scp", run: () => succeed("scp", spawn("scp", args), signal) });
  }
  const rows = [["", "speed", "of the limit"]];
  let worst = 0;
  for (const { name, rate = RATE, run } of contestants) {
    const seconds: number[] = [];
    for (let round = 0; round < Math.min(bench.rounds, 3); round++) {
      status(`${name} at ${rate / MIB} MiB/s, round ${round + 1}`);
      const started = performance.now();
      const own = await run();
      seconds.push(typeof own === "number" ? own : (performance.now() - started) / 1000);
    }
    const speed = rate * SECONDS / median(seconds);
    if (name.startsWith("ferry")) worst = Math.max(worst, Math.abs(speed / rate - 1));
    const percent = `${(speed / rate * 100).toFixed(1)} %`;
    rows.push([name, `${(speed / MIB).toFixed(2)} MiB/s`, percent]);
  }
  status("");
  Deno.removeSync(home, { recursive: true });
  const verdict = worst <= GOAL ? "yes" : "NO";
  return `${table(rows)}  goal: ferry within ${GOAL * 100} % of the limit: ${verdict}, ${
    (worst * 100).toFixed(1)
  } %\n`;
}
