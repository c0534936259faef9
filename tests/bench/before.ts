/**
 * Compares the speed of the programs of this checkout with those of another checkout, such as an earlier version.
 *
 * @module
 */

import { bundle, ENTRY } from "../../packaging/bundle.ts";
import { PROGRAMS, PROJECT, runtimeFlags } from "../../packaging/program.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { succeed } from "../support/interruptible.ts";
import { DENO, Ferryd, type Launch, spawnFerry } from "../support/programs.ts";
import {
  type Command,
  type Comparison,
  COMPARISONS,
  type Place,
  type Side,
} from "./before_cases.ts";
import { type Bench, type Contestant, interleave, median, table } from "./measure.ts";
import { peakResidentBytes, processorSeconds } from "./process_usage.ts";
import { MIB } from "../support/bytes.ts";

/** GNU time, which reports the peak memory and the processor time of a program. */
const TIME = "/usr/bin/time";

/** The measurements of one side. */
interface Measured {
  /** The seconds of each run. */
  seconds: readonly number[];
  /**
   * The peak memory of the client in each run, in bytes; empty where it cannot be measured. It depends on when garbage is
   * collected, so one run says little.
   */
  clients: number[];
  /** The peak memory of the server, in bytes. */
  server: number | undefined;
  /**
   * The processor time of client and server in each run, in seconds; empty where it cannot be measured. Other programs
   * on the machine change it less than the time of a run.
   */
  processor: number[];
}

/** What a program used until its end. */
interface Usage {
  /** Its peak memory, in bytes. */
  peak: number;
  /** Its processor time, in seconds. */
  processor: number;
}

/** The names of the cases. */
export const NAMES: readonly string[] = [...new Set(COMPARISONS.map(({ name }) => name))];

/** Prints a table for each case: all of them, or those of `only`. */
export async function compareWith(
  before: string,
  bench: Bench,
  only: readonly string[],
): Promise<void> {
  const sides = [
    await sideOf("before", `${Deno.realPathSync(before)}/`, bench),
    await sideOf("after", PROJECT, bench),
  ];
  const speeds: string[][] = [];
  for (const comparison of COMPARISONS) {
    const { name, title } = comparison;
    if (only.length > 0 && !only.includes(name)) continue;
    bench.signal.throwIfAborted();
    const [then, now] = await measure(sides, comparison, bench) as [Measured, Measured];
    const speed = `${(median(then.seconds) / median(now.seconds)).toFixed(3)}x`;
    console.log(`\n${name}: ${title(bench)}`);
    const head = ["", "median", "min-max", "processor", "client's peak", "server's peak", "speed"];
    const rows = [["before", ...cells(then), ""], ["after", ...cells(now), speed]];
    console.log(table([head, ...rows]).trimEnd());
    speeds.push([`${name}: ${title(bench)}`, speed]);
  }
  console.log(`\nhow many times as fast as before\n${table(speeds).trimEnd()}`);
}

async function sideOf(name: Side["name"], checkout: string, { dir }: Bench): Promise<Side> {
  const bundles = `${dir}/${name}`;
  for (const { name, entry } of PROGRAMS) {
    Deno.mkdirSync(`${bundles}/${name}`, { recursive: true });
    await bundle(checkout + entry, `${bundles}/${name}`);
  }
  return { name, checkout, bundles };
}

function cells({ seconds, processor, clients, server }: Measured): string[] {
  const time = (value: number) =>
    value < 1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
  const size = (bytes: number | undefined) =>
    bytes === undefined ? "-" : `${(bytes / MIB).toFixed(1)} MiB`;
  const range = `${time(Math.min(...seconds))} to ${time(Math.max(...seconds))}`;
  return [
    time(median(seconds)),
    range,
    processor.length === 0 ? "-" : time(median(processor)),
    size(clients.length === 0 ? undefined : median(clients)),
    size(server),
  ];
}

/** Runs both sides of a case alternately. */
async function measure(
  sides: readonly Side[],
  comparison: Comparison,
  bench: Bench,
): Promise<Measured[]> {
  await using stack = new AsyncDisposableStack();
  const options = await comparison.serve?.(bench);
  const measured: Measured[] = [];
  const contestants: Contestant[] = [];
  for (const side of sides) {
    const root = Deno.makeTempDirSync({ dir: bench.dir });
    const server = options && stack.use(
      await Ferryd.start(root, options, { launch: launch(side, "bundle") }),
    );
    const place: Place = { ...side, root, local: `${root}.local`, server, bench };
    await comparison.prepare?.(place);
    const result: Measured = { seconds: [], clients: [], server: undefined, processor: [] };
    measured.push(result);
    contestants.push({
      name: side.name,
      tidy: () => comparison.tidy?.(place),
      prepare: () => comparison.begin?.(place),
      run: async () => {
        const before = server ? await processorSeconds(server.pid) : 0;
        const usage = await run(side, comparison.command(place), place);
        if (!usage) return;
        result.clients.push(usage.peak);
        const after = server ? await processorSeconds(server.pid) : 0;
        result.processor.push(usage.processor + after - before);
      },
      verify: async () => {
        comparison.verify?.(place);
        result.server = server && await peakResidentBytes(server.pid);
      },
    });
  }
  const rounds = bench.rounds * (comparison.repeat ?? 1);
  const size = comparison.warm?.(bench) ?? 0;
  const timings = await interleave(contestants, { ...bench, rounds, size });
  return measured.map((result, index) => ({ ...result, seconds: timings[index]!.seconds }));
}

/** Runs a program to its end. Returns what it used; undefined where that cannot be measured. */
async function run(
  side: Side,
  { program = "ferry", from = "bundle", script, args }: Command,
  { server, bench }: Place,
): Promise<Usage | undefined> {
  const told = `${bench.dir}/usage`;
  const [...command] = script?.("ferry", { runsCommands: false }) ??
    launch(side, from)(program, { runsCommands: false });
  const child = spawnFerry(args, {
    launch: () => ["sh", "-c", 'exec "$@" >/dev/null', "sh", ...timed(told), ...command],
    ...(server === undefined ? {} : { server: server.address }),
  });
  await succeed(side.name, child, bench.signal);
  if (timed(told).length === 0) return undefined;
  const [kibibytes = 0, ...seconds] = Deno.readTextFileSync(told).trim().split(" ").map(Number);
  return { peak: kibibytes * 1024, processor: seconds.reduce((sum, each) => sum + each, 0) };
}

/** How the programs of a side are started. */
function launch({ checkout, bundles }: Side, from: "bundle" | "sources"): Launch {
  const config = `${checkout}deno.json`;
  return (program, { runsCommands }) => {
    const { entry, permissions, ...rest } = PROGRAMS.find(({ name }) => name === program)!;
    const set = program === "ferryd" && !runsCommands ? "ferryd-files" : permissions;
    const flags = runtimeFlags(
      { ...rest, permissions: set },
      JSON.parse(Deno.readTextFileSync(config)),
    );
    return from === "bundle"
      ? [DENO, "run", "--quiet", "--no-config", ...flags, `${bundles}/${program}/${ENTRY}`]
      : [DENO, "run", "--quiet", "--config", config, ...flags, checkout + entry];
  };
}

/** The command that writes what a program used to a file; nothing where GNU time is not installed. */
function timed(file: string): string[] {
  return isTaken(TIME) ? [TIME, "-o", file, "-f", "%M %U %S"] : [];
}
