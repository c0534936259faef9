/**
 * Transfers of what has changed of a file that are cut at random bytes, or damaged.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { toFerryError } from "../../lib/core/errors.ts";
import { md5, MIB } from "../support/bytes.ts";
import { type Fault, FaultyPeer } from "../support/faulty_peer.ts";
import { outcome, spawnFerry } from "../support/programs.ts";
import { assertNothingElse, assertTidy, empty, Transfer } from "./files.ts";
import { CUT_KINDS, CUTS, type Lane, PATIENCE, piece, RETRIES, SILENCE } from "./lane.ts";

/** How many places of the older version differ, at most, and how many bytes each, at most. */
const PLACES = 6;
const PLACE_BYTES = 2 * MIB;

/** An older version of a content: some places differ, and bytes were inserted, removed or appended. */
function olderOf(bytes: Uint8Array, random: (limit: number) => number): Uint8Array {
  const old = bytes.slice();
  for (let place = 1 + random(PLACES); place > 0; place--) {
    const other = piece(MIB / 2 + random(PLACE_BYTES), random);
    old.set(other.subarray(0, old.length), random(Math.max(1, old.length - other.length)));
  }
  const shift = random(3) === 0 ? 1 + random(5000) : 0;
  return random(2) ? old.subarray(shift) : old.subarray(0, old.length - shift);
}

/** Where a transfer is cut: it moves at least half a MiB, unless what differs was elsewhere in the older version. */
const FIRST_BYTES = MIB / 2;

/** Cuts a delta once, resumes it, and checks the result. */
export async function cutDelta(lane: Lane, index: number): Promise<void> {
  const kind = CUT_KINDS[index % 4]!;
  const op = (index >> 2) % 2 ? "get" : "put";
  const size = { min: 10 * MIB, max: 24 * MIB };
  const transfer = new Transfer(lane, index, { op, ...size, olderOf });
  const { direction, random, bytes } = transfer;
  const at = 1 + random(FIRST_BYTES);
  let child: Deno.ChildProcess | undefined;
  let killed: Promise<unknown> | undefined;
  const onReached = async () => {
    if (kind === "kill ferryd") await (killed = lane.server.stop("SIGKILL"));
    if (kind === "kill ferry") child!.kill("SIGKILL");
  };
  const how = kind === "reset" || kind === "stall" ? kind : "close";
  const fault: Fault = { kind: how, direction, at, onReached };
  await transfer.watch(`delta, ${kind} behind ${at} bytes`, () => {}, async () => {
    await using peer = FaultyPeer.start(lane.server.port, { faults: [fault] });
    const { address: server } = peer;
    if (kind === "kill ferry") {
      child = spawnFerry(transfer.args, { server });
      assertEquals((await outcome(child)).code, 137);
    } else if (kind === "kill ferryd") {
      const code = await transfer.request(server, { retries: 0 }).then(() => "ok", codeOf);
      assertEquals(code, "closed");
      await killed;
      await lane.restart();
      peer.retarget(lane.server.port);
    }
    const timeout = kind === "stall" ? SILENCE : PATIENCE;
    const done = await transfer.request(server, { timeout, retries: RETRIES });
    assertEquals(peer.pending, 0, "the cut never came");
    assertEquals(done.checksum, transfer.md5, "the md5 that was reported");
    assertEquals(md5(Deno.readFileSync(transfer.target)), transfer.md5, "the md5 of the file");
    // On a very busy machine, a side may time out by itself.
    const busy = kind === "stall" && peer.passed.length > 2;
    assert(busy || (done.reused ?? 0) > 0, `nothing of ${bytes.length} bytes was reused`);
  });
  await assertTidy(lane);
}

/** Damages a delta once: it has to end with the right bytes, or with an error and no others. */
export async function damageDelta(lane: Lane, index: number): Promise<void> {
  const op = (index >> 1) % 2 ? "get" : "put";
  const size = { min: 2 * MIB, max: 12 * MIB };
  const transfer = new Transfer(lane, CUTS + index, { op, ...size, olderOf });
  const { random } = transfer;
  const direction = random(2) ? "up" : "down";
  const at = random(random(2) ? 2000 : FIRST_BYTES);
  const kind = index % 2 ? "flip" : "duplicate";
  const fault: Fault = { kind, direction, at, bytes: 1 + random(2000) };
  await transfer.watch(`delta, ${kind} behind ${at} bytes ${direction}`, () => {}, async () => {
    const options = { faults: [fault], seed: random(2 ** 32) };
    await using peer = FaultyPeer.start(lane.server.port, options);
    const ended = await transfer.request(peer.address, { timeout: SILENCE, retries: RETRIES })
      .then((done) => done.checksum!, codeOf);
    if (ended === transfer.md5) {
      assertEquals(md5(Deno.readFileSync(transfer.target)), transfer.md5, "the md5 of the file");
    } else {
      assert(/^[a-z_]+$/.test(ended) && ended !== "internal", `it ended with ${ended}`);
    }
    assertNothingElse(lane, [transfer.md5, transfer.oldMd5]);
  });
  await empty(lane);
}

function codeOf(error: unknown): string {
  return toFerryError(error).code;
}
