/**
 * Damages every message of an operation: a bit of its header is flipped, or the message is lost. The outcome has to be
 * an error or the right result. `deno task flips` tries each bit, `FERRY_FLIPS=N` every N-th, and a run of all tests
 * only a sample.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { extentOf } from "../support/extent.ts";
import { randomNumbers } from "../support/faulty_peer.ts";
import { Lane, type Outcome, sameSnapshot } from "./lane.ts";
import type { Damage, Direction } from "./network.ts";
import type { Operation } from "./operations.ts";

/** Only every so many of the possible damages are tried. */
const STRIDE = extentOf("FERRY_FLIPS");

/** Without that variable, so many flips and losses are tried for each operation. */
const SAMPLE = { bits: 25, losses: 3 };

/** How many conversations run at the same time: some wait for a message that was lost. */
const LANES = 6;

/** How often a conversation is retried whose sides gave up before the damage was reached. */
const RETRIES = 10;

/** The size of the header of a piece of a compressed connection, and where it has the size of the rest. */
const PIECE = { header: 12, size: 4 };

/**
 * The messages of one direction, and which of their bytes are headers. On a compressed connection, all bytes of the
 * pieces behind the first message count as headers: they may be some.
 */
function messagesIn(
  bytes: Uint8Array<ArrayBuffer>,
  { compressed }: { compressed: boolean },
): { from: number; body: number; to: number }[] {
  const messages = [];
  const view = new DataView(bytes.buffer);
  for (let from = 0; from < bytes.length;) {
    if (compressed && from > 0) {
      const to = from + PIECE.header + view.getUint32(from + PIECE.size, true);
      messages.push({ from, body: to, to });
      from = to;
      continue;
    }
    const body = from + 4 + view.getInt32(from, true);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(from + 4, body)));
    const to = body + (header.total_size ?? 0);
    messages.push({ from, body, to });
    from = to;
  }
  return messages;
}

/** All possible damages of a conversation. */
function damages({ greets, level }: Operation, { network }: Outcome): Damage[] {
  return (["up", "down"] as Direction[]).flatMap((direction) => {
    const messages = messagesIn(network.seen(direction), { compressed: level !== undefined }).slice(
      greets ? 0 : 1,
    );
    return messages.flatMap(({ from, body, to }): Damage[] => [
      { direction, lost: { from, to } },
      ...Array.from({ length: 8 * (body - from) }, (_, i) => ({ direction, bit: 8 * from + i })),
    ]);
  });
}

function sample(all: readonly Damage[], seed: number): readonly Damage[] {
  if (STRIDE) return all.filter((_, index) => index % STRIDE === seed % STRIDE);
  const random = randomNumbers(seed);
  const some = (from: readonly Damage[], count: number) =>
    Array.from({ length: count }, () => from[random(from.length)]!);
  const losses = all.filter((damage) => "lost" in damage);
  return [...some(all, SAMPLE.bits), ...some(losses, SAMPLE.losses)];
}

/** What is wrong with the outcome of a damage; undefined where all is well. */
function flaw(outcome: Outcome, right: Outcome, before: Outcome["files"]): string | undefined {
  const { code, result, files } = outcome;
  if (code === "ok") {
    if (result !== right.result) return `the result is ${result}, and not ${right.result}`;
    if (!sameSnapshot(files, right.files)) {
      return `there is ${JSON.stringify(files)}, and not ${JSON.stringify(right.files)}`;
    }
    return undefined;
  }
  if (code === "internal") return `nobody foresaw ${result}`;
  for (const name of new Set([...Object.keys(files), ...Object.keys(before)])) {
    if (name === "state" && files[name] === "") continue;
    // A directory may exist although the files that were to be in it do not.
    if (files[name] === "directory" && before[name] === undefined) continue;
    if (files[name] !== before[name] && files[name] !== right.files[name]) {
      return `after ${result}, ${name} is ${files[name]}, which was ${before[name]}`;
    }
  }
  return undefined;
}

/** Carries an operation out until its result is the one that it will always have. */
async function settled(lane: Lane, operation: Operation): Promise<void> {
  const { isSettled = () => true } = operation;
  while (!isSettled((await lane.converse(operation)).result)) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function tryAll(lanes: readonly Lane[], operation: Operation, seed: number): Promise<void> {
  const [first] = lanes as [Lane];
  // A server caches what it finds out the first time, so the second conversation is recorded.
  await settled(first, operation);
  const right = await first.converse(operation);
  assertEquals(right.code, "ok", right.result);
  const tries = sample(damages(operation, right), seed).values();
  const codes = new Map<string, number>();
  const flaws: string[] = [];
  const ends = await Promise.allSettled(lanes.map(async (lane) => {
    await settled(lane, operation);
    for (const damage of tries) {
      let outcome = await lane.converse(operation, damage, "little");
      // On a busy machine, a side may have timed out before.
      for (let again = 0; !outcome.network.hit() && again < RETRIES; again++) {
        outcome = await lane.converse(operation, damage, "much");
      }
      assert(outcome.network.hit(), `${JSON.stringify(damage)} was not reached: ${outcome.result}`);
      codes.set(outcome.code, (codes.get(outcome.code) ?? 0) + 1);
      const wrong = flaw(outcome, right, lane.before);
      if (wrong !== undefined) flaws.push(`${JSON.stringify(damage)}: ${wrong}`);
    }
  }));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  if (STRIDE) {
    const counts = [...codes].map(([code, count]) => `${code} ${count}`);
    console.log(`${operation.name}: ${counts.join(", ")}`);
  }
  assertEquals(flaws.slice(0, 10), []);
}

/** Tests operations, one by one. */
export async function tryEach(
  t: Deno.TestContext,
  operations: readonly Operation[],
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const lanes = Array.from({ length: LANES }, () => stack.use(new Lane()));
  for (const [turn, operation] of operations.entries()) {
    await t.step(operation.name, () => tryAll(lanes, operation, turn));
  }
}
