/**
 * One large file, to a server and from one.
 *
 * @module
 */

import { isTaken } from "../../lib/files/path_lookup.ts";
import { parseGrants } from "../../server/auth/grants.ts";
import { createCertificate } from "../../server/cli/certificate.ts";
import { TokenFile } from "../../server/auth/token_file.ts";
import { newToken } from "../../server/auth/token_table.ts";
import { succeed } from "../support/interruptible.ts";
import { ferry, Ferryd, spawnFerry } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { type Bench, type Contestant, type Goal, interleave, timingTable } from "./measure.ts";
import { spawn, startRsyncDaemon, startSshd } from "./peers.ts";
import { MIB } from "../support/bytes.ts";

// A fair comparison: of the peers, only rsync --fsync has flushed the file when it ends.
const GOALS: readonly Goal[] = [
  { ours: "ferry", peer: "rsync --fsync", ratio: { speed: 0.8 } },
  { ours: "ferry --durability none", peer: "rsync", ratio: { speed: 0.8 } },
  { ours: "ferry --durability none", peer: "scp", ratio: { speed: 1.2 } },
];

// scp encrypts too, so the comparison is fair, except for the md5 that only ferry verifies.
const TLS_GOALS: readonly Goal[] = [
  { ours: "ferry --tls --durability none", peer: "scp", ratio: { speed: 1 } },
];

type Direction = "put" | "get";

/** The directory of a server and the local path of a transfer, one of which has the input. */
interface Ends {
  root: string;
  remote: string;
  local: string;
}

/** Times a transfer of the large file. */
export async function oneFile(bench: Bench, direction: Direction): Promise<string> {
  const input = `${bench.dir}/input`;
  if (!isTaken(input)) await writeRandomFile(input, bench.size, bench);
  await using stack = new AsyncDisposableStack();
  const contestants = [
    ...await ferries(bench, direction, stack),
    ...await rsyncs(bench, direction, stack),
    ...await scps(bench, direction, stack),
  ];
  const timings = await interleave(contestants, bench);
  return timingTable(timings, { work: { amount: bench.size / MIB, unit: "MiB" }, goals: GOALS });
}

/** Times a transfer of the large file over TLS with a token, beside the same without these and beside scp. */
export async function oneFileOverTls(bench: Bench, direction: Direction): Promise<string> {
  const input = `${bench.dir}/input`;
  if (!isTaken(input)) await writeRandomFile(input, bench.size, bench);
  await using stack = new AsyncDisposableStack();
  const credentials = await makeCredentials(Deno.makeTempDirSync(bench));
  const contestants = [
    await ferryContestant(bench, direction, stack, { durability: "full", credentials }),
    await ferryContestant(bench, direction, stack, { durability: "none", credentials }),
    await ferryContestant(bench, direction, stack, { durability: "none" }),
    ...await scps(bench, direction, stack),
  ];
  const timings = await interleave(contestants, bench);
  return timingTable(timings, {
    work: { amount: bench.size / MIB, unit: "MiB" },
    goals: TLS_GOALS,
  });
}

/** The options of both programs for TLS and a token. */
export interface Credentials {
  /** Those of `ferryd`. */
  server: string[];
  /** Those of `ferry`. */
  client: string[];
}

/** Makes a certificate and a token in a directory. */
export async function makeCredentials(dir: string): Promise<Credentials> {
  const hosts = ["127.0.0.1"];
  const { cert, key, pin } = await createCertificate({ hosts, lifetime: 24 * 60 * 60 * 1000 });
  const grants = parseGrants(["read,write"], []);
  const { token, record } = await newToken({ name: "bench", grants, expires: null });
  Deno.writeTextFileSync(`${dir}/cert.pem`, cert);
  Deno.writeTextFileSync(`${dir}/key.pem`, key);
  Deno.writeTextFileSync(`${dir}/token`, token, { mode: 0o600 });
  await new TokenFile(`${dir}/tokens`).add(record);
  return {
    server: [
      ...["--tls-cert", `${dir}/cert.pem`, "--tls-key", `${dir}/key.pem`],
      ...["--token-file", `${dir}/tokens`],
    ],
    client: ["--pin", pin, "--token-file", `${dir}/token`],
  };
}

/** The paths of a transfer, with the input at its source. */
function endsOf({ dir }: Bench, direction: Direction, { copy = false } = {}): Ends {
  const root = Deno.makeTempDirSync({ dir });
  const input = `${dir}/input`;
  const remote = `${root}/file`;
  if (direction === "put") return { root, remote, local: input };
  if (copy) Deno.copyFileSync(input, remote);
  else Deno.linkSync(input, remote);
  return { root, remote, local: `${root}.got` };
}

