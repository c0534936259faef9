/**
 * Transfers that are cut at random bytes, and damaged ones. `FERRY_CHAOS_SEED` repeats a run that failed;
 * `FERRY_CHAOS_CUTS` says how many transfers are cut.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { connect } from "../client/connect.ts";
import { toFerryError } from "../lib/errors.ts";
import { type Direction, type Fault, FaultyPeer, randomNumbers } from "./faulty_peer.ts";
import { ferry, Ferryd, outcome, spawnFerry, TempDir, unrecorded } from "./programs.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** How many transfers are cut, and how many damaged. */
const CUTS = Number(Deno.env.get("FERRY_CHAOS_CUTS") ?? 200);
const DAMAGES = Math.ceil(CUTS / 4);

/** What all else follows from. */
const SEED = Number(Deno.env.get("FERRY_CHAOS_SEED") ?? 2026);

/** How many transfers run side by side, each with a server of its own. */
const LANES = 5;

/** How much may be sent again after a cut. */
const LOST_BYTES = 8 * MIB;

/** The headers of a connection, at most. */
const HEADER_BYTES = 4 * KIB;

/** A side that sees nothing move for so long gives up, in milliseconds. */
const SILENCE = 500;

/** How often is tried again without a byte that moved: a machine may be busy with other tests. */
const RETRIES = 9;

/** Where the greeting of a connection has ended, in either direction. */
const GREETING_BYTES = 512;

/** How long is waited for what follows by itself, in milliseconds. */
const PATIENCE = 20_000;

/** Bytes that all files are pieces of: no two places in it are alike. */
const BYTES = (() => {
  const next = randomNumbers(SEED);
  return new Uint8Array(Uint32Array.from({ length: 8 * MIB }, () => next(2 ** 32)).buffer);
})();

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest("hex");

/** What is cut, and how. */
type Cut = "kill ferryd" | "kill ferry" | "reset" | "stall";
const CUT_KINDS: readonly Cut[] = ["kill ferryd", "kill ferry", "reset", "stall"];

/** One transfer. */
class Transfer {
  readonly op: "put" | "get";
  /** Whether bytes of it are damaged on the way. */
  readonly damaged: boolean;
  readonly random: (limit: number) => number;
  readonly bytes: Uint8Array;
  readonly md5: string;
  /** What is under the name before, where anything is. */
  readonly old: Uint8Array | undefined;
  readonly oldMd5: string | undefined;
  readonly name: string;

  constructor(
    readonly lane: Lane,
    readonly index: number,
    { op, min, max, damaged = false }: {
      op: "put" | "get";
      min: number;
      max: number;
      damaged?: boolean;
    },
  ) {
    this.op = op;
    this.damaged = damaged;
    this.name = `${op}-${index}`;
    // One transfer is the same whatever ran before it.
    this.random = randomNumbers(SEED ^ Math.imul(index + 1, 0x9e3779b1));
    const { random } = this;
    // Ends of pieces and of blocks are where mistakes are made: half of the sizes are whole MiB.
    const size = random(2) ? min + random(max - min) : Math.ceil(min / MIB + random(5)) * MIB;
    const piece = (size: number) => {
      const from = random(BYTES.length - size);
      return BYTES.subarray(from, from + size);
    };
    this.bytes = piece(size);
    this.md5 = md5(this.bytes);
    this.old = random(2) ? piece(1 + random(MIB)) : undefined;
    this.oldMd5 = this.old && md5(this.old);
    Deno.writeFileSync(this.source, this.bytes);
    if (this.old) Deno.writeFileSync(this.target, this.old);
  }

  /** The direction in which the file goes. */
  get direction(): Direction {
    return this.op === "put" ? "up" : "down";
  }

  /** Where it comes from, on disk. */
  get source(): string {
    return `${this.op === "put" ? this.lane.local : this.lane.root}/${this.name}`;
  }

  /** Where it goes to, on disk. */
  get target(): string {
    return `${this.op === "put" ? this.lane.root : this.lane.local}/${this.name}`;
  }

