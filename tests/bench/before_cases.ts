/**
 * The cases that are compared with another checkout.
 *
 * @module
 */

import { isTaken } from "../../lib/files/path_lookup.ts";
import type { Program } from "../../packaging/program.ts";
import { DENO, ferry, type Ferryd, type Launch } from "../support/programs.ts";
import { writeRandomFile } from "../support/random_file.ts";
import { type Bench, sizeText } from "./measure.ts";
import { type Credentials, makeCredentials } from "./one_file.ts";
import { cutUpload } from "./resume.ts";
import { copyTree, countFiles, FILE_BYTES, fillTree, makeTree } from "./tree.ts";

/** One of the two checkouts. */
export interface Side {
  /** Its name in the tables. */
  readonly name: "before" | "after";
  /** The directory of the checkout, with a slash at its end. */
  readonly checkout: string;
  /** The directory with its bundles. */
  readonly bundles: string;
}

/** What a side has in a case. */
export interface Place extends Side {
  /** The directory that its server serves. */
  root: string;
  /** Where a client stores its downloads. */
  local: string;
  /** Its server, where the case has one. */
  server: Ferryd | undefined;
  /** The settings of the benchmark. */
  bench: Bench;
}

/** A run of a program of the side; its output goes nowhere. */
export interface Command {
  /** The program. Default: `ferry`. */
  program?: Program["name"];
  /** Where it is run from. Default: a bundle. */
  from?: "bundle" | "sources";
  /** A script to run instead of a program. */
  script?: Launch;
  /** The arguments. */
  args: string[];
}

/** Something that both sides do. */
export interface Comparison {
  /** What `--only` calls it. */
  name: string;
  /** The line above its table. */
  title(bench: Bench): string;
  /** The options of the server; without them there is none. */
  serve?(bench: Bench): Promise<string[]> | string[];
  /** Prepares the whole case. */
  prepare?(place: Place): Promise<void> | void;
  /** Prepares a run. */
  begin?(place: Place): Promise<void> | void;
  /** The command that is timed. */
  command(place: Place): Command;
  /** Removes the result of a run. */
  tidy?(place: Place): void;
  /** Throws unless a run had the right result. */
  verify?(place: Place): void;
  /** How many bytes of memory for files are warmed up before each run. */
  warm?(bench: Bench): number;
  /** How many runs there are in a round. */
  repeat?: number;
}

/** Starts are short, so their median is taken of more runs. */
const STARTS = 8;

/** How many commands run on one connection. */
const COMMANDS = 1000;

/** How many datagrams are echoed. */
const DATAGRAMS = 100_000;

const DIRECTIONS = ["put", "get"] as const;

type Durability = "full" | "none";
type Direction = (typeof DIRECTIONS)[number];

/** Flushed or not, in words. */
function flushed(durability: Durability): string {
  return durability === "full" ? "" : ", not flushed";
}

/** The large file, made once for all cases. */
async function input(bench: Bench): Promise<string> {
  const path = `${bench.dir}/input`;
  if (!isTaken(path)) await writeRandomFile(path, bench.size, bench);
  return path;
}

/** Moves the result of a run away. It is removed at the end, since removing files slows down later runs. */
function moveAway(path: string, { dir }: Bench): void {
  if (isTaken(path)) Deno.renameSync(path, `${dir}/old-${crypto.randomUUID()}`);
}

/** One large file. */
function oneFile(direction: Direction, durability: Durability, { tls = false } = {}): Comparison {
  let credentials: Credentials = { server: [], client: [] };
  const target = ({ root, local }: Place) => direction === "put" ? `${root}/file` : local;
  const ask = ({ server }: Place, ...args: string[]) =>
    ferry([...args, ...credentials.client], { server: server!.address });
  return {
    name: tls ? `tls-${direction}` : direction,
    title: ({ size }) =>
      `${direction} of ${sizeText(size)}${tls ? ", encrypted" : ""}${flushed(durability)}`,
    async serve({ dir }) {
      if (tls) credentials = await makeCredentials(Deno.makeTempDirSync({ dir }));
      return ["--durability", durability, ...credentials.server];
    },
    async prepare(place) {
      const path = await input(place.bench);
      if (direction === "put") return;
      Deno.linkSync(path, `${place.root}/file`);
      // The server caches the md5 as soon as the last change of the file is long enough ago.
      while (!(await ask(place, "ls", "--json")).stdout.includes('"md5":"')) {
        await ask(place, "stat", "file");
      }
    },
    command: ({ local, bench }) => ({
      args: [
        ...direction === "put"
          ? ["put", `${bench.dir}/input`, "--as", "file"]
          : ["get", "file", "--out", local, "--durability", durability],
        ...credentials.client,
      ],
    }),
    tidy(place) {
      if (isTaken(target(place))) Deno.removeSync(target(place));
    },
    verify(place) {
      if (Deno.statSync(target(place)).size !== place.bench.size) {
        throw new Error("it is not whole");
      }
    },
    warm: ({ size }) => size,
  };
}

