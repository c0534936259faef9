/**
 * Compares the files of a directory that is to be published with those that are staged already, and with those of the
 * directory that it will replace, which are carried over where they are the same.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import type { StagedTree } from "../storage/staged_trees.ts";
import type { Storage } from "../storage/storage.ts";
import {
  type ComparedFile,
  type CompareOptions,
  type ComparisonResult,
  isSameAtAGlance,
  type LookedUp,
  lookUp,
  resultOf,
} from "./comparison.ts";

/**
 * Compares files, and yields a result for each that the client has to do something for; nothing for a file that is part
 * of the staged tree by now.
 *
 * @param storage where the directory is that will be replaced
 */
export async function* compareStaged(
  storage: Storage,
  tree: StagedTree,
  files: AsyncIterable<readonly ComparedFile[]>,
  options: CompareOptions,
): AsyncGenerator<ComparisonResult, void, void> {
  const pace = new Pace();
  // Whatever is staged was sent by an earlier attempt, so the policy is not about it.
  const content = options.content || tree.doubtful;
  const staging: CompareOptions = { ...options, overwrite: "different", content };
  for await (const some of files) {
    if (pace.isDue) await pace.rest();
    const staged = await lookUp(tree, some, staging);
    const published = await lookUp(storage, some, options);
    for (const [turn, file] of some.entries()) {
      if (pace.isDue) await pace.rest();
      const here = staged[turn]!;
      const wish = isSameAtAGlance(file, here.existing, staging)
        ? undefined
        : await resultOf(tree, { file, ...here }, staging);
      if (!wish) tree.confirm(here.name!);
      // The checksum decides; or the name is refused, whatever there is.
      else if (wish.decision === "hash" || here.existing instanceof FerryError) yield wish;
      else {
        const result = await carried(storage, tree, { file, ...published[turn]! }, options);
        if (result) yield result;
      }
    }
  }
}

/**
 * Brings entries of the directory that will be replaced over into the staged tree, as they are: files, symbolic links
 * and directories without their content. Yields a result for each that cannot be: a wish for one that has vanished, so
 * that the client knows.
 */
export async function* keepInStaged(
  tree: StagedTree,
  files: AsyncIterable<readonly ComparedFile[]>,
  { assertMay }: { assertMay(filename: string): void },
): AsyncGenerator<ComparisonResult, void, void> {
  const pace = new Pace();
  for await (const some of files) {
    for (const { filename } of some) {
      if (pace.isDue) await pace.rest();
      try {
        assertMay(filename);
        if (!await tree.keep(parseFileName(filename))) yield { filename, decision: "send" };
      } catch (reason) {
        const error = toFerryError(reason);
        // An unexpected error is not about this file alone, so it ends the comparison.
        if (error.code === "internal") throw error;
        yield { filename, decision: "error", error };
      }
    }
  }
}

/** The result for a file that is not staged; undefined if it was carried over from the directory that has the name. */
async function carried(
  storage: Storage,
  tree: StagedTree,
  { file, name, existing }: LookedUp & { file: ComparedFile },
  options: CompareOptions,
): Promise<ComparisonResult | undefined> {
  const { filename } = file;
  // What is no file will be replaced by one.
  if (!existing || existing instanceof FerryError || existing.type !== "file") {
    return { filename, decision: "send" };
  }
  const result = isSameAtAGlance(file, existing, options)
    ? undefined
    : await resultOf(storage, { file, name, existing }, options);
  if (result) return result;
  return await tree.carryOver(name!, existing) ? undefined : { filename, decision: "send" };
}
