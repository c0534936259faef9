/**
 * A storage in a temporary directory, which tests can close and open again.
 *
 * @module
 */

import type { Durability } from "../../lib/files/durability.ts";
import { FsStorage } from "../../server/storage/fs/fs_storage.ts";
import type { TestedStorage } from "../storage/conformance.ts";
import { stagedIn, TempDir } from "./programs.ts";

/** A directory that contains the root of a storage. */
export class Fixture implements TestedStorage {
  /** The directory that contains the root. */
  readonly dir = new TempDir();
  /** The path of the root. */
  readonly root = this.dir.join("root");
  readonly #durability: Durability;
  /** The storage; {@linkcode Fixture.reopen} replaces it. */
  storage!: FsStorage;

  /** Opens a storage in a new root. */
  constructor(durability: Durability = "none") {
    this.#durability = durability;
    Deno.mkdirSync(this.root);
    this.#open();
  }

  #open(): void {
    this.storage = FsStorage.open(this.root, { durability: this.#durability, links: true });
  }

  /** A path in the root. */
  path(name: string): string {
    return `${this.root}/${name}`;
  }

  /** Closes the storage, does something and opens it again. */
  async reopen(between: () => void = () => {}): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    between();
    this.#open();
  }

  /** The files in its staging area. */
  leftovers(): Promise<string[]> {
    return Promise.resolve(stagedIn(this.root));
  }

  /** Closes the storage and removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}
