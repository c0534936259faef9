/**
 * The partial uploads of a root, confined to what a request may reach.
 *
 * @module
 */

import type { FileName } from "../../../lib/core/remote_name.ts";
import { FsPendingWrite } from "./pending_write.ts";
import type { Root } from "./root.ts";
import { attempt, type ServedRoot } from "./served_root.ts";
import type {
  CreateResumableOptions,
  DescribedUpload,
  DiscardOptions,
  FindOptions,
  LookOptions,
  PartialUpload,
  PartialUploads,
  ResumableWrite,
  ResumeOptions,
} from "../storage.ts";

/** The partial uploads of a root. */
export class FsPartialUploads implements PartialUploads {
  readonly #served: ServedRoot;
  readonly #root: Root;

  /**
   * The partial uploads of a root.
   *
   * @param root the root, confined to what a request may reach
   */
  constructor(served: ServedRoot, root: Root) {
    this.#served = served;
    this.#root = root;
  }

  /** Another connection of the client may end at another process, which does not know of the upload. */
  get takesPieces(): boolean {
    return !this.#served.together;
  }

  create(name: FileName, options: CreateResumableOptions): Promise<ResumableWrite> {
    return FsPendingWrite.create(this.#served, this.#root, name, options);
  }

  async find(name: FileName, { size, owner = "" }: FindOptions): Promise<PartialUpload[]> {
    await this.#served.assertWritable();
    return await attempt(() => {
      this.#root.assertPlaceable(name);
      return this.#served.areas.find(name, size, owner);
    });
  }

  list(owner = ""): Promise<PartialUpload[]> {
    return attempt(() => {
      this.#root.assertStanding();
      return this.#served.unwritable ? [] : this.#served.areas.list(owner);
    });
  }

  listAll(): Promise<PartialUpload[]> {
    return attempt(() => {
      this.#root.assertStanding();
      return this.#served.unwritable ? [] : this.#served.areas.list();
    });
  }

  look(id: string, { owner = "" }: LookOptions = {}): Promise<DescribedUpload | undefined> {
    return attempt(() => {
      this.#root.assertStanding();
      return this.#served.unwritable ? undefined : this.#served.areas.look(id, owner);
    });
  }

  resume(id: string, options: ResumeOptions): Promise<ResumableWrite | undefined> {
    return FsPendingWrite.resume(this.#served, this.#root, id, options);
  }

  async discard(id: string, options: DiscardOptions = {}): Promise<void> {
    await this.#served.assertWritable();
    await attempt(() => {
      this.#root.assertStanding();
      this.#served.areas.discard(id, options);
      this.#served.quotas.lessened("");
    });
  }

  expire(ttl: number): Promise<void> {
    return attempt(() => {
      this.#root.assertStanding();
      if (!this.#served.unwritable) this.#served.areas.expire(ttl);
    });
  }
}
