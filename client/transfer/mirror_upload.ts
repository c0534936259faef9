/**
 * An upload of a directory that also deletes on the server what the local directory does not have, and keeps what is
 * deleted or replaced.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { Listed } from "../../lib/core/entry.ts";
import { infoAt, isTaken } from "../../lib/files/path_lookup.ts";
import type { Connection } from "../net/connection.ts";
import { assertMayRemove } from "../net/removals.ts";
import type { Connections } from "./jobs.ts";
import { kindOfOwn } from "./local_tree.ts";
import {
  type Doomed,
  MirrorPlan,
  type SourceNames,
  type SourceType,
  type TargetEntry,
} from "./mirror_plan.ts";
import { deletionsOf, Mirroring, obstaclesOf } from "./mirroring.ts";
import { inside, lastPart, listedBelow, nameBelow, named } from "./names.ts";
import { reportOmission } from "./omissions.ts";
import { again, nothingTransferred, type PutTreeOptions } from "./options.ts";
import { RemoteMoves } from "./remote_moves.ts";
import { RemoteRemoval } from "./remote_removal.ts";
import { TreeUpload } from "./tree_upload.ts";
import type { UploadHooks, UploadItem, UploadItems } from "./upload_items.ts";

/** An upload of a directory that makes the directory on the server the same. */
export class MirroredUpload {
  readonly #root: string;
  readonly #as: string;
  readonly #options: PutTreeOptions;
  readonly #mirroring: Mirroring;
  readonly #source: LocalNames;
  readonly #tree: TreeUpload;
  readonly #removal: RemoteRemoval;
  readonly #moves: RemoteMoves;
  /** What is to be deleted if all moves succeed and nothing else is done; undefined where that has to be found out. */
  #left: Doomed[] | undefined;
  /** The items of the upload, once moves have been looked for. */
  #items: UploadItems | undefined;
  /** Whether it is known that the server lets this client delete. */
  #allowed = false;
  #planned = false;
  /** Whether something is deleted in whose place something of another type comes. */
  #hasObstacles = false;
  /** Transfers what had no place before. */
  #again: TreeUpload | undefined;

  private constructor(
    { root, as }: { root: string; as: string },
    options: PutTreeOptions,
    parts: {
      mirroring: Mirroring;
      source: LocalNames;
      tree: TreeUpload;
      removal: RemoteRemoval;
    },
  ) {
    this.#root = root;
    this.#as = as;
    this.#options = options;
    this.#mirroring = parts.mirroring;
    this.#source = parts.source;
    this.#tree = parts.tree;
    this.#removal = parts.removal;
    this.#moves = new RemoteMoves(as, options);
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
    const { overwrite = "different" } = given;
    const mirroring = new Mirroring({ ...given, overwrite });
    const options = { ...given, overwrite, onError: mirroring.onError };
    const source = new LocalNames(root);
    const removal = new RemoteRemoval(as, { backup, mirroring, source });
    const keeps = backup !== undefined && overwrite !== "never";
    const hooks: UploadHooks = {
      onFound: (name, type) => source.add(name, type),
      beforeSending: keeps ? (...args) => removal.keepReplaced(...args) : undefined,
    };
    const tree = await TreeUpload.begin(root, as, options, hooks);
    const mirrored = new MirroredUpload({ root, as }, options, {
      mirroring,
      source,
      tree,
      removal,
    });
    // With backups, everything that goes away is kept there.
    if (backup === undefined && mirroring.deletes && given.delta !== false) {
      hooks.knownLater = true;
      hooks.beforeSending = ([connection], items) => mirrored.#planMoves(connection, items);
    }
    return mirrored;
  }

  /** See {@linkcode TreeUpload.isCutShort}. */
  get isCutShort(): boolean {
    return this.#tree.isCutShort || this.#moves.anyLeft || this.#again?.isCutShort === true;
  }

