/**
 * Selects files of a tree by patterns as in `.gitignore`.
 *
 * @module
 */

import ignore from "ignore";

/** The type of the entry with a name. */
export type FilteredType = "file" | "directory";

/** Patterns of a {@linkcode Filter}, each a line as in a `.gitignore` file; the last that matches counts. */
export interface FilterOptions {
  /** Where there are any, only files are accepted that match one, themselves or by a directory above them. */
  include?: readonly string[] | undefined;
  /** Files that are left out, and directories with all their content; `!pattern` includes a file again. */
  exclude?: readonly string[] | undefined;
}

/**
 * Accepts or rejects entries by name. Names are relative to the root of the tree and have `/` between their components.
 * Matching is case-sensitive, so that the result is the same on every machine.
 *
 * An excluded directory is not descended into, so nothing in it can be included again: that is what git does. Includes
 * never keep a directory from being descended into, since what they name may be further down.
 */
export class Filter {
  readonly #include: ignore.Ignore | undefined;
  readonly #exclude: ignore.Ignore | undefined;

  /** A filter by patterns; without any it accepts everything. */
  constructor({ include, exclude }: FilterOptions = {}) {
    this.#include = rules(include);
    this.#exclude = rules(exclude);
  }

  /** Whether a file is accepted, or whether a directory is descended into. */
  accepts(name: string, type: FilteredType): boolean {
    if (this.#exclude?.ignores(type === "directory" ? `${name}/` : name)) return false;
    return type === "directory" || !this.#include || this.#include.ignores(name);
  }

  /**
   * Whether an accepted directory itself is wanted, even if nothing in it is: where there are no includes, or where one
   * of them matches it. Any other directory is needed only for the accepted files in it.
   */
  keeps(directory: string): boolean {
    return !this.#include || this.#include.ignores(`${directory}/`);
  }
}

function rules(patterns: readonly string[] = []): ignore.Ignore | undefined {
  if (patterns.length === 0) return undefined;
  // Whether a name is valid is checked elsewhere.
  return ignore({ ignorecase: false, allowRelativePaths: true }).add(patterns);
}
