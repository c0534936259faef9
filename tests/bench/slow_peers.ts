/**
 * A program that keeps many connections to a server open and makes slow progress on each, or none:
 * `slow_peers.ts PORT COUNT KIND`. It prints a line when all are open. When its standard input ends, it prints how many
 * connections the server has kept, and exits.
 *
 * @module
 */

import { frame } from "../support/raw_peer.ts";
import { KIB, MIB } from "../support/bytes.ts";

/** How a peer behaves: it sends some bytes, then one byte or none at intervals. */
interface Slow {
  /** Whether the TLS handshake is completed, or only begun. Default: no TLS. */
  readonly tls?: "begun" | "encrypted";
  /** What it sends at first. */
  readonly first: readonly Uint8Array[];
  /** Whether it waits for a reply to these bytes. */
  readonly answered?: boolean;
  /** Whether it sends one more byte every second. */
  readonly drips?: boolean;
  /** How many bytes it reads every second. */
  readonly reads?: number;
}

/** The file that slow readers request; to be made before the server starts. */
export const LARGE_FILE = "large";
/** Its size: more than the socket buffers of a connection hold. */
export const LARGE_FILE_BYTES: number = 64 * MIB;

const PING = frame({ op: "ping" });
/** The length field of the longest allowed header. */
const LONG_HEADER = new Uint8Array([0, 0, 1, 0]);

function put(size: number): Uint8Array {
  const name = `slow-${crypto.randomUUID()}`;
  return frame({ op: "put", filename: name, md5: null, total_size: size });
}

/** All kinds of slow peers, by name. */
export const SLOW: Readonly<Record<string, () => Slow>> = {
  "silent": () => ({ first: [] }),
  "silent instead of a TLS handshake": () => ({ tls: "begun", first: [] }),
  "silent after a ping over TLS": () => ({ tls: "encrypted", first: [PING], answered: true }),
  "silent after a ping": () => ({ first: [PING], answered: true }),
  "silent after many pings": () => ({ first: Array(1000).fill(PING), answered: true }),
  "a byte a second in a header": () => ({ first: [PING.subarray(0, 6)], drips: true }),
  "the same, 60 KiB into it": () => ({
    first: [LONG_HEADER, new Uint8Array(60 * KIB).fill(32)],
    drips: true,
  }),
  "a byte a second in a small body": () => ({
    first: [put(MIB), new Uint8Array(200 * KIB)],
    drips: true,
  }),
  "a byte a second in a large body": () => ({
    first: [put(1024 * MIB), new Uint8Array(200 * KIB)],
    drips: true,
  }),
  "reading 1 KiB a second of a file": () => ({
    first: [frame({ op: "get", filename: LARGE_FILE })],
    reads: KIB,
  }),
};

const ENOUGH_AT_ONCE = 50;

async function main(port: number, count: number, kind: string): Promise<void> {
  const conns: Deno.Conn[] = [];
  for (let next = 0; next < count; next += ENOUGH_AT_ONCE) {
    const turn = Array.from({ length: Math.min(ENOUGH_AT_ONCE, count - next) }, async () => {
      const slow = SLOW[kind]!();
      const address = { hostname: "127.0.0.1", port };
      const encrypted = slow.tls === "encrypted";
      const conn = encrypted ? await Deno.connectTls(address) : await Deno.connect(address);
      conns.push(conn);
      await hold(conn, slow);
    });
    await Promise.all(turn);
  }
  console.log(`${conns.length} connections`);
  const stopped = new Response(Deno.stdin.readable).text();
  await stopped;
  console.log(`${kept} kept`);
  Deno.exit(0);
}

let kept = 0;

/** Sends a slow peer's first bytes, and goes on in the background. */
async function hold(conn: Deno.Conn, { first, answered, drips, reads }: Slow): Promise<void> {
  kept++;
  const ended = () => void kept--;
  const scratch = new Uint8Array(64 * KIB);
  const sending = (async () => {
    for (const bytes of together(first)) {
      for (let done = 0; done < bytes.length;) done += await conn.write(bytes.subarray(done));
    }
  })();
  if (answered) {
    // The replies are all the same, and nothing else arrives.
    let left = first.length * frame({ status: "ok" }).length;
    while (left > 0) left -= await conn.read(scratch) ?? left;
  }
  await sending;
  if (drips) setInterval(() => void conn.write(new Uint8Array([32])).catch(() => {}), 1000);
  if (reads) {
    setInterval(() => void conn.read(scratch.subarray(0, reads)).catch(ended), 1000);
    return;
  }
  // A silent peer receives nothing until the connection ends.
  void conn.read(scratch).then(ended, ended);
}

function together(parts: readonly Uint8Array[]): Uint8Array[] {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let filled = 0;
  for (const part of parts) {
    bytes.set(part, filled);
    filled += part.length;
  }
  return [bytes];
}

if (import.meta.main) {
  const [port, count, kind] = Deno.args;
  await main(Number(port), Number(count), kind!);
}
