/**
 * How a directory is uploaded: its files are compared with the server's in one exchange, small ones are sent in a
 * pipeline, large ones follow one by one.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { unkeptKey } from "../../lib/core/entry.ts";
import { FerryError, mayPass, quote, toFerryError } from "../../lib/core/errors.ts";
import { Pace } from "../../lib/core/time_slices.ts";
import { checksumOfSource } from "../../lib/digest/source_digest.ts";
import { LocalFile, readLocalFile, type WholeFile } from "../../lib/files/local_file.ts";
import type { Runtime } from "../../lib/runtime/runtime.ts";
import type { PutReply } from "../../lib/wire/operations/put.ts";
import type { ManifestLine, ManifestReply } from "../../lib/wire/manifest.ts";
import type { Connection, SmallUpload } from "../net/connection.ts";
import type { MaybePromise } from "../net/request_channel.ts";
import { type Connections, eachOf, onEach } from "./jobs.ts";
import { isLocalFailure, localFailure } from "./local_failure.ts";
import { type LocalEntry, walkLocal } from "./local_tree.ts";
import { assertDistinctOnServer, NameCollisions, type RemoteLookup } from "./name_collisions.ts";
import { assertOptionValues } from "./option_values.ts";
import { nothingTransferred, type PutTreeOptions, type Transferred } from "./options.ts";
import { upload } from "./upload.ts";
import { planUpload } from "./upload_plan.ts";

/** Files up to this size are sent in a pipeline, without an offer. */
const SMALL_BYTES = 1024 * 1024;

/** A file or directory to be uploaded and its name on the server. */
interface Item extends LocalEntry, ManifestLine {
  /** Whether its size is known only by reading it: it is sent as a stream, and not compared. */
  unsized?: boolean;
  /** The earlier name that the server may take for the same. */
  before?: string | undefined;
}

/** A request for a file that needs no offer, or for an empty directory. */
type SmallItem = SmallUpload & { readonly item: Item };

/** An upload of a directory, over one connection or several. */
export class TreeUpload {
  readonly #options: PutTreeOptions;
  readonly #algorithm: Algorithm;
  /** The items that are not done yet, in the order of the walk; empty directories are among them. */
  readonly #left = new Map<string, Item>();
  /** Items that come last, since the server may take their names for those of earlier items. */
  readonly #later = new Map<string, Item>();
  readonly #clashes = new NameCollisions();
  readonly #as: string;
  /** Finds the files to upload, step by step. */
  readonly #walk: AsyncIterator<LocalEntry, void>;
  readonly #found = { files: 0, bytes: 0 };
  #planned = false;
  #compared = false;

  private constructor(root: string, as: string, options: PutTreeOptions) {
    assertOptionValues(options);
    this.#options = options;
    this.#algorithm = options.algorithm ?? "md5";
    this.#as = as;
    const { filter, follow, onSkip, onError } = options;
    const walk = walkLocal(root, {
      ...(filter ? { filter } : {}),
      ...(follow ? { follow } : {}),
      ...(onSkip ? { onSkip } : {}),
      onError: (path, error) =>
        onError?.(path, localFailure(error, path).during(`put ${quote(path)}`)),
    });
    this.#left.set(as, emptyRoot(root, as));
    this.#walk = walk;
  }

  /**
   * Begins to walk the local directory.
   *
   * @throws {FerryError} where the directory itself cannot be read
   */
  static async begin(root: string, as: string, options: PutTreeOptions): Promise<TreeUpload> {
    const upload = new TreeUpload(root, as, options);
    // The first step shows whether the directory can be read at all.
    const first = await upload.#walk.next();
    if (!first.done) upload.#take(first.value);
    return upload;
  }

  /** Records an entry of the walk. */
  #take(entry: LocalEntry): Item {
    const filename = joined(this.#as, entry.name);
    const item: Item = { ...entry, filename, checksum: null };
    const { type, size } = item;
    const before = type === "file" ? this.#clashes.before(filename) : undefined;
    const left = before === undefined || this.#options.dryRun ? this.#left : this.#later;
    item.before = before;
    left.set(filename, item);
    // The directory above it is made along with it.
    const above = this.#left.get(filename.slice(0, Math.max(0, filename.lastIndexOf("/"))));
    if (above?.type === "directory") this.#left.delete(above.filename);
    if (type === "file") {
      this.#found.files++;
      this.#found.bytes += size;
    }
    return item;
  }

