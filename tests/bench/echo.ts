/**
 * Round trips through the UDP echo service.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { succeed } from "../support/interruptible.ts";
import {
  DENO,
  Ferryd,
  type Launch,
  programArgs,
  PROJECT,
  spawnFerry,
} from "../support/programs.ts";
import { type Bench, median, status, table } from "./measure.ts";
import { spawn } from "./peers.ts";

const COUNT = 100_000;
const SIZE = 64;
/** How many datagrams `ferry echo --interval 0` has under way. */
const WINDOW = 64;

/** How many round trips per second ferry's own pair must reach, without a loss. */
const GOAL = 40_000;

const NODE_ECHO = `${PROJECT}tests/bench/node_echo.mjs`;
const NODE = "Node.js, both ends";
const FERRY = "ferry echo, ferryd";
const WITHOUT_FLAG = "the same on node:dgram";

/** The results that a client prints. */
interface Run {
  sent: number;
  received: number;
  seconds: number;
}

/** A server, and a client that is run against it. */
interface Pair {
  name: string;
  run(): Promise<Run>;
}

/** Measures the round trips per second of ferry's pair, and of the same programs on Node.js. */
export async function udpEcho({ rounds, dir, installed, signal }: Bench): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const pairs = [
    await ferryPair(FERRY, {}, { dir, signal, stack }),
    await ferryPair(WITHOUT_FLAG, { launch: launchWithoutFlag(dir) }, { dir, signal, stack }),
  ];
  if (installed.has("node")) pairs.push(await nodePair(signal, stack));
  const runs = new Map(pairs.map(({ name }) => [name, [] as Run[]]));
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < pairs.length; turn++) {
      const { name, run } = pairs[(round + turn) % pairs.length]!;
      status(`round ${round + 1} of ${rounds}: ${name}`);
      signal.throwIfAborted();
      runs.get(name)!.push(await run());
    }
  }
  status("");
  return report(runs);
}

function report(runs: ReadonlyMap<string, readonly Run[]>): string {
  const rate = ({ received, seconds }: Run) => received / seconds;
  const medians = new Map([...runs].map(([name, all]) => [name, median(all.map(rate))]));
  const lost = (all: readonly Run[]) =>
    all.reduce((sum, { sent, received }) => sum + sent - received, 0);
  const node = medians.get(NODE);
  const rows = [...runs].map(([name, all]) => {
    const rates = all.map(rate);
    return [
      name,
      medians.get(name)!.toFixed(0),
      `${Math.min(...rates).toFixed(0)}-${Math.max(...rates).toFixed(0)}`,
      `${lost(all)}`,
      ...(node === undefined ? [] : [`${(medians.get(name)! / node).toFixed(2)}x`]),
    ];
  });
  const head = [
    "",
    "median a second",
    "min-max",
    "lost",
    ...(node === undefined ? [] : ["vs Node.js"]),
  ];
  const ours = medians.get(FERRY)!;
  const reached = ours >= GOAL && lost(runs.get(FERRY)!) === 0 ? "yes" : "NO";
  return table([head, ...rows]) +
    `  goal: ${FERRY} at least ${GOAL} a second and none lost: ${reached}, ${ours.toFixed(0)}\n` +
    (node === undefined ? "  not compared: there is no Node.js here\n" : "");
}

/** Starts the programs with a deno.json without the flag for Deno's own UDP sockets. */
function launchWithoutFlag(dir: string): Launch {
  const { unstable: _, ...rest } = JSON.parse(Deno.readTextFileSync(`${PROJECT}deno.json`));
  const config = `${dir}/deno.json`;
  Deno.writeTextFileSync(config, JSON.stringify({ ...rest, lock: false }));
  return (program) => [DENO, ...programArgs(program, { config })];
}

async function ferryPair(
  name: string,
  how: { launch?: Launch },
  { dir, signal, stack }: { dir: string; signal: AbortSignal; stack: AsyncDisposableStack },
): Promise<Pair> {
  const root = Deno.makeTempDirSync({ dir });
  const listen = ["--udp-echo", "127.0.0.1:0"];
  const server = stack.use(await Ferryd.start(root, listen, how));
  const address = server.listening.get("udp-echo")!;
  const args = ["echo", "--udp", address, "--interval", "0", "--json"];
  return {
    name,
    async run() {
      const all = [...args, "--count", `${COUNT}`, "--size", `${SIZE}`];
      return JSON.parse((await succeed(name, spawnFerry(all, how), signal)).stdout);
    },
  };
}

async function nodePair(signal: AbortSignal, stack: AsyncDisposableStack): Promise<Pair> {
  const server = spawn("node", [NODE_ECHO, "server"]);
  const lines = server.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  const { value: port } = await lines.read();
  stack.defer(async () => {
    server.kill();
    while (!(await lines.read()).done);
    await server.stderr.cancel();
    await server.status;
  });
  if (port === undefined) throw new Error(`${NODE} did not start`);
  return {
    name: NODE,
    async run() {
      const args = [NODE_ECHO, "client", port, `${COUNT}`, `${SIZE}`, `${WINDOW}`];
      return JSON.parse((await succeed(NODE, spawn("node", args), signal)).stdout);
    },
  };
}
