/**
 * ferryd is killed at each system call by which an operation changes something, and started again. Clients then have to
 * see either the state before the operation or the state after it, complete, and what is left of uploads must not be
 * visible to others. The same is tested for `ferry get`. `deno task crashes` tries all of the calls; with
 * `FERRY_CRASHES=N` every N-th of them. A run of all tests tries only half of the calls that name files, of a few
 * operations.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, FerryError } from "../../mod.ts";
import { extentOf } from "../support/extent.ts";
import { Ferryd, outcome, programArgs, TempDir } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { md5, MIB } from "../support/bytes.ts";
import {
  assertStaging,
  type Call,
  callsIn,
  killing,
  noTrace,
  Tracer,
  type Tree,
  treeOf,
  watching,
} from "./tracer.ts";

/** Only every so many calls are tried. */
const STRIDE = extentOf("FERRY_CRASHES");
const ALL = STRIDE !== undefined;

/** How many servers are killed in parallel. */
const LANES = 4;

/** The calls that create and remove names of files. */
const NAMING = ["link", "linkat", "unlink", "unlinkat", "rename", "renameat", "renameat2"];

/** All calls that change something, except writes: their effect is seen at the next of these calls. */
const CHANGING = [
  ...NAMING,
  ...[
    "open",
    "openat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "symlink",
    "symlinkat",
    "truncate",
    "ftruncate",
  ],
  ...["chmod", "fchmod", "fchmodat", "utimensat", "fsync", "fdatasync", "pwrite64"],
];

/** The calls that are tried. */
function sample(calls: readonly Call[]): readonly Call[] {
  return calls.filter((_, index) => index % (STRIDE ?? 2) === 0);
}

/** An operation that is interrupted by a kill. */
interface Scenario {
  /** The files before the operation. */
  before: Tree;
  /** The content that each file may have after a kill, and after the operation is repeated. */
  names: Record<string, readonly (Uint8Array | undefined)[]>;
  /** Names of which exactly one exists at any moment. */
  oneOf?: readonly string[];
  /** The states of all files together, if each file alone does not show whether they are whole. */
  oneState?: readonly Tree[];
  /** Prepares the operation. */
  prepare?(lane: Lane): Promise<void>;
  /** The operation. */
  act(client: Client, lane: Lane): Promise<unknown>;
  /** The files at the end, after the operation was repeated. */
  after: Tree;
  /** The codes with which the repeated operation may fail, since the first one took effect. */
  done?: readonly string[];
}

const SMALL = randomBytes(1000, 1);
const OLD = randomBytes(1000, 2);
const LARGE = randomBytes(9 * MIB + 123, 3);
const OLD_LARGE = randomBytes(9 * MIB + 123, 4);

function putting(content: Uint8Array, old?: Uint8Array): Scenario {
  return {
    before: old ? { "d/f": old } : {},
    names: { "d/f": [old, content] },
    act: (client, lane) => {
      return client.put(lane.local(content), { as: "d/f", overwrite: old ? "always" : "never" });
    },
    after: { "d/f": content },
  };
}

