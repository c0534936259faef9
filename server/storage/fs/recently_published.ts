/**
 * Remembers which staged trees were published a short while ago.
 *
 * @module
 */

import type { PublishedTree, StagedTree } from "../staged_trees.ts";

/** How many are remembered. */
const MOST = 1024;

/** What identifies a staged tree. */
type Identity = Pick<StagedTree, "id" | "name" | "owner">;

/** The staged trees that were published a short while ago. */
export class RecentlyPublished {
  readonly #trees = new Map<string, Omit<Identity, "id"> & { published: PublishedTree }>();

  /** Remembers one, and forgets the oldest if there are too many. */
  add({ id, name, owner }: Identity, published: PublishedTree): void {
    this.#trees.set(id, { name, owner, published });
    if (this.#trees.size <= MOST) return;
    const [oldest] = this.#trees.keys();
    this.#trees.delete(oldest!);
  }

  /** What became of one; undefined if it is not remembered. */
  find({ id, name, owner }: Identity): PublishedTree | undefined {
    const found = this.#trees.get(id);
    return found?.name === name && found.owner === owner ? found.published : undefined;
  }
}
