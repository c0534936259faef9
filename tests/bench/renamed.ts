/**
 * A directory of which a subdirectory was renamed: to a server that has it under the old name, beside the upload of an
 * unchanged directory.
 *
 * @module
 */

import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import { type Bench, type Contestant, interleave, median, timingTable } from "./measure.ts";
import { copyTree, FILE_BYTES, makeTree } from "./tree.ts";

/** At most so many times as long as an unchanged directory. */
const RATIO = 1.2;

/** What is put, and what else. */
interface Way {
  name: string;
  args: string[];
}

const WAYS: readonly Way[] = [
  { name: "put", args: [] },
  { name: "put --delete", args: ["--delete"] },
];

/** Times the uploads. */
export async function renamed(bench: Bench): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const input = makeTree(bench);
  const contestants: Contestant[] = [];
  for (const durability of ["full", "none"]) {
    for (const way of WAYS) {
      for (const isRenamed of [false, true]) {
        contestants.push(await contestant(bench, { input, durability, way, isRenamed }, stack));
      }
    }
  }
  const timings = await interleave(contestants, { ...bench, size: bench.files * FILE_BYTES });
  const table = timingTable(timings, { work: { amount: bench.files, unit: "files" }, goals: [] });
  const verdicts = timings.flatMap(({ name, seconds }, at) => {
    if (at % 2 === 0) return [];
    const ratio = median(seconds) / median(timings[at - 1]!.seconds);
    const reached = ratio <= RATIO ? "yes" : "NO";
    return [`  goal: ${name} at most ${RATIO}x the time: ${reached}, ${ratio.toFixed(2)}x\n`];
  });
  return table + verdicts.join("");
}

async function contestant(
  bench: Bench,
  { input, durability, way, isRenamed }: {
    input: string;
    durability: string;
    way: Way;
    isRenamed: boolean;
  },
  stack: AsyncDisposableStack,
): Promise<Contestant> {
  const { dir, signal } = bench;
  const root = Deno.makeTempDirSync({ dir });
  const local = Deno.makeTempDirSync({ dir });
  copyTree(input, `${local}/0`);
  const { address } = stack.use(await Ferryd.start(root, ["--durability", durability]));
  const run = async (name: string) => {
    const args = ["put", local, "--as", "tree", ...way.args, "--quiet"];
    await succeed(name, spawnFerry(args, { server: address }), signal);
  };
  await run("ferry");
  let now = 0;
  const what = isRenamed ? "renamed" : "unchanged";
  const name = ["ferry", way.name, `--durability ${durability}`, what].join(" ");
  return {
    name,
    prepare() {
      if (isRenamed) Deno.renameSync(`${local}/${now}`, `${local}/${++now}`);
    },
    run: () => run(name),
    tidy() {
      // It is removed after the measurements, as in the other cases.
      if (!isRenamed) return;
      for (const { name } of [...Deno.readDirSync(`${root}/tree`)]) {
        if (name !== `${now}`) {
          Deno.renameSync(`${root}/tree/${name}`, `${dir}/old-${crypto.randomUUID()}`);
        }
      }
    },
  };
}
