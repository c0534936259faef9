/**
 * Removes staged trees, what they have replaced, and what earlier clients have left in them.
 *
 * @module
 */

import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { Pace } from "../../../lib/core/time_slices.ts";
import { infoAt } from "../../../lib/files/path_lookup.ts";
import type { Quota } from "../quota.ts";
import { type AreaTrees, type KeptTree, NEW, OLD } from "./area_trees.ts";
import type { Directory } from "./open_directory.ts";
import type { ServedRoot } from "./served_root.ts";
import type { TreeContents } from "./tree_contents.ts";
import { removeTree } from "./tree_removal.ts";

/** What a removal needs of a root. */
type Removing = Pick<ServedRoot, "quota" | "closing" | "merges">;

/** Removes an entry of a tree at once, with all its contents. */
export function removeStaged(top: Directory, inside: string, quota: Quota): void {
  const path = top.at(inside);
  const info = infoAt(path);
  if (!info) return;
  if (!info.isDirectory) {
    Deno.removeSync(path);
    return quota.lost(info);
  }
  for (const { name } of [...Deno.readDirSync(path)]) removeStaged(top, `${inside}/${name}`, quota);
  Deno.removeSync(path);
}

/** Removes what an earlier client has left in a tree and this one has not confirmed. */
export function removeUnconfirmed(top: Directory, contents: TreeContents, quota: Quota): void {
  for (const _ of unconfirmedRemovals(top, contents, quota));
}

/**
 * The same, but lets other work run meanwhile. Nothing may be put into the tree until it is done.
 *
 * @throws the reason why the storage was closed meanwhile
 */
export async function removeUnconfirmedInSlices(
  top: Directory,
  contents: TreeContents,
  { quota, closing: signal }: Pick<ServedRoot, "quota" | "closing">,
): Promise<void> {
  const pace = new Pace();
  for (const _ of unconfirmedRemovals(top, contents, quota)) {
    if (pace.isDue) await pace.rest();
    signal.throwIfAborted();
  }
}

/** Removes one entry after the other, each by a step. */
function* unconfirmedRemovals(
  top: Directory,
  contents: TreeContents,
  quota: Quota,
): Generator<void, void, void> {
  // Nothing that is confirmed is in what is not, and each directory follows what is in it.
  for (const inside of contents.left) {
    removeStaged(top, inside, quota);
    contents.removed(inside);
    yield;
  }
}

/**
 * Removes an entry of a directory of ferry's own, with all its contents. Other file systems that are mounted in it are
 * left alone.
 *
 * @throws {FerryError} why something stays
 */
export async function removeBelow(
  directory: Directory,
  name: string,
  { quota, closing, merges }: Removing,
): Promise<void> {
  const { device } = directory;
  await removeTree(directory, name as FileName, {
    peek: (directory, name) => {
      const info = infoAt(directory.at(name));
      if (info?.isDirectory && info.dev !== device) {
        throw new FerryError("not_found", "another file system is mounted there");
      }
      return info;
    },
    onRemoved: (file) => quota.lost(file),
    signal: closing,
    merges,
  });
}

/**
 * Removes a tree that no client has open, and everything that belongs to it. The next process removes what is left. A tree
 * that a client has opened meanwhile stays, and so does one that is being published.
 */
export async function removeKept(
  trees: AreaTrees,
  tree: KeptTree,
  served: Removing,
): Promise<void> {
  // What a publication has moved away and not given back may be the only copy of it: it is for people to find.
  if (tree.users > 0 || tree.record.publishing) return;
  // Nobody may open it meanwhile.
  tree.users++;
  tree.session = undefined;
  try {
    using own = trees.open(tree);
    for (const name of [NEW, OLD]) {
      if (infoAt(own.at(name))) await removeBelow(own, name, served);
    }
    trees.remove(tree);
  } catch (error) {
    // It was removed by somebody else, or its file system is gone.
    if (fileError(error).code !== "not_found") return;
  } finally {
    tree.users--;
    trees.forget(tree);
  }
}
