/**
 * Compares the speed of ferry with commonly used programs: on this machine, in one run. Everything that is needed is
 * made and removed again.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { VERSION } from "../../lib/core/version.ts";
import { compareWith, NAMES } from "./before.ts";
import { compress } from "./compress.ts";
import { crowd } from "./crowd.ts";
import { delta } from "./delta.ts";
import { udpEcho } from "./echo.ts";
import { commandOutput, manyCommands } from "./exec.ts";
import { hooks } from "./hooks.ts";
import { httpGet, httpIdle, httpPut, httpSmall, httpTus } from "./http.ts";
import { limitRate } from "./limit_rate.ts";
import { type Bench, sizeText } from "./measure.ts";
import { manyFiles } from "./many_files.ts";
import { memory } from "./memory.ts";
import { observe } from "./observe.ts";
import { oneFile, oneFileOverTls } from "./one_file.ts";
import { SSHD, versionOf } from "./peers.ts";
import { publication } from "./publish.ts";
import { renamed } from "./renamed.ts";
import { machine, mediansOf, record } from "./report.ts";
import { resume } from "./resume.ts";
import { roundTrips } from "./round_trips.ts";
import { objectStore } from "./s3.ts";
import { start } from "./start.ts";
import { streams } from "./streams.ts";
import { threads } from "./threads.ts";
import { tree, treeAgain } from "./tree.ts";
import { runInterruptibly } from "../support/interruptible.ts";
import { MIB } from "../support/bytes.ts";

/** A measurement. */
interface Case {
  /** Its name in `--only`. */
  name: string;
  /** The line above its table. */
  title(bench: Bench): string;
  /** Measures it and returns the table. */
  run(bench: Bench): Promise<string>;
}

const CASES: readonly Case[] = [
  {
    name: "put",
    title: ({ size }) => `${sizeText(size)} to a server`,
    run: (bench) => oneFile(bench, "put"),
  },
  {
    name: "get",
    title: ({ size }) => `${sizeText(size)} from a server`,
    run: (bench) => oneFile(bench, "get"),
  },
  {
    name: "tls-put",
    title: ({ size }) => `${sizeText(size)} to a server, encrypted`,
    run: (bench) => oneFileOverTls(bench, "put"),
  },
  {
    name: "tls-get",
    title: ({ size }) => `${sizeText(size)} from a server, encrypted`,
    run: (bench) => oneFileOverTls(bench, "get"),
  },
  { name: "compress", title: () => "sources of programs over a line of 12.5 MB/s", run: compress },
  { name: "limit", title: () => "--limit-rate 8 MiB/s for 10 s", run: limitRate },
  {
    name: "put-tree",
    title: ({ files }) => `${files} files of 4 KiB to a server`,
    run: (bench) => tree(bench, "put"),
  },
  {
    name: "get-tree",
    title: ({ files }) => `${files} files of 4 KiB from a server`,
    run: (bench) => tree(bench, "get"),
  },
  {
    name: "put-again",
    title: ({ files }) => `${files} files of 4 KiB to a server that has them`,
    run: treeAgain,
  },
  {
    name: "many-files",
    title: ({ files }) => `${files} files of 4 KiB, and ten times as many`,
    run: manyFiles,
  },
  {
    name: "publish",
    title: ({ files }) => `${files} files of 4 KiB to a server, published as one directory`,
    run: publication,
  },
  {
    name: "renamed",
    title: ({ files }) => `${files} files of 4 KiB that were renamed to a server that has them`,
    run: renamed,
  },
  {
    name: "udp-echo",
    title: () => "round trips of 64 bytes over UDP, 64 at once, by the client's own clock",
    run: udpEcho,
  },
  {
    name: "resume",
    title: ({ size }) => `${sizeText(size)} to a server that has 90 % of it`,
    run: resume,
  },
  {
    name: "delta",
    title: () => "files of which the receiver has an older version",
    run: delta,
  },
  {
    name: "streams",
    title: () => "one file over several connections, through a proxy that limits each, and near by",
    run: streams,
  },
  {
    name: "threads",
    title: () => "many clients at a time, with one thread and with two",
    run: threads,
  },
  {
    name: "rtt",
    title: () => "1000 files of 4 KiB at a distance",
    run: roundTrips,
  },
  { name: "exec", title: () => "1000 runs of true on one connection", run: manyCommands },
  {
    name: "exec-output",
    title: ({ size }) => `${sizeText(size)} of a command's output`,
    run: commandOutput,
  },
  {
    name: "hooks",
    title: () => "uploads of 4 KiB, 1000 a minute, with programs before or after them",
    run: hooks,
  },
  {
    name: "start",
    title: () => "--version: the time from the start of a program to its end",
    run: start,
  },
  { name: "crowd", title: () => "2000 slow or silent connections to a server", run: crowd },
  {
    name: "s3",
    title: () => "a server over a bucket of Ceph, beside rclone straight to it",
    run: objectStore,
  },
  {
    name: "http-get",
    title: ({ size }) => `GET of ${sizeText(size)} by curl`,
    run: httpGet,
  },
  {
    name: "http-put",
    title: ({ size }) => `PUT of ${sizeText(size)} by curl, which ferryd verifies`,
    run: httpPut,
  },
  {
    name: "http-tus",
    title: ({ size }) => `${sizeText(size)} by tus, in PATCHes of 64 MiB by curl`,
    run: httpTus,
  },
  {
    name: "http-small",
    title: ({ files }) => `GETs of ${files} files of 4 KiB by wrk`,
    run: httpSmall,
  },
  { name: "http-idle", title: () => "1000 idle connections of HTTP", run: httpIdle },
  {
    name: "observe",
    title: ({ files }) => `${files} files of 4 KiB to a server that is observed`,
    run: observe,
  },
  { name: "memory", title: () => "peaks of resident memory", run: memory },
];

