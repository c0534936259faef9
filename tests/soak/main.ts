/**
 * `deno task soak`: many clients work on one real `ferryd` at the same time, and every byte is compared.
 *
 * Each client has a directory of its own, and knows what it must contain. All clients also replace, fetch and remove
 * the files of one shared directory, whose contents show by themselves whether they are complete.
 *
 * @module
 */

import { type Client, connect, FerryError } from "../../mod.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { contentOf, isWhole, sameBytes } from "../support/known_content.ts";
import { runInterruptibly } from "../support/interruptible.ts";
import { parseNumbers, randomSeed } from "../support/numeric_options.ts";
import { Ferryd, TempDir } from "../support/programs.ts";

const HELP = `Usage: deno task soak [--clients N] [--seconds N] [--seed N]

  --clients N  how many clients work at the same time (default 64)
  --seconds N  for how long (default 60)
  --seed N     what the clients do follows from it; printed at the start (default: another one each time)
`;

/** File sizes in bytes; the last one is rare, and large enough to be resumed. */
const SIZES = [0, 1, 100, 4096, 65_536, 65_537, 300_000, 1_500_000, 9 * 1024 * 1024];

/** How many files all clients share. */
const SHARED = 8;

type Random = ReturnType<typeof randomNumbers>;

/** The results of a run. */
class Tally {
  readonly problems: string[] = [];
  bytes = 0;
  readonly #times = new Map<string, number[]>();

  /** Records an operation and its duration in milliseconds. */
  took(operation: string, ms: number): void {
    const times = this.#times.get(operation);
    if (times) times.push(ms);
    else this.#times.set(operation, [ms]);
  }

  /** A line for each operation: its count, and its median, 99th percentile and longest duration. */
  *lines(): Generator<string> {
    yield `${"operation".padEnd(12)}${
      ["count", "p50 ms", "p99 ms", "max ms"].map(column).join("")
    }`;
    for (const [operation, times] of [...this.#times].sort(([a], [b]) => a < b ? -1 : 1)) {
      times.sort((a, b) => a - b);
      const at = (share: number) => times[Math.floor((times.length - 1) * share)]!.toFixed(1);
      const figures = [String(times.length), at(0.5), at(0.99), at(1)];
      yield operation.padEnd(12) + figures.map(column).join("");
    }
  }
}

function column(text: string): string {
  return text.padStart(10);
}

/** Collects the bytes of a download. */
class Gathered {
  readonly #pieces: Uint8Array[] = [];

  write(bytes: Uint8Array): Promise<void> {
    this.#pieces.push(bytes.slice());
    return Promise.resolve();
  }

  bytes(): Promise<Uint8Array> {
    return new Blob(this.#pieces as BlobPart[]).bytes();
  }
}

/** One client. Its actions follow from its random numbers, and it knows what must be on the server. */
class Worker {
  readonly #client: Client;
  readonly #dir: string;
  readonly #random: Random;
  readonly #tally: Tally;
  readonly #files = new Map<string, Uint8Array>();
  #made = 0;

  constructor(client: Client, number: number, { seed, tally }: { seed: number; tally: Tally }) {
    this.#client = client;
    this.#dir = `client-${number}`;
    this.#random = randomNumbers(seed ^ Math.imul(number + 1, 0x9e3779b1));
    this.#tally = tally;
  }

  /** What its directory must contain at the end, by the names on the server. */
  get files(): ReadonlyMap<string, Uint8Array> {
    return this.#files;
  }

  /** Performs one random action, and records what was wrong. */
  async step(): Promise<void> {
    const actions = [
      this.#put,
      this.#put,
      this.#stream,
      this.#get,
      this.#get,
      this.#stat,
      this.#list,
      this.#move,
      this.#remove,
      this.#putShared,
      this.#getShared,
      this.#removeShared,
    ];
    const action = actions[this.#random(actions.length)]!;
    await action.call(this);
  }

  #problem(text: string): void {
    this.#tally.problems.push(`${this.#dir}: ${text}`);
  }

