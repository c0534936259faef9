/**
 * Which entries of the target of a mirror are deleted: those that the source does not have.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import { foldName, parentName } from "../../lib/core/remote_name.ts";
import type { Filter } from "./filter.ts";

/** An entry of the target. */
export interface TargetEntry {
  /** Its name relative to the target, with `/` between its components. */
  readonly name: string;
  /** Its type; `other` is never deleted: a pipe, a socket, a device, what cannot be read, ferry's own files. */
  readonly type: "file" | "directory" | "link" | "other";
  /** Its size in bytes; 0 for anything but a file. */
  readonly size: number;
  /** Its checksum, where it is known. */
  readonly checksum: Checksum | null;
  /** The modification time of a file in milliseconds since 1970. Default: unknown. */
  readonly mtime?: number | undefined;
  /** The permission bits of a file. Default: unknown. */
  readonly mode?: number | undefined;
}

/** An entry that is to be deleted. */
export interface Doomed extends TargetEntry {
  /** Its type. */
  readonly type: "file" | "directory" | "link";
  /** Whether it is in a directory that is to be deleted, and goes with that. */
  readonly inside: boolean;
  /** Whether the filter leaves it out, so that it is deleted even where the source has it. */
  readonly excluded: boolean;
  /** Whether the source has something of another type under the name, which cannot be transferred before it is gone. */
  readonly obstacle: boolean;
}

/** What a source may have under a name; see {@linkcode SourceNames.at}. */
export type SourceType = "directory" | "file" | "link" | "other";

/** The names that the source has. */
export interface SourceNames {
  /**
   * What the source has of that name: a directory whose content is part of the transfer, a file or a link that is
   * transferred as such, or something `other` that is not transferred.
   */
  at(name: string): SourceType | undefined;
  /** The names that are transferred, or are there on the server. */
  all(): Iterable<string>;
}

/** Options of {@linkcode MirrorPlan}. */
export interface MirrorPlanOptions {
  /** Which entries are transferred. Default: all. */
  filter?: Filter | undefined;
  /** Whether entries that the filter leaves out are deleted. Default: false, they stay. */
  excluded?: boolean | undefined;
  /** A name in the target that stays with all that is in it, or several: of the directory for backups. Default: none. */
  kept?: string | readonly string[] | undefined;
  /** Whether directories and files of the source take the place of links, as where links are transferred. Default: false. */
  replacesLinks?: boolean | undefined;
}

interface Candidate extends TargetEntry {
  readonly type: Doomed["type"];
  readonly excluded: boolean;
  readonly obstacle: boolean;
  /** Whether it stays: it has something that stays, or the file system takes its name for one of the source's. */
  stays: boolean;
  /** Whether something in it is to be deleted. */
  holds: boolean;
}

/**
 * Compares the entries of a target with the names of a source. Entries may come in any order in which each directory
 * precedes its content.
 */
export class MirrorPlan {
  readonly #source: SourceNames;
  readonly #options: MirrorPlanOptions;
  /** See {@linkcode MirrorPlanOptions.kept}. */
  readonly #kept: ReadonlySet<string>;
  /** Names of the source that the target has not shown yet. */
  readonly #unmatched: Set<string>;
  readonly #candidates: Candidate[] = [];
  /** The directories among the candidates. */
  readonly #directories = new Map<string, Candidate>();
  /** Directories that stay with all that is in them. */
  readonly #closed = new Set<string>();
  /** Links that stay in the place of a directory of the source: its content is somewhere else in the target, or outside. */
  readonly #linked = new Set<string>();

  /** A plan without entries. */
  constructor(source: SourceNames, options: MirrorPlanOptions = {}) {
    this.#source = source;
    this.#options = options;
    this.#kept = new Set([options.kept ?? []].flat());
    this.#unmatched = new Set(source.all());
  }

