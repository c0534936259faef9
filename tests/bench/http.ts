/**
 * The listener for HTTP, beside nginx and servers on Node.js, with curl and wrk as clients.
 *
 * @module
 */

import { delay } from "@std/async/delay";
import { encodeBase64 } from "@std/encoding/base64";
import { decodeHex } from "@std/encoding/hex";
import { isTaken } from "../../lib/files/path_lookup.ts";
import { KIB, MIB } from "../support/bytes.ts";
import { succeed } from "../support/interruptible.ts";
import { Ferryd } from "../support/programs.ts";
import { randomBytes, writeRandomFile } from "../support/random_file.ts";
import { installNodePeers, startNginx, startNodePeer } from "./http_peers.ts";
import {
  type Bench,
  type Contestant,
  type Goal,
  interleave,
  median,
  status,
  table,
  timingTable,
} from "./measure.ts";
import { spawn } from "./peers.ts";
import { residentBytes } from "./process_usage.ts";

/** The size of a small file. */
const SMALL_BYTES = 4 * KIB;

/** How long wrk sends requests, in seconds, and on how many connections. */
const WRK = { seconds: 5, connections: 32 };

/** After how many milliseconds a change of a file would show in its times. */
const SETTLED_MS = 2500;

/** The connections that do nothing, and the most that they may add to the server's memory. */
const IDLE = { connections: 1000, bytes: 32 * MIB };

/** The size of a PATCH of an upload by tus. */
const PATCH_BYTES = 64 * MIB;

const FERRYD = "ferryd";
const UNFLUSHED = "ferryd --durability none";
const NGINX = "nginx";
const NODE_FILES = "serve-handler";
const NODE_TUS = "@tus/server";

const GET_GOALS: readonly Goal[] = [
  { ours: FERRYD, peer: NGINX, ratio: { speed: 0.7 } },
  { ours: FERRYD, peer: NODE_FILES, ratio: { speed: 1.5 } },
];
// nginx neither flushes a file nor verifies it.
const PUT_GOALS: readonly Goal[] = [{ ours: UNFLUSHED, peer: NGINX, ratio: { speed: 0.8 } }];
// @tus/server flushes nothing either.
const TUS_GOALS: readonly Goal[] = [{ ours: UNFLUSHED, peer: NODE_TUS, ratio: { speed: 1.5 } }];
const WRK_GOAL = 1.2;

/** Why nothing can be measured; undefined if it can. Otherwise makes the large file, unless it is there. */
async function whyNot(bench: Bench): Promise<string | undefined> {
  const missing = ["nginx", "curl", "wrk"].filter((name) => !bench.installed.has(name));
  if (missing.length > 0) return `  not measured: ${missing.join(", ")} not installed\n`;
  const input = `${bench.dir}/input`;
  if (!isTaken(input)) await writeRandomFile(input, bench.size, bench);
  return undefined;
}

/** A server over a directory of its own. */
interface Served {
  name: string;
  root: string;
  url: string;
}

async function ferryd(
  { dir }: Bench,
  stack: AsyncDisposableStack,
  name: string,
): Promise<Served & { server: Ferryd }> {
  const root = Deno.makeTempDirSync({ dir });
  const [, ...options] = name.split(" ");
  const server = stack.use(await Ferryd.start(root, ["--http", "127.0.0.1:0", ...options]));
  return { name, root, url: `http://127.0.0.1:${server.portOf("http")}`, server };
}

async function nginx({ dir }: Bench, stack: AsyncDisposableStack): Promise<Served> {
  const root = Deno.makeTempDirSync({ dir });
  const { port } = stack.use(await startNginx(Deno.makeTempDirSync({ dir }), root));
  return { name: NGINX, root, url: `http://127.0.0.1:${port}` };
}