  /** Where what has come of it is. */
  get staging(): string {
    return this.op === "put" ? `${this.lane.root}/.ferry/staging` : this.lane.local;
  }

  /** How much of it is on file. */
  staged(): number {
    let size = 0;
    for (const name of names(this.staging)) {
      if (name.endsWith(".part")) size = Math.max(size, sizeOf(`${this.staging}/${name}`));
    }
    return size;
  }

  /** The command line that asks for it. */
  get args(): string[] {
    const { op, name, source, target } = this;
    const common = ["--overwrite", "always", "--json"];
    return op === "put"
      ? ["put", source, "--as", name, ...common]
      : ["get", name, "--out", target, "--durability", "none", ...common];
  }

  /** Asks for it in this process. */
  async request(
    server: string,
    { timeout = PATIENCE, retries }: { timeout?: number; retries: number },
  ): Promise<{ checksum: string | null; resumedFrom: number }> {
    await using client = await connect(server, { timeout, connectTimeout: timeout, retries });
    return this.op === "put"
      ? await client.put(this.source, { as: this.name, overwrite: "always" })
      : await client.get(this.name, {
        out: this.target,
        overwrite: "always",
        durability: "none",
      });
  }

  /** Removes what it has left under its names. */
  tidy(): void {
    for (const path of [this.source, this.target]) {
      try {
        Deno.removeSync(path);
      } catch {
        // It did not come so far.
      }
    }
  }
}

