/**
 * What `ferry put` and `ferry get` have in common: several transfers at a time, and the options and reports of whole
 * directories.
 *
 * @module
 */

import type { OptionValues } from "../../lib/cli/command_spec.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Client } from "../api/client.ts";
import { NameCollisions } from "../transfer/name_collisions.ts";
import type { Filter } from "../transfer/filter.ts";
import type { TransferOptions, TreeOptions } from "../transfer/options.ts";
import type { Context } from "./command.ts";
import type { MIRROR } from "./options.ts";
import { secondsSince } from "./output.ts";
import type { TransferOutput } from "./transfer_output.ts";

/** The direction of a transfer. */
export type Direction = "get" | "put";

/** Options of {@linkcode forEachItem}. */
export interface ItemOptions<T> {
  /** How many items are processed at the same time. */
  jobs: number;
  /** The direction, for reports. */
  op: Direction;
  /** The name of an item in reports. */
  nameOf(item: T): string;
  /** The place where an item is stored. Undefined where no two items can be stored at the same place. */
  placeOf?: ((item: T) => string) | undefined;
  /** Throws where an item would replace an earlier one. */
  assertOther?(client: Client, item: T, before: string): Promise<void>;
}

/**
 * Runs something for each item, several at the same time, each over a connection of its own. Items whose places a file
 * system may take for that of an earlier item, such as names that differ only in case, come last and one by one.
 */
export async function forEachItem<T>(
  context: Context,
  items: readonly T[],
  { jobs, op, nameOf, placeOf, assertOther }: ItemOptions<T>,
  run: (client: Client, item: T) => Promise<void>,
): Promise<void> {
  const collisions = new NameCollisions();
  const before = new Map<T, string>();
  for (const item of placeOf ? items : []) {
    const other = collisions.before(placeOf!(item));
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

/** Options of the command line that select what is transferred of a directory, and what is deleted. */
type Selection = { include: string[]; exclude: string[]; jobs: number } & MirrorValues;

/** The values of {@linkcode MIRROR}. */
export type MirrorValues = OptionValues<typeof MIRROR>;

/** Whether a command line asks for a mirror, which is one of a directory. */
export function asksForMirror(values: MirrorValues): boolean {
  const { delete: wanted, backup, "delete-excluded": excluded, "max-delete": maxDelete } = values;
  if (!wanted && (excluded || maxDelete !== undefined || values.force)) {
    const name = excluded ? "delete-excluded" : maxDelete !== undefined ? "max-delete" : "force";
    throw new FerryError("usage", `--${name} goes with --delete`);
  }
  return wanted || backup !== undefined;
}

/** The options of the library for a mirror. */
function mirrorOptions(
  { delete: wanted, "delete-excluded": excluded, "max-delete": maxDelete, force }: MirrorValues,
): Pick<TreeOptions, "delete"> {
  return wanted ? { delete: { excluded, maxDelete, force } } : {};
}

/** The failure of a mirror of something that is not a directory. */
export function notMirrored(op: Direction, name: string): FerryError {
  return isFile(op, name, "--delete and --backup are for directories");
}

/** The failure of a transfer with options that are for directories, of something that is not one. */
export function isFile(op: Direction, name: string, options: string): FerryError {
  const reason = `${options}, and it is a file`;
  return new FerryError("usage", reason, { action: `${op} ${quote(name)}` });
}

/**
 * Options for the transfer of a directory: what to transfer of it, and handlers that report the results.
 *
 * @param shownAs the name that is shown for a file
 */
export async function treeOptions(
  op: Direction,
  { failed, output }: Context,
  transfers: TransferOutput,
  { include, exclude, jobs, ...mirror }: Selection,
  shownAs = (filename: string) => filename,
): Promise<TreeOptions> {
  const filter = include.length + exclude.length > 0 ? await filterOf(include, exclude) : undefined;
  const started = performance.now();
  output.progress.startMany();
  return {
    filter,
    jobs,
    ...mirrorOptions(mirror),
    onDelete: (deleted) => transfers.deleted(op, shownAs(deleted.filename), deleted),
    onPlan: (files, bytes) => output.progress.plan(files, bytes),
    onFile(result) {
      const shown = shownAs(result.filename);
      transfers.transferred(op, shown, result, secondsSince(started), { tree: true });
    },
    onSkip: (skipped) => output.skipped(op, skipped),
    onError: (filename, error) => failed(op, error, { filename }),
  };
}

/** Over how many connections a large file is moved. It is said once if there are fewer than was asked for. */
export function streamOptions(
  { output }: Pick<Context, "output">,
  streams: number | undefined,
): Pick<TransferOptions, "streams" | "onFewerStreams"> {
  let told = false;
  const onFewerStreams = (opened: number, { reason }: FerryError) => {
    if (!told) {
      output.notice(`only ${opened} of ${streams ?? "more"} streams could be opened: ${reason}`);
    }
    told = true;
  };
  return { streams: streams ?? "auto", onFewerStreams };
}

async function filterOf(include: readonly string[], exclude: readonly string[]): Promise<Filter> {
  const { Filter } = await import("../transfer/filter.ts");
  return new Filter({ ...(include.length > 0 ? { include } : {}), exclude });
}
