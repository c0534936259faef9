/**
 * What mirrors in both directions have in common: when anything may be deleted, how much, and how it is told.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { assertNumbers } from "../../lib/core/number_options.ts";
import { type Doomed, parentOf } from "./mirror_plan.ts";
import type { DeleteOptions, TreeOptions } from "./options.ts";

/** Options of a transfer of a directory that concern deletions. */
type MirrorOptions =
  & Pick<TreeOptions, "delete" | "onDelete" | "onError">
  & { dryRun?: boolean | undefined };

/** Something to delete by one step: a file or a link, or a directory with all that is in it. */
export interface Deletion {
  /** The entry itself. */
  readonly top: Doomed;
  /** The entry, and all those in it. */
  readonly all: Doomed[];
}

/** The deletions that a plan comes to. */
export function deletionsOf(doomed: readonly Doomed[]): Deletion[] {
  const deletions: Deletion[] = [];
  const around = new Map<string, Deletion>();
  for (const entry of doomed) {
    const { name, type, inside } = entry;
    let deletion = inside ? around.get(parentOf(name)) : undefined;
    if (deletion) deletion.all.push(entry);
    else deletions.push(deletion = { top: entry, all: [entry] });
    if (type === "directory") around.set(name, deletion);
  }
  return deletions;
}

/** Decides whether a mirror deletes, and reports what it does. */
export class Mirroring {
  readonly #options: MirrorOptions;
  readonly #limits: DeleteOptions | undefined;
  #failures = 0;

  /** @throws {FerryError} `usage` for a limit that is no number */
  constructor(options: MirrorOptions) {
    const { delete: wanted = false } = options;
    this.#options = options;
    this.#limits = wanted === true ? {} : wanted === false ? undefined : wanted;
    assertNumbers({ maxDelete: this.#limits?.maxDelete });
  }

  /** Whether anything is to be deleted at all. */
  get deletes(): boolean {
    return this.#limits !== undefined;
  }

  /** Whether what the filter leaves out is deleted too. */
  get excluded(): boolean {
    return this.#limits?.excluded === true;
  }

  /** The handler of failures: a mirror that has any deletes nothing, unless it is told to. */
  readonly onError = (filename: string, error: FerryError): void => {
    this.#failures++;
    this.#options.onError?.(filename, error);
  };

  /** Whether deletions may begin: everything went well, or that does not matter. */
  get mayBegin(): boolean {
    return this.deletes && (this.#failures === 0 || this.#limits?.force === true);
  }

  /**
   * Checks how many entries are to be deleted.
   *
   * @throws {FerryError} `too_large`
   */
  assertFew({ length }: readonly Doomed[]): void {
    const { maxDelete = Infinity } = this.#limits ?? {};
    if (length <= maxDelete) return;
    const reason = `${length} files and directories would be deleted, and at most ${maxDelete} ` +
      "may be: nothing was deleted";
    throw new FerryError("too_large", reason);
  }

  /** Reports an entry that was deleted, or would be. */
  tell({ type, size }: Doomed, filename: string, backup?: string): void {
    this.#options.onDelete?.({
      filename,
      type,
      size,
      ...(backup === undefined ? {} : { backup }),
    });
  }
}
