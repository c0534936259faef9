/**
 * Runs of `ferry echo`, and servers for them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { FaultyEcho } from "./faulty_echo.ts";
import { type Outcome, outcome, spawnFerry } from "./programs.ts";

export const COUNTS = [
  "sent",
  "received",
  "loss_percent",
  "duplicates",
  "out_of_order",
  "late",
  "damaged",
];

/** An address on which nobody listens: its port was just closed. */
export async function deadAddress(): Promise<string> {
  await using echo = await FaultyEcho.start();
  return echo.address;
}

/** The objects that a program printed, one per line. */
export function events({ stdout }: Outcome): Record<string, unknown>[] {
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The counts in the last object that a program printed. */
export function counts(ended: Outcome): unknown[] {
  const last = events(ended).at(-1)!;
  assertEquals(last.event, "summary", ended.stdout + ended.stderr);
  return COUNTS.map((key) => last[key]);
}

/** Answers each TCP connection with `serve`; passes the address to `run`. */
export async function withTcpServer(
  serve: (conn: Deno.TcpConn, which: number) => Promise<void>,
  run: (address: string) => Promise<void>,
): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const conn of listener) {
      serving.push(serve(conn, serving.length).catch(() => {}).finally(() => conn.close()));
    }
  })();
  try {
    await run(`127.0.0.1:${listener.addr.port}`);
  } finally {
    listener.close();
    await accepting;
    await Promise.all(serving);
  }
}

/** The next bytes from a connection, in upper case. */
export async function upper(conn: Deno.TcpConn): Promise<Uint8Array | null> {
  const piece = new Uint8Array(65536);
  const count = await conn.read(piece);
  if (count === null) return null;
  return piece.subarray(0, count).map((byte) => byte >= 97 && byte <= 122 ? byte - 32 : byte);
}

/** Runs ferry with text on its standard input. */
export async function talk(args: string[], input: string): Promise<Outcome> {
  const child = spawnFerry(args, { stdin: "piped" });
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  return await outcome(child);
}

/** The options of `ferry echo` and `ferryd` for each transport. */
export const BOTH = [["--udp", "udp-echo"], ["--tcp", "tcp-echo"]] as const;