const SCENARIOS: Record<string, Scenario> = {
  "put of a small file": putting(SMALL),
  "put of a small file over another": putting(SMALL, OLD),
  "put of a large file": putting(LARGE),
  "put of a large file over another": putting(LARGE, OLD_LARGE),
  "put of the rest of a file": {
    ...putting(LARGE),
    async prepare(lane) {
      using peer = await RawPeer.connect(lane.server.port);
      const put = { op: "put", filename: "d/f", md5: null, total_size: LARGE.length };
      await peer.send(put, LARGE.subarray(0, 6 * MIB));
      await peer.end();
      assertEquals(await peer.code(), "closed");
    },
  },
  "mv of a file": {
    before: { "d/f": SMALL },
    names: { "d/f": [SMALL, undefined], "e/g": [SMALL, undefined] },
    oneOf: ["d/f", "e/g"],
    act: (client) => client.move("d/f", "e/g"),
    after: { "e/g": SMALL },
    done: ["not_found", "exists"],
  },
  "mv of a file over another": {
    before: { "d/f": SMALL, "e/g": OLD },
    names: { "d/f": [SMALL, undefined], "e/g": [OLD, SMALL] },
    act: (client) => client.move("d/f", "e/g", { overwrite: "always" }),
    after: { "e/g": SMALL },
    done: ["not_found"],
  },
  "mv of a directory": {
    before: { "d/f": SMALL, "d/d/g": OLD },
    names: {
      "d/f": [SMALL, undefined],
      "d/d/g": [OLD, undefined],
      "e/d/f": [SMALL, undefined],
      "e/d/d/g": [OLD, undefined],
    },
    oneOf: ["d/f", "e/d/f"],
    act: (client) => client.move("d", "e/d"),
    after: { "e/d/f": SMALL, "e/d/d/g": OLD },
    done: ["not_found"],
  },
  "rm of a file": {
    before: { "d/f": SMALL, "d/g": OLD },
    names: { "d/f": [SMALL, undefined], "d/g": [OLD] },
    act: (client) => client.remove("d/f"),
    after: { "d/g": OLD },
    done: ["not_found"],
  },
  "rm -r of a directory": {
    before: { "d/a": SMALL, "d/b": OLD, "d/d/c": SMALL, "e/f": OLD },
    names: {
      "d/a": [SMALL, undefined],
      "d/b": [OLD, undefined],
      "d/d/c": [SMALL, undefined],
      "e/f": [OLD],
    },
    act: (client) => client.remove("d", { recursive: true }),
    after: { "e/f": OLD },
    done: ["not_found"],
  },
  "publication of a directory over another": {
    before: { "d/a": OLD, "d/b": SMALL },
    names: { "d/a": [OLD, SMALL], "d/b": [SMALL, undefined], "d/d/c": [LARGE, undefined] },
    oneState: [{ "d/a": OLD, "d/b": SMALL }, { "d/a": SMALL, "d/d/c": LARGE }],
    act: (client, lane) => {
      const local = lane.locals({ a: SMALL, "d/c": LARGE });
      return client.putTree(local, { as: "d", atomic: true, overwrite: "always" });
    },
    after: { "d/a": SMALL, "d/d/c": LARGE },
  },
};

