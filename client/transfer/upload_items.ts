/**
 * What an upload of a directory still has to transfer: the files and empty directories that the walk of the local
 * directory finds, with their names on the server.
 *
 * @module
 */

import type { Checksum } from "../../lib/core/checksum.ts";
import { quote } from "../../lib/core/errors.ts";
import { LocalFile } from "../../lib/files/local_file.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { parentName } from "../../lib/core/remote_name.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { ManifestLine } from "../../lib/wire/manifest.ts";
import type { KnownContent } from "../net/known_contents.ts";
import type { Connections } from "./jobs.ts";
import { localFailure } from "./local_failure.ts";
import { LocalRoot } from "./local_root.ts";
import { type LocalEntry, walkLocal } from "./local_tree.ts";
import { NameCollisions } from "./name_collisions.ts";
import { inside } from "./names.ts";
import type { PutTreeOptions } from "./options.ts";

/** A file, directory or link to be uploaded and its name on the server. */
export interface UploadItem extends LocalEntry, Omit<ManifestLine, "target"> {
  /** Whether its size is known only by reading it: it is sent as a stream, and not compared. */
  unsized?: boolean;
  /** The earlier name that the server may take for the same. */
  before?: string | undefined;
  /** A file on the server that has the content already. */
  known?: KnownContent | undefined;
}

/** What else wants to know of an upload of a directory. */
export interface UploadHooks {
  /** Called for each file that the walk finds, and for each directory whose content it walks. */
  onFound?: ((name: string, type: LocalEntry["type"]) => void) | undefined;
  /**
   * Whether the server is asked for known contents only after {@linkcode UploadHooks.beforeSending}, which may settle
   * items more cheaply. Default: false.
   */
  knownLater?: boolean | undefined;
  /**
   * Called before the remaining items are sent; `failed` drops one and reports why.
   *
   * @throws {FerryError} the failure that ends a connection
   */
  beforeSending?:
    | ((
      connections: Connections,
      items: UploadItems,
      failed: (item: UploadItem, error: unknown) => void,
    ) => Promise<void>)
    | undefined;
}

/** The items of an upload of a directory. */
export class UploadItems {
  readonly #options: PutTreeOptions;
  readonly #hooks: UploadHooks;
  readonly #as: string;
  readonly #root: LocalRoot;
  /** The items that are not done yet, in the order of the walk; empty directories are among them. */
  readonly left: Map<string, UploadItem> = new Map();
  /** Items that come last, since the server may take their names for those of earlier items. */
  readonly later: Map<string, UploadItem> = new Map();
  /** Names of files that have another name in {@linkcode UploadItems.left}, or had. */
  #held: UploadItem[] = [];
  /** The checksums of files with several names, by their inodes. */
  readonly #checksums = new Map<string, Checksum>();
  readonly #clashes = new NameCollisions();
  /** Finds the files to upload, step by step. */
  readonly #walk: AsyncIterator<LocalEntry, void>;
  readonly #found = { files: 0, bytes: 0 };
  #planned = false;