/** The programs to compare with, and how each prints its version. */
const PEERS: ReadonlyMap<string, readonly [string, ...string[]]> = new Map([
  ["rsync", ["rsync", "--version"]],
  // scp has no such option; it comes in one package with ssh.
  ["scp", ["ssh", "-V"]],
  ["sshd", [SSHD, "-V"]],
  ["node", ["node", "--version"]],
  ["rclone", ["rclone", "--version"]],
  ["nginx", ["nginx", "-v"]],
  ["curl", ["curl", "--version"]],
  ["wrk", ["wrk", "--version"]],
]);

/** A load average above which medians of a few runs cannot be trusted. */
const BUSY_LOAD = 0.5;

const HELP =
  `Usage: deno task bench:peers [--rounds N] [--size SIZE] [--files N] [--only NAME]... [--dir DIR]
                             [--json FILE]
       deno task bench:peers --before DIR [--rounds N] [--size SIZE] [--files N] [--only NAME]...
                             [--dir DIR]

  --rounds N   how often each contestant runs (default 5)
  --size SIZE  the size of the large file, such as 256MiB (default 1GiB)
  --files N    how many small files a directory has (default 10000)
  --only NAME  run only this case: ${CASES.map(({ name }) => name).join(", ")};
               http is all of http-…
  --before DIR run the programs of this checkout beside those of the checkout DIR, in place of other
               programs; the cases are: ${NAMES.join(", ")}
  --sparse SIZE  measure the memory of deltas of a file with holes of that size, too, such as 20GiB
  --dir DIR    where the temporary directory is made, and so on which disk
  --json FILE  put what was measured into this file, too, in place of earlier measurements of the
               same cases; docs/performance.md is made of docs/performance.json
`;

