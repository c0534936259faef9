/**
 * `ferry put` and `ferry get`.
 *
 * @module
 */

import type { OptionValues } from "../../lib/cli/command_line.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { isGlob, join } from "../../lib/core/paths.ts";
import {
  assertDistinctHere,
  assertDistinctOnServer,
  NameCollisions,
} from "../transfer/name_collisions.ts";
import type { Client } from "../api/client.ts";
import { type Context, type Run, secondsSince, tellOnce } from "./commands.ts";
import type { CAT, GET, PUT } from "./options.ts";
import { isStandardOutput, isStream } from "../transfer/destination.ts";
import type { Filter } from "../transfer/filter.ts";
import { expandGlobs } from "../transfer/local_tree.ts";
import {
  assertDistinct,
  LocalTarget,
  mayBeSeveral,
  nameOnServer,
  remoteName,
} from "../transfer/names.ts";
import type { Progress, TreeOptions } from "../transfer/options.ts";
import { localFailure } from "../transfer/local_failure.ts";
import { expandRemoteGlobs } from "./remote_glob.ts";
import { STANDARD_OUTPUT, standardInput } from "./stdio.ts";

/** How {@linkcode share} runs something. */
interface Sharing<T> {
  /** How many at a time. */
  jobs: number;
  op: "put" | "get";
  nameOf(item: T): string;
  /** Where an item goes. Undefined where nothing is replaced by nothing else of the same run. */
  placeOf?: ((item: T) => string) | undefined;
  /** Fails where an item would take the place of another one, which comes before it. */
  assertOther?(client: Client, item: T, before: string): Promise<void>;
}

/**
 * Runs something for each item, so many at a time, each over a connection of its own. What some file system may take
 * for another one comes last, one after the other.
 */
async function share<T>(
  context: Context,
  items: readonly T[],
  { jobs, op, nameOf, placeOf, assertOther }: Sharing<T>,
  run: (client: Client, item: T) => Promise<void>,
): Promise<void> {
  const clashes = new NameCollisions();
  const before = new Map<T, string>();
  for (const item of placeOf ? items : []) {
    const other = clashes.before(placeOf!(item));
    if (other !== undefined) before.set(item, other);
  }
  const left = items.filter((item) => !before.has(item)).values();
  const work = async (items: Iterable<T>, job = 0) => {
    for (const item of items) {
      await context.attempt(op, nameOf(item), async () => {
        const client = await context.connected(job);
        try {
          const other = before.get(item);
          if (other !== undefined) await assertOther?.(client, item, other);
        } catch (error) {
          throw toFerryError(error).during(`${op} ${quote(nameOf(item))}`);
        }
        await run(client, item);
      });
    }
  };
  const length = Math.min(jobs, items.length);
  await Promise.all(Array.from({ length }, (_, job) => work(left, job)));
  await work(before.keys());
}

interface Source {
  path: string;
  filename: string;
}

/** `ferry put` */
export const put: Run<typeof PUT.options> = async (context, options, args) => {
  const { as, overwrite, preserve, "hash-first": hashFirst, follow, jobs } = options;
  const { checksum: algorithm, "no-resume": noResume, "dry-run": dryRun } = options;
  const began = performance.now();
  const onError = (path: string, error: FerryError) => {
    const failure = localFailure(error, path).during(`put ${quote(path)}`);
    context.failed("put", failure, { filename: path });
  };
  const paths = await expandGlobs(args, { onError });
  if (as !== undefined && paths.length > 1) {
    throw new FerryError("usage", "--as gives one name, and several files are to be uploaded");
  }
  const { output, signal } = context;
  const sources = [...new Set(paths)].map((path): Source => {
    return { path, filename: nameOnServer(path, options) };
  });
  assertDistinct(sources.map(({ path, filename }) => [path, filename]));
  const common = { overwrite, preserve, hashFirst, algorithm, resume: !noResume, dryRun, signal };
  const nameOf = ({ filename }: Source) => filename;
  const isTree = ({ path }: Source) => path !== "-" && isDirectory(path);
  const files = sources.filter((source) => !isTree(source));
  if (files.length > 1) {
    output.startMany();
    output.plan(files.length, files.reduce((sum, { path }) => sum + sizeOf(path), 0));
  }
  const sharing: Sharing<Source> = {
    jobs,
    op: "put",
    nameOf,
    placeOf: dryRun ? undefined : nameOf,
    assertOther: (client, { filename }, before) => assertDistinctOnServer(filename, before, client),
  };
  await share(context, files, sharing, async (client, { path, filename }) => {
    const started = performance.now();
    const onProgress = (progress: Progress) => output.progress(progress, started);
    const source = path === "-" ? standardInput() : path;
    const result = await client.put(source, { ...common, as: filename, onProgress });
    output.transferred("put", result.filename, result, secondsSince(started));
  });
  output.endMany();
  const trees = sources.filter(isTree);
  let whole = 0;
  await share(context, trees, { jobs: 1, op: "put", nameOf }, async (client, source) => {
    const started = performance.now();
    const tree = await treeOptions("put", context, options);
    await client.putTree(source.path, {
      ...common,
      ...tree,
      as: source.filename,
      follow,
      checksumCompare: options["checksum-compare"],
      onProgress: (progress) => output.progress(progress, started),
    });
    whole++;
  });
  output.endMany();
  output.summary(secondsSince(began), { trees: whole > 0 });
};

