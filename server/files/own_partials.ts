/**
 * The partial uploads of one client: what was received of its uploads that were cut.
 *
 * @module
 */

import type { PartEntry } from "../../lib/core/entry.ts";
import { FerryError } from "../../lib/core/errors.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import type { Permit } from "../auth/permit.ts";
import type { Storage } from "../storage/storage.ts";
import { existingDirectory } from "./existing_directory.ts";

/** The partial uploads of the client that makes a request, as its permit allows. */
export class OwnPartials {
  readonly #permit: Permit;
  readonly #storage: Storage;

  /** @param storage the storage within the bounds of the permit */
  constructor(permit: Permit, storage: Storage) {
    this.#permit = permit;
    this.#storage = storage;
  }

  /** All of them. */
  async all(): Promise<PartEntry[]> {
    const partials = await this.#storage.partialUploads?.list(this.#permit.owner) ?? [];
    return partials.map(({ entry }) => entry);
  }

  /**
   * Those that the client may see, for all directories.
   *
   * @param directory the directory that the request names; it has to exist
   * @throws {FerryError} `not_found`, `not_a_file`
   */
  async list(directory: string): Promise<PartEntry[]> {
    await existingDirectory(this.#storage, directory);
    return (await this.all()).filter(({ filename }) =>
      this.#permit.allows({ op: "stat", filename })
    );
  }

  /**
   * Discards those of a file.
   *
   * @throws {FerryError} `not_found`; `busy` if one is being written
   */
  async discard(filename: string): Promise<void> {
    const { owner } = this.#permit;
    const { partialUploads } = this.#storage;
    const name = parseFileName(filename);
    const assertMay = () => this.#permit.assert();
    assertMay();
    const own = (await partialUploads?.list(owner) ?? [])
      .filter(({ entry }) => entry.filename === name);
    if (own.length === 0) {
      throw new FerryError("not_found", "no partial upload of that name is kept");
    }
    const idle = own.filter(({ entry }) => !entry.active);
    for (const { id } of idle) await partialUploads!.discard(id, { owner, assertMay });
    if (idle.length < own.length) {
      throw new FerryError("busy", "it is being uploaded at the moment: end that first");
    }
  }
}
