/**
 * A server over a bucket of Ceph, beside rclone straight to it.
 *
 * @module
 */

import { isTaken } from "../../lib/files/path_lookup.ts";
import { AwsClient } from "aws4fetch";
import { bucketRootArgs } from "../support/bucket_root.ts";
import { CEPH } from "../support/engines/ceph.ts";
import { Engine, whyNoEngine } from "../support/engines/engine.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, outcome, spawnFerry } from "../support/programs.ts";
import { randomBytes, writeRandomFile } from "../support/random_file.ts";
import {
  type Bench,
  type Contestant,
  type Goal,
  interleave,
  median,
  sizeText,
  status,
  table,
  timingTable,
} from "./measure.ts";
import { peakResidentBytes } from "./process_usage.ts";
import { KIB, MIB } from "../support/bytes.ts";

/** The directory of small files. */
const SMALL_FILES = 2000;
const SMALL_BYTES = 16 * KIB;

/** The directory that is listed: four directories of four each, in which so many objects have a directory together. */
const LISTED = 20_000;
const LISTED_A_DIRECTORY = 100;

/** How many objects of it are made at once. */
const MADE_AT_ONCE = 16;

/** The most memory that the server may take, whatever the size of the file. */
const GOAL_BYTES = 192 * MIB;

/** The most requests to the store for a small file. */
const GOAL_REQUESTS = 2;

const FILE_GOALS = (ours: string): readonly Goal[] => [
  { ours, peer: "rclone", ratio: { speed: 0.75 } },
];
const TREE_GOALS: readonly Goal[] = [{ ours: "ferry", peer: "rclone", ratio: { speed: 1 } }];
const LIST_GOALS: readonly Goal[] = [{ ours: "ferry", peer: "rclone", ratio: { time: 1.3 } }];

/** The fractions of the largest size and count that are compared. */
const FRACTIONS = [16, 4, 1] as const;
type Fraction = (typeof FRACTIONS)[number];

/** What all measurements share: the bucket, and the server over it. */
interface Store {
  bench: Bench;
  engine: Engine;
  bucket: string;
  server: Ferryd;
}

/** Measures transfers, lists, memory and requests. */
export async function objectStore(bench: Bench): Promise<string> {
  const missing = bench.installed.has("rclone") ? whyNoEngine(CEPH) : "no rclone here";
  if (missing !== undefined) return `  not measured: ${missing}\n`;
  await using engine = await Engine.start(CEPH);
  const bucket = await engine.bucket();
  await using server = await serve(engine, bucket, engine.endpoint);
  const store = { bench, engine, bucket, server };
  const input = `${bench.dir}/input`;
  if (!isTaken(input)) await writeRandomFile(input, bench.size, bench);
  const small = makeSmallFiles(bench);
  return [
    `  put of ${sizeText(bench.size)}\n`,
    await putFile(store, input),
    `  get of ${sizeText(bench.size)}\n`,
    await getFile(store, input),
    await peakMemory(store),
    `  put of ${SMALL_FILES} files of ${SMALL_BYTES / KIB} KiB\n`,
    await putTree(store, small),
    `  recursive list of ${LISTED} objects\n`,
    await list(store),
    "  how times and requests of ferry grow\n",
    await growth(store, small),
  ].join("");
}

/** Starts a server over all of a bucket. */
async function serve(engine: Engine, bucket: string, endpoint: string): Promise<Ferryd> {
  const { accessKeyId, secretAccessKey, region } = engine;
  const access = { endpoint, region, accessKeyId, secretAccessKey };
  const { root, args, env } = bucketRootArgs(access, bucket);
  return await Ferryd.start(root, [...args], { env });
}

/** Runs `ferry` with the server. */
async function ferry({ bench, server }: Store, ...args: string[]): Promise<string> {
  const child = spawnFerry(args, { server: server.address });
  return (await succeed(`ferry ${args[0]}`, child, bench.signal)).stdout;
}

