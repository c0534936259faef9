/**
 * The cost of many slow or silent connections for a server: how much memory they use, and how much longer other clients
 * wait.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { DENO, Ferryd, ferryd } from "../support/programs.ts";
import { largeLists } from "./large_lists.ts";
import { type Bench, median, status, table } from "./measure.ts";
import { residentBytes } from "./process_usage.ts";
import { LARGE_FILE, LARGE_FILE_BYTES, SLOW } from "./slow_peers.ts";
import { MIB } from "../support/bytes.ts";

const CONNECTIONS = 2000;

/** The most that they may add to the server's memory, and the factor by which other clients may wait longer. */
const GOAL = { bytes: 64 * MIB, ratio: 2 };

/** How many requests are timed. */
const QUESTIONS = 300;

/** Timeouts so long that nobody is disconnected during the measurement. */
const PATIENT = [
  "--idle-timeout",
  "1h",
  "--handshake-timeout",
  "1h",
  "--min-rate",
  "0",
  "--durability",
  "none",
];

/** Compares a server without and with each kind of slow peers. */
export async function crowd(bench: Bench): Promise<string> {
  const { dir, signal } = bench;
  if (await residentBytes(Deno.pid) === undefined) {
    return "  not measured: this system has no /proc\n";
  }
  const rows = [["", "kept", "memory", "with them", "each", "latency", "with them", "ratio"]];
  let [mostMemory, mostRatio] = [0, 0];
  for (const kind of Object.keys(SLOW)) {
    status(kind);
    signal.throwIfAborted();
    const home = Deno.makeTempDirSync({ dir });
    try {
      const { before, after, kept } = await measure(home, kind);
      const more = after.memory - before.memory;
      const ratio = after.latency / before.latency;
      [mostMemory, mostRatio] = [Math.max(mostMemory, more), Math.max(mostRatio, ratio)];
      rows.push([
        kind,
        `${kept}`,
        `${(before.memory / MIB).toFixed(0)} MiB`,
        `+${(more / MIB).toFixed(0)} MiB`,
        `${(more / CONNECTIONS / 1024).toFixed(1)} KiB`,
        `${before.latency.toFixed(2)} ms`,
        `${after.latency.toFixed(2)} ms`,
        `${ratio.toFixed(2)}x`,
      ]);
    } finally {
      status("");
      Deno.removeSync(home, { recursive: true });
    }
  }
  const reached = (yes: boolean) => yes ? "yes" : "NO";
  return `${table(rows)}  goal: at most ${GOAL.bytes / MIB} MiB more: ` +
    `${reached(mostMemory <= GOAL.bytes)}, ${(mostMemory / MIB).toFixed(0)} MiB\n` +
    `  goal: at most ${GOAL.ratio}x the latency: ` +
    `${reached(mostRatio <= GOAL.ratio)}, ${mostRatio.toFixed(2)}x\n\n` +
    await largeLists(bench);
}

/** The measurements of a server at a moment. */
interface State {
  /** Resident memory in bytes. */
  memory: number;
  /** The median time in milliseconds to connect, store and fetch a small file. */
  latency: number;
}

async function measure(
  home: string,
  kind: string,
): Promise<{ before: State; after: State; kept: number }> {
  const tls = SLOW[kind]!().tls !== undefined;
  const root = `${home}/root`;
  Deno.mkdirSync(root);
  {
    using file = Deno.openSync(`${root}/${LARGE_FILE}`, { write: true, createNew: true });
    file.truncateSync(LARGE_FILE_BYTES);
  }
  const pair = ["--tls-cert", `${home}/cert.pem`, "--tls-key", `${home}/key.pem`];
  if (tls) await ferryd(["cert", "--host", "127.0.0.1", ...pair]);
  await using server = await Ferryd.start(root, [...PATIENT, ...(tls ? pair : [])]);
  const port = Number(server.address.split(":").at(-1));
  const caCerts = tls ? [Deno.readTextFileSync(`${home}/cert.pem`)] : undefined;
  // This runs twice: a server that has just started still compiles its code.
  await latencies(port, caCerts);
  const before = await state(server.pid, () => latencies(port, caCerts));
  const program = new URL("slow_peers.ts", import.meta.url).pathname;
  const peers = new Deno.Command(DENO, {
    args: [
      "run",
      "--quiet",
      "--allow-net",
      "--unsafely-ignore-certificate-errors",
      program,
      `${port}`,
      `${CONNECTIONS}`,
      kind,
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const lines = peers.stdout.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream()).getReader();
  try {
    const { value: opened } = await lines.read();
    if (opened !== `${CONNECTIONS} connections`) throw new Error(`${kind}: ${opened}`);
    const after = await state(server.pid, () => latencies(port, caCerts));
    await peers.stdin.close();
    const { value: kept } = await lines.read();
    return { before, after, kept: Number.parseInt(kept ?? "") };
  } finally {
    await lines.cancel();
    peers.kill("SIGKILL");
    await peers.status;
  }
}

async function state(pid: number, ask: () => Promise<number[]>): Promise<State> {
  const latency = median(await ask());
  return { latency, memory: await residentBytes(pid) ?? 0 };
}

/** The times of clients that connect, store a small file, fetch it and disconnect. */
async function latencies(port: number, caCerts: string[] | undefined): Promise<number[]> {
  const { connect } = await import("../../mod.ts");
  const bytes = new Uint8Array(4096);
  const times: number[] = [];
  for (let i = 0; i < QUESTIONS; i++) {
    crypto.getRandomValues(bytes);
    const started = performance.now();
    await using client = await connect(
      `127.0.0.1:${port}`,
      caCerts ? { tls: { ca: caCerts } } : {},
    );
    await client.put(bytes, { as: "asked", overwrite: "always" });
    await client.stat("asked");
    times.push(performance.now() - started);
  }
  return times;
}