/** A resumed upload, in which the bytes sent before are not sent again. */
const RESUME: Comparison = {
  name: "resume",
  title: ({ size }) => `put of ${sizeText(size)} to a server that has 90 % of it`,
  serve: () => [],
  prepare: async ({ bench }) => void await input(bench),
  begin: ({ server, bench }) => cutUpload(server!, `${bench.dir}/input`, bench.size),
  command: ({ bench }) => ({ args: ["put", `${bench.dir}/input`, "--as", "file"] }),
  tidy: ({ root }) => isTaken(`${root}/file`) ? Deno.removeSync(`${root}/file`) : undefined,
  verify({ root, bench }) {
    if (Deno.statSync(`${root}/file`).size !== bench.size) throw new Error("it is not whole");
  },
  warm: ({ size }) => size,
};

/** A directory of many small files. */
function tree(direction: Direction, durability: Durability): Comparison {
  const target = ({ root, local }: Place) => direction === "put" ? `${root}/tree` : local;
  return {
    name: `${direction}-tree`,
    title: ({ files }) => `${direction} of ${files} files of 4 KiB${flushed(durability)}`,
    serve: () => ["--durability", durability],
    prepare({ root, bench }) {
      const path = makeTree(bench);
      if (direction === "get") copyTree(path, `${root}/tree`);
    },
    ...direction === "put"
      ? { begin: ({ bench }: Place) => fillTree(`${bench.dir}/tree`, bench.files) }
      : {},
    command: ({ local, bench }) => ({
      args: [
        ...direction === "put"
          ? ["put", `${bench.dir}/tree`]
          : ["get", "tree", "--out", local, "--durability", durability],
        "--quiet",
      ],
    }),
    tidy: (place) => moveAway(target(place), place.bench),
    verify(place) {
      if (countFiles(target(place)) !== place.bench.files) throw new Error("it is not whole");
    },
    warm: ({ files }) => files * FILE_BYTES,
  };
}

/** A directory that the server has already. */
function present(name: string, title: string, args: (bench: Bench) => string[]): Comparison {
  return {
    name,
    title: ({ files }) => title.replace("N", String(files)),
    serve: () => [],
    async prepare({ server, bench }) {
      const path = makeTree(bench);
      const { code, stderr } = await ferry(["put", path, "--quiet"], { server: server!.address });
      if (code !== 0) throw new Error(stderr);
    },
    command: ({ bench }) => ({ args: args(bench) }),
  };
}

/** Commands through the library of the checkout: a program for each command would time the start of Deno. */
const EXEC: Comparison = {
  name: "exec",
  title: () => `${COMMANDS} runs of true on one connection`,
  serve: () => ["--allow-exec", "true"],
  prepare({ checkout, local }) {
    Deno.writeTextFileSync(
      `${local}.ts`,
      `import { connect } from ${JSON.stringify(`file://${checkout}mod.ts`)};
       await using client = await connect(Deno.args[0]);
       for (let i = 0; i < ${COMMANDS}; i++) {
         const { exitCode } = await client.exec(["true"]);
         if (exitCode !== 0) throw new Error("a command failed");
       }`,
    );
  },
  command: ({ checkout, local, server }) => ({
    script: () => {
      const flags = ["--quiet", "--no-check", "--config", `${checkout}deno.json`, "--allow-all"];
      return [DENO, "run", ...flags, `${local}.ts`];
    },
    args: [server!.address],
  }),
};

const EXEC_OUTPUT: Comparison = {
  name: "exec-output",
  title: ({ size }) => `${sizeText(size)} of a command's output`,
  serve: ({ size }) => ["--allow-exec", "head", "--exec-output-limit", String(size)],
  command: ({ bench }) => ({ args: ["exec", "--", "head", "-c", String(bench.size), "/dev/zero"] }),
};

const ECHO: Comparison = {
  name: "udp-echo",
  title: () => `${DATAGRAMS} round trips of 64 bytes over UDP, 64 at once`,
  serve: () => ["--udp-echo", "127.0.0.1:0"],
  command: ({ server }) => ({
    args: [
      ...["echo", "--udp", server!.listening.get("udp-echo")!, "--interval", "0"],
      ...["--count", String(DATAGRAMS), "--size", "64", "--json"],
    ],
  }),
};

/** The time from the start of a program to its end. */
function start(program: Program["name"], from: "bundle" | "sources"): Comparison {
  return {
    name: "start",
    title: () => `${program} --version, from ${from === "bundle" ? "a bundle" : "the sources"}`,
    command: () => ({ program, from, args: ["--version"] }),
    repeat: STARTS,
  };
}

/** All comparisons. */
export const COMPARISONS: readonly Comparison[] = [
  ...DIRECTIONS.flatMap((direction) => [
    oneFile(direction, "full"),
    oneFile(direction, "none"),
    oneFile(direction, "none", { tls: true }),
  ]),
  RESUME,
  ...DIRECTIONS.flatMap((direction) => [tree(direction, "full"), tree(direction, "none")]),
  present(
    "put-again",
    "put of N files of 4 KiB to a server that has them",
    ({ dir }) => ["put", `${dir}/tree`, "--quiet"],
  ),
  present("list", "list of N files", () => ["ls", "--recursive", "tree"]),
  EXEC,
  EXEC_OUTPUT,
  ECHO,
  start("ferry", "sources"),
  start("ferry", "bundle"),
  start("ferryd", "bundle"),
];