async function nodeFiles(bench: Bench, stack: AsyncDisposableStack): Promise<Served[]> {
  const modules = await installNodePeers(bench);
  if (modules === undefined) return [];
  const { dir } = bench;
  const root = Deno.makeTempDirSync({ dir });
  const { port } = stack.use(await startNodePeer(modules, "files", root));
  return [{ name: NODE_FILES, root, url: `http://127.0.0.1:${port}` }];
}

/** Runs curl to its end and returns what it prints. A response that reports an error makes it fail. */
async function curl({ signal }: Pick<Bench, "signal">, ...args: string[]): Promise<string> {
  const child = spawn("curl", ["--silent", "--show-error", "--fail", ...args]);
  return (await succeed("curl", child, signal)).stdout;
}

/** Times a GET of the large file. */
export async function httpGet(bench: Bench): Promise<string> {
  const missing = await whyNot(bench);
  if (missing) return missing;
  await using stack = new AsyncDisposableStack();
  const servers = [
    await ferryd(bench, stack, FERRYD),
    await nginx(bench, stack),
    ...await nodeFiles(bench, stack),
  ];
  const contestants = servers.map(({ name, root, url }): Contestant => {
    Deno.linkSync(`${bench.dir}/input`, `${root}/file`);
    let isFirst = true;
    return {
      name,
      tidy() {},
      async prepare() {
        // ferryd digests a file while it is sent for the first time.
        if (isFirst) await curl(bench, "--output", "/dev/null", `${url}/file`);
        isFirst = false;
      },
      async run() {
        const args = ["--output", "/dev/null", "--write-out", "%{size_download}"];
        const size = await curl(bench, ...args, `${url}/file`);
        if (Number(size) !== bench.size) throw new Error(`${name}: ${size} bytes came`);
      },
    };
  });
  return timingTable(await interleave(contestants, bench), {
    work: { amount: bench.size / MIB, unit: "MiB" },
    goals: GET_GOALS,
  });
}

/** Times a PUT of the large file, which ferryd verifies and nginx does not. */
export async function httpPut(bench: Bench): Promise<string> {
  const missing = await whyNot(bench);
  if (missing) return missing;
  await using stack = new AsyncDisposableStack();
  const input = `${bench.dir}/input`;
  const sha256 = await digestField(bench, "sha-256");
  const md5 = await digestField(bench, "md5");
  const servers = [
    await ferryd(bench, stack, FERRYD),
    await ferryd(bench, stack, UNFLUSHED),
    await nginx(bench, stack),
  ];
  const contestants = servers.flatMap((server) => {
    const attested = { [server.name]: sha256 };
    if (server.name === UNFLUSHED) attested[`${UNFLUSHED}, md5`] = md5;
    return Object.entries(attested).map(([name, header]): Contestant => ({
      name,
      ...stored(bench, () => `${server.root}/file`),
      run: async () =>
        void await curl(bench, "--header", header, "--upload-file", input, `${server.url}/file`),
    }));
  });
  return timingTable(await interleave(contestants, bench), {
    work: { amount: bench.size / MIB, unit: "MiB" },
    goals: PUT_GOALS,
  });
}

/** The header field with which a client lets the large file be verified. */
async function digestField({ dir, signal }: Bench, algorithm: "md5" | "sha-256"): Promise<string> {
  const program = `${algorithm.replace("-", "")}sum`;
  const { stdout } = await succeed(program, spawn(program, [`${dir}/input`]), signal);
  const digest = decodeHex(stdout.split(" ", 1)[0]!);
  return `Content-Digest: ${algorithm}=:${encodeBase64(digest)}:`;
}

/** How to remove and verify a stored file. */
function stored({ size }: Bench, path: () => string): Pick<Contestant, "tidy" | "verify"> {
  return {
    tidy() {
      if (isTaken(path())) Deno.removeSync(path());
    },
    verify() {
      if (Deno.statSync(path()).size !== size) throw new Error(`${path()} is not whole`);
    },
  };
}

