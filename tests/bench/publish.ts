/**
 * A directory of many small files that is published as one: beside a plain upload, and beside rsync, which shows each
 * file as it comes.
 *
 * @module
 */

import { connect } from "../../mod.ts";
import { Ferryd } from "../support/programs.ts";
import type { Absences, Look } from "./absence.ts";
import {
  type Bench,
  type Contestant,
  type Goal,
  interleave,
  median,
  timingTable,
} from "./measure.ts";
import { processorSeconds } from "./process_usage.ts";
import { ferryOnTree, FILE_BYTES, makeTree, rsyncs } from "./tree.ts";

const DURABLE = "ferry --atomic";
const QUICK = "ferry --atomic --durability none";
const PLAIN = "ferry --durability none";

// A fair comparison: of the peers, only rsync --fsync has flushed the files when it ends.
const GOALS: readonly Goal[] = [
  { ours: DURABLE, peer: "rsync --fsync", ratio: { speed: 1.3 } },
  { ours: QUICK, peer: PLAIN, ratio: { speed: 1.6 } },
];

/** How often a directory is replaced while a reader looks. */
const REPLACEMENTS = 30;

/** Times the publication of a new directory, and measures for how long one that is replaced lacks its name. */
export async function publication(bench: Bench): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const options = { input: makeTree(bench), direction: "put" } as const;
  const ways = [
    { name: DURABLE, durability: "full", more: ["--atomic"] },
    { name: QUICK, durability: "none", more: ["--atomic"] },
    { name: PLAIN, durability: "none" },
  ] as const;
  const contestants: Contestant[] = [];
  /** The processor time of the servers in each run, in seconds. */
  const processor = new Map<string, number[]>();
  for (const { name, durability, ...rest } of ways) {
    const more = "more" in rest ? [...rest.more] : [];
    const ferry = await ferryOnTree(bench, options, { name, durability, more }, stack);
    const used: number[] = [];
    processor.set(name, used);
    const run = async () => {
      const before = await processorSeconds(ferry.server.pid);
      await ferry.run();
      used.push(await processorSeconds(ferry.server.pid) - before);
    };
    contestants.push({ ...ferry, run });
  }
  contestants.push(...(await rsyncs(bench, options, stack)).slice(1));
  const timings = await interleave(contestants, { ...bench, size: bench.files * FILE_BYTES });
  const table = timingTable(timings, {
    work: { amount: bench.files, unit: "files" },
    goals: GOALS,
  });
  const took = [...processor].map(([name, used]) => `${name} ${median(used).toFixed(2)} s`);
  return `${table}  processor time of ferryd: ${took.join(", ")}\n` + await replacements(bench);
}

/** For how long a directory that is replaced lacks its name, as a reader sees it, as text. */
async function replacements({ dir, signal }: Bench): Promise<string> {
  const root = Deno.makeTempDirSync({ dir });
  const local = Deno.makeTempDirSync({ dir });
  for (let file = 0; file < 10; file++) Deno.writeTextFileSync(`${local}/${file}`, `${file}`);
  await using server = await Ferryd.start(root);
  await using client = await connect(server.address);
  const put = () => client.putTree(local, { as: "site", atomic: true, overwrite: "always" });
  await put();
  const end = new SharedArrayBuffer(4);
  const reader = new Worker(import.meta.resolve("./absence.ts"), { type: "module" });
  try {
    const messages: ((value: Absences | "ready") => void)[] = [];
    reader.onmessage = ({ data }: MessageEvent<Absences | "ready">) => messages.shift()?.(data);
    const next = () => new Promise<Absences | "ready">((resolve) => messages.push(resolve));
    const ready = next();
    reader.postMessage({ path: `${root}/site`, end } satisfies Look);
    await ready;
    for (let time = 0; time < REPLACEMENTS; time++) {
      signal.throwIfAborted();
      await put();
    }
    const ended = next();
    Atomics.store(new Int32Array(end), 0, 1);
    const { took, step } = await ended as Absences;
    const us = (ms: number) => `${(ms * 1000).toFixed(0)} us`;
    const seen = took.length === 0
      ? "never found nothing"
      : `found nothing in ${took.length} of them, for ${us(median(took))} (median), ` +
        `${us(Math.max(...took))} (longest)`;
    return `  ${REPLACEMENTS} replacements: a reader that looks every ${us(step)} ${seen}\n`;
  } finally {
    reader.terminate();
  }
}
