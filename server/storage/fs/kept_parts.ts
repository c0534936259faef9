/**
 * The partial uploads that a staging area knows of: those of this process, and those that it may take over from other
 * processes that serve the same root.
 *
 * @module
 */

import type { PartRecord } from "../../../lib/files/partial_file.ts";
import { isTaken } from "../../../lib/files/path_lookup.ts";
import type { Directory } from "./open_directory.ts";
import type { OtherAreas } from "./other_areas.ts";
import type { Partial } from "./staged_upload.ts";

/** Options of {@linkcode KeptParts}. */
export interface KeptPartsOptions {
  /** Opens the directory of this process, in which its partial uploads are. */
  enter(): Directory;
  /** The areas of other processes. Undefined: no other process serves the root. */
  others: OtherAreas | undefined;
  /** Called when a partial upload of this process is found to have been taken over by another one. */
  onGone(record: PartRecord): void;
}

/** The partial uploads of an area, by file name. */
export class KeptParts {
  readonly #options: KeptPartsOptions;
  readonly #own = new Map<string, Partial>();

  /** None so far. */
  constructor(options: KeptPartsOptions) {
    this.#options = options;
  }

  /** Those of this process. Others may have taken some of them over meanwhile. */
  get own(): ReadonlyMap<string, Partial> {
    return this.#own;
  }

  /** Adds one to those of this process. */
  set(file: string, partial: Partial): void {
    this.#own.set(file, partial);
  }

  /** Forgets one of this process. */
  delete(file: string): void {
    this.#own.delete(file);
  }

  /** All of them. */
  get all(): Map<string, Partial> {
    const { others } = this.#options;
    if (!others) return this.#own;
    this.#forgetTaken([...this.#own.keys()]);
    return new Map([...others.list(), ...this.#own]);
  }

  /** The one with that file name, whichever process it belongs to; undefined if there is none. */
  find(file: string): Partial | undefined {
    return this.findOwn(file) ?? this.#options.others?.find(file);
  }

  /** The same of this process. */
  findOwn(file: string): Partial | undefined {
    if (this.#options.others) this.#forgetTaken([file]);
    return this.#own.get(file);
  }

  /** Makes one that another process has one of this process, unless somebody writes to it. */
  takeIdle(file: string): void {
    const { others } = this.#options;
    const found = this.findOwn(file) ? undefined : others?.find(file);
    if (!found) return;
    using directory = this.#options.enter();
    if (others!.takeIdle(file, directory)) this.#own.set(file, { ...found, open: false });
  }

  /**
   * Makes one that another process has one of this process. From a writer it is only taken if that has stalled.
   *
   * @throws {FerryError} as {@linkcode OtherAreas.take}
   */
  async take(file: string): Promise<void> {
    const { others } = this.#options;
    const found = this.findOwn(file) ? undefined : others?.find(file);
    if (!found) return;
    using directory = this.#options.enter();
    if (await others!.take(file, directory)) this.#own.set(file, { ...found, open: false });
  }

  /** Takes over those of other processes that nobody has written to since `latest`, in milliseconds since 1970. */
  takeOlderThan(latest: number): void {
    for (const [file, { open, mtime }] of this.#options.others?.list() ?? []) {
      if (!open && mtime <= latest) this.takeIdle(file);
    }
  }

  /** Forgets those of this process without a writer that others have taken over. */
  #forgetTaken(files: readonly string[]): void {
    using directory = this.#options.enter();
    for (const file of files) {
      const partial = this.#own.get(file);
      if (!partial || partial.open || isTaken(directory.at(file))) continue;
      this.#own.delete(file);
      this.#options.onGone(partial.record);
    }
  }
}
