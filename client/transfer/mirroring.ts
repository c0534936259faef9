/**
 * What mirrors in both directions have in common: when anything may be deleted, how much, and how it is told.
 *
 * @module
 */

import { type ErrorCode, FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import { assertNumbers } from "../../lib/core/number_options.ts";
import { parentName } from "../../lib/core/remote_name.ts";
import type { Doomed } from "./mirror_plan.ts";
import { type DeleteOptions, limitsOf, type TreeOptions } from "./options.ts";

/** Options of a transfer of a directory that concern deletions. */
type MirrorOptions =
  & Pick<TreeOptions, "delete" | "onDelete" | "onError">
  & { dryRun?: boolean | undefined; overwrite?: Overwrite | undefined };

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
    let deletion = inside ? around.get(parentName(name)) : undefined;
    if (deletion) deletion.all.push(entry);
    else deletions.push(deletion = { top: entry, all: [entry] });
    if (type === "directory") around.set(name, deletion);
  }
  return deletions;
}

/** The codes of failures where something of another type has the name. */
const OTHER_TYPE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["not_a_file", "exists"]);

/** The names of those that are in the way of something of another type. */
export function obstaclesOf(doomed: readonly Doomed[]): Set<string> {
  return new Set(doomed.filter(({ obstacle }) => obstacle).map(({ name }) => name));
}

/** Decides whether a mirror deletes, and reports what it does. */
export class Mirroring {
  readonly #options: MirrorOptions;
  readonly #limits: DeleteOptions | undefined;
  #failures = 0;
  /** Failures that may be no more when what is in the way is deleted; undefined where they count at once. */
  #held: [filename: string, error: FerryError][] | undefined;

  /** @throws {FerryError} `usage` for a limit that is no number */
  constructor(options: MirrorOptions) {
    this.#options = options;
    this.#limits = limitsOf(options.delete);
    assertNumbers({ maxDelete: this.#limits?.maxDelete });
    if (this.deletes && options.overwrite !== "never") this.#held = [];
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
    if (this.#held && OTHER_TYPE.has(error.code)) return void this.#held.push([filename, error]);
    this.#failures++;
    this.#options.onError?.(filename, error);
  };

  /**
   * Reports the failures that were held back, and holds none back from now on.
   *
   * @param inTheWay the names, relative to the target, of what is deleted so that others can have them. Default: none
   * @param nameInside the name relative to the target
   * @returns the names of those that are transferred when that is done, so that their failures are not reported
   */
  settle(
    inTheWay: ReadonlySet<string> = new Set(),
    nameInside: (filename: string) => string | undefined = () => undefined,
  ): string[] {
    const held = this.#held ?? [];
    this.#held = undefined;
    const freed: string[] = [];
    for (const [filename, error] of held) {
      let name = nameInside(filename);
      while (name && !inTheWay.has(name)) name = parentName(name);
      if (name) freed.push(filename);
      else this.onError(filename, error);
    }
    return freed;
  }

  /** Whether deletions may begin: everything went well, or that does not matter. */
  get mayBegin(): boolean {
    return this.deletes && (this.#failures === 0 || this.#limits?.force === true);
  }

  /** Whether files may be moved before it is known what is in the way of others: nothing failed, not even because of that. */
  get mayMove(): boolean {
    const isHeld = this.#held !== undefined && this.#held.length > 0;
    return this.mayBegin && (!isHeld || this.#limits?.force === true);
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