  /**
   * The remaining files: those that were found before, then those that the walk has not reached yet. Meanwhile the
   * server can compare the first ones.
   */
  async *#files(runtime: Runtime): AsyncGenerator<Item, void, void> {
    for (const item of [...this.#left.values()]) if (await isSizedFile(item, runtime)) yield item;
    // A `for await` loop would end the walk when this generator is left.
    for (let next; !(next = await this.#walk.next()).done;) {
      const item = this.#take(next.value);
      if (this.#left.has(item.filename) && await isSizedFile(item, runtime)) yield item;
    }
    if (!this.#planned) this.#options.onPlan?.(this.#found.files, this.#found.bytes);
    this.#planned = true;
  }

  /** Whether {@linkcode run} ended early, since files that failed locally have ended all connections. */
  get isCutShort(): boolean {
    return !this.#options.dryRun && this.#left.size + this.#later.size > 0;
  }

  /** Transfers the remaining files; where a connection is lost, the rest is left for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    connection.assertOffers(this.#algorithm);
    const able = connection.hello.features.includes("compare");
    if (!this.#compared && able) await this.#compare(connection);
    this.#compared = true;
    // Where the comparison was left out or incomplete, the walk is finished now.
    const pace = new Pace();
    for await (const _ of this.#files(connection.runtime)) if (pace.isDue) await pace.rest();
    if (this.#options.dryRun) {
      for (const item of [...this.#left.values()]) {
        if (item.type === "file") await this.#foresee(item, connection.runtime);
      }
      this.#left.clear();
      return;
    }
    const nextSmall = this.#small(connection.runtime);
    await onEach(
      connections,
      (connection) => connection.putEach(nextSmall, (...settled) => this.#settle(...settled)),
    );
    await eachOf(connections, [...this.#left.values()], (connection, items) => {
      return this.#putEach(connection, items);
    });
    // These are transferred one by one, so that each sees the result of the previous one.
    await eachOf([connection], [...this.#later.values()], (connection, items) => {
      return this.#putEach(connection, items);
    });
  }

  async #putEach(connection: Connection, items: AsyncIterable<Item>): Promise<void> {
    for await (const item of items) {
      try {
        const { overwrite } = await this.#overwriting(connection, item);
        const source = { kind: "path", path: item.path } as const;
        const options = { ...this.#options, overwrite, keepTime: true };
        const plan = planUpload(item.filename, source, options);
        this.#done(item, await upload(connection, plan));
      } catch (error) {
        if (!connection.usable && !isLocalFailure(error)) throw error;
        this.#failed(item, error);
        // In the middle of a file, a connection cannot be used for anything else.
        if (!connection.usable) return;
      }
    }
  }

  /**
   * The overwrite policy for a file.
   *
   * @throws {FerryError} `bad_name` where the server takes its name for that of another file of this tree
   */
  async #overwriting(
    connection: Connection,
    { filename, before }: Item,
  ): Promise<Pick<PutTreeOptions, "overwrite">> {
    const { overwrite } = this.#options;
    if (before === undefined) return { overwrite };
    try {
      await assertDistinctOnServer(filename, before, lookup(connection));
      return { overwrite };
    } catch (error) {
      if (toFerryError(error).code !== "denied") throw error;
      // A client that may write but not read gets no answer.
      return { overwrite: "never" };
    }
  }

  /** Records the result for a small file or an empty directory. */
  #settle(small: SmallItem, reply: PutReply | undefined, failure?: unknown): void {
    const { item } = small;
    if (failure !== undefined) {
      // After a temporary failure, the file is retried by itself, when the others are done.
      if (item.type === "directory" || !mayPass(toFerryError(failure))) this.#failed(item, failure);
      return;
    }
    if (!reply || "directory" in small) return this.#forget(item);
    const { filename, checksum, size, unchanged, unkept } = reply;
    // Where another file stays, the reply has that file's checksum and size.
    const stored = { filename, checksum, size, skipped: unchanged };
    const crossed = { transferred: small.body.length, resumedFrom: 0 };
    this.#done(item, { ...stored, ...crossed, ...unkeptKey(unkept) });
  }

  /** Returns the small files and the empty directories one after the other, for all connections together. */
  #small(runtime: Runtime): () => MaybePromise<SmallItem | undefined> {
    const items = this.#left.values().filter((item) =>
      item.type === "directory" || item.size <= SMALL_BYTES && !item.unsized
    ).toArray();
    let at = 0;
    const next = (): MaybePromise<SmallItem | undefined> => {
      for (;;) {
        const item = items[at++];
        if (item?.type !== "file") return item && { item, directory: item.filename };
        try {
          const file = readLocalFile(item.path, runtime);
          // For most files there is nothing to wait for.
          if (!(file instanceof Promise) && this.#algorithm === "md5") {
            return this.#smallRequest(item, file, runtime.digests.md5Of(file.bytes));
          }
          return this.#smallFile(item, file, runtime).catch((error) => {
            this.#failed(item, error);
            return next();
          });
        } catch (error) {
          this.#failed(item, error);
        }
      }
    };
    return next;
  }

  async #smallFile(
    item: Item,
    reading: MaybePromise<WholeFile>,
    { digests }: Runtime,
  ): Promise<SmallItem> {
    const file = await reading;
    return this.#smallRequest(item, file, await digests.checksumOf(this.#algorithm, file.bytes));
  }

  #smallRequest(item: Item, { bytes, mtime, mode }: WholeFile, checksum: Checksum): SmallItem {
    const { overwrite = "never", preserve } = this.#options;
    const { filename } = item;
    const kept = { mtime, mode: preserve ? mode : undefined };
    const file = { filename, algorithm: this.#algorithm, checksum, size: bytes.length };
    return { item, request: { ...file, overwrite, ...kept }, body: bytes };
  }

  /** Asks the server which files it wants, and drops the others. */
  async #compare(connection: Connection): Promise<void> {
    const hash: Item[] = [];
    const wanted = new Set<string>();
    const settle = (reply: ManifestReply) => {
      const item = this.#left.get(reply.filename);
      if (!item) return;
      wanted.add(reply.filename);
      if (reply.decision === "hash") hash.push(item);
      if (reply.decision === "error") {
        this.#failed(item, FerryError.reported(reply.code, reply.message, "server"));
      }
    };
    try {
      await this.#ask(connection, this.#files(connection.runtime), settle);
    } catch (error) {
      // A client that may write but not read gets no comparison: everything is sent then.
      if (toFerryError(error).code === "denied") return;
      throw error;
    }
    const hashed: Item[] = [];
    for (const item of hash) {
      try {
        await using file = LocalFile.open(item.path, connection.runtime);
        const checksum = await checksumOfSource(connection.runtime, file, {
          algorithm: this.#algorithm,
        });
        item.checksum = checksum;
        hashed.push(item);
        wanted.delete(item.filename);
      } catch (error) {
        this.#failed(item, error);
      }
    }
    if (hashed.length > 0) await this.#ask(connection, hashed, settle);
    for (const { filename, size, type, unsized } of [...this.#left.values()]) {
      if (type === "directory" || unsized || wanted.has(filename)) continue;
      this.#left.delete(filename);
      this.#options.onFile?.(nothingTransferred(filename, { size, skipped: true }));
    }
  }

  async #ask(
    connection: Connection,
    files: AsyncIterable<Item> | Iterable<Item>,
    settle: (reply: ManifestReply) => void,
  ): Promise<void> {
    const { overwrite = "never", checksumCompare: content = false } = this.#options;
    const options = { overwrite, content, algorithm: this.#algorithm };
    for await (const replies of connection.compare(files, options)) replies.forEach(settle);
  }

  #done(item: Item, result: Transferred): void {
    this.#forget(item);
    this.#options.onFile?.(result);
  }

  /** Reports a file that would be sent, if it can be read. */
  async #foresee(item: Item, runtime: Runtime): Promise<void> {
    try {
      await using _file = LocalFile.open(item.path, runtime);
      this.#options.onFile?.(nothingTransferred(item.filename, { size: item.size }));
    } catch (error) {
      this.#failed(item, error);
    }
  }

  #forget({ filename }: Item): void {
    this.#left.delete(filename);
    this.#later.delete(filename);
  }

  #failed(item: Item, error: unknown): void {
    this.#forget(item);
    const failure = localFailure(error, item.path).during(`put ${quote(item.path)}`);
    this.#options.onError?.(item.filename, failure);
  }
}

/** Whether something is a file whose reported size is right. */
async function isSizedFile(item: Item, runtime: Runtime): Promise<boolean> {
  if (item.type !== "file") return false;
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

function lookup(connection: Connection): RemoteLookup {
  return {
    stat: (filename) => connection.stat(filename),
    async *list(directory) {
      const options = { recursive: false, omitted: false };
      for await (const entries of connection.list(directory, options)) yield* entries;
    },
  };
}

function joined(as: string, name: string): string {
  return as === "" ? name : `${as}/${name}`;
}

/** The root directory as an item: if it is empty, no file in it makes it on the server. */
function emptyRoot(root: string, as: string): Item {
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