/** How to remove and verify the result of a contestant. */
function target(
  { size }: Bench,
  direction: Direction,
  { remote, local }: Ends,
): Pick<Contestant, "tidy" | "verify"> {
  const path = direction === "put" ? remote : local;
  return {
    tidy() {
      if (isTaken(path)) Deno.removeSync(path);
    },
    verify() {
      if (Deno.statSync(path).size !== size) throw new Error(`${path} is not whole`);
    },
  };
}

/** Options of {@linkcode ferryContestant}. */
interface FerryOptions {
  name?: string;
  durability: "full" | "none";
  /** Whether the server has cached the md5 of the file that it sends. */
  known?: boolean;
  /** TLS and a token. Default: neither. */
  credentials?: Credentials;
}

async function ferryContestant(
  bench: Bench,
  direction: Direction,
  stack: AsyncDisposableStack,
  { durability, known = true, credentials, name }: FerryOptions,
): Promise<Contestant> {
  name ??= [
    "ferry",
    ...credentials ? ["--tls"] : [],
    ...durability === "none" ? ["--durability none"] : [],
  ]
    .join(" ");
  const ends = endsOf(bench, direction, { copy: !known });
  const options = ["--durability", durability, ...credentials?.server ?? []];
  const { address } = stack.use(await Ferryd.start(ends.root, options));
  const args = [
    ...direction === "put"
      ? ["put", ends.local, "--as", "file"]
      : ["get", "file", "--out", ends.local, "--durability", durability],
    ...credentials?.client ?? [],
  ];
  const ask = (...command: string[]) =>
    ferry([...command, ...credentials?.client ?? []], { server: address });
  // The server computes the md5 of a file, and caches it as soon as the last change of the file is long enough ago.
  while (
    direction === "get" && known && !(await ask("ls", "--json")).stdout.includes('"md5":"')
  ) await ask("stat", "file");
  return {
    name,
    ...target(bench, direction, ends),
    prepare() {
      if (!known) Deno.utimeSync(ends.remote, new Date(), new Date());
    },
    async run() {
      await succeed(name, spawnFerry(args, { server: address }), bench.signal);
    },
  };
}

async function ferries(
  bench: Bench,
  direction: Direction,
  stack: AsyncDisposableStack,
): Promise<Contestant[]> {
  const contestant = (options: FerryOptions) => ferryContestant(bench, direction, stack, options);
  return [
    await contestant({ durability: "full" }),
    await contestant({ durability: "none" }),
    ...(direction === "get"
      ? [await contestant({ name: "ferry, md5 not known yet", durability: "full", known: false })]
      : []),
  ];
}

async function rsyncs(
  bench: Bench,
  direction: Direction,
  stack: AsyncDisposableStack,
): Promise<Contestant[]> {
  if (!bench.installed.has("rsync")) return [];
  const ends = endsOf(bench, direction);
  const { port } = stack.use(await startRsyncDaemon(Deno.makeTempDirSync(bench), ends.root));
  const remote = `rsync://127.0.0.1:${port}/files/file`;
  const paths = direction === "put" ? [ends.local, remote] : [remote, ends.local];
  const { stdout: help } = await succeed("rsync", spawn("rsync", ["--help"]), bench.signal);
  return ["rsync", ...(help.includes("--fsync") ? ["rsync --fsync"] : [])].map((name) => {
    const [, ...options] = name.split(" ");
    const args = ["--whole-file", "--checksum-choice=md5", ...options, ...paths];
    return {
      name,
      ...target(bench, direction, ends),
      run: async () => void await succeed(name, spawn("rsync", args), bench.signal),
    };
  });
}

async function scps(
  bench: Bench,
  direction: Direction,
  stack: AsyncDisposableStack,
): Promise<Contestant[]> {
  if (!bench.installed.has("scp") || !bench.installed.has("sshd")) return [];
  const ends = endsOf(bench, direction);
  const sshd = stack.use(await startSshd(Deno.makeTempDirSync(bench)));
  const remote = `${sshd.user}@127.0.0.1:${ends.remote}`;
  const paths = direction === "put" ? [ends.local, remote] : [remote, ends.local];
  const args = ["-q", "-P", `${sshd.port}`, ...sshd.options, ...paths];
  return [{
    name: "scp",
    ...target(bench, direction, ends),
    run: async () => void await succeed("scp", spawn("scp", args), bench.signal),
  }];
}
