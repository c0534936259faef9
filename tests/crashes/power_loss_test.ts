/**
 * The power fails while `ferryd` works. All that it does to the disk is recorded, and disks are made as a loss of power
 * at some point might leave them: what was flushed is there, and of the rest some or none. Served again, each of them has
 * to have every acknowledged operation, and of the one under way all or nothing.
 *
 * `deno task crashes` tries many disks, a run of all tests a few.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect } from "../../mod.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import { md5, MIB } from "../support/bytes.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { DENO, Ferryd, programArgs, stagedIn, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { recording } from "./recorded_calls.ts";
import {
  type FileSystemKind,
  type Left,
  leftAfter,
  RecordedDisk,
  tooEarly,
} from "./recorded_disk.ts";
import { AGAIN, KILLS, SEED } from "./extent.ts";
import { noTrace, type Tree, treeOf } from "./tracer.ts";

/** An operation, and the files after it. */
interface Operation {
  readonly name: string;
  act(client: Client, local: (tree: Tree) => string): Promise<unknown>;
  readonly after: Tree;
  /** The files as others may see them while it is under way, beside those before and after it. */
  readonly meanwhile?: Tree;
}

const SMALL = randomBytes(1000, 1);
const OTHER = randomBytes(70_000, 2);
const THIRD = randomBytes(300_000, 3);
const LARGE = randomBytes(9 * MIB, 4);

const OPERATIONS: readonly Operation[] = [
  {
    name: "put",
    act: (client) => client.put(SMALL, { as: "d/f" }),
    after: { "d/f": SMALL },
  },
  {
    name: "replace",
    act: (client) => client.put(OTHER, { as: "d/f", overwrite: "always" }),
    after: { "d/f": OTHER },
  },
  {
    name: "put of a stream",
    act: (client) => client.put(new Blob([THIRD]).stream(), { as: "g" }),
    after: { "d/f": OTHER, g: THIRD },
  },
  {
    name: "move",
    act: (client) => client.move("d/f", "e/e/f"),
    after: { "e/e/f": OTHER, g: THIRD },
    meanwhile: { "d/f": OTHER, "e/e/f": OTHER, g: THIRD },
  },
  {
    name: "move over another file",
    act: (client) => client.move("g", "e/e/f", { overwrite: "always" }),
    after: { "e/e/f": THIRD },
  },
  {
    name: "publish",
    act: (client, local) =>
      client.putTree(local({ a: SMALL, "b/c": OTHER }), { as: "t", atomic: true }),
    after: { "e/e/f": THIRD, "t/a": SMALL, "t/b/c": OTHER },
  },
  {
    name: "publish over another directory",
    act: (client, local) => {
      const options = { as: "t", atomic: true, overwrite: "always" } as const;
      return client.putTree(local({ a: OTHER, "b/d": SMALL }), options);
    },
    after: { "e/e/f": THIRD, "t/a": OTHER, "t/b/d": SMALL },
  },
  {
    name: "remove",
    act: (client) => client.remove("e/e/f"),
    after: { "t/a": OTHER, "t/b/d": SMALL },
  },
  {
    name: "move of a directory",
    act: (client) => client.move("t", "e/t"),
    after: { "e/t/a": OTHER, "e/t/b/d": SMALL },
  },
  {
    name: "put of a large file",
    act: (client) => client.put(new Blob([LARGE]), { as: "e/large" }),
    after: { "e/t/a": OTHER, "e/t/b/d": SMALL, "e/large": LARGE },
  },
];

/** What a server has done, and in which steps it acknowledged each operation. */
interface Recording {
  readonly disk: RecordedDisk;
  readonly acknowledged: readonly number[];
  /** The step at which it was ready. */
  readonly ready: number;
}

/** Lets a server do all operations. */
async function record(args: string[] = []): Promise<Recording> {
  await using dir = new TempDir();
  const [root, log] = [dir.join("root"), dir.join("log")];
  Deno.mkdirSync(root);
  {
    await using server = await Ferryd.start(root, args, {
      launch: (program, options) => {
        const [command, ...before] = recording(log);
        return [command!, ...before, DENO, ...programArgs(program, options)];
      },
    });
    for (const [number, { act }] of OPERATIONS.entries()) {
      // Each has a connection of its own, so that its last reply is that before the next greeting.
      await using client = await connect(server.address, { retries: 0 });
      await act(client, (tree) => write(dir.join(`local-${number}`), tree));
    }
    (await connect(server.address, { retries: 0 })).close();
    await server.stop("SIGTERM");
  }
  const disk = RecordedDisk.read(log, root);
  const replies = disk.steps.flatMap((step, at) => step.kind === "reply" ? [{ at, ...step }] : []);
  const greetings = replies.flatMap(({ text }, n) => /"versions":/.test(text) ? [n] : []);
  assertEquals(greetings.length, OPERATIONS.length + 1, "greetings that the server has sent");
  const acknowledged = greetings.slice(1).map((n) => replies[n - 1]!.at);
  return { disk, acknowledged, ready: replies[greetings[0]!]!.at };
}