  /** Times an operation. */
  async #timed<T>(operation: string, run: () => Promise<T>): Promise<T> {
    const started = performance.now();
    const result = await run();
    this.#tally.took(operation, performance.now() - started);
    return result;
  }

  #newContent(): Uint8Array {
    const at = this.#random(40) === 0 ? SIZES.length - 1 : this.#random(SIZES.length - 1);
    return contentOf(this.#random(2 ** 32), SIZES[at]!);
  }

  #newName(): string {
    const folder = this.#random(3) === 0 ? `d ${this.#random(4)}/ü` : "f";
    return `${this.#dir}/${folder}/${this.#made++}`;
  }

  /** A random one of its files; undefined where it has none. */
  #some(): string | undefined {
    const names = [...this.#files.keys()];
    return names[this.#random(names.length)];
  }

  async #put(): Promise<void> {
    const replaced = this.#random(3) === 0 ? this.#some() : undefined;
    const name = replaced ?? this.#newName();
    const content = this.#newContent();
    await this.#timed("put", () => {
      return this.#client.put(content, { as: name, overwrite: replaced ? "always" : "never" });
    });
    this.#files.set(name, content);
    this.#tally.bytes += content.length;
  }

  async #stream(): Promise<void> {
    const name = this.#newName();
    const content = this.#newContent();
    const pieces = async function* () {
      for (let at = 0; at < content.length; at += 100_000) {
        yield await Promise.resolve(content.subarray(at, at + 100_000));
      }
    };
    await this.#timed("put stream", () => this.#client.put(pieces(), { as: name }));
    this.#files.set(name, content);
    this.#tally.bytes += content.length;
  }

  async #fetch(operation: string, name: string): Promise<Uint8Array> {
    const gathered = new Gathered();
    await this.#timed(operation, () => this.#client.get(name, { out: gathered }));
    const bytes = await gathered.bytes();
    this.#tally.bytes += bytes.length;
    return bytes;
  }

  async #get(): Promise<void> {
    const name = this.#some();
    if (name === undefined) return;
    const bytes = await this.#fetch("get", name);
    if (!sameBytes(bytes, this.#files.get(name)!)) this.#problem(`get ${name}: other bytes`);
  }

  async #stat(): Promise<void> {
    const name = this.#some();
    if (name === undefined) return;
    const { size } = await this.#timed("stat", () => this.#client.stat(name));
    if (size !== this.#files.get(name)!.length) this.#problem(`stat ${name}: ${size} bytes`);
  }

  async #list(): Promise<void> {
    if (this.#files.size === 0) return;
    const seen = await this.#timed("list", async () => {
      const entries = await Array.fromAsync(this.#client.list(this.#dir, { recursive: true }));
      return entries.filter(({ type }) => type === "file").map(({ filename }) => filename);
    });
    const missing = [...this.#files.keys()].filter((name) => !seen.includes(name));
    if (missing.length > 0) this.#problem(`list: ${missing.join(", ")} missing`);
    if (seen.length > this.#files.size) this.#problem(`list: ${seen.length} files`);
  }

  async #move(): Promise<void> {
    const from = this.#some();
    if (from === undefined) return;
    const to = this.#newName();
    await this.#timed("move", () => this.#client.move(from, to));
    this.#files.set(to, this.#files.get(from)!);
    this.#files.delete(from);
  }

  async #remove(): Promise<void> {
    const name = this.#files.size > 20 || this.#random(4) === 0 ? this.#some() : undefined;
    if (name === undefined) return;
    await this.#timed("remove", () => this.#client.remove(name));
    this.#files.delete(name);
  }

  #shared(): string {
    return `shared/${this.#random(SHARED)}`;
  }

  async #putShared(): Promise<void> {
    const content = this.#newContent();
    const name = this.#shared();
    await this.#timed("put shared", () => {
      return this.#client.put(content, { as: name, overwrite: "always", resume: false });
    });
    this.#tally.bytes += content.length;
  }

  async #getShared(): Promise<void> {
    const name = this.#shared();
    const bytes = await unlessMissing(() => this.#fetch("get shared", name));
    if (bytes && !isWhole(bytes)) this.#problem(`get ${name}: a mixture, or a piece`);
  }

  async #removeShared(): Promise<void> {
    if (this.#random(8) > 0) return;
    const name = this.#shared();
    await unlessMissing(() => this.#timed("remove shared", () => this.#client.remove(name)));
  }
}

