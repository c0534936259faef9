/**
 * How a command of `ferry` is run, and what those do that transfer nothing, given their options.
 *
 * @module
 */

import type { OptionTable, OptionValues, ParsedCommandLine } from "../../lib/cli/command_line.ts";
import {
  type ErrorCode,
  FerryError,
  printable,
  quote,
  toFerryError,
} from "../../lib/core/errors.ts";
import type { Entry } from "../../lib/core/entry.ts";
import { isGlob } from "../../lib/core/paths.ts";
import { variable } from "../../lib/cli/permissions.ts";
import type { Client } from "../api/client.ts";
import { type ConnectOptions, connectWithin } from "../api/connect.ts";
import { Credentials } from "./credentials.ts";
import { RateLimit } from "../net/rate_limit.ts";
import type { Retry } from "../net/retry.ts";
import type { COMMON, LS, MKDIR, MV, PING, RM, STAT } from "./options.ts";
import {
  assertBelowRoot,
  assertDistinct,
  inside,
  isInto,
  lastPart,
  mayBeSeveral,
  remoteName,
} from "../transfer/names.ts";
import type { OmissionHandlers } from "../transfer/omissions.ts";
import { Output } from "./output.ts";
import { entriesMatching, expandRemoteGlobs, type GlobOptions, namesMeant } from "./remote_glob.ts";

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
  const common = options as OptionValues<typeof COMMON> & {
    progress?: boolean;
    "dry-run"?: boolean;
  };
  const { json, quiet, "dry-run": dryRun = false } = common;
  const drawn = common.progress === true || (!quiet && !json && Deno.stderr.isTerminal());
  const progress = drawn ? await import("./progress.ts") : undefined;
  const output = new Output({ json, quiet, dryRun, progress });
  const connecting: Promise<Client>[] = [];
  const limitRate = common["limit-rate"];
  const limit = limitRate === undefined ? undefined : new RateLimit(limitRate);
  let credentials: Credentials | undefined;
  let status = 0;
  let taken = false;
  const failed = (op: string, error: unknown, details?: Readonly<Record<string, unknown>>) => {
    // An interruption is nobody's failure.
    if (signal.aborted) throw signal.reason;
    const failure = toFerryError(error);
    taken ||= failure.code === "exists";
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
      // What transfers nothing is soon repeated by whoever wants it.
      const patience = dryRun ? 0 : retries;
      const usual = { timeout, connectTimeout, retries: patience, onRetry, signal };
      const options = { ...usual, ...overrides };
      const connect = async () => {
        credentials ??= new Credentials(common, variable);
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
  if (taken && "overwrite" in options) {
    output.notice("--overwrite says when a name that is taken is replaced (see --help)");
  }
  return status;
}

/** `ferry ls` */
export const ls: Run<typeof LS.options> = async (context, options, args) => {
  const { output, signal } = context;
  const { recursive, partial, human } = options;
  const client = await context.connected();
  if (partial) {
    for await (const part of client.listParts({ signal })) output.part(part, { human });
    return;
  }
  const show = (entry: Entry) => output.entry("list", entry, { human });
  const omissions = tellOnce(context, "list");
  const list = async (name: string) => {
    try {
      for await (const entry of client.list(name, { recursive, ...omissions, signal })) show(entry);
    } catch (error) {
      if (toFerryError(error).code !== "not_a_file") throw error;
      show(await client.stat(name, { signal }));
    }
  };
  for (const name of args.length === 0 ? [""] : args.map(remoteName)) {
    await context.attempt("list", name, async () => {
      const matching = isGlob(name)
        ? await entriesMatching(client, name, { op: "list", ...omissions, signal })
        : undefined;
      if (!matching) return await list(name);
      // What a pattern has found is known already, but for what is in directories.
      for (const entry of matching) {
        if (entry.type === "file") show(entry);
        else await list(entry.filename);
      }
    });
  }
};

/** Tells of what is left out, and of each only once though several arguments come upon it. */
export function tellOnce({ output, failed }: Context, op: string): Required<Told> {
  const told = new Set<string>();
  const isNew = (name: string) => !told.has(name) && told.add(name);
  return {
    onSkip: (skipped) => void (isNew(skipped.path) && output.skipped(op, skipped)),
    onError: (filename, error) => void (isNew(filename) && failed(op, error, { filename })),
    onLiteral: (arg, { reason }) => {
      output.notice(
        `${
          quote(arg)
        } is taken for a name and not for a pattern, since the list of names is denied: ${reason}`,
      );
    },
  };
}

/** What is told while patterns are matched. */
type Told = OmissionHandlers & Pick<GlobOptions, "onLiteral">;

/** Does something to each name that the arguments stand for; one that fails does not stop the others. */
async function forEachName(
  context: Context,
  args: readonly string[],
  op: string,
  run: (client: Client, name: string) => Promise<void>,
): Promise<void> {
  const client = await context.connected();
  const { signal } = context;
  const omissions = tellOnce(context, op);
  for (const arg of args) {
    await context.attempt(op, arg, async () => {
      const names = await expandRemoteGlobs(client, [arg], { op, ...omissions, signal });
      for (const name of names) await context.attempt(op, name, () => run(client, name));
    });
  }
}

/** `ferry stat` */
export const stat: Run<typeof STAT.options> = async (context, { checksum: algorithm }, args) => {
  const { output, signal } = context;
  await forEachName(context, args, "stat", async (client, name) => {
    output.details(await client.stat(name, { algorithm, signal }));
  });
};

/** `ferry rm` */
export const rm: Run<typeof RM.options> = async (context, { recursive, partial }, args) => {
  const { output, signal } = context;
  if (partial) return await rmPartial(context, recursive, args);
  await forEachName(context, args, "remove", async (client, filename) => {
    assertBelowRoot(filename, "remove");
    await client.remove(filename, { recursive, signal });
    output.done("remove", { filename });
  });
};

/** `ferry rm --partial` */
async function rmPartial(
  context: Context,
  recursive: boolean,
  args: readonly string[],
): Promise<void> {
  const { output, signal } = context;
  const client = await context.connected();
  const op = "remove the partial uploads of";
  let known: ReadonlySet<string> | undefined;
  const all = async () => {
    const parts = await Array.fromAsync(client.listParts({ signal }));
    return known ??= new Set(parts.map(({ filename }) => filename));
  };
  for (const name of args.map(remoteName)) {
    await context.attempt("remove", name, async () => {
      const several = recursive || isGlob(name);
      const names = several ? namesMeant(name, await all(), { recursive, op }) : [name];
      for (const filename of names) {
        await context.attempt("remove", filename, async () => {
          await client.discardParts(filename, { signal });
          output.done("remove", { filename, partial: true });
        });
      }
    });
  }
}

/** `ferry mv` */
export const mv: Run<typeof MV.options> = async (context, { overwrite }, args) => {
  const { output, signal } = context;
  const client = await context.connected();
  const omissions = tellOnce(context, "move");
  const globs = { op: "move", ...omissions, signal };
  const sources = await expandRemoteGlobs(client, args.slice(0, -1), globs);
  const last = args.at(-1)!;
  const target = remoteName(last);
  const into = isInto(last, /\//) || mayBeSeveral(args.slice(0, -1), sources);
  const pairs = sources.map((name) => [name, inside(target, lastPart(name))] as const);
  if (into) assertDistinct(pairs);
  for (const [filename, within] of pairs) {
    await context.attempt("move", filename, async () => {
      assertBelowRoot(filename, "move");
      const move = async (to: string) => {
        await client.move(filename, to, { overwrite, signal });
        output.done("move", { filename, to });
      };
      try {
        await move(into ? within : target);
      } catch (error) {
        // Whether the name is that of a directory is asked only where it turned out to be taken.
        if (into || !TAKEN.has(toFerryError(error).code)) throw error;
        const there = await client.stat(target, { signal }).catch(() => undefined);
        if (there?.type !== "directory") throw error;
        await move(within);
      }
    });
  }
};

/** What a server says where a name is that of a directory that is there. */
const TAKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["exists", "not_a_file"]);

/** `ferry mkdir` */
export const mkdir: Run<typeof MKDIR.options> = async (context, _options, [arg = ""]) => {
  const filename = remoteName(arg);
  assertBelowRoot(filename, "make the directory");
  const client = await context.connected();
  await client.mkdir(filename, context);
  context.output.done("mkdir", { filename });
};

/** `ferry ping` */
export const ping: Run<typeof PING.options> = async (context) => {
  const client = await context.connected();
  const started = performance.now();
  const { problem, shortcomings } = await client.ping(context);
  const seconds = secondsSince(started);
  if (problem !== undefined) {
    throw new FerryError("io", `The server answers, but cannot serve: ${problem}`);
  }
  context.output.done("ping", { seconds, server: client.hello.agent, shortcomings });
  context.output.line(
    `${printable(client.hello.agent)} answered in ${(seconds * 1000).toFixed(2)} ms`,
  );
  for (const shortcoming of shortcomings) {
    context.output.notice(`${printable(shortcoming)} (on the server)`);
  }
};

/** How long ago something of `performance.now()` was. */
export function secondsSince(started: number): number {
  return (performance.now() - started) / 1000;
}
