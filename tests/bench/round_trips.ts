/**
 * How much longer a directory takes on a network with a high latency.
 *
 * @module
 */

import { FaultyPeer } from "../support/faulty_peer.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd, spawnFerry } from "../support/programs.ts";
import { type Bench, median, status, table } from "./measure.ts";
import { KIB } from "../support/bytes.ts";

const FILES = 1000;
const FILE_BYTES = 4 * KIB;

/** The round-trip time in milliseconds, half of it in each direction. */
const ROUND_TRIP_MS = 50;

/** The most round trips that a transfer may wait for. */
const GOAL_ROUND_TRIPS = 20;

/** Compares both directions through a proxy without and with a delay. */
export async function roundTrips(bench: Bench): Promise<string> {
  const { dir, rounds } = bench;
  const input = `${dir}/few`;
  Deno.mkdirSync(input);
  const bytes = new Uint8Array(FILE_BYTES);
  for (let file = 0; file < FILES; file++) {
    crypto.getRandomValues(bytes);
    Deno.writeFileSync(`${input}/${file}`, bytes);
  }
  const head = ["", "at once", `in ${ROUND_TRIP_MS} ms`, "round trips' worth more"];
  const rows = [head];
  let most = 0;
  for (const direction of ["put", "get"] as const) {
    const times: [atOnce: number[], delayed: number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      for (const [turn, delay] of [0, ROUND_TRIP_MS / 2].entries()) {
        status(`round ${round + 1} of ${rounds}: ${direction}, ${delay} ms each way`);
        times[turn]!.push(await timeOf(bench, { input, direction, delay }));
      }
    }
    const [atOnce, delayed] = times.map(median) as [number, number];
    const trips = (delayed - atOnce) * 1000 / ROUND_TRIP_MS;
    most = Math.max(most, trips);
    rows.push([
      `ferry ${direction}`,
      `${atOnce.toFixed(2)} s`,
      `${delayed.toFixed(2)} s`,
      trips.toFixed(1),
    ]);
  }
  status("");
  const reached = most <= GOAL_ROUND_TRIPS ? "yes" : "NO";
  return `${table(rows)}  goal: at most ${GOAL_ROUND_TRIPS} round trips' worth more: ${reached}\n`;
}

/** The seconds that a transfer takes. The proxy accepts connections at once, even where it delays their bytes. */
async function timeOf(
  { dir, signal }: Bench,
  { input, direction, delay }: { input: string; direction: "put" | "get"; delay: number },
): Promise<number> {
  const home = Deno.makeTempDirSync({ dir });
  const root = direction === "put" ? `${home}/root` : input;
  if (direction === "put") Deno.mkdirSync(root);
  await using server = await Ferryd.start(root);
  await using peer = FaultyPeer.start(server.port, { delay });
  const args = direction === "put" ? ["put", input] : ["get", "", "--out", `${home}/got`];
  const started = performance.now();
  const child = spawnFerry([...args, "--quiet"], { server: peer.address });
  await succeed(`ferry ${direction}`, child, signal);
  return (performance.now() - started) / 1000;
}