/** A server that is killed again and again. */
class Lane implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly root = this.#dir.join("root");
  server!: Ferryd;

  static async start(): Promise<Lane> {
    const lane = new Lane();
    Deno.mkdirSync(lane.root);
    await lane.restart();
    return lane;
  }

  async restart(): Promise<void> {
    this.server = await Ferryd.start(this.root);
  }

  /** A path outside of the root. */
  path(name: string): string {
    return this.#dir.join(name);
  }

  /** Writes a local file with some content, and returns its path. */
  local(content: Uint8Array): string {
    return this.#dir.write("local", content);
  }

  /** Writes a local directory with some files, and returns its path. */
  locals(tree: Tree): string {
    const path = this.path("locals");
    write(path, tree);
    return path;
  }

  /** Replaces all files in the root. */
  fill(tree: Tree): void {
    for (const { name } of [...Deno.readDirSync(this.root)]) {
      if (name !== ".ferry") Deno.removeSync(`${this.root}/${name}`, { recursive: true });
    }
    write(this.root, tree);
  }

  connect(): Promise<Client> {
    return connect(this.server.address, { retries: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.#dir[Symbol.asyncDispose]();
  }
}

function write(directory: string, tree: Tree): void {
  for (const [name, content] of Object.entries(tree)) {
    Deno.mkdirSync(`${directory}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.writeFileSync(`${directory}/${name}`, content);
  }
}

function digestsOf(tree: Tree): string {
  return Object.keys(tree).sort().map((name) => `${name} ${md5(tree[name]!)}`).join(", ");
}

function assertWhole(root: string, { names, oneOf, oneState }: Scenario): void {
  const tree = treeOf(root);
  for (const name of Object.keys(tree)) assert(Object.hasOwn(names, name), `${name} is new`);
  for (const [name, allowed] of Object.entries(names)) {
    const found = tree[name] && md5(tree[name]);
    const may = allowed.map((content) => content && md5(content));
    assert(may.includes(found), `${name} has ${tree[name]?.length} bytes, neither old nor new`);
  }
  if (oneOf) assert(oneOf.some((name) => Object.hasOwn(tree, name)), `${oneOf} are gone`);
  const state = digestsOf(tree);
  const may = oneState?.map(digestsOf);
  assert(!may || may.includes(state), `${state} is neither old nor new`);
}

/** Prepares an operation, and returns a client that has made one request. */
async function ready(lane: Lane, scenario: Scenario): Promise<Client> {
  lane.fill(scenario.before);
  await scenario.prepare?.(lane);
  const client = await lane.connect();
  // This loads everything that the server loads at its first use.
  await client.put(lane.local(OLD), { as: "warm" });
  await client.remove("warm");
  return client;
}

/** The system calls that the server makes during an operation, of the given names. */
async function callsOf(lane: Lane, scenario: Scenario, calls: readonly string[]): Promise<Call[]> {
  await using client = await ready(lane, scenario);
  const log = lane.path("calls");
  await using tracer = await Tracer.attach(lane.server.pid, watching(calls, log));
  await scenario.act(client, lane);
  await tracer.detach();
  return callsIn(log);
}

/** Kills the server at a call of an operation, and checks the result; false where it never made that call. */
async function killAt(lane: Lane, scenario: Scenario, call: Call): Promise<boolean> {
  let survived = true;
  {
    await using client = await ready(lane, scenario);
    await using _tracer = await Tracer.attach(lane.server.pid, killing(call));
    try {
      await scenario.act(client, lane);
    } catch (error) {
      assert(error instanceof FerryError && error.code === "closed", Deno.inspect(error));
      survived = false;
    }
  }
  if (!survived) {
    await lane.server.stop("SIGKILL");
    await lane.restart();
  }
  assertWhole(lane.root, scenario);
  assertStaging(lane.root, { empty: survived });
  // A client that offers another file of that name and size must not write to the existing file.
  for (const [name, content] of Object.entries(treeOf(lane.root))) {
    using peer = await RawPeer.connect(lane.server.port);
    const offer = { op: "put", filename: name, offer: true, size: content.length, md5: null };
    assertEquals(await peer.ask({ ...offer, overwrite: "always" }), "ok");
    assertEquals(Deno.readFileSync(`${lane.root}/${name}`), content);
  }
  await using client = await lane.connect();
  try {
    await scenario.act(client, lane);
  } catch (error) {
    const { code, message } = error as FerryError;
    assert(scenario.done?.includes(code), message);
  }
  assertWhole(lane.root, scenario);
  assertStaging(lane.root, { empty: true });
  const tree = treeOf(lane.root);
  for (const [name, content] of Object.entries(scenario.after)) {
    assert(tree[name] && md5(tree[name]) === md5(content), `${name} is not as it was to be`);
  }
  return !survived;
}

function testCrashes(criterion: string, fn: () => Promise<void>): void {
  const reason = noTrace === undefined ? "" : ` (ignored: ${noTrace})`;
  Deno.test({ name: criterion + reason, ignore: noTrace !== undefined, fn });
}

testCrashes("ferryd leaves old or new, whole, at whichever system call it is killed", async () => {
  const few = ["put of a large file", "mv of a file"];
  const scenarios = Object.entries(SCENARIOS).filter(([name]) => ALL || few.includes(name));
  const kills = new Map(scenarios.map(([name]) => [name, 0]));
  const failures: string[] = [];
  /** The work left to do: first to find the calls of each operation, then to kill the server at each call. */
  const work: { name: string; scenario: Scenario; call?: Call }[] = scenarios
    .map(([name, scenario]) => ({ name, scenario }));
  let looking = 0;
  const next = async () => {
    while (work.length === 0 && looking > 0) await new Promise((done) => setTimeout(done, 10));
    return work.shift();
  };
  await Promise.all(Array.from({ length: ALL ? LANES : 2 }, async () => {
    await using lane = await Lane.start();
    for (let item; (item = await next());) {
      const { name, scenario, call } = item;
      if (!call) looking++;
      try {
        if (!call) {
          const calls = await callsOf(lane, scenario, ALL ? CHANGING : NAMING);
          work.push(...sample(calls).map((call) => ({ name, scenario, call })));
        } else if (await killAt(lane, scenario, call)) kills.set(name, kills.get(name)! + 1);
      } catch (error) {
        const where = `${name}, ${call?.name} ${call?.n}`;
        failures.push(`${where}: ${error instanceof Error ? error.stack : error}`);
        await lane.server.stop("SIGKILL");
        Deno.removeSync(`${lane.root}/.ferry`, { recursive: true });
        await lane.restart();
      } finally {
        if (!call) looking--;
      }
    }
  }));
  assert(failures.length === 0, failures.join("\n"));
  const idle = [...kills].filter(([_, count]) => count === 0).map(([name]) => name);
  // Where only some calls are tried, an operation may have none of them.
  const many = STRIDE !== undefined && STRIDE > 1;
  assert(many ? idle.length < kills.size : idle.length === 0, `never interrupted: ${idle}`);
  if (ALL) console.log([...kills].map(([name, count]) => `${name}: ${count} kills`).join("\n"));
});

testCrashes(
  "ferry get leaves old or new, whole, at whichever system call it is killed",
  async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    dir.write("root/f", LARGE);
    await using server = await Ferryd.start(dir.join("root"));
    const calls = ALL ? [...NAMING, "ftruncate", "mkdir", "fsync", "fdatasync"] : NAMING;
    for (const replace of [false, true]) {
      const get = async (what: string, trace: readonly string[]) => {
        const cwd = dir.join(`${what}-${replace}`);
        Deno.mkdirSync(cwd);
        if (replace) Deno.writeFileSync(`${cwd}/f`, OLD);
        const args = ["get", "f", "-q", ...(replace ? ["--overwrite", "always"] : [])];
        const traced = new Deno.Command("strace", {
          args: [...trace, Deno.execPath(), ...programArgs("ferry"), ...args],
          cwd,
          env: { FERRY_SERVER: server.address },
          stdin: "null",
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        return { cwd, ended: (await outcome(traced)).code === 0 };
      };
      const log = dir.join(`calls-${replace}`);
      assert((await get("none", watching(calls, log))).ended, "it failed");
      const found = callsIn(log);
      assert(found.some(({ name }) => NAMING.includes(name)), "nothing is seen of what it does");
      await using client = await connect(server.address, { retries: 0 });
      for (const call of sample(found)) {
        const where = `${call.name}-${call.n}`;
        const { cwd, ended } = await get(where, killing(call));
        const left = () => Object.keys(treeOf(cwd)).filter((name) => name !== "f");
        const there = treeOf(cwd).f;
        const may = ended ? [md5(LARGE)] : [md5(LARGE), replace ? md5(OLD) : undefined];
        assert(may.includes(there && md5(there)), `${where}: neither old nor new`);
        if (ended) assertEquals(left(), [], where);
        await client.get("f", { out: `${cwd}/f`, overwrite: replace ? "always" : "never" });
        assertEquals(md5(treeOf(cwd).f!), md5(LARGE), where);
        assertEquals(left(), [], where);
      }
    }
  },
);