/** `ferry get` */
export const get: Run<typeof GET.options> = async (context, options, args) => {
  const { out, overwrite, preserve, durability, jobs, checksum: algorithm } = options;
  const { output, signal } = context;
  const began = performance.now();
  const expanded = args.some(isGlob)
    ? await expandRemoteGlobs(await context.connected(), args, {
      op: "get",
      ...tellOnce(context, "get"),
      signal,
    })
    : args.map(remoteName);
  const names = [...new Set(expanded)];
  const toStandardOutput = out === "-" || out !== undefined && isStandardOutput(out);
  const stream = toStandardOutput || out !== undefined && isStream(out);
  const target = stream ? undefined : new LocalTarget(out, { many: mayBeSeveral(args, names) });
  if (target) assertDistinct(names.map((name) => [name, target.ofFile(name)]));
  const resume = !options["no-resume"];
  const dryRun = options["dry-run"];
  const common = { overwrite, preserve, durability, algorithm, resume, dryRun, signal };
  const nameOf = (name: string) => name;
  const trees: string[] = [];
  if (names.length > 1) output.startMany();
  // One behind the other where they are to be one stream.
  const filesAtOnce = stream ? 1 : jobs;
  const sharing: Sharing<string> = {
    jobs: filesAtOnce,
    op: "get",
    nameOf,
    placeOf: dryRun || !target ? undefined : (name) => target.ofFile(name),
    assertOther: (_, name, before) => assertDistinctHere(target!.ofFile(name), before),
  };
  await share(context, names, sharing, async (client, name) => {
    const started = performance.now();
    const onProgress = (progress: Progress) => output.progress(progress, started);
    const path = target ? target.ofFile(name) : out!;
    // Whether it is a directory costs a round trip, so it is asked only where it was no file.
    try {
      const into = toStandardOutput ? STANDARD_OUTPUT : path;
      const result = await client.get(name, { ...common, out: into, onProgress });
      // Among the bytes of the file, lines would be taken for some of them.
      if (toStandardOutput && !dryRun) return output.count(result);
      output.transferred("get", path, result, secondsSince(started));
    } catch (error) {
      if (!target || !mayBeDirectory(name, error)) throw error;
      const entry = await client.stat(name, { signal }).catch(() => undefined);
      if (entry?.type !== "directory") throw error;
      trees.push(name);
    }
  });
  output.endMany();
  let whole = 0;
  await share(context, trees, { jobs: 1, op: "get", nameOf }, async (client, name) => {
    const started = performance.now();
    const path = target!.ofDirectory(name);
    const tree = await treeOptions("get", context, options, (filename) => {
      return join(path, name === "" ? filename : filename.slice(name.length + 1));
    });
    const onProgress = (progress: Progress) => output.progress(progress, started);
    await client.getTree(name, { ...common, ...tree, out: path, onProgress });
    whole++;
  });
  output.endMany();
  output.summary(secondsSince(began), { trees: whole > 0 });
};

/** What `ferry get` takes besides, as it is for `ferry cat`. */
const PLAIN = {
  "dry-run": false,
  durability: "full",
  exclude: [],
  include: [],
  jobs: 1,
  "no-resume": false,
  out: "-",
  overwrite: "never",
  preserve: false,
  recursive: false,
} satisfies Partial<OptionValues<typeof GET.options>>;

/** `ferry cat` */
export const cat: Run<typeof CAT.options> = (context, options, args) => {
  return get(context, { ...PLAIN, ...options }, args);
};

/** Whether a failed download may have been one of a directory; the root is one, and its name is that of no file. */
function mayBeDirectory(name: string, error: unknown): boolean {
  if (!(error instanceof FerryError)) return false;
  return error.code === "not_a_file" || error.code === "bad_name" && name === "";
}

async function filterOf(include: readonly string[], exclude: readonly string[]): Promise<Filter> {
  const { Filter } = await import("../transfer/filter.ts");
  return new Filter({ ...(include.length > 0 ? { include } : {}), exclude });
}

/** The options of a transfer of a directory that say what is meant and report what becomes of it. */
async function treeOptions(
  op: "put" | "get",
  { output, failed }: Context,
  { include, exclude, jobs }: { include: string[]; exclude: string[]; jobs: number },
  shownAs = (filename: string) => filename,
): Promise<TreeOptions> {
  const filter = include.length + exclude.length > 0 ? await filterOf(include, exclude) : undefined;
  const started = performance.now();
  output.startMany();
  return {
    filter,
    jobs,
    onPlan: (files, bytes) => output.plan(files, bytes),
    onFile(result) {
      const shown = shownAs(result.filename);
      output.transferred(op, shown, result, secondsSince(started), { tree: true });
    },
    onSkip: (skipped) => output.skipped(op, skipped),
    onError: (filename, error) => failed(op, error, { filename }),
  };
}

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
