/**
 * What requests do with staged trees: directories that are put together where nobody sees them, and get their names when
 * they are whole.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { type FileName, parseFileName } from "../../lib/core/remote_name.ts";
import type { Permit } from "../auth/permit.ts";
import type { PublishedTree, StagedTree, StagedTrees } from "../storage/staged_trees.ts";
import type { Storage } from "../storage/storage.ts";
import type { ComparedFile, ComparisonResult } from "./comparison.ts";
import type { FileServiceOptions } from "./file_service.ts";
import { compareStaged, keepInStaged } from "./staged_comparison.ts";

/** How many staged trees one connection may have open. */
const MOST_OPEN = 16;

/** What a client wants to publish. */
export interface StageWish {
  /** The name of the directory. */
  readonly filename: string;
  /** Whether a directory that has the name is replaced. */
  readonly replace: boolean;
  /** The tree that the client works on already. */
  readonly stage?: string | undefined;
}

/** The staged trees that one connection has open. Disposal ends the work on them. */
export class OpenStages implements AsyncDisposable {
  readonly #open = new Map<string, StagedTree>();

  /** The tree with that id, if it is open. */
  get(id: string): StagedTree | undefined {
    return this.#open.get(id);
  }

  /** An open tree of an owner for a name. */
  of(name: FileName, owner: string): StagedTree | undefined {
    return this.#open.values().find((tree) => tree.name === name && tree.owner === owner);
  }

  /**
   * Adds a tree.
   *
   * @throws {FerryError} `busy` if there are too many
   */
  async add(tree: StagedTree): Promise<void> {
    if (this.#open.size < MOST_OPEN) return void this.#open.set(tree.id, tree);
    await tree[Symbol.asyncDispose]();
    throw new FerryError("busy", `one connection may publish ${MOST_OPEN} directories at a time`);
  }

  /** Ends the work on a tree. */
  async close(tree: StagedTree): Promise<void> {
    this.#open.delete(tree.id);
    await tree[Symbol.asyncDispose]();
  }

  /** Ends the work on all trees: they are kept for later. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const tree of [...this.#open.values()]) await this.close(tree);
  }
}

/**
 * The staged trees of one request, as its permit allows: otherwise every method fails with `auth_required` or `denied`.
 */
export class StageService {
  readonly #permit: Permit;
  readonly #storage: Storage;
  readonly #open: OpenStages;

  /** The staged trees for a request that has this permit, on a connection that has some open. */
  constructor(permit: Permit, { storage }: FileServiceOptions, open: OpenStages) {
    this.#permit = permit;
    this.#storage = permit.confine(storage);
    this.#open = open;
  }

  /** The staged trees of the storage, if it is able to publish a directory as one. */
  #trees(): StagedTrees {
    const { stagedTrees } = this.#storage;
    if (stagedTrees) return stagedTrees;
    throw new FerryError(
      "denied",
      "the server keeps its files where a directory cannot be renamed: " +
        "none can be published as one",
    );
  }

  /**
   * Finds out whether a directory could be published.
   *
   * @returns whether a directory has the name now
   * @throws {FerryError} `exists` if it may not be replaced; `auth_required` or `denied` if the client may not remove
   * it; `bad_name` for the root
   */
  async ask({ filename, replace }: StageWish): Promise<boolean> {
    this.#trees();
    const there = await this.#storage.find(nameOf(filename));
    if (there?.type === "file") throw new FerryError("exists", "a file has that name");
    if (!there) return false;
    if (!replace) {
      const reason =
        "a directory has that name, and is replaced as a whole only where overwriting " +
        "was asked for";
      throw new FerryError("exists", reason);
    }
    this.#permit.assert({ op: "remove", filename });
    return true;
  }

  /**
   * Begins to put a directory together, or goes on with what an earlier attempt has left.
   *
   * @throws {FerryError} as {@linkcode StageService.ask}; `not_a_file`, `no_space`; `busy` if the connection has too
   * many of them open
   */
  async begin(wish: StageWish): Promise<{ tree: StagedTree; exists: boolean }> {
    const exists = await this.ask(wish);
    const { owner } = this.#permit;
    const name = nameOf(wish.filename);
    const joined = wish.stage === undefined ? undefined : await this.#named(wish.stage, name);
    if (joined) return { tree: joined, exists };
    // What this connection has left of an earlier attempt is gone on with, too.
    const before = this.#open.of(name, owner);
    if (before) await this.#open.close(before);
    const tree = await this.#trees().begin(name, { owner });
    await this.#open.add(tree);
    return { tree, exists };
  }

  /**
   * The staged tree of a request about a file in it, or about the directory itself.
   *
   * @throws {FerryError} `not_found` if the client has none with that id
   */
  async of(id: string): Promise<StagedTree> {
    const tree = await this.#find(id);
    if (!tree) throw unknown();
    return tree;
  }

  #opened(id: string): StagedTree | undefined {
    const tree = this.#open.get(id);
    return tree?.owner === this.#permit.owner ? tree : undefined;
  }

