/**
 * Transfers of single files over a network with every kind of fault, several at once.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { toFerryError } from "../../lib/core/errors.ts";
import { type Fault, FaultyPeer, type FaultyPeerOptions } from "../support/faulty_peer.ts";
import { assertNothingElse, empty, Transfer } from "./files.ts";
import { type Lane, RETRIES, SILENCE } from "./lane.ts";
import { KIB, md5, MIB } from "../support/bytes.ts";

/** The numbers of these transfers begin far from those of others. */
const FIRST = 1_000_000;

/** The kinds of faults; quick ones are more frequent, since a stall lasts until a timeout. */
const KINDS: readonly Fault["kind"][] = [
  ...["reset", "close", "flip", "duplicate"] as const,
  ...["reset", "close", "flip", "duplicate", "stall"] as const,
];

/** How transfers have ended. */
export type Endings = Map<string, number>;

/** One transfer: it has to end with the right bytes, or with an error and no others. */
export async function disturbFile(lane: Lane, index: number, endings: Endings): Promise<void> {
  const op = index % 2 ? "get" : "put";
  const max = index % 8 < 6 ? 300 * KIB : 12 * MIB;
  const transfer = new Transfer(lane, FIRST + index, { op, min: 0, max });
  const { random, bytes: { length: size } } = transfer;
  const faults = Array.from({ length: random(4) }, (): Fault => ({
    kind: KINDS[random(KINDS.length)]!,
    direction: random(4) ? transfer.direction : random(2) ? "up" : "down",
    // Before the body, in it, or after it.
    at: random(3) ? random(size + 300) : random(400),
    bytes: 1 + random(2000),
  }));
  const options: FaultyPeerOptions = {
    faults,
    seed: random(2 ** 32),
    ...(random(3) ? {} : { delay: 1 + random(20) }),
    ...(random(3) ? {} : { merge: 1 + random(10) }),
    // Segments are not so small that a large file takes minutes.
    ...(random(3) ? {} : { split: Math.ceil(size / 200) + random(64 * KIB) + 1 }),
  };
  const retries = random(2) ? RETRIES : 0;
  const what = `${JSON.stringify(options)}, ${retries} retries`;
  // A name has no checksum in this protocol version, so a damaged one may be another valid name.
  await transfer.watch(what, () => {}, async () => {
    await using peer = FaultyPeer.start(lane.server.port, options);
    let ending: string;
    try {
      const { checksum } = await transfer.request(peer.address, { timeout: SILENCE, retries });
      ending = "verified";
      assertEquals(checksum, transfer.md5, "the md5 that was reported");
      assertEquals(md5(Deno.readFileSync(transfer.target)), transfer.md5, "the md5 of the file");
    } catch (error) {
      const { code, message } = toFerryError(error);
      assert(code !== "internal", `it ended with ${code}: ${message}`);
      assert(/^Cannot \S.*: \S/.test(message), `that does not say what happened: ${message}`);
      ending = code;
    }
    endings.set(ending, (endings.get(ending) ?? 0) + 1);
    assert(faults.length > 0 || ending === "verified", `nothing went wrong, and it is ${ending}`);
    assertNothingElse(lane, [transfer.md5, transfer.oldMd5]);
  });
  await empty(lane);
}
