/**
 * Counts what is in a root, for its quotas.
 *
 * @module
 */

import { fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import { Quota } from "../quota.ts";
import { RECORDS_DIRECTORY } from "../subtree.ts";
import type { AreaTrees, KeptTree } from "./area_trees.ts";
import type { Directory } from "./open_directory.ts";
import type { Root } from "./root.ts";
import type { ServedRoot } from "./served_root.ts";
import type { MergeQueue } from "./sorted_names.ts";
import { eachBelow, type EachBelowOptions } from "./tree_walk.ts";

/** Counts all files in a root for the quota. */
export async function countFiles(
  quota: Quota,
  root: Root,
  { trees, ...options }: { signal: AbortSignal; merges: MergeQueue; trees: () => AreaTrees[] },
): Promise<void> {
  try {
    const onFound = (info: Deno.FileInfo) => quota.found(info);
    await eachBelow(root.directory, {
      peek: (directory, name) => {
        try {
          return root.peek(directory, name);
        } catch {
          // It is the state directory.
          return undefined;
        }
      },
      onFound,
      ...options,
    });
    for (const staged of trees()) {
      for (const tree of staged.all) await countTree(staged, tree, { onFound, ...options });
    }
    const own = root.confinedTo(RECORDS_DIRECTORY);
    using place = own.look(RECORDS_DIRECTORY);
    if (!place?.info.isDirectory) return;
    using records = own.enter(RECORDS_DIRECTORY);
    await eachBelow(records, { peek: (...at) => own.peek(...at), onFound, ...options });
  } catch (error) {
    throw fileError(error).during("count what the quota has to count");
  }
}

/** Counts the files of a staged tree, unless it is gone. */
async function countTree(
  trees: AreaTrees,
  tree: KeptTree,
  work: Omit<EachBelowOptions, "peek">,
): Promise<void> {
  if (trees.get(tree.file) !== tree) return;
  try {
    using own = trees.open(tree);
    // Its record does not count.
    const peek = (above: Directory, name: string) => {
      const info = infoAt(above.at(name));
      return above.identity === own.identity && !info?.isDirectory ? undefined : info;
    };
    await eachBelow(own, { peek, ...work });
  } catch (error) {
    if (fileError(error).code !== "not_found") throw error;
  }
}

/**
 * The bytes of the files below directories, of what is being put together there, and of the partial uploads that nobody
 * writes at the moment. A file with several names counts once.
 */
export async function countBelow(
  { root, areas, closing: signal, merges }: ServedRoot,
  directories: readonly (FileName | "")[],
): Promise<number> {
  const tally = new Quota({});
  const onFound = (info: Deno.FileInfo) => tally.found(info);
  const isIn = (name: string) =>
    directories.some((each) => each === "" || name === each || name.startsWith(`${each}/`));
  // A directory that is below another one has been counted with it.
  const apart = directories.filter((each) =>
    !directories.some((other) => other !== each && `${each}/`.startsWith(other && `${other}/`))
  );
  try {
    for (const name of apart) {
      using place = root.look(name);
      if (!place?.info.isDirectory) continue;
      using directory = root.enter(name);
      const peek = (directory: Directory, name: string) => root.peekVisible(directory, name);
      await eachBelow(directory, { peek, onFound, signal, merges });
    }
    for (const { trees } of areas.all) {
      for (const tree of trees.all.filter(({ record }) => isIn(record.filename))) {
        await countTree(trees, tree, { onFound, signal, merges });
      }
    }
    for (const { entry } of areas.list()) {
      if (!entry.active && isIn(entry.filename)) tally.count(entry.received);
    }
    return tally.used;
  } catch (error) {
    throw fileError(error).during("count what a quota has to count");
  }
}
