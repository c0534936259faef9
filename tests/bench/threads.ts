/**
 * The threads of a server: uploads and downloads of several light clients at a time, with one thread and with more. The
 * clients send recorded bytes, so that the server is what is measured.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { createHash } from "node:crypto";
import { encodeHeader, type HeaderKeys } from "../../lib/wire/codec.ts";
import { MIB } from "../support/bytes.ts";
import { Ferryd, outcome, PROJECT, spawnFerry } from "../support/programs.ts";
import { randomBytes } from "../support/random_file.ts";
import {
  type Bench,
  type Contestant,
  interleave,
  median,
  status,
  table,
  timingTable,
} from "./measure.ts";
import { spawn } from "./peers.ts";
import { processorSeconds, threadSeconds } from "./process_usage.ts";

/** The uploads and the downloads: how many clients at a time, and how many bytes each. */
const LOADS = [
  { direction: "put", clients: 8, bytes: 256 * MIB },
  { direction: "get", clients: 16, bytes: 128 * MIB },
] as const;

type Load = typeof LOADS[number];

/** How much faster two threads have to be than one, and which part of its processor time they may take. */
const GOALS = { speed: 1.25, busiest: 0.55, all: 1.2 } as const;

const NAMES = { one: "--threads 1", two: "--threads 2" } as const;

/** The uploads of many clients at a time: how many, and how many bytes each. */
const CROWD = { clients: 64, bytes: 16 * MIB } as const;

/** How much longer than the median the slowest of them may take. */
const SLOWEST = 2;

/** How often the processor time of each thread is looked at, in milliseconds. */
const SAMPLE_MS = 200;

/** The processor time of a server's threads during one run, in seconds. */
interface Used {
  busiest: number;
  all: number;
}

/** Times many clients at once. */
export async function threads(bench: Bench): Promise<string> {
  const parts: string[] = [];
  for (const load of LOADS) parts.push(await compared(bench, load));
  parts.push(await fairness(bench));
  return parts.join("");
}

/** Lets many clients put a file each, all at once, and compares the slowest of them with the others. */
async function fairness({ dir, rounds, signal }: Bench): Promise<string> {
  const { clients, bytes } = CROWD;
  const source = `${dir}/crowd`;
  Deno.writeFileSync(source, contentOf(bytes));
  const rows = [[`${clients} ferry put ${bytes / MIB} MiB`, "median", "slowest", "ratio", "goal"]];
  for (const name of Object.values(NAMES)) {
    const ratios: number[] = [];
    const medians: number[] = [];
    let errors = 0;
    for (let round = 0; round < rounds; round++) {
      signal.throwIfAborted();
      status(`round ${round + 1} of ${rounds}: ${clients} clients, ${name}`);
      const root = Deno.makeTempDirSync({ dir });
      await using server = await Ferryd.start(root, [...name.split(" "), "--durability", "none"]);
      const took = await Promise.all(Array.from({ length: clients }, async (_, i) => {
        const started = performance.now();
        const args = ["put", source, "--as", `f${i}`, "--quiet"];
        const { code } = await outcome(spawnFerry(args, { server: server.address }));
        if (code !== 0) errors++;
        return (performance.now() - started) / 1000;
      }));
      medians.push(median(took));
      ratios.push(Math.max(...took) / median(took));
      Deno.removeSync(root, { recursive: true });
    }
    const ratio = median(ratios);
    rows.push([
      `ferryd ${name}`,
      `${median(medians).toFixed(1)} s`,
      `${(ratio * median(medians)).toFixed(1)} s`,
      `${ratio.toFixed(2)}x`,
      `at most ${SLOWEST}x, no error: ${ratio <= SLOWEST && errors === 0 ? "yes" : "NO"}`,
    ]);
    if (errors > 0) rows.push([`  ${errors} clients failed`]);
  }
  status("");
  return table(rows);
}

