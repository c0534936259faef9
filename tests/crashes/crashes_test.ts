/**
 * ferryd is killed at system calls by which an operation changes something or replies, and started again. An operation
 * that was acknowledged has to hold. Of any other, clients have to see either the state before it or the state after it,
 * complete; what is left of uploads must not be visible to others, and end with the next attempt. The same is tested for
 * `ferry get`. `deno task crashes` tries many of the calls, a run of all tests a few, of some operations.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { type Client, connect, FerryError } from "../../mod.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { Ferryd, outcome, programArgs, TempDir } from "../support/programs.ts";
import { RawPeer } from "../support/raw_peer.ts";
import { md5 } from "../support/bytes.ts";
import { AGAIN, KILLS, ONLY, SEED } from "./extent.ts";
import { Lane, LARGE, OLD, type Scenario, SCENARIOS } from "./scenarios.ts";
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

/** How many servers are killed in parallel. */
const LANES = 4;

/** Whether this is a run of its own, and not one of all tests. */
const ALL = KILLS !== undefined;

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
  ...["chmod", "fchmod", "fchmodat", "utimensat", "fsync", "fdatasync", "pwrite64", "sendto"],
];

/** How an operation ends whose server is killed; with several connections, another one may be refused first. */
const CUT = ["closed", "unreachable"];

/** Chooses so many of some calls, each at most once more often than any other. */
function choose<T>(all: readonly T[], count: number): T[] {
  const random = randomNumbers(SEED);
  const chosen: T[] = [];
  let rest: T[] = [];
  while (chosen.length < count && all.length > 0) {
    if (rest.length === 0) rest = [...all];
    chosen.push(...rest.splice(random(rest.length), 1));
  }
  return chosen;
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

/** Kills the server at a call of an operation, or else right after it, and checks the result; false for the latter. */
async function killAt(lane: Lane, scenario: Scenario, call: Call): Promise<boolean> {
  let acknowledged = true;
  {
    await using client = await ready(lane, scenario);
    await using _tracer = await Tracer.attach(lane.server.pid, killing(call));
    try {
      await scenario.act(client, lane);
    } catch (error) {
      const isExpected = error instanceof FerryError && CUT.includes(error.code);
      assert(isExpected, Deno.inspect(error));
      acknowledged = false;
    }
  }
  await lane.server.stop("SIGKILL");
  await lane.restart();
  assertWhole(lane.root, scenario);
  if (acknowledged) assertDone(lane.root, scenario);
  assertStaging(lane.root, { empty: acknowledged });
  // A client that offers another file of that name and size must not write to the existing file.
  for (const [name, content] of Object.entries(treeOf(lane.root))) {
    using peer = await RawPeer.connect(lane.server.port);
    const offer = { op: "put", filename: name, offer: true, size: content.length, md5: null };
    assertEquals(await peer.ask({ ...offer, overwrite: "always" }), "ok");
    assertEquals(Deno.readFileSync(`${lane.root}/${name}`), content);
  }
  await using client = await lane.connect();
  for (const [name, content] of Object.entries(treeOf(lane.root))) {
    assertEquals((await client.stat(name)).checksum, md5(content), `the index is wrong of ${name}`);
  }
  try {
    await scenario.act(client, lane);
  } catch (error) {
    const { code, message } = error as FerryError;
    assert(scenario.done?.includes(code), message);
  }
  assertWhole(lane.root, scenario);
  // What has been copied on the server meanwhile has left the upload that was cut, which clients see until it expires.
  for await (const { filename } of client.listParts()) await client.discardParts(filename);
  assertStaging(lane.root, { empty: true });
  assertDone(lane.root, scenario);
  return !acknowledged;
}

/** Asserts that all is as it was to be after an operation. */
function assertDone(root: string, { after }: Scenario): void {
  assertEquals(digestsOf(treeOf(root)), digestsOf(after), "it is not as it was to be");
}

/** Does something with each of some items, on several servers at a time, and returns what failed. */
async function onLanes<T>(
  items: readonly T[],
  { lanes, name, run }: {
    lanes: number;
    name(item: T): string;
    run(lane: Lane, item: T): Promise<void>;
  },
): Promise<string[]> {
  const failures: string[] = [];
  const rest = items.values();
  await Promise.all(Array.from({ length: lanes }, async () => {
    await using lane = await Lane.start();
    for (const item of rest) {
      try {
        await run(lane, item);
      } catch (error) {
        failures.push(`${name(item)}: ${error instanceof Error ? error.stack : error}`);
        await lane.server.stop("SIGKILL");
        Deno.removeSync(`${lane.root}/.ferry`, { recursive: true });
        await lane.restart();
      }
    }
  }));
  return failures;
}

function testCrashes(criterion: string, fn: () => Promise<void>): void {
  const reason = noTrace === undefined ? "" : ` (ignored: ${noTrace})`;
  Deno.test({ name: criterion + reason, ignore: noTrace !== undefined, fn });
}

/** A call of an operation. */
interface Point {
  readonly scenario: string;
  readonly call: Call;
}

function nameOf({ scenario, call }: Point): string {
  return `${scenario}, ${call.name} ${call.n}`;
}

testCrashes("ferryd leaves old or new, whole, at whichever system call it is killed", async () => {
  const few = ["put of a large file", "mv of a file"];
  const scenarios = Object.keys(SCENARIOS).filter((name) => ALL || few.includes(name));
  const lanes = ALL ? LANES : 2;
  const points: Point[] = [];
  const unseen = await onLanes(scenarios, {
    lanes,
    name: (scenario) => scenario,
    run: async (lane, scenario) => {
      const calls = await callsOf(lane, SCENARIOS[scenario]!, ALL ? CHANGING : NAMING);
      points.push(...calls.map((call) => ({ scenario, call })));
    },
  });
  assertEquals(unseen, []);
  points.sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1);
  const chosen = ONLY === undefined
    ? choose(points, KILLS ?? 6)
    : points.filter((point) => nameOf(point) === ONLY);
  assert(chosen.length > 0, `there is no call ${ONLY}`);
  const kills = new Map(scenarios.map((name) => [name, 0]));
  const failures = await onLanes(chosen, {
    lanes,
    name: (point) => `deno task crashes --only "${nameOf(point)}"`,
    run: async (lane, { scenario, call }) => {
      const isInside = await killAt(lane, SCENARIOS[scenario]!, call);
      if (isInside) kills.set(scenario, kills.get(scenario)! + 1);
    },
  });
  assert(failures.length === 0, `${AGAIN}\n${failures.join("\n")}`);
  assert(kills.values().some((count) => count > 0), "no operation was interrupted");
  if (ALL) {
    console.log(`${chosen.length} kills of ${points.length} calls; before the operation was done:`);
    console.log([...kills].map(([name, count]) => `${name}: ${count}`).join("\n"));
  }
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
      for (const call of choose(found, Math.min(found.length, Math.ceil((KILLS ?? 80) / 20)))) {
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
