/**
 * What it costs a server to be observed: many small uploads with metrics, a log file and an audit trail, and without;
 * and how fast metrics are answered meanwhile.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { type Bench, interleave, median, table, timingTable } from "./measure.ts";
import { processorSeconds } from "./process_usage.ts";
import { ferryOnTree, FILE_BYTES, makeTree } from "./tree.ts";

/** How much more processor time an observed server may take, and how long an answer may take, in milliseconds. */
const GOALS = { time: 1.03, answer: 50 } as const;

/** How often metrics are asked for in the last run of all, in milliseconds. */
const ASK_EVERY_MS = 10;

/** The contestants: their names, and the options of their servers. */
function servers(dir: string): [name: string, serve: string[]][] {
  const files = ["--log-file", `${dir}/log`, "--audit", `${dir}/audit`];
  return [
    ["ferry", []],
    ["ferry, observed", ["--metrics", "127.0.0.1:0", "--log", "json", ...files]],
  ];
}

/** Times uploads to servers that are observed and not, and asks for metrics during one more. */
export async function observe(bench: Bench): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const options = { input: makeTree(bench), direction: "put" } as const;
  const used = new Map<string, number[]>();
  const contestants = [];
  for (const [name, serve] of servers(bench.dir)) {
    const contestant = await ferryOnTree(bench, options, {
      name,
      durability: "none",
      serve,
    }, stack);
    used.set(name, []);
    contestants.push({
      ...contestant,
      async run() {
        const before = await processorSeconds(contestant.server.pid);
        await contestant.run();
        used.get(name)!.push(await processorSeconds(contestant.server.pid) - before);
      },
    });
  }
  const timings = await interleave(contestants, { ...bench, size: bench.files * FILE_BYTES });
  const [plain, observed] = [...used.values()].map(median);
  const ratio = observed! / plain!;
  const last = contestants.at(-1)!;
  const answers = await answersDuring(last.server.listening.get("metrics")!, () => last.run());
  const slowest = Math.max(...answers);
  return timingTable(timings, { work: { amount: bench.files, unit: "files" }, goals: [] }) + table([
    ["processor time of ferryd", "without", "observed", "ratio", "goal"],
    [
      "the median",
      `${plain!.toFixed(2)} s`,
      `${observed!.toFixed(2)} s`,
      `${ratio.toFixed(3)}x`,
      `at most ${GOALS.time}x: ${ratio <= GOALS.time ? "yes" : "NO"}`,
    ],
  ]) + table([
    [`${answers.length} scrapes meanwhile`, "median", "slowest", "goal"],
    [
      "one at a time",
      `${median(answers).toFixed(1)} ms`,
      `${slowest.toFixed(1)} ms`,
      `at most ${GOALS.answer} ms: ${slowest <= GOALS.answer ? "yes" : "NO"}`,
    ],
  ]);
}

/** Asks for metrics again and again until something has been done; how long each answer took, in milliseconds. */
async function answersDuring(address: string, work: () => Promise<void>): Promise<number[]> {
  let working = true;
  const done = work().finally(() => working = false);
  const took: number[] = [];
  while (working) {
    const asked = performance.now();
    const answer = await fetch(`http://${address}/metrics`);
    await answer.text();
    took.push(performance.now() - asked);
    if (answer.status !== 200) throw new Error(`metrics were answered with ${answer.status}`);
    await delay(ASK_EVERY_MS);
  }
  await done;
  return took;
}
