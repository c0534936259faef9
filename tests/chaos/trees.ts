/**
 * Transfers of directories that are cut at random bytes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Fault, FaultyPeer } from "../support/faulty_peer.ts";
import { type Outcome, outcome, spawnFerry, unrecorded } from "../support/programs.ts";
import {
  below,
  type Cut,
  CUT_KINDS,
  eventually,
  type Lane,
  piece,
  randomFor,
  RETRIES,
  SILENCE,
} from "./lane.ts";
import { watched, type WatchedFile, Watcher } from "./watcher.ts";
import { KIB, md5, MIB } from "../support/bytes.ts";

/** Names that careless programs mishandle. */
const ODD_NAMES = [
  "with space",
  "line\nbreak",
  "文件",
  'q"uote',
  "-dash",
  "back\\slash",
  ".hidden",
];

/** What is under a name of the tree before the transfer. */
type Before = "nothing" | "another" | "the same";

interface TreeFile extends WatchedFile {
  /** Relative to the tree. */
  name: string;
  size: number;
  before: Before;
}

/** A directory with small and large files, of which some exist at the destination. */
class Tree {
  readonly name: string;
  readonly op: "put" | "get";
  readonly random: (limit: number) => number;
  /** How many connections the transfer uses. */
  readonly jobs: number;
  readonly files: TreeFile[] = [];
  /** The directories, with a trailing slash. */
  readonly directories: string[] = ["a/", "a/b/", "a/b/c/", "empty/", "a/hollow/"];
  /** Whether it is published as one. */
  readonly atomic: boolean;
  /** What a mirror deletes at the destination, directories with a trailing slash; nothing if it is no mirror. */
  readonly doomed: string[] = [];

  constructor(readonly lane: Lane, index: number) {
    this.op = (index >> 2) % 2 ? "get" : "put";
    this.name = `tree-${index}`;
    this.random = randomFor(1_000_000 + index);
    const { random, source, target } = this;
    this.jobs = random(3) ? 1 : 3;
    for (const directory of ["", ...this.directories]) {
      Deno.mkdirSync(`${source}/${directory}`, { recursive: true });
    }
    const small = 30 + random(60);
    for (let number = 0; number < small; number++) this.#add(random(20) ? random(20 * KIB) : 0);
    for (let number = 0; number < 2; number++) this.#add(MIB + random(200 * KIB));
    for (let number = 0; number < 1 + random(2); number++) this.#add(9 * MIB + random(6 * MIB));
    for (const { name, path, size, before } of this.files) {
      if (before === "nothing") continue;
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      if (before === "the same") {
        Deno.copyFileSync(`${source}/${name}`, path);
        const { mtime } = Deno.statSync(`${source}/${name}`);
        Deno.utimeSync(path, mtime!, mtime!);
      } else {
        const old = piece(random(2) ? size : random(30 * KIB), random);
        Deno.writeFileSync(path, old);
        Deno.utimeSync(path, 1, 1);
        const file = this.files.find((file) => file.path === path)!;
        file.oldMd5 = md5(old);
      }
    }
    Deno.mkdirSync(target, { recursive: true });
    this.atomic = this.op === "put" && random(3) === 0;
    if (random(2) === 0) return;
    this.doomed.push("old/", "old/deep/", "old/deep/gone", "gone");
    for (const name of this.doomed) {
      if (name.endsWith("/")) Deno.mkdirSync(`${target}/${name}`);
      else Deno.writeFileSync(`${target}/${name}`, piece(KIB, random));
    }
  }

  #add(size: number): void {
    const { random, source, target } = this;
    const directory = ["", "a/", "a/b/", "a/b/c/"][random(4)]!;
    const number = this.files.length;
    const name = `${directory}${
      random(6) ? "file" : ODD_NAMES[random(ODD_NAMES.length)]
    }-${number}`;
    const bytes = piece(size, random);
    Deno.writeFileSync(`${source}/${name}`, bytes);
    const before = (["nothing", "nothing", "another", "the same"] as const)[random(4)]!;
    const digest = md5(bytes);
    const oldMd5 = before === "the same" ? digest : undefined;
    this.files.push({ name, path: `${target}/${name}`, size, md5: digest, oldMd5, before });
  }

  /** The path of the source directory. */
  get source(): string {
    return `${this.op === "put" ? this.lane.local : this.lane.root}/${this.name}`;
  }

  /** The path of the destination. */
  get target(): string {
    return `${this.op === "put" ? this.lane.root : this.lane.local}/${this.name}`;
  }

  /** The command line for the transfer. */
  get args(): string[] {
    const { op, name, source, lane, jobs } = this;
    const common = ["--overwrite", "different", "--json", "--jobs", `${jobs}`];
    if (this.doomed.length > 0) common.push("--delete");
    if (this.atomic) common.push("--atomic");
    return op === "put"
      ? ["put", source, ...common]
      : ["get", name, "--out", `${lane.local}/`, "--durability", "none", ...common];
  }

  /** How many bytes of files have to be transferred. */
  get moving(): number {
    return this.files.filter(({ before }) => before !== "the same")
      .reduce((sum, { size }) => sum + size, 0);
  }

  /** Removes both directories. */
  remove(): void {
    for (const path of [this.source, this.target]) Deno.removeSync(path, { recursive: true });
  }
}

