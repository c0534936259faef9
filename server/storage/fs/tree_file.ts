/**
 * A small file of a staged tree while it is being written.
 *
 * @module
 */

import { unkeptKey } from "../../../lib/core/entry.ts";
import { FerryError, fileError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import type { StagedFile } from "../../../lib/files/staged_file.ts";
import type { Reservation } from "../quota.ts";
import type { PendingWrite } from "../storage.ts";
import type { FsStagedTree } from "./staged_tree.ts";
import type { OpenTreeFile } from "./tree_contents.ts";

/** A file that is created under its own name when its first bytes come, and removed unless it is committed. */
export class TreeFile implements PendingWrite, OpenTreeFile {
  readonly #tree: FsStagedTree;
  readonly #name: FileName;
  readonly #reserved: Reservation;
  readonly #sparse: boolean;
  readonly #ended: () => void;
  #staged: StagedFile | undefined;
  /** Called when the file is no longer being written. */
  #closed: (() => void) | undefined;
  #superseded = false;
  #size = 0;

  /**
   * A file that does not exist yet.
   *
   * @param options.ended called when it is no longer being written
   * @param options.reserved the space for it
   * @param options.sparse whether runs of zeros become holes
   */
  constructor(
    tree: FsStagedTree,
    name: FileName,
    { ended, reserved, sparse = false }: {
      ended: () => void;
      reserved: Reservation;
      sparse?: boolean | undefined;
    },
  ) {
    this.#tree = tree;
    this.#name = name;
    this.#reserved = reserved;
    this.#sparse = sparse;
    this.#ended = ended;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#size += bytes.length;
    this.#reserved.grow(this.#size);
    await this.#created().write(bytes);
  }

  #created(): StagedFile {
    if (this.#superseded) throw new FerryError("busy", "another connection sends the file, too");
    try {
      return this.#staged ??= this.#create();
    } catch (error) {
      throw fileError(error);
    }
  }

  #create(): StagedFile {
    const { staged, closed } = this.#tree.createFile(this.#name, this);
    this.#closed = closed;
    if (this.#sparse) staged.makeHoles();
    return staged;
  }

  async commit(options: CommitOptions): Promise<Committed> {
    const staged = this.#created();
    const unkept = await this.#tree.finish(staged, this.#name, options);
    options.assertMay?.();
    this.#created().keepName();
    this.#reserved.settle(this.#size);
    this.#tree.added(this.#name, this.#size);
    const { checksum } = options;
    return { checksum, size: this.#size, unchanged: false, ...unkeptKey(unkept) };
  }

  supersede(): void {
    this.#superseded = true;
    // Synchronously, since the name is needed.
    void this.#end();
  }

  #end(): Promise<void> {
    this.#closed?.();
    this.#closed = undefined;
    return this.#staged?.[Symbol.asyncDispose]() ?? Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ended();
    this.#reserved.settle(0);
    return this.#end();
  }
}