async function compared(bench: Bench, load: Load): Promise<string> {
  const { direction, clients, bytes } = load;
  const home = Deno.makeTempDirSync({ dir: bench.dir });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => Deno.removeSync(home, { recursive: true }));
  const scripts = recorded(home, load);
  const used = new Map<string, Used[]>();
  const slowest: number[] = [];
  const contestants: Contestant[] = [];
  for (const name of Object.values(NAMES)) {
    const root = Deno.makeTempDirSync({ dir: home });
    if (direction === "get") {
      for (let i = 0; i < clients; i++) Deno.writeFileSync(`${root}/f${i}`, contentOf(bytes));
    }
    const args = [...name.split(" "), "--durability", "none", "--anonymous", "read,write"];
    const server = stack.use(await Ferryd.start(root, args));
    const runs: Used[] = [];
    used.set(name, runs);
    contestants.push({
      name: `ferryd ${name}`,
      tidy() {
        for (const { name } of direction === "put" ? Deno.readDirSync(root) : []) {
          if (name !== ".ferry") Deno.removeSync(`${root}/${name}`);
        }
      },
      prepare() {
        // Of a file that was changed just now the server does not know the checksum.
        const now = new Date();
        for (let i = 0; direction === "get" && i < clients; i++) {
          Deno.utimeSync(`${root}/f${i}`, now, now);
        }
      },
      async run() {
        const before = await threadSeconds(server.pid);
        const allBefore = await processorSeconds(server.pid);
        const client = spawn("python3", [
          `${PROJECT}tests/bench/light_clients.py`,
          `${server.port}`,
          direction,
          ...scripts,
        ]);
        let ended = false;
        const ending = outcome(client).finally(() => ended = true);
        // Threads that digest end with the last of their files.
        const after = new Map<string, number>();
        do {
          for (const [thread, used] of await threadSeconds(server.pid)) after.set(thread, used);
          await Promise.race([ending, delay(SAMPLE_MS)]);
        } while (!ended);
        const { code, stdout, stderr } = await ending;
        if (code !== 0) throw new Error(`the clients failed: ${stderr}`);
        const each = [...after].map(([thread, seconds]) => seconds - (before.get(thread) ?? 0));
        const all = await processorSeconds(server.pid) - allBefore;
        runs.push({ busiest: Math.max(...each), all });
        const took = stdout.trim().split("\n").map(Number);
        slowest.push(Math.max(...took) / median(took));
      },
    });
  }
  const timings = await interleave(contestants, bench);
  const work = { amount: clients * bytes / MIB, unit: "MiB" };
  const goals = [{
    ours: `ferryd ${NAMES.two}`,
    peer: `ferryd ${NAMES.one}`,
    ratio: { speed: GOALS.speed },
  }];
  const usage = (name: string, part: keyof Used) => median(used.get(name)!.map((one) => one[part]));
  const rows = [["processor time of ferryd", NAMES.one, NAMES.two, "ratio", "goal"]];
  for (const part of ["busiest", "all"] as const) {
    const [one, two] = [usage(NAMES.one, part), usage(NAMES.two, part)];
    rows.push([
      part === "busiest" ? "busiest thread" : "all threads",
      `${one.toFixed(2)} s`,
      `${two.toFixed(2)} s`,
      `${(two / one).toFixed(2)}x`,
      `at most ${GOALS[part]}x: ${two / one <= GOALS[part] ? "yes" : "NO"}`,
    ]);
  }
  return `  ${clients} clients ${direction} ${bytes / MIB} MiB each\n` +
    timingTable(timings, { work, goals }) + table(rows) +
    `  the slowest client took at most ${Math.max(...slowest).toFixed(2)}x of the median\n`;
}

/** Writes what each client sends into a file, and returns their paths. */
function recorded(dir: string, { direction, clients, bytes }: Load): string[] {
  const content = contentOf(bytes);
  const md5 = createHash("md5").update(content).digest("hex");
  return Array.from({ length: clients }, (_, i) => {
    const path = `${dir}/${direction}${i}.${bytes}`;
    using file = Deno.openSync(path, { write: true, create: true });
    const write = (piece: Uint8Array) => {
      for (let at = 0; at < piece.length;) at += file.writeSync(piece.subarray(at));
    };
    write(framed({ op: "hello", versions: [1] }));
    if (direction === "put") {
      write(framed({ op: "put", filename: `f${i}`, md5, total_size: bytes }));
      write(content);
    } else write(framed({ op: "get", filename: `f${i}` }));
    return path;
  });
}

function framed(header: HeaderKeys): Uint8Array {
  const json = encodeHeader(header);
  const frame = new Uint8Array(4 + json.length);
  new DataView(frame.buffer).setInt32(0, json.length, true);
  frame.set(json, 4);
  return frame;
}

/** Bytes of which no piece is like another one. */
function contentOf(bytes: number): Uint8Array<ArrayBuffer> {
  const piece = randomBytes(MIB, 1);
  const content = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += MIB) {
    piece.set([at / MIB & 255, at / MIB >> 8], 0);
    content.set(piece, at);
  }
  return content;
}
