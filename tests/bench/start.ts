/**
 * How long the programs take to start, compared with Deno running an empty file.
 *
 * @module
 */

import { PROGRAMS, PROJECT } from "../../packaging/program.ts";
import { succeed } from "../support/interruptible.ts";
import { DENO, programArgs } from "../support/programs.ts";
import { type Bench, type Contestant, interleave, median, table } from "./measure.ts";

/** Starts are short, so their median is taken of more runs. */
const STARTS_PER_ROUND = 4;

/** By which factor `ferry --version` may take longer than Deno with an empty file. */
const GOALS = { "compiled": 1.5, "self-extracting": 2.5 } as const;

const EMPTY = "deno run of an empty file";

/** Measures the starts and returns the table. */
export async function start(bench: Bench): Promise<string> {
  const { dir, rounds, signal } = bench;
  const dist = `${dir}/dist`;
  const compile = [...["run", "--quiet", "-A"], `${PROJECT}packaging/main.ts`, "--out", dist];
  const { stdout } = await succeed("deno task compile", spawn([DENO, ...compile]), signal);
  const kind = stdout.includes("self-extracting") ? "self-extracting" : "compiled";
  const empty = `${dir}/empty.js`;
  Deno.writeTextFileSync(empty, "");
  const unpacked = `${dir}/unpacked`;
  const run = (command: readonly string[], env = {}) => async () => {
    await succeed(command[0]!, spawn(command, env), signal);
  };
  const remove = (path: string) => Deno.remove(path, { recursive: true }).catch(() => {});
  const contestants: Contestant[] = [
    { name: EMPTY, tidy() {}, run: run([DENO, "run", "--quiet", "--no-config", empty]) },
    ...PROGRAMS.flatMap(({ name }): Contestant[] => {
      const start = (own: string) =>
        run([`${dist}/${name}`, "--version"], { FERRY_UNPACK_DIR: own });
      const first = `${unpacked}-first-${name}`;
      return [
        {
          name: `${name}, sources`,
          tidy() {},
          run: run([DENO, ...programArgs(name, { fromSources: true }), "--version"]),
        },
        { name: `${name}, ${kind}, first run`, tidy: () => remove(first), run: start(first) },
        // The executable is already unpacked, and Deno's cache is filled.
        { name: `${name}, ${kind}`, tidy() {}, prepare: start(unpacked), run: start(unpacked) },
      ];
    }),
  ];
  const timings = await interleave(contestants, {
    ...bench,
    size: 0,
    rounds: rounds * STARTS_PER_ROUND,
  });
  const medians = new Map(timings.map(({ name, seconds }) => [name, median(seconds) * 1000]));
  const deno = medians.get(EMPTY)!;
  const sizeOf = (name: string) => {
    const program = PROGRAMS.find((program) => name.startsWith(`${program.name}, ${kind}`));
    return program ? `${(Deno.statSync(`${dist}/${program.name}`).size / 1e6).toFixed(1)} MB` : "";
  };
  const rows = timings.map(({ name, seconds }) => [
    name,
    sizeOf(name),
    `${medians.get(name)!.toFixed(1)} ms`,
    `${(Math.min(...seconds) * 1000).toFixed(1)}-${(Math.max(...seconds) * 1000).toFixed(1)} ms`,
    `${(medians.get(name)! / deno).toFixed(2)}x`,
  ]);
  const ratio = medians.get(`ferry, ${kind}`)! / deno;
  const verdict = `${ratio <= GOALS[kind] ? "yes" : "NO"}, ${ratio.toFixed(2)}x`;
  return table([["", "size", "median", "min-max", "vs empty file"], ...rows]) +
    `  goal: ferry, ${kind} at most ${GOALS[kind]}x the time of ${EMPTY}: ${verdict}\n`;
}

function spawn([command, ...args]: readonly string[], env = {}): Deno.ChildProcess {
  return new Deno.Command(command!, {
    args,
    env: { DENO_NO_UPDATE_CHECK: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}
