/**
 * A directory of many small files: to a server, from one, and once more when nothing has changed.
 *
 * @module
 */

import { isTaken } from "../../lib/files/path_lookup.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import { type Bench, type Contestant, type Goal, interleave, timingTable } from "./measure.ts";
import { spawn, startRsyncDaemon, startSshd } from "./peers.ts";
import { KIB } from "../support/bytes.ts";

/** The size of a small file. */
export const FILE_BYTES = 4 * KIB;

/** How many files there are in each directory of the tree. */
const FILES_A_DIRECTORY = 100;

// A fair comparison: of the peers, only rsync --fsync has flushed the files when it ends.
const GOALS: readonly Goal[] = [
  { ours: "ferry", peer: "rsync --fsync", ratio: { speed: 1 } },
  { ours: "ferry --durability none", peer: "rsync", ratio: { speed: 0.7 } },
  { ours: "ferry --durability none", peer: "scp", ratio: { speed: 5 } },
];

// Nothing is written, so nothing is flushed either.
const GOALS_AGAIN: readonly Goal[] = [{ ours: "ferry", peer: "rsync", ratio: { time: 1.5 } }];

type Direction = "put" | "get";

/** The directory of a contestant's server, and the destination of a run. */
interface Ends {
  root: string;
  local: string;
  target: string;
}

/** Times the transfer of a directory. */
export async function tree(bench: Bench, direction: Direction): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const input = makeTree(bench);
  const contestants = [
    ...await ferries(bench, { input, direction }, stack),
    ...await rsyncs(bench, { input, direction }, stack),
    ...await scps(bench, { input, direction }, stack),
  ];
  const timings = await interleave(contestants, { ...bench, size: bench.files * FILE_BYTES });
  return timingTable(timings, { work: { amount: bench.files, unit: "files" }, goals: GOALS });
}

/** Times the upload of an unchanged directory, and counts the transferred bytes. */
export async function treeAgain(bench: Bench): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const input = makeTree(bench);
  const options = { input, direction: "put" } as const;
  const contestants = [
    ...(await ferries(bench, options, stack)).slice(0, 1),
    ...(await rsyncs(bench, options, stack)).slice(0, 1),
  ];
  for (const { run } of contestants) await run();
  const unchanged = contestants.map(({ name, run, verify }): Contestant => ({
    name,
    tidy() {},
    run,
    ...(verify ? { verify } : {}),
  }));
  const timings = await interleave(unchanged, { ...bench, size: bench.files * FILE_BYTES });
  const table = timingTable(timings, {
    work: { amount: bench.files, unit: "files" },
    goals: GOALS_AGAIN,
  });
  return table + await crossed(bench, input);
}

/** The number of bytes that are transferred when nothing has changed, as text. */
async function crossed({ dir, files, signal }: Bench, input: string): Promise<string> {
  await using server = await Ferryd.start(Deno.makeTempDirSync({ dir }));
  await using counter = FaultyPeer.start(server.port);
  const put = async () => {
    const before = counter.passed.length;
    const child = spawnFerry(["put", input, "--json"], { server: counter.address });
    const { stdout } = await succeed("ferry", child, signal);
    const { bytes } = JSON.parse(stdout.trim().split("\n").at(-1)!);
    const passed = counter.passed.slice(before);
    return { bytes, up: passed.reduce((sum, { up }) => sum + up, 0) };
  };
  await put();
  const { bytes, up } = await put();
  const none = bytes === 0 && up < files * FILE_BYTES / 10;
  return `  goal: no byte of a file crosses: ${none ? "yes" : "NO"}, ${
    (up / KIB).toFixed(0)
  } KiB in all\n`;
}

/** A directory of small files, made once for all cases. */
export function makeTree({ dir, files }: Bench): string {
  const input = `${dir}/tree`;
  if (isTaken(input)) return input;
  for (let file = 0; file < files; file += FILES_A_DIRECTORY) {
    Deno.mkdirSync(`${input}/${file / FILES_A_DIRECTORY}`, { recursive: true });
  }
  fillTree(input, files);
  return input;
}

/**
 * Gives the files of {@linkcode makeTree} a new content. Otherwise a server would know the content of each file from the
 * upload before, which takes it longer than to receive a small file.
 */
export function fillTree(input: string, files: number): void {
  const bytes = new Uint8Array(FILE_BYTES);
  for (let file = 0; file < files; file++) {
    crypto.getRandomValues(bytes);
    Deno.writeFileSync(`${input}/${Math.floor(file / FILES_A_DIRECTORY)}/${file}.bin`, bytes);
  }
}

/** What is transferred, and where to. */
export interface TreeOptions {
  /** The directory. */
  input: string;
  /** Whether it goes to a server, or comes from one. */
  direction: Direction;
}