async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const unknown = (arg: string) => fail(`${arg} is not known (see --help)`);
  const options = parseArgs(argv, {
    boolean: ["help"],
    string: ["rounds", "size", "files", "only", "before", "sparse", "dir", "json"],
    collect: ["only"],
    unknown,
  });
  if (options.help) {
    console.log(HELP);
    return 0;
  }
  const rounds = countOf("--rounds", options.rounds as string ?? "5");
  const files = countOf("--files", options.files as string ?? "10000");
  const size = sizeOf(options.size as string ?? "1GiB");
  const sparse = options.sparse === undefined ? 0 : sizeOf(options.sparse as string, "--sparse");
  const only = options.only as string[];
  const before = options.before as string | undefined;
  const json = options.json as string | undefined;
  if (json !== undefined && before !== undefined) fail("--json is not for --before");
  const cases = CASES.filter(({ name }) =>
    only.length === 0 || only.includes(name) || only.includes(groupOf(name))
  );
  const names = before === undefined ? CASES.flatMap(({ name }) => [name, groupOf(name)]) : NAMES;
  for (const name of only) {
    if (!names.includes(name)) fail(`there is no case ${name} (see --help)`);
  }
  const [load = 0] = Deno.loadavg();
  if (load > BUSY_LOAD) {
    console.log(`other programs are at work here (load ${load.toFixed(1)}): times will vary`);
  }
  const installed = new Set<string>();
  const ferry = `ferry ${VERSION}, Deno ${Deno.version.deno}, ${Deno.build.target}`;
  const versions = new Map([["ferry", ferry]]);
  console.log(ferry);
  for (const [name, command] of before === undefined ? PEERS : []) {
    const version = await versionOf(...command);
    if (version !== undefined) {
      installed.add(name);
      versions.set(name, version.replace(/ ?[(,].*/, ""));
    }
    console.log(`${name.padEnd(6)} ${version ?? "not installed, left out"}`);
  }
  const dir = Deno.makeTempDirSync({
    prefix: "ferry-bench-",
    ...(typeof options.dir === "string" ? { dir: options.dir } : {}),
  });
  const bench: Bench = { rounds, size, files, sparse, dir, installed, signal, timings: [] };
  try {
    if (before !== undefined) {
      await compareWith(before, bench, only);
      return 0;
    }
    for (const { name, title, run } of cases) {
      signal.throwIfAborted();
      const started = performance.now();
      bench.timings = [];
      const result = await run(bench);
      const seconds = ((performance.now() - started) / 1000).toFixed(0);
      console.log(`\n${name}: ${title(bench)} (measured in ${seconds} s)\n${result.trimEnd()}`);
      if (json === undefined) continue;
      record(json, name, {
        title: title(bench),
        command: commandFor(name, argv),
        date: new Date().toISOString().slice(0, 10),
        machine: machine(),
        programs: [...versions].filter(([name]) => result.includes(name)).map(([, text]) => text),
        table: result,
        medians: mediansOf(bench.timings),
      });
    }
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
  return 0;
}

/** The command that measures one case with the same options. */
function commandFor(name: string, argv: readonly string[]): string {
  const options = argv.join(" ").replaceAll(/ ?--(only|json|dir)[ =]\S+/g, "").trim();
  return `deno task bench:peers --only ${name} ${options}`.trim();
}

/** The name by which all cases of HTTP are chosen; of any other case its own. */
function groupOf(name: string): string {
  return name.startsWith("http-") ? "http" : name;
}

function countOf(option: string, text: string): number {
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : fail(`${option} takes a number from 1 on`);
}

function sizeOf(text: string, option = "--size"): number {
  const [, number, unit] = /^([1-9]\d{0,5})(MiB|GiB)$/.exec(text) ??
    fail(`${option} takes a whole number of MiB or GiB, such as 256MiB`);
  return Number(number) * (unit === "GiB" ? 1024 * MIB : MIB);
}

function fail(message: string): never {
  throw new Error(message);
}

if (import.meta.main) await runInterruptibly("bench:peers", (signal) => main(Deno.args, signal));
