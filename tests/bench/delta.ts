/**
 * Files of which the receiver has an older version, beside rsync.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { GRAIN_MS } from "../../lib/files/local_file.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { MIB } from "../support/bytes.ts";
import { FaultyPeer } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import {
  changedArchive,
  type ChangedFile,
  changedImage,
  changedPlaces,
  insertedAtFront,
  updatedDatabase,
} from "./changed_files.ts";
import {
  type Bench,
  type Contestant,
  type Goal,
  interleave,
  sizeText,
  status,
  table,
  timingTable,
} from "./measure.ts";
import { peakOf } from "./memory.ts";
import { type Peer, spawn, startRsyncDaemon } from "./peers.ts";
import { peakResidentBytes } from "./process_usage.ts";

type Direction = "put" | "get";
type Program = "ferry" | "rsync";

/** How files are verified. That of rsync is its default: also XXH3-128, and no other is quicker. */
type Algorithm = "xxh128" | "md5";

/** The most of rsync's time for a file with changed places. */
const TIMES: readonly (readonly [Algorithm, number])[] = [["xxh128", 1], ["md5", 2]];

/** The same for the second such upload in a row, before which the server has the signatures. */
const TIME_AGAIN = 0.9;

/** The most of rsync's bytes on the line: for a file with changed places, and for any other. */
const BYTES = { places: 0.7, other: 1 } as const;

/** The most memory that a delta may take beyond a plain transfer, for either program. */
const GOAL_BYTES = 48 * MIB;

/** Times deltas, counts their bytes on the line, and measures the memory that they take. */
export async function delta(bench: Bench): Promise<string> {
  const { dir, signal, size } = bench;
  status("making files");
  const places = await changedPlaces(dir, size, { versions: 2, signal });
  const large = {
    what: `${sizeText(size)} with 64 changed places`,
    before: places[0]!,
    after: places[1]!,
  };
  const rsync = bench.installed.has("rsync");
  const parts = [
    await times(bench, large, "put"),
    await timesAgain(bench, places),
    await times(bench, large, "get"),
    rsync ? await bytes(bench, large) : "  bytes not counted: no rsync here\n",
    await memory(bench, large, bench.sparse),
  ];
  status("");
  return parts.join("");
}