  /**
   * Adds an entry.
   *
   * @returns whether the content of a directory matters, so that it has to be added too
   */
  add(entry: TargetEntry): boolean {
    const { name, type } = entry;
    const above = parentName(name);
    if (this.#closed.has(above)) return this.#close(entry);
    const doomed = this.#directories.get(above);
    const excluded = doomed?.excluded === true || this.#isExcluded(entry);
    const stays = type === "other" || this.#kept.has(name) || excluded && !this.#options.excluded;
    if (stays) return this.#keep(entry);
    const here = excluded || doomed ? undefined : this.#source.at(name);
    if (here) this.#unmatched.delete(name);
    const obstacle = here !== undefined && this.#isInTheWay(type, here);
    if (here && !obstacle) {
      if (here === "directory" && type === "link") this.#linked.add(name);
      return here === "directory" && type === "directory" || this.#close(entry);
    }
    const candidate = { ...entry, type, excluded, obstacle, stays: false, holds: false };
    this.#candidates.push(candidate);
    if (doomed) doomed.holds = true;
    if (type === "directory") this.#directories.set(name, candidate);
    return type === "directory";
  }

  /** What is to be deleted, each directory before its content. */
  doomed(): Doomed[] {
    if (this.#candidates.length === 0) return [];
    // A file system that ignores case or Unicode normalization lists a name of the source in the spelling that it had
    // there before, and not in that of the source.
    const respelled = new Set([...this.#unmatched].map(foldName));
    const elsewhere = this.#contentOfLinked();
    for (const candidate of this.#candidates.toReversed()) {
      const { name, type, excluded, obstacle, holds } = candidate;
      if (!excluded && respelled.has(foldName(name))) candidate.stays = true;
      if (elsewhere.size > 0 && type !== "directory" && endsAs(name, elsewhere)) {
        candidate.stays = true;
      }
      // With includes, only directories are wanted in which something is.
      const needless = type === "directory" && !excluded && !obstacle && !holds &&
        this.#options.filter?.keeps(name) === false;
      if (needless) candidate.stays = true;
      if (candidate.stays) this.#keepAbove(name);
    }
    return this.#candidates.filter(({ stays }) => !stays).map(
      ({ stays: _, holds: __, ...entry }) => {
        const inside = this.#directories.get(parentName(entry.name))?.stays === false;
        return { ...entry, inside };
      },
    );
  }

  #isExcluded({ name, type }: TargetEntry): boolean {
    const { filter } = this.#options;
    return filter !== undefined && !filter.accepts(name, type === "directory" ? type : "file");
  }

  #isInTheWay(type: Doomed["type"], here: SourceType): boolean {
    if (here === "other" || type === here) return false;
    // A link takes the place of a file or another link by itself.
    if (here === "link") return type === "directory";
    return type !== "link" || this.#options.replacesLinks === true;
  }

  /** The names that the content of directories has below them, where links are in their places. */
  #contentOfLinked(): Set<string> {
    const names = new Set<string>();
    if (this.#linked.size === 0) return names;
    for (const name of this.#source.all()) {
      for (let end = name.indexOf("/"); end > 0; end = name.indexOf("/", end + 1)) {
        if (this.#linked.has(name.slice(0, end))) names.add(name.slice(end + 1));
      }
    }
    return names;
  }

  #keep(entry: TargetEntry): false {
    this.#keepAbove(entry.name);
    return this.#close(entry);
  }

  #close({ name, type }: TargetEntry): false {
    if (type === "directory") this.#closed.add(name);
    return false;
  }

  /** Lets the directories above an entry stay. */
  #keepAbove(name: string): void {
    let above = this.#directories.get(parentName(name));
    while (above && !above.stays) {
      above.stays = true;
      above = this.#directories.get(parentName(above.name));
    }
  }
}

/** Whether a name, or the end of it after a slash, is among others. */
function endsAs(name: string, others: ReadonlySet<string>): boolean {
  for (let begin = 0;; begin = name.indexOf("/", begin) + 1) {
    if (others.has(name.slice(begin))) return true;
    if (!name.includes("/", begin)) return false;
  }
}
