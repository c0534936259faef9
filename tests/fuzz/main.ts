/**
 * `deno task fuzz`: sends valid and invalid messages to real servers and checks how they respond.
 *
 * Everything follows from a seed, and each conversation from its number: `--seed S --case N` repeats one.
 *
 * @module
 */

import { randomNumbers } from "../support/faulty_peer.ts";
import { runInterruptibly } from "../support/interruptible.ts";
import { parseNumbers, randomSeed } from "../support/numeric_options.ts";
import {
  type Conversation,
  CONVERSATIONS,
  insideTls,
  tlsConversation,
  withChecksums,
} from "./conversations.ts";
import { converse, type Result } from "./execution.ts";
import { mutate, type Random } from "./mutations.ts";
import { Target, type Vitals } from "./target.ts";

const HELP = `Usage: deno task fuzz [--seconds N] [--seed N] [--case N]

  --seconds N  for how long (default 30)
  --seed N     what everything follows from; printed at the start (default: another one each time)
  --case N     only this conversation, and what is left of it when all that does not matter is gone
`;

/** How many conversations run at the same time. */
const AT_ONCE = 12;

/** The servers are checked after so many conversations, when all of them have ended. */
const BATCH = 240;

/** After so many batches, a server has loaded everything once; its memory is compared with that from then on. */
const WARM_UP = 4;

/** How much a server's memory may grow beyond that, in bytes, since its heap varies. */
const BREATH = 96 * 1024 * 1024;

/** How many shorter conversations are tried in search of the shortest that fails. */
const SHRINK_TRIES = 300;

/** One conversation, ready to be sent. */
interface Case {
  conversation: Conversation;
  bytes: Uint8Array;
  /** The seed of its segmentation and ending. */
  delivery: number;
}

/** The conversation with a number. */
function caseOf(seed: number, index: number, conversations: readonly Conversation[]): Case {
  const random: Random = randomNumbers(seed ^ Math.imul(index + 1, 0x9e3779b1));
  let conversation = conversations[random(conversations.length)]!;
  const like = conversations.filter(({ place }) => place === conversation.place);
  const others = like.map(({ parts }) => parts);
  if (conversation.place === "tcp") {
    if (random(3) === 0) conversation = withChecksums(conversation);
  }
  if (["tcp", "http"].includes(conversation.place) && random(4) === 0) {
    conversation = insideTls(conversation);
  }
  const { parts, checksums, allows } = conversation;
  const isText = conversation.place.startsWith("http");
  const delivery = random(2 ** 32);
  for (let turn = 0; turn < 20; turn++) {
    const bytes = mutate(parts, random, { others, checksums, isText });
    if (!allows || allows(bytes)) return { conversation, bytes, delivery };
  }
  return { conversation, bytes: new Uint8Array(), delivery };
}

async function run(target: Target, { conversation, bytes, delivery }: Case): Promise<Result> {
  const address = target.address(conversation.place);
  return await converse(conversation, { bytes, address, random: randomNumbers(delivery) });
}

/** A shorter conversation that fails, too. */
async function shrink(target: Target, failing: Case): Promise<Case> {
  let shortest = failing;
  let tries = 0;
  for (let size = failing.bytes.length >> 1; size > 0 && tries < SHRINK_TRIES; size >>= 1) {
    for (let at = 0; at < shortest.bytes.length && tries < SHRINK_TRIES; tries++) {
      const { conversation, bytes } = shortest;
      const less = new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + size)]);
      const next = { ...shortest, bytes: less };
      const allowed = conversation.allows?.(less) ?? true;
      const fails = allowed && (await run(target, next)).problems.length > 0;
      if (fails) shortest = next;
      else at += size;
    }
  }
  return shortest;
}

