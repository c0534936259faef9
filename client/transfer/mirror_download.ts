/**
 * A download of a directory that also deletes here what the server's directory does not have, and keeps what is deleted
 * or replaced.
 *
 * @module
 */

import type { Listed } from "../../lib/core/entry.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { resolve } from "../../lib/core/paths.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import type { Connections } from "./jobs.ts";
import { localFailure } from "./local_failure.ts";
import { LocalRemoval } from "./local_removal.ts";
import { visitTarget } from "./local_target.ts";
import { type Doomed, MirrorPlan, parentOf, type SourceNames } from "./mirror_plan.ts";
import { Mirroring } from "./mirroring.ts";
import { inside } from "./names.ts";
import type { GetTreeOptions } from "./options.ts";
import { TreeDownload } from "./tree_download.ts";

/** A download of a directory that makes the local directory the same. */
export class MirroredDownload {
  readonly #name: string;
  readonly #out: string;
  readonly #options: GetTreeOptions;
  readonly #mirroring: Mirroring;
  readonly #source = new RemoteNames();
  readonly #tree: TreeDownload;
  /** Keeps what is replaced, while files are transferred. */
  #removal: LocalRemoval | undefined;
  #keeping: Promise<void> = Promise.resolve();
  #ended = false;

  /**
   * A download of the directory `name` into the local directory `out`.
   *
   * @throws {FerryError} `usage` for a backup that would hold the target
   */
  constructor(name: string, out: string, given: GetTreeOptions) {
    const { backup } = given;
    if (backup !== undefined && `${resolve(out)}/`.startsWith(`${resolve(backup)}/`)) {
      const reason = `${quote(backup)} holds the directory that it is to keep backups of`;
      throw new FerryError("usage", reason);
    }
    const { overwrite = "different" } = given;
    this.#name = name;
    this.#out = out;
    this.#mirroring = new Mirroring(given);
    this.#options = { ...given, overwrite, onError: this.#mirroring.onError };
    this.#tree = new TreeDownload(name, out, this.#options, {
      onListed: (name, listed) => this.#source.add(name, listed),
      beforeReplacing: backup === undefined ? undefined : (name) => this.#keep(name),
    });
  }

  /** See {@linkcode TreeDownload.isCutShort}. */
  get isCutShort(): boolean {
    return this.#tree.isCutShort;
  }

  /** Transfers the remaining files, then deletes. */
  async run(connections: Connections): Promise<void> {
    try {
      await this.#tree.run(connections);
    } finally {
      await this.#keeping;
      this.#removal?.[Symbol.dispose]();
      this.#removal = undefined;
    }
    if (this.isCutShort || this.#ended) return;
    this.#ended = true;
    const mirroring = this.#mirroring;
    if (!mirroring.mayBegin) return;
    const doomed = await this.#plan();
    if (!mirroring.mayBegin) return;
    try {
      mirroring.assertFew(doomed);
    } catch (error) {
      return this.#failed("", error);
    }
    if (this.#options.dryRun) {
      for (const entry of doomed) mirroring.tell(entry, inside(this.#name, entry.name));
    } else if (doomed.length > 0) await this.#remove(doomed);
  }

  async #plan(): Promise<Doomed[]> {
    const { filter, backup } = this.#options;
    const { excluded } = this.#mirroring;
    const kept = backup === undefined ? undefined : nameInside(this.#out, backup);
    const plan = new MirrorPlan(this.#source, { filter, excluded, kept });
    await visitTarget(this.#out, {
      add: (entry) => plan.add(entry),
      failed: (name, error) => this.#failed(name, error),
    });
    return plan.doomed();
  }

  /** Deletes entries, each after what is in it. */
  async #remove(doomed: readonly Doomed[]): Promise<void> {
    const { backup } = this.#options;
    using removal = new LocalRemoval(this.#out, backup);
    /** Directories in which something could not be deleted. */
    const stay = new Set<string>();
    for (const entry of doomed.toReversed()) {
      this.#options.signal?.throwIfAborted();
      if (stay.has(entry.name)) {
        stay.add(parentOf(entry.name));
        continue;
      }
      try {
        const kept = await removal.remove(entry);
        if (kept === null) continue;
        this.#mirroring.tell(entry, inside(this.#name, entry.name), kept);
      } catch (error) {
        stay.add(parentOf(entry.name));
        this.#failed(entry.name, error);
      }
    }
  }

  /** Keeps a file that is about to be replaced, one after the other. */
  #keep(name: string): Promise<void> {
    if (!isTaken(`${this.#out}/${name}`)) return Promise.resolve();
    const keeping = this.#keeping.then(async () => {
      this.#removal ??= new LocalRemoval(this.#out, this.#options.backup);
      await this.#removal.keep(name);
    });
    this.#keeping = keeping.catch(() => {});
    return keeping;
  }

  #failed(name: string, error: unknown): void {
    const path = name === "" ? this.#out : `${this.#out}/${name}`;
    const failure = localFailure(error, path).during(`delete ${quote(path)}`);
    this.#mirroring.onError(inside(this.#name, name), toFerryError(failure));
  }
}

/** The names that the server has listed, in any form. */
class RemoteNames implements SourceNames {
  readonly #directories = new Set<string>();
  readonly #others = new Set<string>();

  add(name: string, { type, omitted }: Listed): void {
    // What vanished meanwhile is not there.
    if (omitted === "vanished") return;
    const isOpen = type === "directory" && omitted === undefined;
    (isOpen ? this.#directories : this.#others).add(name);
  }

  at(name: string): "open" | "there" | undefined {
    if (this.#directories.has(name)) return "open";
    return this.#others.has(name) ? "there" : undefined;
  }

  *all(): Generator<string, void, void> {
    yield* this.#directories;
    yield* this.#others;
  }
}

/** The name of a path relative to a directory; undefined where it is not in it. */
function nameInside(directory: string, path: string): string | undefined {
  const [base, other] = [`${resolve(directory)}/`, resolve(path)];
  return other.startsWith(base) ? other.slice(base.length) : undefined;
}