function write(directory: string, tree: Tree | Left): string {
  for (const [name, content] of tree instanceof Map ? tree : Object.entries(tree)) {
    const path = `${directory}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    Deno.writeFileSync(path, content);
  }
  return directory;
}

/** Makes a disk on which the system was started again since. */
function writeLeft(root: string, left: Left): void {
  Deno.mkdirSync(root);
  for (const [name, content] of left) {
    // Whoever finds the lease of a process on a system that was started again waits until it has certainly ended.
    if (name.startsWith(".ferry/leases/")) left.delete(name);
    if (!/^\.ferry\/.*\.json$/.test(name)) continue;
    const text = new TextDecoder().decode(content);
    left.set(name, new TextEncoder().encode(text.replace(/"boot":\d+/, '"boot":1')));
  }
  write(root, left);
}

function digestsOf(tree: Tree): string {
  return Object.keys(tree).sort().map((name) => `${name} ${md5(tree[name]!)}`).join(", ");
}

/** The disk after a loss of power, by which it can be made again. */
interface Loss {
  readonly at: number;
  readonly kind: FileSystemKind;
  readonly seed: number;
}

/** What is wrong with a disk, when it is served again. */
async function problemAfter(
  recording: Recording,
  { at, kind, seed }: Loss,
): Promise<string | undefined> {
  const { disk, acknowledged, ready } = recording;
  const left = leftAfter(disk, at, { kind, least: ready, random: randomNumbers(seed) });
  await using dir = new TempDir();
  const root = dir.join("root");
  writeLeft(root, left);
  const done = acknowledged.filter((step) => step < at).length;
  const before = OPERATIONS[done - 1]?.after ?? {};
  const { name, after, meanwhile = before } = OPERATIONS[done] ??
    { name: "nothing", after: before };
  const may = [before, meanwhile, after].map(digestsOf);
  const where = `in ${name}, after ${done} acknowledged operations`;
  await using storage = FsStorage.open(root, { durability: "none" });
  const found = treeOf(root);
  if (!may.includes(digestsOf(found))) {
    const text = Object.entries(found).map(([name, { length }]) => `${name} of ${length} bytes`);
    return `${where}: ${text.join(", ") || "nothing"} is neither old nor new`;
  }
  for (const { id } of await storage.partialUploads!.list()) {
    const resumed = await storage.partialUploads!.resume(id, { algorithm: "md5" });
    const size = resumed?.prefix?.size ?? 0;
    const checksum = resumed?.prefix?.checksum();
    await resumed?.[Symbol.asyncDispose]();
    if (size > 0 && checksum !== md5(LARGE.subarray(0, size))) {
      return `${where}: a partial upload is gone on with after ${size} bytes that did not come`;
    }
  }
  await storage.partialUploads!.expire(0);
  await storage.stagedTrees!.expire(0);
  const staged = stagedIn(root);
  return staged.length > 0 ? `${where}: ${staged.join(", ")} left behind` : undefined;
}

/** Tries a number of disks, half of them of each kind of file system. */
async function lose(recording: Recording, count: number, seed: number): Promise<string[]> {
  const random = randomNumbers(seed);
  const problems: string[] = [];
  for (let n = 0; n < count; n++) {
    const { ready, disk: { steps } } = recording;
    const at = ready + random(steps.length - ready + 1);
    const loss = { at, kind: n % 2 ? "log" : "journal", seed: random(2 ** 32) } as const;
    const problem = await problemAfter(recording, loss);
    if (problem !== undefined) problems.push(`${loss.kind}, step ${at}, ${problem}`);
  }
  return problems;
}

/** How many disks are tried. */
const DISKS = KILLS === undefined ? 24 : Math.ceil(KILLS * 0.4);

function testLosses(criterion: string, fn: () => Promise<void>): void {
  Deno.test({ name: criterion, ignore: noTrace !== undefined, fn });
}

let durable: Promise<Recording> | undefined;

testLosses("ferryd flushes bytes before names, and names before it replies", async () => {
  const { disk, acknowledged } = await (durable ??= record());
  assertEquals([...tooEarly(disk, acknowledged)], []);
});

testLosses("what ferryd has acknowledged survives a loss of power at any point", async () => {
  const problems = await lose(await (durable ??= record()), DISKS, SEED);
  assert(problems.length === 0, `${AGAIN}\n${problems.join("\n")}`);
});

testLosses("without flushes, a loss of power loses what was acknowledged", async () => {
  const recording = await record(["--durability", "none"]);
  assert([...tooEarly(recording.disk, recording.acknowledged)].length > 0, "nothing is too early");
  const problems = await lose(recording, 24, 1);
  assert(problems.some((problem) => /neither old nor new/.test(problem)), "nothing was lost");
});