/** The directories of a contestant, with the input at the source. */
function endsOf({ dir }: Bench, { input, direction }: TreeOptions): Ends {
  const root = Deno.makeTempDirSync({ dir });
  if (direction === "put") return { root, local: input, target: `${root}/tree` };
  copyTree(input, `${root}/tree`);
  return { root, local: `${root}.got`, target: `${root}.got` };
}

/** Copies a directory and all that is in it. */
export function copyTree(from: string, to: string): void {
  Deno.mkdirSync(to);
  for (const { name, isDirectory } of Deno.readDirSync(from)) {
    if (isDirectory) copyTree(`${from}/${name}`, `${to}/${name}`);
    else Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
  }
}

/** How to prepare a run of a contestant, and to remove and verify its result. */
function around(
  { files, dir }: Bench,
  { input, direction }: TreeOptions,
  { target }: Ends,
): Pick<Contestant, "tidy" | "prepare" | "verify"> {
  return {
    ...direction === "put" ? { prepare: () => fillTree(input, files) } : {},
    tidy() {
      // It is removed after the measurements: ext4 without a journal checks every file that was deleted in the last
      // minutes before it makes a new one, which takes several times as long as making it.
      if (isTaken(target)) Deno.renameSync(target, `${dir}/old-${crypto.randomUUID()}`);
    },
    verify() {
      if (countFiles(target) !== files) throw new Error(`${target} is not whole`);
    },
  };
}

/** How many files of the right size a directory has. */
export function countFiles(directory: string): number {
  let files = 0;
  for (const { name, isDirectory } of Deno.readDirSync(directory)) {
    const path = `${directory}/${name}`;
    if (isDirectory) files += countFiles(path);
    else if (Deno.statSync(path).size === FILE_BYTES) files++;
  }
  return files;
}

/** An upload or a download by ferry, with a server of its own, which gets the options `serve`. */
export async function ferryOnTree(
  bench: Bench,
  options: TreeOptions,
  { name, durability, more = [], serve = [] }: {
    name: string;
    durability: "full" | "none";
    more?: string[];
    serve?: string[];
  },
  stack: AsyncDisposableStack,
): Promise<Contestant & { server: Ferryd }> {
  const ends = endsOf(bench, options);
  const server = stack.use(await Ferryd.start(ends.root, ["--durability", durability, ...serve]));
  const args = options.direction === "put"
    ? ["put", ends.local]
    : ["get", "tree", "--out", ends.local, "--durability", durability];
  const all = [...args, ...more, "--quiet"];
  return {
    name,
    server,
    ...around(bench, options, ends),
    run: async () => {
      await succeed(name, spawnFerry(all, { server: server.address }), bench.signal);
    },
  };
}

async function ferries(
  bench: Bench,
  options: TreeOptions,
  stack: AsyncDisposableStack,
): Promise<Contestant[]> {
  const names = { "ferry": "full", "ferry --durability none": "none" } as const;
  const contestants: Contestant[] = [];
  for (const [name, durability] of Object.entries(names)) {
    contestants.push(await ferryOnTree(bench, options, { name, durability }, stack));
  }
  return contestants;
}

/** rsync with a daemon of its own, without and with `--fsync`; none where it is missing. */
export async function rsyncs(
  bench: Bench,
  options: TreeOptions,
  stack: AsyncDisposableStack,
): Promise<Contestant[]> {
  if (!bench.installed.has("rsync")) return [];
  const ends = endsOf(bench, options);
  const { port } = stack.use(await startRsyncDaemon(Deno.makeTempDirSync(bench), ends.root));
  const remote = `rsync://127.0.0.1:${port}/files`;
  const paths = options.direction === "put"
    ? [ends.local, `${remote}/`]
    : [`${remote}/tree/`, ends.local];
  const { stdout: help } = await succeed("rsync", spawn("rsync", ["--help"]), bench.signal);
  return ["rsync", ...(help.includes("--fsync") ? ["rsync --fsync"] : [])].map((name) => {
    const [, ...extra] = name.split(" ");
    return {
      name,
      ...around(bench, options, ends),
      async run() {
        await succeed(name, spawn("rsync", ["-a", ...extra, ...paths]), bench.signal);
      },
    };
  });
}

async function scps(
  bench: Bench,
  options: TreeOptions,
  stack: AsyncDisposableStack,
): Promise<Contestant[]> {
  if (!bench.installed.has("scp") || !bench.installed.has("sshd")) return [];
  const ends = endsOf(bench, options);
  const sshd = stack.use(await startSshd(Deno.makeTempDirSync(bench)));
  const at = `${sshd.user}@127.0.0.1:${ends.root}`;
  const paths = options.direction === "put" ? [ends.local, `${at}/`] : [`${at}/tree`, ends.local];
  const args = ["-q", "-r", "-P", `${sshd.port}`, ...sshd.options, ...paths];
  return [{
    name: "scp",
    ...around(bench, options, ends),
    run: async () => void await succeed("scp", spawn("scp", args), bench.signal),
  }];
}