  /** Transfers the remaining files, then deletes; where a connection is lost, the rest is left for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    if (!this.#allowed) await this.#assertMay(connection);
    this.#allowed = true;
    await this.#tree.run(connections);
    if (this.#tree.isCutShort) return;
    if (this.#moves.anyLeft && !await this.#move(connections)) await this.#tree.run(connections);
    if (this.#tree.isCutShort || this.#moves.anyLeft) return;
    if (!this.#planned && !await this.#plan(connection)) return void this.#mirroring.settle();
    await this.#removal.run(connections);
    if (!this.#hasObstacles) return;
    this.#again ??= await this.#beginAgain();
    await this.#again.run(connections);
  }

  /** Begins to transfer what had no place. */
  #beginAgain(): Promise<TreeUpload> {
    const keeps = this.#options.backup !== undefined;
    return TreeUpload.begin(this.#root, this.#as, again(this.#options), {
      beforeSending: keeps ? (...args) => this.#removal.keepReplaced(...args) : undefined,
    });
  }

  async #assertMay(connection: Connection): Promise<void> {
    const { backup } = this.#options;
    try {
      await assertMayRemove(connection, this.#as, backup);
    } catch (error) {
      const failure = toFerryError(error);
      const isOfBackup = backup !== undefined && failure.code === "bad_name";
      throw failure.during(
        isOfBackup ? `keep backups in ${named(backup)}` : `delete in ${named(this.#as)}`,
      );
    }
  }

  /** Looks for files that have only another name on the server, if there are files to be sent. */
  async #planMoves(connection: Connection, items: UploadItems): Promise<void> {
    if (this.#items !== undefined) return;
    if (!items.left.values().some(({ type, size }) => type === "file" && size > 0)) return;
    const doomed = (await this.#compare(connection, { silent: true })).doomed();
    // Then more is transferred after the deletions.
    if (obstaclesOf(doomed).size > 0) return;
    const left = await this.#moves.take(connection, items, doomed);
    this.#items = items;
    // Where nothing is sent, nothing comes to what the server has listed.
    if (!items.anyLeft) this.#left = left;
  }

  /** Moves what has only another name. Returns false where items are left to be sent instead. */
  async #move(connections: Connections): Promise<boolean> {
    const items = this.#items!;
    if (!this.#mirroring.mayMove) this.#moves.giveUp(items);
    else if (await this.#moves.run(connections, items)) return true;
    this.#left = undefined;
    return false;
  }

  /** Decides what is deleted. Returns whether anything is to be done. */
  async #plan(connection: Connection): Promise<boolean> {
    const mirroring = this.#mirroring;
    if (!mirroring.mayBegin) return false;
    const doomed = this.#left ?? (await this.#compare(connection)).doomed();
    // What is not there was looked for in the directory that is mirrored, and in no other one.
    this.#tree.assertStanding();
    const obstacles = obstaclesOf(doomed);
    const freed = mirroring.settle(obstacles, (name) => nameBelow(this.#as, name));
    if (!mirroring.mayBegin) return false;
    try {
      mirroring.assertFew(doomed);
    } catch (error) {
      mirroring.onError(this.#as, toFerryError(error).during(`delete in ${named(this.#as)}`));
      return false;
    }
    if (this.#options.dryRun) {
      for (const entry of doomed) mirroring.tell(entry, inside(this.#as, entry.name));
      for (const filename of freed) this.#foresee(filename);
      return false;
    }
    this.#hasObstacles = obstacles.size > 0;
    this.#removal.add(deletionsOf(doomed));
    return this.#planned = true;
  }

  /** Reports what would be transferred in the place of something that would be deleted. */
  #foresee(filename: string): void {
    const info = infoAt(`${this.#root}/${nameBelow(this.#as, filename)}`);
    if (!info || info.isDirectory) return;
    this.#options.onFile?.(nothingTransferred(filename, { size: info.size }));
  }

  /** Compares what the server has with the names of the local directory. Failures are reported unless it is silent. */
  async #compare(connection: Connection, { silent = false } = {}): Promise<MirrorPlan> {
    const { filter, backup, links } = this.#options;
    const kept = backup === undefined ? undefined : nameBelow(this.#as, backup);
    const { excluded } = this.#mirroring;
    const plan = new MirrorPlan(this.#source, { filter, excluded, kept, replacesLinks: links });
    const failed: Listed[] = [];
    const all = { recursive: true, omitted: true, links };
    try {
      for await (const listed of connection.list(this.#as, all)) {
        for (const each of listed) {
          if (each.omitted instanceof FerryError) failed.push(each);
          const entry = targetEntry(each, listedBelow(this.#as, each.filename));
          if (entry) plan.add(entry);
        }
      }
    } catch (error) {
      // Nothing was transferred, and so nothing is there.
      if (toFerryError(error).code !== "not_found") throw error;
    }
    const { onError } = this.#mirroring;
    for (const { filename, omitted } of silent ? [] : failed) {
      if (omitted !== undefined) reportOmission({ onError }, "list", { filename, omitted });
    }
    return plan;
  }
}

/** The names in a local directory: those that the walk has found, and any others that are there. */
class LocalNames implements SourceNames {
  readonly #root: string;
  readonly #files = new Set<string>();
  readonly #directories = new Set<string>();
  readonly #links = new Set<string>();

  /** No names yet of the directory `root`. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Adds a name that the walk has found; a directory only where its content is walked too. */
  add(name: string, type: UploadItem["type"]): void {
    const names = { directory: this.#directories, file: this.#files, link: this.#links };
    names[type].add(name);
  }

  /** See {@linkcode SourceNames.at}. */
  at(name: string): SourceType | undefined {
    if (this.#directories.has(name)) return "directory";
    if (this.#files.has(name)) return "file";
    if (this.#links.has(name)) return "link";
    return this.isThere(name) ? "other" : undefined;
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
    yield* this.#links;
    yield* this.#directories;
  }
}

/** A line of a list as an entry of the target; undefined for what has vanished. */
function targetEntry(listed: Listed, name: string): TargetEntry | undefined {
  const { omitted } = listed;
  if (omitted === "vanished") return undefined;
  const none = { name, size: 0, checksum: null };
  if (kindOfOwn(name, lastPart(name)) !== undefined) return { ...none, type: "other" };
  if (omitted === "link") return { ...none, type: "link" };
  if (omitted !== undefined || listed.type === undefined) return { ...none, type: "other" };
  const { type, size, checksum, mtime, mode } = listed;
  return { name, type, size, checksum, mtime, mode };
}
