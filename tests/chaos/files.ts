/**
 * Transfers of single files that are cut at random bytes, and damaged ones.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { connect } from "../../client/api/connect.ts";
import type { Transferred } from "../../client/transfer/options.ts";
import { toFerryError } from "../../lib/core/errors.ts";
import { type Direction, type Fault, FaultyPeer } from "../support/faulty_peer.ts";
import { ferry, filesBelow, outcome, spawnFerry, unrecorded } from "../support/programs.ts";
import {
  below,
  CUT_KINDS,
  CUTS,
  eventually,
  type Lane,
  names,
  PATIENCE,
  piece,
  randomFor,
  RETRIES,
  SILENCE,
} from "./lane.ts";
import { watched, Watcher } from "./watcher.ts";
import { KIB, md5, MIB } from "../support/bytes.ts";

/** The most bytes that may be sent again after a cut. */
const LOST_BYTES = 8 * MIB;

/** The most bytes of headers on a connection. */
const HEADER_BYTES = 4 * KIB;

/** One transfer. */
export class Transfer {
  readonly op: "put" | "get";
  readonly random: (limit: number) => number;
  readonly bytes: Uint8Array;
  readonly md5: string;
  /** The content under the name before the transfer; undefined where there is none. */
  readonly old: Uint8Array | undefined;
  readonly oldMd5: string | undefined;
  readonly name: string;

  constructor(
    readonly lane: Lane,
    readonly index: number,
    { op, min, max, olderOf }: {
      op: "put" | "get";
      min: number;
      max: number;
      /** Makes the content that is replaced. Default: none, or another one. */
      olderOf?: (bytes: Uint8Array, random: (limit: number) => number) => Uint8Array;
    },
  ) {
    this.op = op;
    this.name = `${op}-${index}`;
    const random = this.random = randomFor(index);
    // Mistakes happen at the ends of pieces and blocks, so half of the sizes are whole MiB.
    const size = random(2) ? min + random(max - min) : Math.ceil(min / MIB + random(5)) * MIB;
    this.bytes = piece(size, random);
    this.md5 = md5(this.bytes);
    this.old = olderOf
      ? olderOf(this.bytes, random)
      : random(2)
      ? piece(1 + random(MIB), random)
      : undefined;
    this.oldMd5 = this.old && md5(this.old);
    Deno.writeFileSync(this.source, this.bytes);
    if (this.old) Deno.writeFileSync(this.target, this.old);
  }

  /** The direction in which the file goes. */
  get direction(): Direction {
    return this.op === "put" ? "up" : "down";
  }

  /** The path of the source file. */
  get source(): string {
    return `${this.op === "put" ? this.lane.local : this.lane.root}/${this.name}`;
  }

  /** The path of the destination. */
  get target(): string {
    return `${this.op === "put" ? this.lane.root : this.lane.local}/${this.name}`;
  }

  /** The directory of its partial transfer. */
  get staging(): string {
    return this.op === "put" ? this.lane.staging : this.lane.local;
  }

  /** How many bytes of it are on disk. */
  staged(): number {
    const parts = filesBelow(this.staging).filter((name) => name.endsWith(".part"));
    return Math.max(0, ...parts.map((name) => sizeOf(`${this.staging}/${name}`)));
  }

  /** Whether its connections are compressed: one of three is, also where few transfers are made. */
  get compress(): boolean {
    return this.index % 3 === 2;
  }

  /** The command line for the transfer. */
  get args(): string[] {
    const { op, name, source, target } = this;
    const common = ["--overwrite", "always", "--json", ...this.compress ? ["-z"] : []];
    return op === "put"
      ? ["put", source, "--as", name, ...common]
      : ["get", name, "--out", target, "--durability", "none", ...common];
  }

  /** Makes the transfer in this process. */
  async request(
    server: string,
    { timeout = PATIENCE, retries }: { timeout?: number; retries: number },
  ): Promise<Transferred> {
    const options = { timeout, connectTimeout: timeout, retries, compress: this.compress };
    await using client = await connect(server, options);
    return this.op === "put"
      ? await client.put(this.source, { as: this.name, overwrite: "always" })
      : await client.get(this.name, {
        out: this.target,
        overwrite: "always",
        durability: "none",
      });
  }

  /** Runs something while a watcher reads the name, and cleans up. */
  async watch(what: string, alsoTrue: () => void, run: () => Promise<void>): Promise<void> {
    const { op, bytes, old, target, md5, oldMd5 } = this;
    const onto = old ? ` onto ${old.length} old ones` : "";
    const watcher = new Watcher([{ path: target, md5, oldMd5 }], alsoTrue);
    try {
      await watched(watcher, `${op} of ${bytes.length} bytes${onto}, ${what}`, run);
    } finally {
      for (const path of [this.source, this.target]) {
        try {
          Deno.removeSync(path);
        } catch {
          // The transfer did not get that far.
        }
      }
    }
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    // It was published or removed just now.
    return 0;
  }
}