/** A server with its directory, and a directory for the client. */
class Lane implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly root = this.dir.join("root");
  readonly local = this.dir.join("local");
  server!: Ferryd;

  static async start(): Promise<Lane> {
    const lane = new Lane();
    Deno.mkdirSync(lane.root);
    Deno.mkdirSync(lane.local);
    await lane.restart();
    return lane;
  }

  async restart(): Promise<void> {
    const args = ["--durability", "none", "--idle-timeout", `${SILENCE}ms`];
    this.server = await Ferryd.start(this.root, args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

/**
 * A reader that looks at a name again and again: it sees the old file until it sees the new one, and
 * nothing only where there was no old one.
 */
class Watcher {
  readonly #transfer: Transfer;
  readonly #running: Promise<void>;
  #stopped = false;
  looks = 0;

  constructor(transfer: Transfer) {
    this.#transfer = transfer;
    this.#running = this.#run();
    // Whoever stops it hears of it; nothing is unhandled meanwhile.
    this.#running.catch(() => {});
  }

  async #run(): Promise<void> {
    const { target, lane } = this.#transfer;
    let published = false;
    while (!this.#stopped) {
      const started = performance.now();
      published = await this.#look(target, published);
      // A name has no md5 on the way: one that was damaged may be another name.
      for (const name of this.#transfer.damaged ? [] : names(lane.root)) {
        assert(name === ".ferry" || name === this.#transfer.name, `the root shows ${name}`);
      }
      this.looks++;
      // Looking takes at most half of the time.
      await pause(Math.max(5, performance.now() - started));
    }
  }

  async #look(target: string, published: boolean): Promise<boolean> {
    const { md5: expected, oldMd5 } = this.#transfer;
    let seen: string | undefined;
    let size = 0;
    try {
      const bytes = await Deno.readFile(target);
      size = bytes.length;
      seen = md5(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    if (seen === expected) return true;
    assert(!published, `a reader saw the new file, and then ${seen} of ${size} bytes`);
    assertEquals(
      seen,
      oldMd5,
      `a reader saw ${size} bytes that are neither the old nor the new file`,
    );
    return false;
  }

  /** Looks once more, and fails where it ever saw what it must not see. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name);
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    // It was published or removed at this moment.
    return 0;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something is so, but not for ever. */
async function eventually(what: () => boolean, patience = PATIENCE): Promise<boolean> {
  const deadline = performance.now() + patience;
  while (!what()) {
    if (performance.now() > deadline) return false;
    await pause(5);
  }
  return true;
}

/** Runs something for each number up to a limit, on all lanes, and fails with all failures. */
async function onLanes(
  count: number,
  run: (lane: Lane, index: number) => Promise<void>,
): Promise<void> {
  const failures: string[] = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(LANES, count) }, async () => {
    await using lane = await Lane.start();
    for (let index = next++; index < count; index = next++) {
      try {
        await run(lane, index);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
        await lane.server.stop("SIGKILL");
        await lane.restart();
      }
    }
  }));
  const again = `repeat it with FERRY_CHAOS_SEED=${SEED} FERRY_CHAOS_CUTS=${CUTS}`;
  assert(
    failures.length === 0,
    `${failures.length} of ${count} failed; ${again}\n${failures.join("\n")}`,
  );
}

/** Runs something while a reader looks, and says which transfer failed. */
async function watched(
  transfer: Transfer,
  what: string,
  run: () => Promise<void>,
): Promise<void> {
  const watcher = new Watcher(transfer);
  try {
    const [ran] = await Promise.allSettled([run()]);
    await watcher.stop();
    if (ran.status === "rejected") throw ran.reason;
  } catch (error) {
    const { op, bytes, old, index } = transfer;
    const onto = old ? ` onto ${old.length} old ones` : "";
    const reason = error instanceof Error ? error.message : error;
    throw new Error(`${index}: ${op} of ${bytes.length} bytes${onto}, ${what}: ${reason}`);
  } finally {
    transfer.tidy();
  }
}

/** Cuts a transfer once, goes on with it, and looks at what came of it. */
async function cutAndGoOn(lane: Lane, index: number): Promise<void> {
  const kind = CUT_KINDS[index % 4]!;
  const op = (index >> 2) % 2 ? "get" : "put";
  const transfer = new Transfer(lane, index, { op, min: 10 * MIB, max: 24 * MIB });
  const { direction, bytes: { length: size }, random } = transfer;
  // Mostly in the body; now and then in the headers in front of it or behind it.
  const place = random(12);
  const at = place === 0
    ? 1 + random(300)
    : place === 1
    ? size + 200 + random(130)
    : 1 + random(size);
  // Half of the cuts come when all that was let through is on file, the others while it is on its way.
  const settled = random(2) === 0;
  let child: Deno.ChildProcess | undefined;
  let killed: Promise<unknown> | undefined;
  let lost = 0;
  const onReached = async () => {
    const whole = Math.floor(Math.min(size, at - HEADER_BYTES) / MIB) * MIB;
    if (settled) await eventually(() => transfer.staged() >= whole, SILENCE / 2);
    lost = Math.max(0, at - transfer.staged() - MIB);
    if (kind === "kill ferryd") await (killed = lane.server.stop("SIGKILL"));
    if (kind === "kill ferry") child!.kill("SIGKILL");
  };
  const how = kind === "reset" || kind === "stall" ? kind : "close";
  const fault: Fault = { kind: how, direction, at, onReached };
  const what = `${kind} behind ${at} bytes${settled ? ", when they are on file" : ""}`;
  await watched(transfer, what, async () => {
    await using peer = FaultyPeer.start(lane.server.port, { faults: [fault] });
    const { address: server } = peer;
    let done: { checksum: string | null; resumedFrom: number };
    if (kind === "kill ferry") {
      child = spawnFerry(transfer.args, { server });
      const first = await outcome(child);
      assertEquals(first.code, 137, `ferry ended: ${first.stdout}${first.stderr}`);
      const { code, stdout, stderr } = await ferry(transfer.args, { server });
      assertEquals(code, 0, `ferry failed: ${stdout}${stderr}`);
      const event = JSON.parse(stdout.trim().split("\n").at(-1)!);
      done = { checksum: event.md5, resumedFrom: event.resumed_from };
    } else if (kind === "kill ferryd") {
      const code = await transfer.request(server, { retries: 0 }).then(() => "ok", codeOf);
      assertEquals(code, "closed");
      // The connection ends before the process does.
      await killed;
      await lane.restart();
      peer.retarget(lane.server.port);
      done = await transfer.request(server, { retries: RETRIES });
    } else {
      const timeout = kind === "stall" ? SILENCE : PATIENCE;
      const request = () => transfer.request(server, { timeout, retries: RETRIES });
      done = await request().catch((error) => {
        // A greeting that fails is not repeated: the same call goes on.
        if (at < GREETING_BYTES) return request();
        throw error;
      });
    }
    assertEquals(peer.pending, 0, "the cut never came");
    assertEquals(done.checksum, transfer.md5, "the md5 that was reported");
    assertEquals(md5(Deno.readFileSync(transfer.target)), transfer.md5, "the md5 of the file");
    const crossed = peer.passed.map((passed) => passed[direction]);
    const last = crossed.at(-1)!;
    const told = size - done.resumedFrom;
    assert(Math.abs(last - told) <= HEADER_BYTES, `${told} bytes were told, ${last} crossed`);
    const total = crossed.reduce((sum, count) => sum + Math.max(0, count - HEADER_BYTES), 0);
    // Where this machine is so busy that a side falls silent by itself, even the reply may be lost, and
    // `--overwrite always` sends the whole file again.
    const busy = kind === "stall" && crossed.length > 2;
    // What was on its way at the cut did not come to the other side.
    const most = size + LOST_BYTES + lost;
    assert(busy || total <= most, `${total} bytes crossed, at most ${most} should: ${crossed}`);
    const left = () =>
      op === "put"
        ? unrecorded(transfer.staging)
        : names(transfer.staging).filter((name) => name !== transfer.name);
    assert(await eventually(() => left().length === 0), `it left ${left()}`);
  });
}

/** Damages a transfer once: it ends with the right bytes, or with an error and no others. */
async function damage(lane: Lane, index: number): Promise<void> {
  const kind = index % 2 ? "flip" : "duplicate";
  const op = (index >> 1) % 2 ? "get" : "put";
  const transfer = new Transfer(lane, CUTS + index, {
    op,
    min: MIB / 2,
    max: 12 * MIB,
    damaged: true,
  });
  const { random, bytes: { length: size } } = transfer;
  const back = transfer.direction === "up" ? "down" : "up";
  const direction = random(6) === 0 ? back : transfer.direction;
  const at = direction === back || random(3) === 0 ? random(400) : random(size + 300);
  const fault: Fault = { kind, direction, at, bytes: 1 + random(2000) };
  const what = `${kind} behind ${at} bytes ${direction}`;
  await watched(transfer, what, async () => {
    const options = { faults: [fault], seed: random(2 ** 32), split: 256 * KIB };
    await using peer = FaultyPeer.start(lane.server.port, options);
    const ended = await transfer.request(peer.address, { timeout: SILENCE, retries: RETRIES })
      .then((done) => done.checksum!, codeOf);
    const there = [transfer.md5, transfer.oldMd5];
    if (ended === transfer.md5) {
      assertEquals(md5(Deno.readFileSync(transfer.target)), transfer.md5, "the md5 of the file");
    } else {
      assert(/^[a-z_]+$/.test(ended) && ended !== "internal", `it ended with ${ended}`);
    }
    for (const name of names(lane.root).filter((name) => name !== ".ferry")) {
      const found = md5(Deno.readFileSync(`${lane.root}/${name}`));
      assert(there.includes(found), `${name} holds neither the old nor the new file`);
    }
    const left = () => [lane.local, `${lane.root}/.ferry/staging`].flatMap(unrecorded);
    assert(await eventually(() => left().length === 0), `it left ${left()}`);
  });
}

function codeOf(error: unknown): string {
  return toFerryError(error).code;
}

Deno.test("what is cut at any byte goes on there, and no reader ever sees a part", async () => {
  await onLanes(CUTS, cutAndGoOn);
});

Deno.test("what is damaged on the way is never published", async () => {
  await onLanes(DAMAGES, damage);
});
