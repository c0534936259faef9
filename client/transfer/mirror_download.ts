/**
 * A download of a directory that also deletes here what the server's directory does not have, and keeps what is deleted
 * or replaced.
 *
 * @module
 */

import type { Listed } from "../../lib/core/entry.ts";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { basename, dirname, join, resolve } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { parentName } from "../../lib/core/remote_name.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import type { DownloadHooks } from "./download_items.ts";
import type { Connections } from "./jobs.ts";
import { localFailure } from "./local_failure.ts";
import { LocalRemoval } from "./local_removal.ts";
import { visitTarget } from "./local_target.ts";
import { type Doomed, MirrorPlan, type SourceNames, type SourceType } from "./mirror_plan.ts";
import { Mirroring, obstaclesOf } from "./mirroring.ts";
import { inside, nameBelow } from "./names.ts";
import { again, type GetTreeOptions, nothingTransferred } from "./options.ts";
import { TreeDownload } from "./tree_download.ts";

/** A download of a directory that makes the local directory the same. */
export class MirroredDownload {
  readonly #name: string;
  readonly #out: string;
  readonly #options: GetTreeOptions;
  readonly #mirroring: Mirroring;
  readonly #source: RemoteNames;
  readonly #tree: TreeDownload;
  /** Keeps what is replaced, while files are transferred. */
  #removal: LocalRemoval | undefined;
  #keeping: Promise<void> = Promise.resolve();
  #ended = false;
  /** Transfers what had no place before; undefined where everything had. */
  #again: TreeDownload | undefined;

  /**
   * A download of the directory `name` into the local directory `out`.
   *
   * @throws {FerryError} `usage` for a backup that would hold the target
   */
  static begin(name: string, out: string, given: GetTreeOptions): MirroredDownload {
    const { backup } = given;
    if (backup !== undefined && namesInside(backup, out).length > 0) {
      const reason = `${quote(backup)} holds the directory that it is to keep backups of`;
      throw new FerryError("usage", reason);
    }
    return new MirroredDownload(name, out, given);
  }

  private constructor(name: string, out: string, given: GetTreeOptions) {
    const { overwrite = "different" } = given;
    this.#name = name;
    this.#out = out;
    this.#source = new RemoteNames(given.links === true);
    this.#mirroring = new Mirroring({ ...given, overwrite });
    this.#options = { ...given, overwrite, onError: this.#mirroring.onError };
    this.#tree = new TreeDownload(name, out, this.#options, {
      onListed: (name, listed) => this.#source.add(name, listed),
      beforeReplacing: this.#beforeReplacing,
    });
  }

  /** Keeps what is replaced, with a directory for backups. */
  get #beforeReplacing(): DownloadHooks["beforeReplacing"] {
    return this.#options.backup === undefined ? undefined : (name) => this.#keep(name);
  }

  /** See {@linkcode TreeDownload.isCutShort}. */
  get isCutShort(): boolean {
    return (this.#again ?? this.#tree).isCutShort;
  }

  /** Transfers the remaining files, then deletes. */
  async run(connections: Connections): Promise<void> {
    await this.#transfer(this.#again ?? this.#tree, connections);
    if (this.isCutShort || this.#ended) return;
    this.#ended = true;
    await this.#delete();
    this.#mirroring.settle();
    if (this.#again) await this.#transfer(this.#again, connections);
  }

  async #transfer(tree: TreeDownload, connections: Connections): Promise<void> {
    try {
      await tree.run(connections);
    } finally {
      await this.#keeping;
      this.#removal?.[Symbol.dispose]();
      this.#removal = undefined;
    }
  }

  async #delete(): Promise<void> {
    const mirroring = this.#mirroring;
    if (!mirroring.mayBegin) return;
    const doomed = await this.#plan();
    const obstacles = obstaclesOf(doomed);
    const freed = mirroring.settle(obstacles, (name) => nameBelow(this.#name, name));
    if (!mirroring.mayBegin) return;
    try {
      mirroring.assertFew(doomed);
    } catch (error) {
      return this.#failed("", error);
    }
    if (this.#options.dryRun) {
      for (const entry of doomed) mirroring.tell(entry, inside(this.#name, entry.name));
      for (const filename of freed) {
        const size = this.#source.sizeOf(nameBelow(this.#name, filename)!);
        if (size !== undefined) this.#options.onFile?.(nothingTransferred(filename, { size }));
      }
      return;
    }
    if (doomed.length > 0) await this.#remove(doomed);
    if (obstacles.size > 0) this.#again = this.#transferAgain();
  }

  /** Prepares to transfer what had no place. */
  #transferAgain(): TreeDownload {
    const beforeReplacing = this.#beforeReplacing;
    return new TreeDownload(this.#name, this.#out, again(this.#options), { beforeReplacing });
  }

  async #plan(): Promise<Doomed[]> {
    const { filter, backup, links } = this.#options;
    const { excluded } = this.#mirroring;
    const kept = backup === undefined ? undefined : namesInside(this.#out, backup);
    const plan = new MirrorPlan(this.#source, { filter, excluded, kept, replacesLinks: links });
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
        stay.add(parentName(entry.name));
        continue;
      }
      try {
        const kept = await removal.remove(entry);
        if (kept === null) continue;
        this.#mirroring.tell(entry, inside(this.#name, entry.name), kept);
      } catch (error) {
        stay.add(parentName(entry.name));
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
  readonly #links: boolean;
  /** What has each name; the size of a file in bytes. */
  readonly #entries = new Map<string, { type: SourceType; size?: number }>();

  /** No names yet. `links` tells whether links are transferred. */
  constructor(links: boolean) {
    this.#links = links;
  }

  add(name: string, listed: Listed): void {
    const { omitted, type } = listed;
    // What vanished meanwhile is not there.
    if (omitted === "vanished") return;
    const isLink = this.#links && type === undefined && listed.link !== undefined;
    const own = isLink ? "link" : omitted === undefined && type ? type : "other";
    this.#entries.set(name, { type: own, ...(type === "file" ? { size: listed.size } : {}) });
  }

  at(name: string): SourceType | undefined {
    return this.#entries.get(name)?.type;
  }

  /** The size of a file in bytes; undefined for anything else. */
  sizeOf(name: string): number | undefined {
    return this.#entries.get(name)?.size;
  }

  all(): Iterable<string> {
    return this.#entries.keys();
  }
}

/** The names of a path relative to a directory: as it is written, and without links. None where it is not in it. */
function namesInside(directory: string, path: string): string[] {
  return [resolve, realPath].flatMap((form) => {
    const [above, name] = [form(directory), form(path)].map(slashed);
    return name!.startsWith(above!) ? [name!.slice(above!.length, -1)] : [];
  });
}

/** A path without links, as far as it exists. */
function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    const above = dirname(path);
    return above === path ? resolve(path) : join(realPath(above), basename(path));
  }
}

/** An absolute path with a slash after each of its components. */
function slashed(path: string): string {
  return path.split(PLATFORM.separators).join("/").replace(/\/?$/, "/");
}
