/**
 * What each command of `ferry` does, given its options.
 *
 * @module
 */

import type { OptionTable, OptionValues, ParsedCommandLine } from "../lib/command_line.ts";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import { basename, isGlob, join, resolve } from "../lib/path.ts";
import type { Client } from "./client.ts";
import { type ConnectOptions, connectWithin } from "./connect.ts";
import { Credentials } from "./credentials.ts";
import type { Filter } from "./filter.ts";
import { expandGlobs } from "./local_tree.ts";
import { expandRemoteGlobs } from "./remote_glob.ts";
import type { Progress, TreeOptions } from "./options.ts";
import { RateLimit } from "./rate_limit.ts";
import type { Retry } from "./retry.ts";
import type { COMMON, GET, LS, MKDIR, MV, PING, PUT, RM, STAT } from "./config.ts";
import { Output, type Tally } from "./output.ts";
import { STANDARD_OUTPUT, standardInput } from "./standard_streams.ts";

/** The options of a command: those that every one has, and its own. */
export type Table = Pick<typeof COMMON, "json" | "quiet"> & OptionTable;

/** What a command works with. */
export interface Context {
  /**
   * The client, connected; each of several jobs has its own. Its idle time may be another than `--timeout`
   * where that is something else.
   */
  connected(job?: number, options?: Pick<ConnectOptions, "timeout">): Promise<Client>;
  /** Where results go. */
  output: Output;
  /** Says that the user wants it to end. */
  signal: AbortSignal;
  /** Runs one of several independent parts; its failure is reported and does not stop the others. */
  attempt(op: string, filename: string, run: () => Promise<void>): Promise<void>;
  /** Reports the failure of one of several parts, and remembers the exit status. */
  failed(op: string, error: unknown, details: Readonly<Record<string, unknown>>): void;
}

/** Runs a command whose options and arguments have been read; may give an exit status of its own. */
export type Run<T extends OptionTable> = (
  context: Context,
  options: OptionValues<T>,
  args: string[],
) => Promise<number | void>;

/** Runs a command and gives the exit status: that of the first thing that failed. */
export async function start<T extends Table>(
  { options, args }: ParsedCommandLine<T>,
  run: Run<T>,
  signal: AbortSignal,
): Promise<number> {
  const common = options as OptionValues<typeof COMMON> & { progress?: boolean };
  const { json, quiet } = common;
  const drawn = common.progress === true || (!quiet && !json && Deno.stderr.isTerminal());
  const progress = drawn ? await import("./progress.ts") : undefined;
  const output = new Output({ json, quiet, progress });
  const connecting: Promise<Client>[] = [];
  const limitRate = common["limit-rate"];
  const limit = limitRate === undefined ? undefined : new RateLimit(limitRate);
  let credentials: Credentials | undefined;
  let status = 0;
  const failed = (op: string, error: unknown, details?: Readonly<Record<string, unknown>>) => {
    // An interruption is nobody's failure.
    if (signal.aborted) throw signal.reason;
    const failure = toFerryError(error);
    output.error(op, failure, details);
    status ||= failure.exitStatus;
  };
  const context: Context = {
    failed,
    output,
    signal,
    connected(job = 0, overrides = {}) {
      const { server, timeout, "connect-timeout": connectTimeout, retries } = common;
      const onRetry = (retry: Retry) => output.retry(retry);
      const usual = { timeout, connectTimeout, retries, onRetry, signal };
      const options = { ...usual, ...overrides };
      const connect = async () => {
        credentials ??= new Credentials(common, (name) => Deno.env.get(name));
        return await credentials.connect(server, (shown) => {
          return connectWithin(limit, server, { ...options, ...shown });
        });
      };
      // One that could not be made, retries and all, is not tried anew for each of many files.
      return connecting[job] ??= connect();
    },
    async attempt(op, filename, part) {
      try {
        await part();
      } catch (error) {
        failed(op, error, { filename });
      }
    },
  };
  try {
    status = await run(context, options, args) || status;
  } catch (error) {
    failed(run.name, error);
  } finally {
    for (const end of await Promise.allSettled(connecting)) {
      if (end.status === "fulfilled") await end.value[Symbol.asyncDispose]();
    }
  }
  return status;
}

/** Runs something for each item, so many at a time, each over a connection of its own. */
async function share<T>(
  context: Context,
  items: readonly T[],
  { jobs, op, nameOf }: { jobs: number; op: "put" | "get"; nameOf(item: T): string },
  run: (client: Client, item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const work = async (job: number) => {
    for (const item of left) {
      await context.attempt(op, nameOf(item), async () => run(await context.connected(job), item));
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, items.length) }, (_, job) => work(job)));
}

