/**
 * Gives a staged tree the name of the directory that it is, and repairs what a process has left that was killed
 * meanwhile.
 *
 * A directory cannot replace another one in one step: the old one is moved away first, and the new one gets the name
 * right afterwards, with only a look at what was moved away in between. A record says that this is going on; by it the
 * next process finishes what was begun.
 *
 * @module
 */

import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { syncDirectories } from "../../../lib/files/directory_flush.ts";
import { namingError } from "../../../lib/files/file_errors.ts";
import { bootTime, sameBoot } from "../../../lib/files/partial_file.ts";
import { infoAt, isTaken } from "../../../lib/files/path_lookup.ts";
import type { PublishedTree, PublishOptions } from "../staged_trees.ts";
import { type AreaTrees, type KeptTree, NEW, OLD } from "./area_trees.ts";
import { matchDirectories } from "./matched_directories.ts";
import type { Directory } from "./open_directory.ts";
import { ParentDirectories } from "./parent_directories.ts";
import type { Root } from "./root.ts";
import type { ServedRoot } from "./served_root.ts";
import type { StagingArea } from "./staging_area.ts";
import { flushFiles } from "./tree_flush.ts";
import { removeBelow, removeUnconfirmedInSlices } from "./tree_leftovers.ts";
import { flushTreeRecord } from "./tree_record.ts";

/** A tree that is to be published. */
export interface Publishing {
  /** Its own directory in the area. */
  own: Directory;
  /** The tree. */
  top: Directory;
  /** What is known of it. */
  tree: KeptTree;
  /** The trees of its area. */
  trees: AreaTrees;
  /** The served root. */
  served: ServedRoot;
  /** The root, confined to where the name may lead. */
  root: Root;
}

/** See `StagedTree.publish`. */
export async function publishTree(
  work: Publishing,
  options: PublishOptions,
): Promise<PublishedTree> {
  const { own, top, tree, trees, served } = work;
  await removeUnconfirmedInSlices(top, tree.contents, served);
  const { durable, closing: signal } = served;
  const { tally } = tree.contents;
  const found = tally && !durable ? { ...tally } : await flushFiles(top, { durable, signal });
  const replaced = await giveName(work, options);
  try {
    if (replaced) await removeBelow(own, OLD, served);
    trees.remove(tree);
  } catch {
    // The next process removes what is left of it.
  }
  trees.forget(tree);
  return { ...found, replaced };
}

/** Gives a tree its name. Returns whether it has replaced a directory. */
async function giveName(
  { own, top, tree, trees, served, root }: Publishing,
  { replace, assertMay }: PublishOptions,
): Promise<boolean> {
  const name = tree.record.filename as FileName;
  const { durable } = served;
  const before = await prepare(root, name, { replace, top });
  if (before) {
    trees.record(tree, { publishing: true, durable, boot: bootTime() });
    // Only with it can the next process give back the name that is taken away now.
    if (durable) await flushTreeRecord(own);
  }
  using parents = new ParentDirectories(root);
  try {
    served.assertHeld();
    root.assertStanding([own]);
    const room = parents.room(name);
    const there = infoAt(room.path);
    if (there) assertReplaceable(there, replace);
    if (there && !(before && isSame(there, before))) throw changedMeanwhile();
    assertMay?.();
    if (there) replaceDirectory(room.path, own, there);
    else rename(own.at(NEW), room.path);
    if (durable) await syncDirectories([room.directory, ...room.made, own]);
    root.assertStanding([room.directory]);
    return there !== undefined;
  } catch (reason) {
    const error = fileError(reason);
    // Otherwise the next process takes it for a publication that was cut.
    if (before && isTaken(own.at(NEW)) && !isTaken(own.at(OLD))) {
      trees.record(tree, { publishing: false });
    }
    throw error;
  }
}

/**
 * Prepares a tree to replace the directory that has the name, if there is one.
 *
 * @returns the attributes of that directory
 */
async function prepare(
  root: Root,
  name: FileName,
  { replace, top }: { replace: boolean; top: Directory },
): Promise<Deno.FileInfo | undefined> {
  using there = root.placeIfAny(name);
  if (!there) return undefined;
  assertReplaceable(there.info, replace);
  await matchDirectories(there, top);
  return there.info;
}

/**
 * Moves a directory away, and gives the tree its name: nobody finds anything under the name for as long as a look at
 * what was moved away and the second rename take. If either fails, the directory is moved back.
 */
function replaceDirectory(path: string, own: Directory, there: Deno.FileInfo): void {
  rename(path, own.at(OLD));
  try {
    // Another program may have replaced it after it was looked at.
    if (!isSame(Deno.lstatSync(own.at(OLD)), there)) throw changedMeanwhile();
    rename(own.at(NEW), path);
  } catch (error) {
    rename(own.at(OLD), path);
    throw error;
  }
}

function rename(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    throw namingError(error, to);
  }
}

/**
 * Fails if what has the name cannot be replaced by a directory.
 *
 * @throws {FerryError} `not_a_file` for a link, `exists`
 */
export function assertReplaceable(
  { isDirectory, isSymlink }: Deno.FileInfo,
  replace: boolean,
): void {
  if (isSymlink) {
    throw new FerryError("not_a_file", "a symbolic link has the name, and is not replaced");
  }
  if (!isDirectory) throw new FerryError("exists", "a file has that name");
  if (!replace) throw new FerryError("exists", "a directory has that name");
}

function isSame(a: Deno.FileInfo, b: Deno.FileInfo): boolean {
  return a.isDirectory && a.dev === b.dev && a.ino === b.ino;
}

function changedMeanwhile(): FerryError {
  return new FerryError("busy", "another program has replaced the directory meanwhile");
}

/**
 * Repairs the publications that were cut by the end of a process: the new directory gets its name, if it is certain that
 * it is whole, and otherwise the old one gets it back. What remains of either is removed.
 */
export function repairPublications(root: Root, { trees }: StagingArea): void {
  for (const tree of trees.all) {
    try {
      using own = trees.open(tree);
      const [isNew, isOld] = [isTaken(own.at(NEW)), isTaken(own.at(OLD))];
      if (isOld && isNew) nameAgain(root, own, tree);
      if (isNew && !isOld) {
        if (tree.record.publishing) trees.record(tree, { publishing: false });
        continue;
      }
      using area = trees.enter();
      Deno.removeSync(area.at(tree.file), { recursive: true });
      trees.forget(tree);
    } catch {
      // What cannot be repaired now is kept for the next process.
    }
  }
}

function nameAgain(root: Root, own: Directory, { record }: KeptTree): void {
  const name = record.filename as FileName;
  const isWhole = record.durable || sameBoot(record.boot);
  using parents = new ParentDirectories(root);
  const { path } = parents.room(name);
  if (isTaken(path)) throw new FerryError("exists", "another program has given the name away");
  Deno.renameSync(own.at(isWhole ? NEW : OLD), path);
}
