/**
 * Which files of a tree are meant, by patterns as `.gitignore` has them.
 *
 * @module
 */

import ignore from "ignore";

/** What a name stands for. */
export type FilteredType = "file" | "directory";

/** Patterns of a {@linkcode Filter}, each a line as in a `.gitignore` file; the last that matches counts. */
export interface FilterOptions {
  /** Where there are any, a file has to match them, itself or by a directory above it. */
  include?: readonly string[] | undefined;
  /** What is left out, and with a directory all that is in it; `!pattern` takes it back. */
  exclude?: readonly string[] | undefined;
}

/**
 * Decides by name; names are relative to the tree and have `/` between their parts. Letters match in
 * their own case only, so that the answer is the same on every machine.
 *
 * A directory that is excluded is not descended into, so nothing in it can be taken back: that is what
 * git does. Includes never keep anyone from descending, for what they name may be further down.
 */
export class Filter {
  readonly #include: ignore.Ignore | undefined;
  readonly #exclude: ignore.Ignore | undefined;

  /** A filter by patterns; without any it accepts everything. */
  constructor({ include, exclude }: FilterOptions = {}) {
    this.#include = rules(include);
    this.#exclude = rules(exclude);
  }

  /** Whether a file is meant, or whether a directory is to be descended into. */
  accepts(name: string, type: FilteredType): boolean {
    if (this.#exclude?.ignores(type === "directory" ? `${name}/` : name)) return false;
    return type === "directory" || !this.#include || this.#include.ignores(name);
  }

  /**
   * Whether an accepted directory is meant even if nothing in it is: where there are no includes, or
   * where one of them names it. Any other one is needed only for the files in it that are meant.
   */
  keeps(directory: string): boolean {
    return !this.#include || this.#include.ignores(`${directory}/`);
  }
}

function rules(patterns: readonly string[] = []): ignore.Ignore | undefined {
  if (patterns.length === 0) return undefined;
  // Whether a name is a good one is for others to say.
  return ignore({ ignorecase: false, allowRelativePaths: true }).add(patterns);
}