interface Source {
  path: string;
  filename: string;
}

/** `ferry put` */
export const put: Run<typeof PUT.options> = async (context, options, args) => {
  const { as, to, overwrite, preserve, "hash-first": hashFirst, follow, jobs } = options;
  const { checksum: algorithm, "no-resume": noResume } = options;
  const paths = expandGlobs(args);
  if (as !== undefined && paths.length > 1) {
    throw new FerryError("usage", "--as gives one name, and several files are to be uploaded");
  }
  if (paths.includes("-") && as === undefined) {
    throw new FerryError(
      "usage",
      "standard input has no name: say with --as what it is to be called",
    );
  }
  const { output, signal } = context;
  const toDirectory = to?.replace(/^\/+|\/+$/g, "");
  const sources = paths.map((path): Source => {
    const name = as ?? basename(resolve(path));
    return { path, filename: toDirectory ? `${toDirectory}/${name}` : name };
  });
  const common = { overwrite, preserve, hashFirst, algorithm, resume: !noResume, signal };
  const nameOf = ({ filename }: Source) => filename;
  const isTree = ({ path }: Source) => path !== "-" && isDirectory(path);
  const files = sources.filter((source) => !isTree(source));
  if (files.length > 1) {
    output.startMany();
    output.plan(files.length, files.reduce((sum, { path }) => sum + sizeOf(path), 0));
  }
  await share(context, files, { jobs, op: "put", nameOf }, async (client, { path, filename }) => {
    const started = performance.now();
    const onProgress = (progress: Progress) => output.progress(progress, started);
    const source = path === "-" ? standardInput() : path;
    const result = await client.put(source, { ...common, as: filename, onProgress });
    output.transferred("put", result.filename, result, secondsSince(started));
  });
  output.endMany();
  const trees = sources.filter(isTree);
  await share(context, trees, { jobs: 1, op: "put", nameOf }, async (client, source) => {
    const started = performance.now();
    const tree = await treeOptions("put", context, options);
    await client.putTree(source.path, {
      ...common,
      ...tree.options,
      as: source.filename,
      follow,
      checksumCompare: options["checksum-compare"],
      onProgress: (progress) => output.progress(progress, started),
      onSkip: ({ path, reason }) => output.notice(`skipped ${quote(path)}: ${reason}`),
    });
    output.summary(tree.tally, secondsSince(started), { dryRun: options["dry-run"] });
  });
};

/** `ferry get` */
export const get: Run<typeof GET.options> = async (context, options, args) => {
  const { out, overwrite, preserve, durability, jobs, checksum: algorithm } = options;
  const intoDirectory = out !== undefined && (out.endsWith("/") || isDirectory(out));
  const { output, signal } = context;
  const names = args.some(isGlob)
    ? await expandRemoteGlobs(await context.connected(), args, { signal })
    : args;
  if (out !== undefined && names.length > 1 && !intoDirectory && out !== "-") {
    throw new FerryError("usage", `${quote(out)} is no directory, and several files are to be got`);
  }
  const resume = !options["no-resume"];
  const common = { overwrite, preserve, durability, algorithm, resume, signal };
  const pathFor = (name: string) => {
    const own = basename(name);
    return out === undefined ? own || "." : intoDirectory ? join(out, own) : out;
  };
  const nameOf = (name: string) => name;
  const trees: string[] = [];
  if (names.length > 1) output.startMany();
  // One behind the other where they are to be one stream.
  const filesAtOnce = out === "-" ? 1 : jobs;
  await share(context, names, { jobs: filesAtOnce, op: "get", nameOf }, async (client, arg) => {
    const started = performance.now();
    const onProgress = (progress: Progress) => output.progress(progress, started);
    if (out === "-") {
      await client.get(arg, { ...common, out: STANDARD_OUTPUT, onProgress });
      return;
    }
    // Whether it is a directory costs a round trip, so it is asked only where it was no file.
    try {
      const result = await client.get(arg, { ...common, out: pathFor(arg), onProgress });
      output.transferred("get", pathFor(arg), result, secondsSince(started));
    } catch (error) {
      const name = arg.replace(/\/+$/, "");
      if (!mayBeDirectory(arg, error)) throw error;
      const entry = await client.stat(name, { signal }).catch(() => undefined);
      if (entry?.type !== "directory") throw error;
      trees.push(name);
    }
  });
  output.endMany();
  await share(context, trees, { jobs: 1, op: "get", nameOf }, async (client, name) => {
    const started = performance.now();
    const path = pathFor(name);
    const tree = await treeOptions("get", context, options, (filename) => {
      return join(path, name === "" ? filename : filename.slice(name.length + 1));
    });
    const onProgress = (progress: Progress) => output.progress(progress, started);
    await client.getTree(name, { ...common, ...tree.options, out: path, onProgress });
    output.summary(tree.tally, secondsSince(started), { dryRun: options["dry-run"] });
  });
};

