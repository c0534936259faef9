/**
 * What ten times as many small files take: time, and the memory of both sides.
 *
 * @module
 */

import { Ferryd, spawnFerry } from "../support/programs.ts";
import { type Bench, median, status, table } from "./measure.ts";
import { peakOf } from "./memory.ts";
import { peakResidentBytes, residentBytes } from "./process_usage.ts";
import { countFiles, makeTree } from "./tree.ts";
import { MIB } from "../support/bytes.ts";

/** By which factor the number of files grows. */
const FACTOR = 10;

/** By which factor the time may grow, and the most memory that a program may take, in bytes. */
const GOALS = { time: 10.5, memory: 96 * MIB } as const;

const DIRECTIONS = ["put", "get"] as const;

/** A transfer: its time in seconds, and the peaks of resident memory in bytes. */
interface Run {
  readonly seconds: number;
  readonly client: number;
  readonly server: number;
}

/** Times transfers of few and many files, and returns the table. */
export async function manyFiles(bench: Bench): Promise<string> {
  if (await peakResidentBytes(Deno.pid) === undefined) {
    return "  not measured: this system has no /proc\n";
  }
  const rows = [["", "files", "time", "ratio", "client's peak", "server's peak"]];
  let worst = { ratio: 0, peak: 0 };
  const few = await runs({ ...bench, dir: `${bench.dir}/few` });
  const many = await runs({ ...bench, dir: `${bench.dir}/many`, files: bench.files * FACTOR });
  for (const direction of DIRECTIONS) {
    const times = [few, many].map((all) => median(all[direction].map(({ seconds }) => seconds)));
    for (const [turn, all] of [few, many].entries()) {
      const peaks = (["client", "server"] as const).map((side) =>
        Math.max(...all[direction].map((run) => run[side]))
      );
      const ratio = times[turn]! / times[0]!;
      worst = { ratio: Math.max(worst.ratio, ratio), peak: Math.max(worst.peak, ...peaks) };
      rows.push([
        direction,
        `${bench.files * (turn === 0 ? 1 : FACTOR)}`,
        `${times[turn]!.toFixed(2)} s`,
        turn === 0 ? "" : `${ratio.toFixed(1)}x`,
        ...peaks.map(mebibytes),
      ]);
    }
  }
  const verdict = (reached: boolean) => reached ? "yes" : "NO";
  return table(rows) +
    `  goal: at most ${GOALS.time}x the time: ${verdict(worst.ratio <= GOALS.time)}\n` +
    `  goal: at most ${mebibytes(GOALS.memory)} a side: ${verdict(worst.peak <= GOALS.memory)}\n` +
    await idle(bench);
}

/** Puts a tree to a new server and gets it back, so many times. */
async function runs(bench: Bench): Promise<Record<"put" | "get", Run[]>> {
  const { dir, rounds, files, signal } = bench;
  Deno.mkdirSync(dir);
  const tree = makeTree(bench);
  const all = { put: [] as Run[], get: [] as Run[] };
  for (let round = 0; round < rounds; round++) {
    const root = Deno.makeTempDirSync({ dir });
    for (const direction of DIRECTIONS) {
      status(`${direction} of ${files} files, round ${round + 1} of ${rounds}`);
      await using server = await Ferryd.start(root, ["--durability", "none"]);
      const got = `${root}.got`;
      const args = direction === "put"
        ? ["put", tree, "--quiet"]
        : ["get", "tree", "--out", got, "--durability", "none", "--quiet"];
      const began = performance.now();
      const client = await peakOf(spawnFerry(args, { server: server.address }), signal);
      const seconds = (performance.now() - began) / 1000;
      const there = countFiles(direction === "put" ? `${root}/tree` : got);
      if (there !== files) throw new Error(`${direction}: ${there} files are there, not ${files}`);
      all[direction].push({ seconds, client, server: await peakResidentBytes(server.pid) ?? 0 });
    }
  }
  status("");
  return all;
}

/** The resident memory of servers that have nothing to do. */
async function idle({ dir }: Bench): Promise<string> {
  const cells = [];
  for (const threads of ["1", "2"]) {
    await using server = await Ferryd.start(Deno.makeTempDirSync({ dir }), ["--threads", threads]);
    cells.push(`--threads ${threads} ${mebibytes(await residentBytes(server.pid) ?? 0)}`);
  }
  return `  ferryd that has just started: ${cells.join(", ")}\n`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / MIB).toFixed(0)} MiB`;
}