/** The result of an operation; undefined where another client has removed the file. */
async function unlessMissing<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof FerryError && error.code === "not_found") return undefined;
    throw error;
  }
}

/** The regular files below a directory, by their paths relative to it. */
function* filesBelow(root: string, below = ""): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(root + below)) {
    if (below === "" && name === ".ferry") continue;
    if (isDirectory) yield* filesBelow(root, `${below}/${name}`);
    else yield `${below}/${name}`;
  }
}

/** Compares the files on disk with what the clients expect. */
function* wrongOnDisk(root: string, workers: readonly Worker[]): Generator<string> {
  const expected = new Map(workers.flatMap(({ files }) => [...files]));
  for (const path of filesBelow(root)) {
    const name = path.slice(1);
    const bytes = Deno.readFileSync(root + path);
    const content = expected.get(name);
    expected.delete(name);
    const isRight = content
      ? sameBytes(bytes, content)
      : /^shared\/\d+$/.test(name) && isWhole(bytes);
    if (!isRight) yield `${name} on the disk is not what was put`;
  }
  for (const name of expected.keys()) yield `${name} is not on the disk`;
  for (const path of filesBelow(`${root}/.ferry/staging`)) {
    if (path.endsWith(".part")) yield `a partial upload was left: ${path}`;
  }
}

async function soak(
  { clients, seconds, seed }: { clients: number; seconds: number; seed: number },
  signal: AbortSignal,
): Promise<number> {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path, ["--durability", "none"]);
  const tally = new Tally();
  await using stack = new AsyncDisposableStack();
  const workers: Worker[] = [];
  for (let number = 0; number < clients; number++) {
    const client = stack.use(await connect(server.address, { retries: 0 }));
    workers.push(new Worker(client, number, { seed, tally }));
  }
  const end = performance.now() + seconds * 1000;
  await Promise.all(workers.map(async (worker) => {
    while (performance.now() < end && tally.problems.length === 0) {
      signal.throwIfAborted();
      try {
        await worker.step();
      } catch (error) {
        tally.problems.push(error instanceof Error ? error.message : String(error));
      }
    }
  }));
  await stack.disposeAsync();
  const { code, stderr } = await server.stop();
  if (code !== 0) tally.problems.push(`ferryd ended with ${code}`);
  const errors = stderr.split("\n").filter((line) => /\b(ERR|ERROR|FTL|FATAL)\b/.test(line));
  tally.problems.push(...errors, ...wrongOnDisk(dir.path, workers));
  for (const line of tally.lines()) console.log(line);
  const mebibytes = Math.round(tally.bytes / 1024 / 1024);
  console.log(`${clients} clients, ${seconds} s, ${mebibytes} MiB moved`);
  if (tally.problems.length === 0) return 0;
  console.log(`FAILED: deno task soak --seed ${seed}\n${tally.problems.slice(0, 20).join("\n")}`);
  return 1;
}

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  const options = parseNumbers(argv, { clients: 64, seconds: 60, seed: randomSeed() });
  if (!options) {
    console.log(HELP);
    return 0;
  }
  console.log(`seed ${options.seed}`);
  return await soak(options, signal);
}

if (import.meta.main) await runInterruptibly("soak", (signal) => main(Deno.args, signal));
