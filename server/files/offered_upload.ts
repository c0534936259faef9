/**
 * A partial upload that was offered to a client. It is reserved for that client until it resumes the upload or makes
 * another request.
 *
 * @module
 */

import type { Algorithm } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { FileName } from "../../lib/core/remote_name.ts";
import type { PrefixFacts } from "../../lib/digest/prefix_digest.ts";
import type { LockedWrite } from "./locked_write.ts";

/** What identifies a partial upload. */
export interface UploadIdentity {
  /** The name that the file will get. */
  readonly name: FileName;
  /** The owner of the partial upload. */
  readonly owner: string;
  /** The size of the whole file in bytes; null if the client did not announce it. */
  readonly size: number | null;
  /** The checksum algorithm for the whole file. */
  readonly algorithm: Algorithm;
}

/** What is there of an upload, reserved for the client that goes on with it. Disposal keeps it for later. */
export interface ReservedUpload extends AsyncDisposable {
  /** How many bytes were there already before this client began to send. */
  readonly resumedFrom: number;
  /**
   * Hands the write over to the upload that goes on with it. The upload then disposes of it.
   *
   * @throws {FerryError} `busy` if it is another upload, or one that starts at another offset
   */
  take(identity: UploadIdentity, offset: number): Promise<LockedWrite>;
}

/** A partial upload that is reserved for a client. Disposal keeps it in the storage for later. */
export class OfferedUpload implements ReservedUpload {
  readonly #identity: UploadIdentity;
  #write: LockedWrite | undefined;
  /**
   * The size of the stored part and its digests. The client compares them with its own file before it sends the rest.
   */
  readonly facts: PrefixFacts;

  private constructor(identity: UploadIdentity, write: LockedWrite, facts: PrefixFacts) {
    this.#identity = identity;
    this.#write = write;
    this.facts = facts;
  }

  /** Reserves a resumed write. If it contains no bytes, ends the write and returns undefined. */
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

  get resumedFrom(): number {
    return this.facts.size;
  }

  take(identity: UploadIdentity, offset: number): Promise<LockedWrite> {
    const write = this.#write;
    if (!write || !isSameUpload(this.#identity, identity) || this.facts.size !== offset) {
      return Promise.reject(notOffered());
    }
    this.#write = undefined;
    return Promise.resolve(write);
  }

  /** Releases the partial upload unless it was taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    const write = this.#write;
    this.#write = undefined;
    if (write) await release(write);
  }
}

/** The error for an upload that starts at an offset that was not offered. */
export function notOffered(): FerryError {
  return new FerryError("busy", "no partial upload was offered at that offset; offer it again");
}

/** Whether two identities are of the same upload. */
export function isSameUpload(a: UploadIdentity, b: UploadIdentity): boolean {
  return a.name === b.name && a.owner === b.owner && a.size === b.size &&
    a.algorithm === b.algorithm;
}

/** Ends a write, and keeps what it has written as a partial upload. */
export async function release(write: LockedWrite): Promise<void> {
  await using released = write;
  released.keep();
}
