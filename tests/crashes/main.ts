/**
 * `deno task crashes`: kills servers at many system calls, and serves what losses of power would leave.
 *
 * @module
 */

import { runInterruptibly } from "../support/interruptible.ts";
import { parseNumbers, randomSeed } from "../support/numeric_options.ts";
import { DENO, PROJECT } from "../support/programs.ts";

const HELP = `Usage: deno task crashes [--kills N] [--seed N] [--only CALL]

  --kills N    how often a server is killed (default 500); for 5 kills, the power is lost twice
  --seed N     which calls it is killed at follows from it; printed at the start (default: another one each time)
  --only CALL  kills it at this call only, as a failure names it: "mv of a file, linkat 1"
`;

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  const at = argv.indexOf("--only");
  const [, only] = at < 0 ? [] : argv.splice(at, 2);
  const options = parseNumbers(argv, { kills: 500, seed: randomSeed() });
  if (!options) {
    console.log(HELP);
    return 0;
  }
  console.log(`seed ${options.seed}`);
  const filter = only === undefined ? [] : ["--filter", "ferryd leaves"];
  const child = new Deno.Command(DENO, {
    args: ["test", "--quiet", "--no-check", "-P=programs", ...filter, "tests/crashes"],
    cwd: PROJECT,
    env: {
      FERRY_CRASHES: String(options.kills),
      FERRY_CRASHES_SEED: String(options.seed),
      ...(only === undefined ? {} : { FERRY_CRASHES_ONLY: only }),
    },
    stdin: "null",
  }).spawn();
  signal.addEventListener("abort", () => child.kill("SIGINT"), { once: true });
  return (await child.status).code;
}

if (import.meta.main) await runInterruptibly("crashes", (signal) => main(Deno.args, signal));