  private constructor(root: LocalRoot, as: string, options: PutTreeOptions, hooks: UploadHooks) {
    this.#root = root;
    this.#options = options;
    this.#hooks = hooks;
    this.#as = as;
    const { filter, follow, links, onSkip, onError } = options;
    this.left.set(as, emptyRoot(root.path, as));
    this.#walk = walkLocal(root.path, {
      ...(filter ? { filter } : {}),
      ...(follow ? { follow } : {}),
      ...(links && PLATFORM.symbolicLinks ? { links } : {}),
      ...(onSkip ? { onSkip } : {}),
      onEnter: (name) => hooks.onFound?.(name, "directory"),
      onError: (path, error) =>
        onError?.(path, localFailure(error, path).during(`put ${quote(path)}`)),
    });
  }

  /**
   * Begins to walk a local directory, which gets the name `as`.
   *
   * @throws {FerryError} where the directory itself cannot be read
   */
  static async begin(
    root: string,
    as: string,
    options: PutTreeOptions,
    hooks: UploadHooks = {},
  ): Promise<UploadItems> {
    const items = new UploadItems(LocalRoot.at(root), as, options, hooks);
    // The first step shows whether the directory can be read at all.
    const first = await items.#walk.next();
    if (!first.done) items.#take(first.value);
    return items;
  }

  /** See {@linkcode LocalRoot.assertStanding}. */
  assertStanding(): void {
    this.#root.assertStanding();
  }

  /** Whether anything is left. */
  get anyLeft(): boolean {
    return this.left.size + this.later.size + this.#held.length > 0;
  }

  /**
   * Keeps back all but one of the names of each file that has several, as hard links: when that one is on the server,
   * the server copies the others from it.
   */
  holdBack(): void {
    const inodes = new Set<string>();
    for (const item of [...this.left.values()]) {
      if (item.inode === undefined || item.known) continue;
      if (inodes.has(item.inode)) {
        this.left.delete(item.filename);
        this.#held.push(item);
      } else inodes.add(item.inode);
    }
  }

  /**
   * Adds what was kept back to what is left, with the checksums of the names that were transferred.
   *
   * @returns whether there was anything
   */
  release(): boolean {
    const held = this.#held;
    this.#held = [];
    for (const item of held) {
      item.checksum = this.#checksums.get(item.inode!) ?? null;
      this.left.set(item.filename, item);
    }
    return held.length > 0;
  }

  /** Drops an item that is done; `checksum` is that of its content, if it is known. */
  done(item: UploadItem, checksum: Checksum | null): void {
    this.forget(item);
    if (item.inode !== undefined && checksum !== null) this.#checksums.set(item.inode, checksum);
  }

  /** Records an entry of the walk. */
  #take(entry: LocalEntry): UploadItem {
    const filename = inside(this.#as, entry.name);
    const item: UploadItem = { ...entry, filename, checksum: null };
    const { type, size } = item;
    // Directories are told when their content is walked.
    if (type !== "directory") this.#hooks.onFound?.(entry.name, type);
    const before = type !== "directory" ? this.#clashes.before(filename) : undefined;
    const left = before === undefined || this.#options.dryRun ? this.left : this.later;
    item.before = before;
    left.set(filename, item);
    // The directory above it is made along with it.
    const above = this.left.get(parentName(filename));
    if (above?.type === "directory") this.left.delete(above.filename);
    if (type !== "directory") {
      this.#found.files++;
      this.#found.bytes += size;
    }
    return item;
  }

  /**
   * The remaining files: those that were found before, then those that the walk has not reached yet. Meanwhile the
   * server can compare the first ones.
   */
  async *files(runtime: Runtime): AsyncGenerator<UploadItem, void, void> {
    for (const item of [...this.left.values()]) if (await isCompared(item, runtime)) yield item;
    // A `for await` loop would end the walk when this generator is left.
    for (let next; !(next = await this.#walk.next()).done;) {
      const item = this.#take(next.value);
      if (this.left.has(item.filename) && await isCompared(item, runtime)) yield item;
    }
    if (!this.#planned) this.#options.onPlan?.(this.#found.files, this.#found.bytes);
    this.#planned = true;
  }

  /** Drops an item that is done, or has failed. */
  forget({ filename }: UploadItem): void {
    this.left.delete(filename);
    this.later.delete(filename);
  }
}

/** Whether something is a link, or a file whose reported size is right. */
async function isCompared(item: UploadItem, runtime: Runtime): Promise<boolean> {
  if (item.type !== "file") return item.type === "link";
  if (item.size > 0) return true;
  return !(item.unsized ??= await isUnsized(item.path, runtime));
}

/** Whether a file of size 0 has content all the same, or cannot be read. */
async function isUnsized(path: string, runtime: Runtime): Promise<boolean> {
  let file: LocalFile;
  try {
    file = LocalFile.open(path, runtime);
  } catch {
    // The upload of the file reports the failure.
    return false;
  }
  await using _file = file;
  return await file.unsized().then((pieces) => pieces !== undefined, () => true);
}

/** The root directory as an item: if it is empty, no file in it makes it on the server. */
function emptyRoot(root: string, as: string): UploadItem {
  const filename = as;
  return {
    path: root,
    name: "",
    type: "directory",
    size: 0,
    mtime: 0,
    mode: 0o755,
    filename,
    checksum: null,
  };
}
