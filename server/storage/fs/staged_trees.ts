/**
 * The staged trees of a root.
 *
 * @module
 */

import { isMounted } from "./matched_directories.ts";
import { assertReplaceable } from "./tree_publication.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { PublishedTree, StagedTree, StagedTrees, StagedTreeState } from "../staged_trees.ts";
import type { KeptTree } from "./area_trees.ts";
import type { Root } from "./root.ts";
import { attempt, type ServedRoot } from "./served_root.ts";
import { FsStagedTree } from "./staged_tree.ts";
import type { StagingArea } from "./staging_area.ts";
import { removeKept } from "./tree_leftovers.ts";

/** In an id, what precedes the session of the client that works on the tree. */
const SESSION = ":";

/** The staged trees of a root. */
export class FsStagedTrees implements StagedTrees {
  readonly #served: ServedRoot;
  readonly #root: Root;

  /**
   * The staged trees of a root.
   *
   * @param root the root, confined to what a request may reach
   */
  constructor(served: ServedRoot, root: Root) {
    this.#served = served;
    this.#root = root;
  }

  async begin(name: FileName, { owner }: { owner: string }): Promise<StagedTree> {
    const served = this.#served;
    await served.assertWritable();
    if (served.together) {
      // What is known of a tree is in the memory of one process, and each connection of a client may have another one.
      const reason =
        "several processes serve the files together: no directory can be published as one";
      throw new FerryError("denied", reason);
    }
    const [area, idle, tree] = await attempt(() => {
      this.#root.assertFits(name);
      // Fails if the directory could not be made there.
      using _above = this.#root.nearest(name);
      assertOrdinary(this.#root, name);
      const area = served.areas.for(name);
      const idle = area.trees.takeIdle(name, owner);
      return [area, idle, idle ?? area.trees.make(name, owner)] as const;
    });
    return await this.#open(area, tree, { afresh: idle !== undefined });
  }

  async #open(
    area: StagingArea,
    tree: KeptTree,
    { afresh }: { afresh: boolean },
  ): Promise<StagedTree> {
    const [served, root] = [this.#served, this.#root];
    tree.replaces = replaces(root, tree.record.filename as FileName);
    const id = `${served.areas.idOf(area, tree.file)}${SESSION}${tree.session}`;
    return await FsStagedTree.open({ id, tree, area, served, root, afresh });
  }

  async join(id: string, { owner }: { owner: string }): Promise<StagedTree | undefined> {
    const served = this.#served;
    await served.assertWritable();
    const at = id.lastIndexOf(SESSION);
    const found = served.areas.treeOf(id.slice(0, Math.max(0, at)));
    if (!found || found.tree.record.publishing) return undefined;
    const { area, tree } = found;
    if (tree.record.owner !== owner) return undefined;
    // Another client may have gone on with it meanwhile.
    if (tree.session === undefined || tree.session !== id.slice(at + SESSION.length)) {
      return undefined;
    }
    tree.users++;
    return await this.#open(area, tree, { afresh: false });
  }

  published(id: string, name: FileName, { owner }: { owner: string }): PublishedTree | undefined {
    return this.#served.published.find({ id, name, owner });
  }

  list(): StagedTreeState[] {
    const served = this.#served;
    if (served.unwritable) return [];
    return served.areas.all.flatMap(({ trees }) => trees.all).map((tree) => ({
      name: tree.record.filename as FileName,
      owner: tree.record.owner,
      bytes: tree.contents.tally?.bytes,
      active: tree.users > 0,
      touched: tree.touched,
    }));
  }

  async expire(ttl: number): Promise<void> {
    const served = this.#served;
    if (served.unwritable) return;
    // The quota counts what is in the trees as well: nothing of that is removed meanwhile.
    try {
      await served.counted();
    } catch (error) {
      if (served.closing.aborted) return;
      throw error;
    }
    for (const { trees } of served.areas.all) {
      for (const tree of trees.expired(ttl)) await removeKept(trees, tree, served);
    }
  }
}

/**
 * Fails early if what has the name could not be moved away.
 *
 * @throws {FerryError} as `StagedTree.publish`
 */
function assertOrdinary(root: Root, name: FileName): void {
  using there = root.placeIfAny(name);
  if (!there) return;
  assertReplaceable(there.info, true);
  if (there.info.dev !== there.directory.device) throw isMounted();
}

/** Whether a directory has a name. */
function replaces(root: Root, name: FileName): boolean {
  try {
    using place = root.look(name);
    return place?.info.isDirectory ?? false;
  } catch {
    return false;
  }
}