/** A transfer of the newer version onto the older one by one program. */
class Race implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  readonly #bench: Bench;
  readonly direction: Direction;
  /** The path of the older version, which is replaced. */
  readonly target: string;
  /** The path of the newer version, as the program is told it. */
  readonly #source: string;
  /** The server's root. */
  readonly root: string;
  ferryd: Ferryd | undefined;
  #rsync: Peer | undefined;

  private constructor(bench: Bench, file: ChangedFile, direction: Direction) {
    this.#bench = bench;
    this.direction = direction;
    this.root = Deno.makeTempDirSync(bench);
    const remote = `${this.root}/file`;
    this.target = direction === "put" ? remote : `${this.root}.got`;
    this.#source = direction === "put" ? file.after : remote;
    if (direction === "get") Deno.linkSync(file.after, remote);
  }

  static async start(
    bench: Bench,
    file: ChangedFile,
    { direction, program }: { direction: Direction; program: Program },
  ): Promise<Race> {
    const race = new Race(bench, file, direction);
    race.#stack.defer(() => {
      for (const path of [race.root, race.target]) {
        if (isTaken(path)) Deno.removeSync(path, { recursive: true });
      }
    });
    if (program === "ferry") {
      const server = await Ferryd.start(race.root, ["--durability", "none"]);
      race.ferryd = race.#stack.use(server);
    } else {
      const home = Deno.makeTempDirSync(bench);
      race.#rsync = race.#stack.use(await startRsyncDaemon(home, race.root));
    }
    return race;
  }

  /** The port of the server. */
  get port(): number {
    return this.ferryd?.port ?? this.#rsync!.port;
  }

  /** The client, which connects to that port. */
  client(
    algorithm: Algorithm,
    { port = this.port, source = this.#source, plain = false } = {},
  ): Deno.ChildProcess {
    if (this.ferryd) {
      const args = [
        ...this.direction === "put"
          ? ["put", source, "--as", "file"]
          : ["get", "file", "--out", this.target, "--durability", "none"],
        ...["--overwrite", "always", "--checksum", algorithm, "--json"],
        ...plain ? ["--no-delta"] : [],
      ];
      return spawnFerry(args, { server: `127.0.0.1:${port}` });
    }
    const remote = `rsync://127.0.0.1:${port}/files/file`;
    const paths = this.direction === "put" ? [source, remote] : [remote, this.target];
    return spawn("rsync", ["-I", "--no-whole-file", ...paths]);
  }

  async run(algorithm: Algorithm, options: { port?: number; source?: string } = {}): Promise<void> {
    const name = this.ferryd ? "ferry" : "rsync";
    await succeed(name, this.client(algorithm, options), this.#bench.signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack[Symbol.asyncDispose]();
  }
}

/** Times one direction. */
async function times(bench: Bench, file: ChangedFile, direction: Direction): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const contestants: Contestant[] = [];
  const goals: Goal[] = [];
  const contest = async (name: string, program: Program, algorithm: Algorithm) => {
    const race = stack.use(await Race.start(bench, file, { direction, program }));
    contestants.push({
      name,
      tidy() {},
      prepare: () => replace(race.target, file.before),
      run: () => race.run(algorithm),
      verify: () => assertSame(race.target, file.after, bench.signal),
    });
  };
  for (const [algorithm, time] of TIMES) {
    await contest(`ferry ${algorithm}`, "ferry", algorithm);
    goals.push({ ours: `ferry ${algorithm}`, peer: "rsync", ratio: { time } });
  }
  if (bench.installed.has("rsync")) await contest("rsync", "rsync", "xxh128");
  const timings = await interleave(contestants, bench);
  const work = { amount: bench.size / MIB, unit: "MiB" };
  return `  ${direction} of ${file.what}\n${timingTable(timings, { work, goals })}`;
}

/** Times the second upload in a row. */
async function timesAgain(bench: Bench, versions: readonly string[]): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const [before, between, after] = versions as [string, string, string];
  const file = { what: "", before, after };
  const contestants: Contestant[] = [];
  for (const program of programs(bench)) {
    const race = stack.use(await Race.start(bench, file, { direction: "put", program }));
    contestants.push({
      name: program,
      tidy() {},
      async prepare() {
        await replace(race.target, before);
        // Of a file that was written just now no signature is kept: it may change without a new time.
        await delay(GRAIN_MS);
        await race.run("xxh128", { source: between });
        await delay(GRAIN_MS);
      },
      run: () => race.run("xxh128"),
      verify: () => assertSame(race.target, after, bench.signal),
    });
  }
  const timings = await interleave(contestants, bench);
  const work = { amount: bench.size / MIB, unit: "MiB" };
  const goals = [{ ours: "ferry", peer: "rsync", ratio: { time: TIME_AGAIN } }];
  return `  the second such put in a row, by xxh128\n${timingTable(timings, { work, goals })}`;
}