/** Times an upload of the large file by tus. */
export async function httpTus(bench: Bench): Promise<string> {
  const missing = await whyNot(bench);
  if (missing) return missing;
  await using stack = new AsyncDisposableStack();
  const parts = splitInput(bench);
  const modules = await installNodePeers(bench);
  const contestants: Contestant[] = [];
  for (const name of [FERRYD, UNFLUSHED]) {
    const { root, url } = await ferryd(bench, stack, name);
    contestants.push({
      name,
      ...stored(bench, () => `${root}/file`),
      run: () => uploadByTus(bench, `${url}/.tus/`, parts),
    });
  }
  if (modules !== undefined) {
    const root = Deno.makeTempDirSync({ dir: bench.dir });
    const { port } = stack.use(await startNodePeer(modules, "tus", root));
    // The file has a random name, beside one of a description.
    const path = () => {
      const names = [...Deno.readDirSync(root)].map(({ name }) => name);
      return `${root}/${names.find((name) => !name.endsWith(".json")) ?? "file"}`;
    };
    contestants.push({
      name: NODE_TUS,
      ...stored(bench, path),
      run: () => uploadByTus(bench, `http://127.0.0.1:${port}/files`, parts),
    });
  }
  return timingTable(await interleave(contestants, bench), {
    work: { amount: bench.size / MIB, unit: "MiB" },
    goals: TUS_GOALS,
  });
}

/** The input in files of the size of a PATCH. */
function splitInput({ dir, size }: Bench): string[] {
  using input = Deno.openSync(`${dir}/input`);
  const piece = new Uint8Array(PATCH_BYTES);
  const paths: string[] = [];
  for (let at = 0; at < size;) {
    const count = input.readSync(piece) ?? 0;
    const path = `${dir}/part-${paths.length}`;
    Deno.writeFileSync(path, piece.subarray(0, count));
    paths.push(path);
    at += count;
  }
  return paths;
}

/** Creates an upload, and sends all parts on one connection. */
async function uploadByTus(bench: Bench, url: string, parts: readonly string[]): Promise<void> {
  const version = ["--header", "Tus-Resumable: 1.0.0"];
  const created = await curl(
    bench,
    ...["--request", "POST", "--dump-header", "-", "--header", `Upload-Length: ${bench.size}`],
    ...["--header", `Upload-Metadata: filename ${btoa("file")}`, ...version, url],
  );
  const [, location] = /^location: *(\S+)/mi.exec(created) ?? [];
  if (location === undefined) throw new Error(`no upload was created: ${created}`);
  const target = new URL(location, url).href;
  let offset = 0;
  const requests = parts.map((path) => {
    const args = [
      ...["--request", "PATCH", "--silent", "--show-error", "--fail", "--header", "Expect:"],
      ...["--header", "Content-Type: application/offset+octet-stream", ...version],
      ...["--header", `Upload-Offset: ${offset}`, "--upload-file", path, target],
    ];
    offset += Deno.statSync(path).size;
    return args;
  });
  await curl(bench, ...requests.flatMap((args, at) => at === 0 ? args : ["--next", ...args]));
}