/** Bytes as printable text, which `printf %b` turns back into bytes. */
function printable(bytes: Uint8Array): string {
  const text = Array.from(
    bytes.subarray(0, 4000),
    (byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c
        ? String.fromCharCode(byte)
        : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
  return bytes.length > 4000 ? `${text} … (${bytes.length} bytes)` : text;
}

/** A real ClientHello, as sent by Deno. */
async function clientHello(): Promise<Uint8Array> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const client = Deno.connectTls({ hostname: "127.0.0.1", port }).then((conn) => conn.handshake());
  client.catch(() => {});
  using conn = await listener.accept();
  const bytes = new Uint8Array(16 * 1024);
  return bytes.subarray(0, await conn.read(bytes) ?? 0);
}

/** Checks all servers when nobody is connected. */
class Watch {
  readonly #target: Target;
  #batches = 0;
  #usual: Vitals[] = [];
  #most = 0;

  constructor(target: Target) {
    this.#target = target;
  }

  /** The largest growth of memory that was seen, in MiB. */
  get growth(): number {
    return Math.round(this.#most / 1024 / 1024);
  }

  async look(): Promise<string[]> {
    const problems = await this.#target.inspect();
    const now = await this.#target.vitals();
    if (++this.#batches <= WARM_UP) {
      this.#usual = now;
      return problems;
    }
    for (const [i, { memory }] of now.entries()) {
      const more = memory - this.#usual[i]!.memory;
      this.#most = Math.max(this.#most, more);
      if (more > BREATH) problems.push(`server ${i} has grown by ${more >> 20} MiB`);
    }
    return problems;
  }
}

async function fuzz(
  { seconds, seed, only }: { seconds: number; seed: number; only: number | undefined },
  signal: AbortSignal,
): Promise<number> {
  const conversations = [...CONVERSATIONS, tlsConversation(await clientHello())];
  await using target = await Target.start();
  const watch = new Watch(target);
  const replies = new Map<string, number>();
  const failures: string[] = [];
  const end = performance.now() + seconds * 1000;
  let next = only ?? 0;
  let batch = next;

  const one = async (): Promise<void> => {
    const index = next++;
    const attempt = caseOf(seed, index, conversations);
    const result = await run(target, attempt);
    for (const reply of result.replies) replies.set(reply, (replies.get(reply) ?? 0) + 1);
    if (result.problems.length === 0) return;
    const { conversation: { name }, bytes } = attempt;
    failures.push(`case ${index} (${name}): ${result.problems.join("; ")}\n${printable(bytes)}`);
    const shortest = await shrink(target, attempt);
    if (shortest !== attempt) failures.push(`the same, shorter:\n${printable(shortest.bytes)}`);
  };
  const lane = async (last: number): Promise<void> => {
    while (next < last && performance.now() < end && failures.length === 0) {
      signal.throwIfAborted();
      await one();
    }
  };

  const started = performance.now();
  do {
    batch = next;
    const last = only === undefined ? batch + BATCH : batch + 1;
    await Promise.all(Array.from({ length: AT_ONCE }, () => lane(last)));
    const wrong = (await watch.look()).map((problem) =>
      `cases ${batch} to ${next - 1}: ${problem}`
    );
    failures.push(...wrong);
  } while (only === undefined && performance.now() < end && failures.length === 0);
  failures.push(...await target.stop());

  const count = next - (only ?? 0);
  const took = ((performance.now() - started) / 1000).toFixed(0);
  const counts = [...replies].sort(([, a], [, b]) => b - a).map(([what, n]) => `${what} ${n}`);
  console.log(`${count} conversations in ${took} s; ${counts.join(", ")}`);
  console.log(`the servers' memory: at most ${watch.growth} MiB more than after the first ones`);
  if (failures.length === 0) return 0;
  console.log(`FAILED: deno task fuzz --seed ${seed}\n${failures.join("\n")}`);
  return 1;
}

async function main(argv: string[], signal: AbortSignal): Promise<number> {
  const options = parseNumbers(argv, {
    seconds: 30,
    seed: randomSeed(),
    case: undefined as number | undefined,
  });
  if (!options) {
    console.log(HELP);
    return 0;
  }
  const { seconds, seed, case: only } = options;
  console.log(`seed ${seed}`);
  return await fuzz({ seconds, seed, only }, signal);
}

if (import.meta.main) await runInterruptibly("fuzz", (signal) => main(Deno.args, signal));
