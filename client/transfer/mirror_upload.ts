/**
 * An upload of a directory that also deletes on the server what the local directory does not have, and keeps what is
 * deleted or replaced.
 *
 * @module
 */

import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import type { Listed } from "../../lib/core/entry.ts";
import { isTaken } from "../../lib/files/path_lookup.ts";
import type { Connection } from "../net/connection.ts";
import { assertMayRemove } from "../net/removals.ts";
import type { Connections } from "./jobs.ts";
import { kindOfOwn } from "./local_tree.ts";
import { MirrorPlan, type SourceNames, type TargetEntry } from "./mirror_plan.ts";
import { deletionsOf, Mirroring } from "./mirroring.ts";
import { inside, lastPart, named } from "./names.ts";
import { reportOmission } from "./omissions.ts";
import type { PutTreeOptions } from "./options.ts";
import { RemoteRemoval } from "./remote_removal.ts";
import { TreeUpload } from "./tree_upload.ts";
import type { UploadItem } from "./upload_items.ts";

/** An upload of a directory that makes the directory on the server the same. */
export class MirroredUpload {
  readonly #as: string;
  readonly #options: PutTreeOptions;
  readonly #mirroring: Mirroring;
  readonly #source: LocalNames;
  readonly #tree: TreeUpload;
  readonly #removal: RemoteRemoval;
  /** Whether it is known that the server lets this client delete. */
  #allowed = false;
  #planned = false;

  private constructor(
    as: string,
    options: PutTreeOptions,
    parts: {
      mirroring: Mirroring;
      source: LocalNames;
      tree: TreeUpload;
      removal: RemoteRemoval;
    },
  ) {
    this.#as = as;
    this.#options = options;
    this.#mirroring = parts.mirroring;
    this.#source = parts.source;
    this.#tree = parts.tree;
    this.#removal = parts.removal;
  }

  /**
   * Begins to walk the local directory.
   *
   * @throws {FerryError} where the directory itself cannot be read; `usage` for a backup that would hold the target
   */
  static async begin(root: string, as: string, given: PutTreeOptions): Promise<MirroredUpload> {
    const { backup } = given;
    if (backup !== undefined && (backup === "" || `${as}/`.startsWith(`${backup}/`))) {
      const reason = `${named(backup)} holds the directory that it is to keep backups of`;
      throw new FerryError("usage", reason);
    }
    const mirroring = new Mirroring(given);
    const { overwrite = "different" } = given;
    const options = { ...given, overwrite, onError: mirroring.onError };
    const source = new LocalNames(root);
    const removal = new RemoteRemoval(as, { backup, mirroring, source });
    const keeps = backup !== undefined && overwrite !== "never";
    const tree = await TreeUpload.begin(root, as, options, {
      onFound: (name, type) => source.add(name, type),
      beforeSending: keeps ? (...args) => removal.keepReplaced(...args) : undefined,
    });
    return new MirroredUpload(as, options, { mirroring, source, tree, removal });
  }

  /** See {@linkcode TreeUpload.isCutShort}. */
  get isCutShort(): boolean {
    return this.#tree.isCutShort;
  }

  /** Transfers the remaining files, then deletes; where a connection is lost, the rest is left for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    if (!this.#allowed) await this.#assertMay(connection);
    this.#allowed = true;
    await this.#tree.run(connections);
    if (this.isCutShort || !this.#planned && !await this.#plan(connection)) return;
    await this.#removal.run(connections);
  }

  async #assertMay(connection: Connection): Promise<void> {
    try {
      await assertMayRemove(connection, this.#as, this.#options.backup);
    } catch (error) {
      throw toFerryError(error).during(`delete in ${named(this.#as)}`);
    }
  }

  /** Decides what is deleted. Returns whether anything is to be done. */
  async #plan(connection: Connection): Promise<boolean> {
    const mirroring = this.#mirroring;
    if (!mirroring.mayBegin) return false;
    const doomed = (await this.#compare(connection)).doomed();
    if (!mirroring.mayBegin) return false;
    try {
      mirroring.assertFew(doomed);
    } catch (error) {
      mirroring.onError(this.#as, toFerryError(error).during(`delete in ${named(this.#as)}`));
      return false;
    }
    if (this.#options.dryRun) {
      for (const entry of doomed) mirroring.tell(entry, inside(this.#as, entry.name));
      return false;
    }
    this.#removal.add(deletionsOf(doomed));
    return this.#planned = true;
  }

  /** Compares what the server has with the names of the local directory. */
  async #compare(connection: Connection): Promise<MirrorPlan> {
    const { filter, backup } = this.#options;
    const kept = backup === undefined ? undefined : nameInside(this.#as, backup);
    const { excluded } = this.#mirroring;
    const plan = new MirrorPlan(this.#source, { filter, excluded, kept });
    const failed: Listed[] = [];
    const all = { recursive: true, omitted: true };
    try {
      for await (const listed of connection.list(this.#as, all)) {
        for (const each of listed) {
          if (each.omitted instanceof FerryError) failed.push(each);
          const entry = targetEntry(each, nameInside(this.#as, each.filename));
          if (entry) plan.add(entry);
        }
      }
    } catch (error) {
      // Nothing was transferred, and so nothing is there.
      if (toFerryError(error).code !== "not_found") throw error;
    }
    const { onError } = this.#mirroring;
    for (const { filename, omitted } of failed) {
      if (omitted !== undefined) reportOmission({ onError }, "list", { filename, omitted });
    }
    return plan;
  }
}

/** The names in a local directory: those that the walk has found, and any others that are there. */
export class LocalNames implements SourceNames {
  readonly #root: string;
  readonly #files = new Set<string>();
  readonly #directories = new Set<string>();

  /** No names yet of the directory `root`. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Adds a name that the walk has found; a directory only where its content is walked too. */
  add(name: string, type: UploadItem["type"]): void {
    (type === "directory" ? this.#directories : this.#files).add(name);
  }

  /** See {@linkcode SourceNames.at}. */
  at(name: string): "open" | "there" | undefined {
    if (this.#directories.has(name)) return "open";
    return this.#files.has(name) || this.isThere(name) ? "there" : undefined;
  }

  /** Whether anything has a name now, also if it is not transferred. */
  isThere(name: string): boolean {
    try {
      return isTaken(`${this.#root}/${name}`);
    } catch (error) {
      // A file that stands where a directory would have to be leaves no doubt; any other error does.
      return !(error instanceof Deno.errors.NotADirectory);
    }
  }

  /** See {@linkcode SourceNames.all}. */
  *all(): Generator<string, void, void> {
    yield* this.#files;
    yield* this.#directories;
  }
}

/** A line of a list as an entry of the target; undefined for what has vanished. */
function targetEntry(listed: Listed, name: string | undefined): TargetEntry | undefined {
  const { filename, omitted } = listed;
  if (name === undefined) {
    throw new FerryError("bad_name", `the server lists ${quote(filename)}, which is not in it`);
  }
  if (omitted === "vanished") return undefined;
  const none = { name, size: 0, checksum: null };
  if (kindOfOwn(name, lastPart(name)) !== undefined) return { ...none, type: "other" };
  if (omitted === "link") return { ...none, type: "link" };
  if (omitted !== undefined || listed.type === undefined) return { ...none, type: "other" };
  const { type, size, checksum } = listed;
  return { name, type, size, checksum };
}

/** The name relative to a directory; undefined where it is not in it. */
function nameInside(directory: string, filename: string): string | undefined {
  if (directory === "") return filename;
  return filename.startsWith(`${directory}/`) ? filename.slice(directory.length + 1) : undefined;
}