/** Counts the bytes on the line in both directions together, by a proxy. */
async function bytes(bench: Bench, large: ChangedFile): Promise<string> {
  const { dir, signal } = bench;
  const made = [
    await insertedAtFront(dir, signal),
    updatedDatabase(dir),
    await changedImage(dir, signal) ?? "no image of ext4: mkfs.ext4 is not installed",
    await changedArchive(dir, signal) ?? "no archive: tar is not installed",
  ];
  const rows = [["bytes on the line", "ferry", "rsync", "ratio", "goal"]];
  const missing = made.filter((file) => typeof file === "string");
  for (const file of [large, ...made.filter((file) => typeof file !== "string")]) {
    for (const direction of ["put", "get"] as const) {
      status(`${direction} of ${file.what}`);
      const crossed = async (program: Program) => {
        await using race = await Race.start(bench, file, { direction, program });
        await replace(race.target, file.before);
        await using line = FaultyPeer.start(race.port);
        await race.run("xxh128", { port: line.port });
        await assertSame(race.target, file.after, signal);
        return line.passed.reduce((sum, { up, down }) => sum + up + down, 0);
      };
      const [ours, theirs] = [await crossed("ferry"), await crossed("rsync")];
      const goal = file === large ? BYTES.places : BYTES.other;
      const reached = ours <= goal * theirs ? "yes" : "NO";
      rows.push([
        `${direction} of ${file.what}`,
        ours.toLocaleString("en"),
        theirs.toLocaleString("en"),
        `${(ours / theirs).toFixed(2)}x`,
        `at most ${goal}x: ${reached}`,
      ]);
    }
  }
  return table(rows) + missing.map((reason) => `  ${reason}\n`).join("");
}

/** Compares the peaks of memory of a delta and of a plain transfer. */
async function memory(bench: Bench, large: ChangedFile, sparse: number): Promise<string> {
  if (await peakResidentBytes(Deno.pid) === undefined) {
    return "  memory not measured: this system has no /proc\n";
  }
  const rows = [["peaks of memory", "plain", "delta", "more", "goal"]];
  const files = [{ ...large, size: bench.size }];
  if (sparse > 0) files.push({ ...sparseFile(bench, sparse), size: sparse });
  for (const file of files) {
    for (const direction of ["put", "get"] as const) {
      const peaks = async (plain: boolean) => {
        status(`${direction} of ${file.what}, ${plain ? "plain" : "delta"}`);
        await using race = await Race.start(bench, file, { direction, program: "ferry" });
        await replace(race.target, file.before);
        const client = await peakOf(race.client("xxh128", { plain }), bench.signal);
        if (Deno.statSync(race.target).size !== file.size) throw new Error("it is not whole");
        return { client, server: await peakResidentBytes(race.ferryd!.pid) ?? 0 };
      };
      const [plain, delta] = [await peaks(true), await peaks(false)];
      for (const side of ["client", "server"] as const) {
        const more = delta[side] - plain[side];
        rows.push([
          `${direction} of ${file.what}, ${side}`,
          ...[plain[side], delta[side], more].map((bytes) => `${(bytes / MIB).toFixed(0)} MiB`),
          `at most ${sizeText(GOAL_BYTES)}: ${more <= GOAL_BYTES ? "yes" : "NO"}`,
        ]);
      }
    }
  }
  return table(rows);
}

/** A large file with no content but some places, and the same with one place more. */
function sparseFile({ dir }: Bench, size: number): ChangedFile {
  const make = (name: string, places: number) => {
    const path = `${dir}/${name}`;
    using file = Deno.openSync(path, { write: true, createNew: true });
    file.truncateSync(size);
    for (let place = 0; place < places; place++) {
      file.seekSync(Math.floor(size / 8 * place), Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(4096).fill(place + 1));
    }
    return path;
  };
  const [before, after] = [make("sparse-0", 4), make("sparse-1", 5)];
  return { what: `${sizeText(size)} with holes`, before, after };
}

function programs({ installed }: Bench): Program[] {
  return installed.has("rsync") ? ["ferry", "rsync"] : ["ferry"];
}

/** Puts a copy of a file at a path; where the file has holes, so has the copy. */
async function replace(path: string, source: string): Promise<void> {
  if (isTaken(path)) Deno.removeSync(path);
  const { code } = await new Deno.Command("cp", { args: ["--sparse=auto", source, path] }).output();
  if (code !== 0) throw new Error(`${source} cannot be copied`);
}

/** Throws unless two files have the same content. */
async function assertSame(path: string, expected: string, signal: AbortSignal): Promise<void> {
  await succeed(`the comparison of ${path}`, spawn("cmp", ["-s", path, expected]), signal);
}