/** The names of the files that a run reports as transferred. */
function movedIn({ stdout }: Outcome): string[] {
  return stdout.split("\n")
    // A program that is killed may stop in the middle of a line.
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line))
    .filter(({ event, skipped }) => event === "done" && !skipped)
    .map(({ filename }) => filename);
}

/** What the destination shows. One that is published as one lacks its name for a moment while it is replaced. */
function visible({ target, atomic }: Tree): string[] {
  try {
    return below(target);
  } catch (error) {
    if (atomic && error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** Cuts a transfer of a directory once, resumes it, and checks the result. */
export async function cutTree(lane: Lane, index: number): Promise<void> {
  const kind = CUT_KINDS[index % 4]!;
  const tree = new Tree(lane, index);
  const { op, files, random, moving } = tree;
  const at = 1 + random(moving);
  // A restarted server is found again by the same run, or by the next one.
  const sameRun = kind === "reset" || kind === "stall" || kind === "kill ferryd" && random(2) === 0;
  const what =
    `${op} of ${files.length} files by ${tree.jobs}, ${kind} behind ${at} of ${moving} bytes` +
    (kind === "kill ferryd" && sameRun ? ", by the same run" : "") +
    (tree.doomed.length > 0 ? ", as a mirror" : "") + (tree.atomic ? ", published as one" : "");
  const allowed = new Set(files.map(({ name }) => name).concat(tree.directories));
  const onlyIts = () => {
    for (const name of visible(tree)) {
      const staged = op === "get" && /(^|\/)\.ferry-[^/]*\.(part|json|json\.new)$/.test(name);
      const isIts = staged || allowed.has(name) || tree.doomed.includes(name);
      assert(isIts, `the directory shows ${name}`);
    }
  };
  const watcher = new Watcher(files, onlyIts, { mayMiss: tree.atomic });
  await watched(watcher, what, async () => {
    const runs = await transferCut(tree, { kind, at, sameRun });
    const last = runs.at(-1)!;
    assertEquals(last.code, 0, `ferry failed: ${last.stdout}${last.stderr}`);
    const moved = runs.flatMap(movedIn);
    assertEquals(moved.length, new Set(moved).size, "what had been acknowledged crossed again");
    for (const { name, path, md5: expected } of files) {
      assertEquals(md5(Deno.readFileSync(path)), expected, `the md5 of ${name}`);
    }
    const there = below(tree.target).filter((name) => !name.includes(".ferry-"));
    assertEquals(there.sort(), [...allowed].sort());
    const directories = op === "put"
      ? [lane.staging]
      : ["", ...tree.directories].map((name) => `${tree.target}/${name}`);
    const left = () => directories.flatMap(unrecorded);
    assert(await eventually(() => left().length === 0), `it left ${left()}`);
  });
  tree.remove();
}

/** Runs the transfer until it is done, with one cut; returns the output of each run of `ferry`. */
async function transferCut(
  { lane, op, args }: Tree,
  { kind, at, sameRun }: { kind: Cut; at: number; sameRun: boolean },
): Promise<Outcome[]> {
  let child: Deno.ChildProcess | undefined;
  const back = Promise.withResolvers<void>();
  const onReached = async () => {
    if (kind === "kill ferry") child!.kill("SIGKILL");
    if (kind !== "kill ferryd") return;
    await lane.server.stop("SIGKILL");
    // For a while, no server listens on that port.
    lane.restart().then(back.resolve, back.reject);
  };
  const how = kind === "reset" || kind === "stall" ? kind : "close";
  const fault: Fault = { kind: how, direction: op === "put" ? "up" : "down", at, onReached };
  await using peer = FaultyPeer.start(lane.server.port, { faults: [fault] });
  const run = async (...more: string[]) => {
    child = spawnFerry([...args, ...more], { server: peer.address });
    return await outcome(child);
  };
  const silence = kind === "stall" ? ["--timeout", `${SILENCE}ms`] : [];
  const first = run("--retries", `${sameRun ? RETRIES : 0}`, ...silence);
  await Promise.race([peer.reached, first]);
  // What the other side has of older or renamed files does not cross: there may be too little to be cut.
  if (peer.pending > 0) return [await first];
  if (kind === "kill ferryd") {
    await back.promise;
    if (!sameRun) await first;
    peer.retarget(lane.server.port);
  }
  const outcomes = [await first];
  if (sameRun) return outcomes;
  assertEquals(outcomes[0]!.code, kind === "kill ferry" ? 137 : 6, outcomes[0]!.stderr);
  return [...outcomes, await run()];
}
