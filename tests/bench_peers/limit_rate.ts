/**
 * How well a limit on the speed is held, over ten seconds.
 *
 * @module
 */

import { succeed } from "../interruptible.ts";
import { Ferryd, spawnFerry } from "../programs.ts";
import { writeRandomFile } from "../random_file.ts";
import { type Bench, median, MIB, status, table } from "./measure.ts";
import { spawn, startRsyncDaemon, startSshd } from "./peers.ts";

/** The limit in bytes a second. */
const RATE = 8 * MIB;

/** For how long it has to be held. */
const SECONDS = 10;

/** How far from the limit ferry may be. */
const GOAL = 0.05;

interface Contestant {
  name: string;
  run(): Promise<unknown>;
}

/** Compares the speed of limited transfers with the limit. */
export async function limitRate(bench: Bench): Promise<string> {
  const { dir, signal, installed } = bench;
  const home = Deno.makeTempDirSync({ dir });
  const root = `${home}/root`;
  Deno.mkdirSync(root);
  const input = `${home}/input`;
  await writeRandomFile(input, RATE * SECONDS, bench);
  await using stack = new AsyncDisposableStack();
  const { address } = stack.use(await Ferryd.start(root));
  const ferry = async (...args: string[]) => {
    const all = [...args, "--limit-rate", `${RATE}`, "--json"];
    const { stdout } = await succeed("ferry", spawnFerry(all, { server: address }), signal);
    // The start of the program is no part of the transfer.
    return JSON.parse(stdout).seconds;
  };
  const contestants: Contestant[] = [
    { name: "ferry put", run: () => ferry("put", input, "--as", "f", "--overwrite", "always") },
    {
      name: "ferry get",
      run: () => ferry("get", "f", "--out", `${home}/got`, "--overwrite", "always"),
    },
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
  for (const { name, run } of contestants) {
    const seconds: number[] = [];
    for (let round = 0; round < Math.min(bench.rounds, 3); round++) {
      status(`${name} at ${RATE / MIB} MiB/s, round ${round + 1}`);
      const started = performance.now();
      const own = await run();
      seconds.push(typeof own === "number" ? own : (performance.now() - started) / 1000);
    }
    const speed = RATE * SECONDS / median(seconds);
    if (name.startsWith("ferry")) worst = Math.max(worst, Math.abs(speed / RATE - 1));
    const percent = `${(speed / RATE * 100).toFixed(1)} %`;
    rows.push([name, `${(speed / MIB).toFixed(2)} MiB/s`, percent]);
  }
  status("");
  Deno.removeSync(home, { recursive: true });
  const verdict = worst <= GOAL ? "yes" : "NO";
  return `${table(rows)}  goal: ferry within ${GOAL * 100} % of the limit: ${verdict}, ${
    (worst * 100).toFixed(1)
  } %\n`;
}