/** Whether a failed download may have been one of a directory, which people write with a slash too. */
function mayBeDirectory(arg: string, error: unknown): boolean {
  if (!(error instanceof FerryError)) return false;
  return error.code === "not_a_file" || error.code === "bad_name" && /^$|[^/]\/$/.test(arg);
}

async function filterOf(include: readonly string[], exclude: readonly string[]): Promise<Filter> {
  const { Filter } = await import("./filter.ts");
  return new Filter({ ...(include.length > 0 ? { include } : {}), exclude });
}

/** The options of a transfer of a directory that say what is meant and report what becomes of it. */
async function treeOptions(
  op: "put" | "get",
  { output, failed }: Context,
  { include, exclude, "dry-run": dryRun, jobs }: {
    include: string[];
    exclude: string[];
    "dry-run": boolean;
    jobs: number;
  },
  shownAs = (filename: string) => filename,
): Promise<{ options: TreeOptions; tally: Tally }> {
  const tally: Tally = { moved: 0, unchanged: 0, failed: 0, bytes: 0 };
  const filter = include.length + exclude.length > 0 ? await filterOf(include, exclude) : undefined;
  const started = performance.now();
  output.startMany();
  const options: TreeOptions = {
    filter,
    dryRun,
    jobs,
    onPlan: (files, bytes) => output.plan(files, bytes),
    onFile(result) {
      tally.bytes += result.transferred;
      if (result.skipped) tally.unchanged++;
      else tally.moved++;
      const shown = shownAs(result.filename);
      if (dryRun && !result.skipped) output.planned(op, shown, result);
      else output.transferred(op, shown, result, secondsSince(started), { tree: true });
    },
    onError(filename, error) {
      tally.failed++;
      failed(op, error, { filename });
    },
  };
  return { options, tally };
}

/** `ferry ls` */
export const ls: Run<typeof LS.options> = async (context, options, [directory]) => {
  const { output, signal } = context;
  const { recursive, partial } = options;
  const client = await context.connected();
  if (partial) {
    for await (const part of client.listParts({ signal })) output.part(part);
    return;
  }
  for await (const entry of client.list(directory, { recursive, signal })) {
    output.entry("list", entry);
  }
};

/** `ferry stat` */
export const stat: Run<typeof STAT.options> = async (context, options, names) => {
  const { signal } = context;
  const { checksum: algorithm } = options;
  for (const name of names) {
    await context.attempt("stat", name, async () => {
      const client = await context.connected();
      context.output.details(await client.stat(name, { algorithm, signal }));
    });
  }
};

/** `ferry rm` */
export const rm: Run<typeof RM.options> = async (context, { recursive }, names) => {
  for (const filename of names) {
    await context.attempt("remove", filename, async () => {
      const client = await context.connected();
      await client.remove(filename, { recursive, signal: context.signal });
      context.output.done("remove", { filename });
    });
  }
};

/** `ferry mv` */
export const mv: Run<typeof MV.options> = async (context, { overwrite }, args) => {
  const [from = "", to = ""] = args;
  const client = await context.connected();
  await client.move(from, to, { overwrite, signal: context.signal });
  context.output.done("move", { filename: from, to });
};

/** `ferry mkdir` */
export const mkdir: Run<typeof MKDIR.options> = async (context, _options, args) => {
  const [filename = ""] = args;
  const client = await context.connected();
  await client.mkdir(filename, context);
  context.output.done("mkdir", { filename });
};

/** `ferry ping` */
export const ping: Run<typeof PING.options> = async (context) => {
  const client = await context.connected();
  const started = performance.now();
  await client.ping(context);
  const seconds = secondsSince(started);
  context.output.done("ping", { seconds, server: client.hello.agent });
  context.output.line(`${client.hello.agent} answered in ${(seconds * 1000).toFixed(2)} ms`);
};

function isDirectory(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

/** What is known of a file's size; a pipe has none, and what cannot be read fails later. */
function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