/** Counts GETs of small files in a second. */
export async function httpSmall(bench: Bench): Promise<string> {
  const missing = await whyNot(bench);
  if (missing) return missing;
  await using stack = new AsyncDisposableStack();
  const servers = [
    await ferryd(bench, stack, FERRYD),
    await nginx(bench, stack),
    ...await nodeFiles(bench, stack),
  ];
  const { files } = bench;
  const content = randomBytes(SMALL_BYTES);
  for (const { root } of servers) {
    for (let at = 0; at < files; at++) Deno.writeFileSync(`${root}/${at}`, content);
  }
  const script = `${bench.dir}/names.lua`;
  Deno.writeTextFileSync(
    script,
    `local at = -1
request = function()
  at = (at + 1) % ${files}
  return wrk.format("GET", "/" .. at)
end
`,
  );
  const rates = new Map(servers.map(({ name }) => [name, [] as number[]]));
  for (const { url } of servers) await getEach(bench, url, files);
  for (let round = 0; round < bench.rounds; round++) {
    for (let turn = 0; turn < servers.length; turn++) {
      const { name, url } = servers[(round + turn) % servers.length]!;
      status(`round ${round + 1} of ${bench.rounds}: ${name}`);
      rates.get(name)!.push(await wrk(bench, url, script));
    }
  }
  status("");
  const medians = new Map([...rates].map(([name, values]) => [name, median(values)]));
  const rows = [...rates].map(([name, values]) => [
    name,
    `${medians.get(name)!.toFixed(0)}/s`,
    `${Math.min(...values).toFixed(0)}-${Math.max(...values).toFixed(0)}/s`,
    `${(medians.get(name)! / (medians.get(NODE_FILES) ?? NaN)).toFixed(2)}x`,
  ]);
  const ratio = medians.get(FERRYD)! / (medians.get(NODE_FILES) ?? NaN);
  const result = Number.isNaN(ratio)
    ? "not compared"
    : `${ratio >= WRK_GOAL ? "yes" : "NO"}, ${ratio.toFixed(2)}x`;
  return `${table([["", "median", "min-max", `vs ${NODE_FILES}`], ...rows])}` +
    `  goal: ${FERRYD} at least ${WRK_GOAL}x as fast as ${NODE_FILES}: ${result}\n`;
}

/** Gets each file once: ferryd then has digested those whose digests it did not know. */
async function getEach({ dir, signal }: Bench, url: string, files: number): Promise<void> {
  // Only of a file that was written more than a moment ago is a digest kept.
  await delay(SETTLED_MS, { signal });
  const config = `${dir}/urls`;
  const names = Array.from({ length: files }, (_, at) => at);
  const lines = names.map((name) => `url = "${url}/${name}"\noutput = "/dev/null"\n`);
  Deno.writeTextFileSync(config, lines.join(""));
  await curl({ signal }, "--config", config);
}

/** Requests per second. */
async function wrk({ signal }: Bench, url: string, script: string): Promise<number> {
  const { seconds, connections } = WRK;
  const args = ["-t", "1", "-c", `${connections}`, "-d", `${seconds}s`, "-s", script, url];
  const { stdout } = await succeed("wrk", spawn("wrk", args), signal);
  const [, rate] = /^Requests\/sec: +([\d.]+)$/m.exec(stdout) ?? [];
  if (rate === undefined || /Non-2xx|Socket errors/.test(stdout)) {
    throw new Error(`wrk: ${stdout}`);
  }
  return Number(rate);
}

/** Compares the memory of a server before and after many clients connected, made a request each, and stay. */
export async function httpIdle(bench: Bench): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const { server } = await ferryd(bench, stack, FERRYD);
  // The first connections make the server compile its code.
  await using _first = await connected(server.portOf("http"), 50);
  const before = await residentBytes(server.pid);
  if (before === undefined) return "  idle connections: not measured, this system has no /proc\n";
  await using _idle = await connected(server.portOf("http"), IDLE.connections);
  const more = (await residentBytes(server.pid))! - before;
  const reached = more <= IDLE.bytes ? "yes" : "NO";
  return `  goal: ${IDLE.connections} idle connections take at most ${
    IDLE.bytes / MIB
  } MiB more: ` +
    `${reached}, ${(more / MIB).toFixed(0)} MiB\n`;
}

/** Opens connections, each of which has had the response to one request. */
async function connected(port: number, count: number): Promise<AsyncDisposable> {
  const stack = new AsyncDisposableStack();
  const request = new TextEncoder().encode("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const answer = new Uint8Array(4096);
  for (let at = 0; at < count; at++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    stack.defer(() => connection.close());
    await connection.write(request);
    await connection.read(answer);
  }
  return stack;
}