/** Starts rclone with the store as `store:`; all else as it is by default. */
function spawnRclone({ engine }: Store, args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command("rclone", {
    args: ["--config", "/dev/null", ...args],
    // Nothing of what is set here for other object stores.
    clearEnv: true,
    env: {
      PATH: Deno.env.get("PATH") ?? "",
      RCLONE_CONFIG_STORE_TYPE: "s3",
      RCLONE_CONFIG_STORE_PROVIDER: "Ceph",
      RCLONE_CONFIG_STORE_ENDPOINT: engine.endpoint,
      RCLONE_CONFIG_STORE_ACCESS_KEY_ID: engine.accessKeyId,
      RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY: engine.secretAccessKey,
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function rclone(store: Store, ...args: string[]): Promise<string> {
  const child = spawnRclone(store, args);
  return (await succeed(`rclone ${args[0]}`, child, store.bench.signal)).stdout;
}

/** Removes what an earlier run has stored, if there is any. */
async function removeStored(store: Store, name: string): Promise<void> {
  await outcome(spawnFerry(["rm", name, "-r", "--quiet"], { server: store.server.address }));
}

async function assertStored(store: Store, name: string, bytes: number): Promise<void> {
  const told = JSON.parse((await ferry(store, "stat", name, "--json")).trim().split("\n")[0]!);
  if (told.total_size !== bytes) throw new Error(`${name} is not whole: ${JSON.stringify(told)}`);
}

async function putFile(store: Store, input: string): Promise<string> {
  const { bench, bucket } = store;
  const contestant = (name: string, run: () => Promise<unknown>): Contestant => ({
    name,
    tidy: () => removeStored(store, `${name}/file`),
    run: async () => void await run(),
    verify: () => assertStored(store, `${name}/file`, bench.size),
  });
  const timings = await interleave([
    contestant("ferry", () => ferry(store, "put", input, "--as", "ferry/file")),
    contestant("rclone", () => rclone(store, "copyto", input, `store:${bucket}/rclone/file`)),
  ], bench);
  return timingTable(timings, {
    work: { amount: bench.size / MIB, unit: "MiB" },
    goals: FILE_GOALS("ferry"),
  });
}

async function getFile(store: Store, input: string): Promise<string> {
  const { bench, bucket } = store;
  await ferry(store, "put", input, "--as", "ferry/file");
  await rclone(store, "copyto", input, `store:${bucket}/rclone/file`);
  const target = `${bench.dir}/got`;
  const tidy = () => {
    if (isTaken(target)) Deno.removeSync(target);
  };
  const contestant = (name: string, run: () => Promise<unknown>): Contestant => ({
    name,
    tidy,
    run: async () => void await run(),
    verify() {
      if (Deno.statSync(target).size !== bench.size) throw new Error(`${target} is not whole`);
    },
  });
  const get = ["get", "ferry/file", "--out", target];
  // A fair comparison is the one without flushing: rclone does not flush what it has written either.
  const timings = await interleave([
    contestant("ferry", () => ferry(store, ...get)),
    contestant("ferry --durability none", () => ferry(store, ...get, "--durability", "none")),
    contestant("rclone", () => rclone(store, "copyto", `store:${bucket}/rclone/file`, target)),
  ], bench);
  for (const name of ["ferry", "rclone"]) await removeStored(store, name);
  return timingTable(timings, {
    work: { amount: bench.size / MIB, unit: "MiB" },
    goals: FILE_GOALS("ferry --durability none"),
  });
}

async function peakMemory({ server }: Store): Promise<string> {
  const bytes = await peakResidentBytes(server.pid);
  if (bytes === undefined) return "  memory not measured: this system has no /proc\n";
  const mib = (bytes / MIB).toFixed(0);
  return `  goal: at most ${sizeText(GOAL_BYTES)} of memory for ferryd: ${
    bytes <= GOAL_BYTES ? "yes" : "NO"
  }, ${mib} MiB at its peak\n`;
}

/** Makes the directory of small files. */
function makeSmallFiles({ dir }: Bench): string {
  const input = `${dir}/small`;
  Deno.mkdirSync(input);
  const bytes = randomBytes(SMALL_FILES * SMALL_BYTES, 2);
  for (let file = 0; file < SMALL_FILES; file++) {
    const start = file * SMALL_BYTES;
    Deno.writeFileSync(`${input}/${file}.bin`, bytes.subarray(start, start + SMALL_BYTES));
  }
  return input;
}

async function putTree(store: Store, input: string): Promise<string> {
  const { bench, bucket } = store;
  const contestant = (name: string, run: () => Promise<unknown>): Contestant => ({
    name,
    tidy: () => removeStored(store, `${name}/small`),
    run: async () => void await run(),
    async verify() {
      const lines = (await ferry(store, "ls", `${name}/small`)).trim().split("\n");
      if (lines.length !== SMALL_FILES) throw new Error(`${lines.length} files of ${name}`);
    },
  });
  const timings = await interleave([
    contestant("ferry", () => ferry(store, "put", input, "--as", "ferry/small", "--quiet")),
    contestant("rclone", () => rclone(store, "copy", input, `store:${bucket}/rclone/small`)),
  ], { ...bench, size: SMALL_FILES * SMALL_BYTES });
  return timingTable(timings, { work: { amount: SMALL_FILES, unit: "files" }, goals: TREE_GOALS });
}

/** Makes objects, straight in the store, in directories below `list`. */
async function makeListed({ engine, bucket, bench }: Store): Promise<void> {
  const client = new AwsClient({
    accessKeyId: engine.accessKeyId,
    secretAccessKey: engine.secretAccessKey,
    region: engine.region,
    service: "s3",
  });
  let next = 0;
  const make = async () => {
    while (next < LISTED) {
      bench.signal.throwIfAborted();
      const quarter = Math.floor(next / (LISTED / 4));
      const sixteenth = Math.floor(next / (LISTED / 16));
      const directory = Math.floor(next / LISTED_A_DIRECTORY);
      const name = `list/${quarter}/${sixteenth}/${directory}/object-${next++}`;
      const url = `${engine.endpoint}/${bucket}/${name}`;
      const response = await client.fetch(url, { method: "PUT", body: "x" });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${name}: ${response.status}`);
    }
  };
  await Promise.all(Array.from({ length: MADE_AT_ONCE }, make));
}

async function list(store: Store): Promise<string> {
  status(`${LISTED} objects`);
  await makeListed(store);
  const contestant = (name: string, run: () => Promise<string>): Contestant => {
    let lines = 0;
    return {
      name,
      tidy() {},
      async run() {
        lines = (await run()).trim().split("\n").length;
      },
      verify() {
        if (lines < LISTED) throw new Error(`${name} lists ${lines} entries`);
      },
    };
  };
  const timings = await interleave([
    contestant("ferry", () => ferry(store, "ls", "list", "-R")),
    contestant("rclone", () => rclone(store, "lsf", "-R", `store:${store.bucket}/list`)),
  ], { ...store.bench, size: 0 });
  return timingTable(timings, { work: { amount: LISTED, unit: "objects" }, goals: LIST_GOALS });
}

/** An operation at three amounts, the largest last. */
interface Growing {
  name: string;
  amounts: readonly [string, string, string];
  /** Performs it by `ferry`; `turn` is another number each time. */
  run(store: Store, fraction: Fraction, turn: number): Promise<unknown>;
}

/** How times and requests of ferry grow with size and count, and how many requests a small file takes. */
async function growth(store: Store, small: string): Promise<string> {
  const { bench, engine, bucket } = store;
  await using proxy = FaultProxy.start(engine.endpoint);
  await using server = await serve(engine, bucket, proxy.url);
  const counted: Store = { ...store, server };
  const requestsOf = async (run: () => Promise<unknown>) => {
    const before = proxy.requests.length;
    await run();
    return proxy.requests.length - before;
  };

  const inputs = new Map(
    FRACTIONS.map((fraction) => [fraction, partOf(bench, small, fraction)] as const),
  );
  const got = `${bench.dir}/got`;
  const sizes = (of: (fraction: number) => string) => FRACTIONS.map(of) as [string, string, string];
  const operations: readonly Growing[] = [
    {
      name: "put of a file",
      amounts: sizes((fraction) => sizeText(bench.size / fraction)),
      run: (store, fraction, turn) =>
        ferry(store, "put", inputs.get(fraction)!.file, "--as", `growth/${fraction}-${turn}`),
    },
    {
      name: "get of a file",
      amounts: sizes((fraction) => sizeText(bench.size / fraction)),
      async run(store, fraction) {
        await ferry(store, "get", `growth/${fraction}-0`, "--out", got);
        Deno.removeSync(got);
      },
    },
    {
      name: `put of files of ${SMALL_BYTES / KIB} KiB`,
      amounts: sizes((fraction) => `${SMALL_FILES / fraction}`),
      run: (store, fraction, turn) =>
        ferry(store, "put", inputs.get(fraction)!.files, "--as", `growth-${fraction}/${turn}`),
    },
    {
      name: "recursive list of objects",
      amounts: sizes((fraction) => `${LISTED / fraction}`),
      run: (store, fraction) =>
        ferry(store, "ls", "-R", { 16: "list/0/0", 4: "list/0", 1: "list" }[fraction]),
    },
  ];
  const rows = [["", "amount", "once", "requests"]];
  for (const { name, amounts, run } of operations) {
    for (const [at, fraction] of FRACTIONS.entries()) {
      status(`${name}: ${amounts[at]}`);
      const started = performance.now();
      await run(store, fraction, 0);
      const seconds = (performance.now() - started) / 1000;
      const requests = await requestsOf(() => run(counted, fraction, 1));
      rows.push([name, amounts[at]!, `${seconds.toFixed(2)} s`, `${requests}`]);
    }
  }
  status("");
  const perFile = await requestsPerFile(counted, inputs.get(16)!.files, requestsOf);
  const reached = perFile <= GOAL_REQUESTS ? "yes" : "NO";
  return `${table(rows)}  goal: at most ${GOAL_REQUESTS} requests for a small file: ${reached}, ${
    perFile.toFixed(2)
  }\n`;
}

/** How many requests each further small file of a directory takes that is there already. */
async function requestsPerFile(
  counted: Store,
  files: string,
  requestsOf: (run: () => Promise<unknown>) => Promise<number>,
): Promise<number> {
  const names = [...Deno.readDirSync(files)].map(({ name }) => name);
  const put = (name: string) => ferry(counted, "put", `${files}/${name}`, "--to", "requests");
  await put(names[0]!);
  const counts: number[] = [];
  for (const name of names.slice(1, 12)) counts.push(await requestsOf(() => put(name)));
  return median(counts);
}

/** The first part of the large file, and of the directory of small ones. */
function partOf(
  { dir, size }: Bench,
  small: string,
  fraction: Fraction,
): { file: string; files: string } {
  if (fraction === 1) return { file: `${dir}/input`, files: small };
  const file = `${dir}/part-${fraction}`;
  const files = `${dir}/small-${fraction}`;
  Deno.mkdirSync(files);
  for (let at = 0; at < SMALL_FILES / fraction; at++) {
    Deno.linkSync(`${small}/${at}.bin`, `${files}/${at}.bin`);
  }
  Deno.copyFileSync(`${dir}/input`, file);
  Deno.truncateSync(file, size / fraction);
  return { file, files };
}
