/**
 * Compressed transfers over a slow line: sources of programs, as a directory and as one file, and what does not shrink.
 *
 * @module
 */

import { isTaken } from "../../lib/files/path_lookup.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { type Bench, type Contestant, interleave, median, table, timingTable } from "./measure.ts";
import { spawn, startRsyncDaemon } from "./peers.ts";

/** The rate of the line in bytes per second: 100 Mbit/s. */
const RATE = 12_500_000;

/** Where the sources come from, on this machine. */
const ORIGINS = ["/usr/lib", "/usr/local/lib", "/usr/include", "/usr/share"];

/** What a source is called. */
const SOURCE = /\.(py|[cm]?[jt]s|[ch](pp)?|rs|go|p[lm]|md|json|html|css|ya?ml|toml|sh|xml)$/;

/** How much is taken, and of which files. In bytes. */
const TAKEN = { all: 500_000_000, largest: 4_000_000 };

/** How much incompressible data is sent, in bytes. */
const RANDOM_BYTES = 200_000_000;

/** The most of rsync's time that compressed sources may take, and of the time without -z that random data may. */
const GOALS = { sources: 1.05, random: 1.02 };

/** Where files are sent, and how the bytes on the line are counted. */
interface Line {
  root: string;
  address: string;
  /** How many bytes have crossed the line so far, in both directions. */
  crossed(): number;
}

/** Compares ferry -z with rsync -z, and with ferry. */
export async function compress(bench: Bench): Promise<string> {
  const { dir, signal, installed } = bench;
  const sources = `${dir}/sources`;
  const bytes = copySources(sources);
  await succeed("tar", spawn("tar", ["-C", dir, "-cf", `${dir}/sources.tar`, "sources"]), signal);
  await writeRandomFile(`${dir}/random`, RANDOM_BYTES, bench);
  await using stack = new AsyncDisposableStack();
  const ferry = await ferryLine(bench, stack);
  const rsync = installed.has("rsync") ? await rsyncLine(bench, stack) : undefined;
  const crossed = new Map<string, number[]>();
  const contestant = (
    name: string,
    { root, crossed: count }: Line,
    run: () => Promise<unknown>,
  ): Contestant => {
    const tidy = () => {
      // It is removed after the measurements: removing many files disturbs the next run.
      for (const entry of ["sources", "sources.tar", "random"]) {
        const path = `${root}/${entry}`;
        if (isTaken(path)) Deno.renameSync(path, `${dir}/old-${crypto.randomUUID()}`);
      }
    };
    const timed = async () => {
      const before = count();
      await run();
      crossed.set(name, [...crossed.get(name) ?? [], count() - before]);
    };
    return { name, tidy, run: timed };
  };
  const ferries = (name: string, what: string, ...args: string[]) =>
    contestant(name, ferry, () => {
      const all = ["put", what, "--quiet", "-p", ...args];
      return succeed(name, spawnFerry(all, { server: ferry.address }), signal);
    });
  const rsyncs = (name: string, what: string) =>
    rsync === undefined ? [] : [contestant(name, rsync, () => {
      const args = ["-a", "-z", "--compress-choice=zstd", what, `rsync://${rsync.address}/files/`];
      return succeed(name, spawn("rsync", args), signal);
    })];
  const cases = [
    [ferries("ferry -z", sources, "-z"), ...rsyncs("rsync -z", sources)],
    [
      ferries("ferry -z, a tar", `${sources}.tar`, "-z"),
      ...rsyncs("rsync -z, a tar", `${sources}.tar`),
    ],
    [
      ferries("ferry -z, random", `${dir}/random`, "-z"),
      ferries("ferry, random", `${dir}/random`),
    ],
  ];
  const limits = [GOALS.sources, GOALS.sources, GOALS.random];
  const amounts = [bytes, Deno.statSync(`${sources}.tar`).size, RANDOM_BYTES];
  let text = "";
  for (const [index, contestants] of cases.entries()) {
    const timings = await interleave(contestants, { ...bench, size: amounts[index]! });
    const [ours, peer] = contestants.map(({ name }) => name);
    text += timingTable(timings, {
      work: { amount: amounts[index]! / 1e6, unit: "MB" },
      goals: peer === undefined ? [] : [{ ours: ours!, peer, ratio: { time: limits[index]! } }],
    });
  }
  const rows = [...crossed].map(([name, counts], index) => {
    const onLine = median(counts);
    const amount = amounts[Math.floor(index / (rsync ? 2 : 1))] ?? RANDOM_BYTES;
    return [name, `${(onLine / 1e6).toFixed(1)} MB`, `${(amount / onLine).toFixed(2)}x`];
  });
  return text + table([["", "on the line", "smaller"], ...rows]);
}

/** Copies sources of programs from this machine, as much as there are up to the limit. Returns the bytes of all. */
function copySources(to: string): number {
  let left = TAKEN.all;
  const copy = (from: string, to: string) => {
    let made = false;
    for (const { name, isDirectory, isFile } of entriesOf(from)) {
      if (left <= 0) return;
      const path = `${from}/${name}`;
      if (isDirectory) copy(path, `${to}/${name}`);
      else if (isFile && SOURCE.test(name)) {
        const { size } = Deno.statSync(path);
        if (size > TAKEN.largest) continue;
        if (!made) Deno.mkdirSync(to, { recursive: true });
        made = true;
        Deno.copyFileSync(path, `${to}/${name}`);
        left -= size;
      }
    }
  };
  for (const origin of ORIGINS) copy(origin, `${to}${origin}`);
  return TAKEN.all - left;
}

function entriesOf(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)].sort((a, b) => a.name < b.name ? -1 : 1);
  } catch {
    return [];
  }
}

async function ferryLine(bench: Bench, stack: AsyncDisposableStack): Promise<Line> {
  const root = Deno.makeTempDirSync(bench);
  const { port } = stack.use(await Ferryd.start(root, ["--durability", "none"]));
  return lineTo(port, root, stack);
}

async function rsyncLine(bench: Bench, stack: AsyncDisposableStack): Promise<Line> {
  const root = Deno.makeTempDirSync(bench);
  const { port } = stack.use(await startRsyncDaemon(Deno.makeTempDirSync(bench), root));
  return lineTo(port, root, stack);
}

function lineTo(port: number, root: string, stack: AsyncDisposableStack): Line {
  const peer = stack.use(FaultyPeer.start(port, { rate: RATE }));
  const crossed = () => peer.passed.reduce((sum, { up, down }) => sum + up + down, 0);
  return { root, address: peer.address, crossed };
}
