/**
 * A partial upload that was offered to a client, and is held for it until it resumes the upload or makes another request.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { PrefixFacts } from "../../lib/digest/prefix_digest.ts";
import type { LockedWrite } from "./locked_write.ts";

/** What tells a partial upload from others. */
export interface UploadIdentity {
  /** The name that the file is to have. */
  readonly name: FileName;
  /** Whose it is. */
  readonly owner: string;
  /** The size of the whole file in bytes; null where the client did not say. */
  readonly size: number | null;
  /** What the whole file is checked with. */
  readonly algorithm: Algorithm;
}

/** A partial upload that is held for a client. Disposal keeps it in the storage for later. */
export class OfferedUpload implements AsyncDisposable {
  readonly #identity: UploadIdentity;
  #write: LockedWrite | undefined;
  /** How much of the file is stored, and its digests: the client compares them with its own before it sends the rest. */
  readonly facts: PrefixFacts;

  private constructor(identity: UploadIdentity, write: LockedWrite, facts: PrefixFacts) {
    this.#identity = identity;
    this.#write = write;
    this.facts = facts;
  }

  /** Holds a resumed write; undefined, and the write is ended, where nothing is stored of the file. */
  static async of(
    identity: UploadIdentity,
    write: LockedWrite,
  ): Promise<OfferedUpload | undefined> {
    const { prefix } = write;
    if (!prefix) {
      await write[Symbol.asyncDispose]();
      return undefined;
    }
    try {
      return new OfferedUpload(identity, write, await prefix.facts());
    } catch (error) {
      await release(write);
      throw error;
    }
  }

  /**
   * Hands the write over to the upload that resumes it, which disposes of it.
   *
   * @throws {FerryError} `busy` where the upload is another one, or begins elsewhere
   */
  take({ name, owner, size, algorithm }: UploadIdentity, offset: number): LockedWrite {
    const offered = this.#identity;
    const write = this.#write;
    const same = offered.name === name && offered.owner === owner && offered.size === size &&
      offered.algorithm === algorithm && this.facts.size === offset;
    if (!same || !write) throw notOffered();
    this.#write = undefined;
    return write;
  }

  /** Releases the partial upload unless it was taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    const write = this.#write;
    this.#write = undefined;
    if (write) await release(write);
  }
}

/** The error of an upload that begins at an offset that was not offered. */
export function notOffered(): FerryError {
  return new FerryError("busy", "no part of it is open at that offset; offer it again");
}

async function release(write: LockedWrite): Promise<void> {
  await using released = write;
  released.keep();
}