/** Cuts a transfer once, resumes it, and checks the result. */
export async function cutFile(lane: Lane, index: number): Promise<void> {
  const kind = CUT_KINDS[index % 4]!;
  const op = (index >> 2) % 2 ? "get" : "put";
  const transfer = new Transfer(lane, index, { op, min: 10 * MIB, max: 24 * MIB });
  const { direction, bytes: { length: size }, random } = transfer;
  // The cut is mostly in the body; sometimes in the headers before or after it.
  const place = random(12);
  const at = place === 0
    ? 1 + random(300)
    : place === 1
    ? size + 200 + random(130)
    : 1 + random(size);
  // Half of the cuts happen when all forwarded bytes are on disk, the others earlier.
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
  const onlyIts = () => {
    for (const name of names(lane.root)) {
      assert(name === ".ferry" || name === transfer.name, `the root shows ${name}`);
    }
  };
  await transfer.watch(what, onlyIts, async () => {
    await using peer = FaultyPeer.start(lane.server.port, { faults: [fault] });
    const { address: server } = peer;
    let done: Pick<Transferred, "checksum" | "resumedFrom" | "reused">;
    if (kind === "kill ferry") {
      child = spawnFerry(transfer.args, { server });
      const first = await outcome(child);
      assertEquals(first.code, 137, `ferry ended: ${first.stdout}${first.stderr}`);
      const { code, stdout, stderr } = await ferry(transfer.args, { server });
      assertEquals(code, 0, `ferry failed: ${stdout}${stderr}`);
      const event = JSON.parse(stdout.trim().split("\n").at(-1)!);
      const reused = event.bytes_reused;
      done = { checksum: event.md5, resumedFrom: event.resumed_from, reused };
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
      done = await transfer.request(server, { timeout, retries: RETRIES });
    }
    assertEquals(peer.pending, 0, "the cut never came");
    assertEquals(done.checksum, transfer.md5, "the md5 that was reported");
    assertEquals(md5(Deno.readFileSync(transfer.target)), transfer.md5, "the md5 of the file");
    const crossed = peer.passed.map((passed) => passed[direction]);
    const told = size - done.resumedFrom - (done.reused ?? 0);
    // Where an answer takes long, a further connection asks what kind of server this is. It may even be that one which is
    // cut, and the first one carries the whole file.
    const isTold = crossed.some((count) => Math.abs(count - told) <= HEADER_BYTES);
    assert(isTold, `${told} bytes were told, ${crossed} crossed`);
    const total = crossed.reduce((sum, count) => sum + Math.max(0, count - HEADER_BYTES), 0);
    // On a very busy machine, a side may time out by itself. Then even the reply may be lost, and `--overwrite always`
    // sends the whole file again.
    const busy = kind === "stall" && crossed.length > 2;
    // Bytes in flight at the cut did not reach the other side.
    const most = size + LOST_BYTES + lost;
    assert(busy || total <= most, `${total} bytes crossed, at most ${most} should: ${crossed}`);
  });
  await assertTidy(lane);
}

/** Damages a transfer once: it has to end with the right bytes, or with an error and no others. */
export async function damageFile(lane: Lane, index: number): Promise<void> {
  const kind = index % 2 ? "flip" : "duplicate";
  const op = (index >> 1) % 2 ? "get" : "put";
  const transfer = new Transfer(lane, CUTS + index, { op, min: MIB / 2, max: 12 * MIB });
  const { random, bytes: { length: size } } = transfer;
  const back = transfer.direction === "up" ? "down" : "up";
  const direction = random(6) === 0 ? back : transfer.direction;
  const at = direction === back || random(3) === 0 ? random(400) : random(size + 300);
  const fault: Fault = { kind, direction, at, bytes: 1 + random(2000) };
  const what = `${kind} behind ${at} bytes ${direction}`;
  // A name has no checksum in this protocol version, so a damaged one may be another valid name.
  await transfer.watch(what, () => {}, async () => {
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
    assertNothingElse(lane, there);
  });
  await empty(lane);
}

/** Asserts that every file in the root, whatever its name, has one of these md5s. */
export function assertNothingElse({ root }: Lane, md5s: readonly (string | undefined)[]): void {
  for (const name of below(root).filter((name) => !name.endsWith("/"))) {
    const found = md5(Deno.readFileSync(`${root}/${name}`));
    assert(md5s.includes(found), `${name} holds neither the old nor the new file`);
  }
}

/** Empties the root, and asserts that only partial transfers that can be resumed are left. */
export async function empty(lane: Lane): Promise<void> {
  for (const name of names(lane.root)) {
    if (name !== ".ferry") Deno.removeSync(`${lane.root}/${name}`, { recursive: true });
  }
  await assertTidy(lane);
}

/** Asserts that only partial transfers that can be resumed are left. */
export async function assertTidy({ local, staging }: Lane): Promise<void> {
  const left = () => [local, staging].flatMap(unrecorded);
  assert(await eventually(() => left().length === 0), `it left ${left()}`);
}

function codeOf(error: unknown): string {
  return toFerryError(error).code;
}