  /** The tree with that id, which this connection has open, or joins. */
  async #find(id: string): Promise<StagedTree | undefined> {
    const opened = this.#opened(id);
    if (opened) return opened;
    const tree = await this.#trees().join(id, { owner: this.#permit.owner });
    if (tree) await this.#open.add(tree);
    return tree;
  }

  /** The tree with that id, if it is one for that name. */
  async #named(id: string, name: FileName): Promise<StagedTree | undefined> {
    const tree = await this.#find(id);
    return tree?.name === name ? tree : undefined;
  }

  /**
   * Creates a directory in a staged tree, and missing parent directories.
   *
   * @throws {FerryError} as {@linkcode StageService.of}; `exists`, `not_a_file`
   */
  async mkdir(id: string, filename: string): Promise<void> {
    await (await this.of(id)).mkdir(parseFileName(filename));
  }

  /** Compares files with those of a staged tree, and of the directory that it will replace. */
  compare(
    tree: StagedTree,
    files: AsyncIterable<readonly ComparedFile[]>,
    options: { overwrite: Overwrite; algorithm: Algorithm; content: boolean },
  ): AsyncGenerator<ComparisonResult, void, void> {
    const assertMay = (filename: string) => this.#permit.assert({ op: "compare", filename });
    return compareStaged(this.#storage, tree, files, { ...options, assertMay });
  }

  /** Brings what has the names of the lines now over into a staged tree, as it is. */
  keep(
    tree: StagedTree,
    files: AsyncIterable<readonly ComparedFile[]>,
  ): AsyncGenerator<ComparisonResult, void, void> {
    return keepInStaged(tree, files, {
      assertMay: (filename) => this.#permit.assert({ op: "compare", filename }),
    });
  }

  /**
   * Publishes a directory.
   *
   * @throws {FerryError} as `StagedTree.publish`; as {@linkcode StageService.ask}
   */
  async publish(wish: StageWish & { stage: string }): Promise<PublishedTree> {
    const { filename, replace, stage } = wish;
    const name = nameOf(filename);
    const tree = await this.#named(stage, name);
    if (!tree) {
      const { owner } = this.#permit;
      const published = this.#trees().published(stage, name, { owner });
      if (published) return published;
      throw unknown();
    }
    await this.ask(wish);
    // A directory may get the name while the files are flushed: who may not remove it does not replace it either.
    const removes = { op: "remove", filename } as const;
    const mayReplace = replace && this.#permit.allows(removes);
    const published = await tree.publish({
      replace: mayReplace,
      assertMay: () => {
        this.#permit.assert();
        if (mayReplace) this.#permit.assert(removes);
      },
    });
    await this.#open.close(tree);
    return published;
  }
}

/** The name of a directory that can be published. */
function nameOf(filename: string): FileName {
  if (filename !== "") return parseFileName(filename);
  throw new FerryError("bad_name", "the root itself cannot be replaced: name a directory in it");
}

function unknown(): FerryError {
  return new FerryError("not_found", "nothing is staged under that id: begin again");
}
