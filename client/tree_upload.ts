/**
 * How a directory goes up: its files are compared with the server's in one exchange, small ones follow
 * each other without waiting, large ones go one by one.
 *
 * @module
 */

import { type Algorithm, type Checksum, checksumOfBytes } from "../lib/checksum.ts";
import { FerryError, mayPass, quote, toFerryError } from "../lib/errors.ts";
import { checksumKeys, parseReply } from "../lib/header.ts";
import { LocalFile } from "../lib/local_file.ts";
import {
  decodeManifestReply,
  encodeLines,
  encodeManifestLine,
  type ManifestLine,
  type ManifestReply,
} from "../lib/manifest.ts";
import { checksumOfSource } from "../lib/transfer.ts";
import type { Frame } from "../lib/wire.ts";
import { assertStored, type Connection, type PipelinedRequest } from "./connection.ts";
import { type Connections, eachOf } from "./jobs.ts";
import { type LocalEntry, walkLocal } from "./local_tree.ts";
import type { PutTreeOptions, Transferred } from "./options.ts";
import { assertStoredAs, upload } from "./upload.ts";

/** Files up to this size go without an offer, one behind the other. */
const SMALL_BYTES = 1024 * 1024;

/** A file or directory to be uploaded and its name on the server. */
interface Item extends LocalEntry {
  filename: string;
}

/** A request for a file that needs no offer, or for an empty directory. */
interface SmallItem extends PipelinedRequest {
  item: Item;
  checksum: Checksum | null;
}

/** An upload of a directory, which may take several connections. */
export class TreeUpload {
  readonly #options: PutTreeOptions;
  readonly #algorithm: Algorithm;
  /** What is not done yet, in the order of the walk; empty directories among it. */
  readonly #left = new Map<string, Item>();
  /** The checksums that were computed, so that a new connection does not have to wait for them again. */
  readonly #checksums = new Map<string, Checksum>();
  #compared = false;

  /**
   * Looks at what there is to do.
   *
   * @throws {FerryError} where the directory itself cannot be read
   */
  constructor(root: string, as: string, options: PutTreeOptions) {
    this.#options = options;
    this.#algorithm = options.algorithm ?? "md5";
    const filled = new Set<string>();
    const { filter, follow, onSkip, onError } = options;
    const walk = walkLocal(root, {
      ...(filter ? { filter } : {}),
      ...(follow ? { follow } : {}),
      ...(onSkip ? { onSkip } : {}),
      onError: (path, error) => onError?.(path, error.during(`put ${quote(path)}`)),
    });
    const items = [...walk].map((entry) => ({ ...entry, filename: joined(as, entry.name) }));
    for (const { name } of items) {
      const slash = name.lastIndexOf("/");
      if (slash >= 0) filled.add(name.slice(0, slash));
    }
    for (const item of items) {
      // The directories that have something in them come into being with it.
      if (item.type === "file" || !filled.has(item.name)) this.#left.set(item.filename, item);
    }
    if (items.length === 0) this.#left.set(as, emptyRoot(root, as));
    const files = items.filter(({ type }) => type === "file");
    options.onPlan?.(files.length, files.reduce((sum, { size }) => sum + size, 0));
  }

  /** Does what is left; a connection that is lost leaves the rest for the next ones. */
  async run(connections: Connections): Promise<void> {
    const [connection] = connections;
    connection.assertOffers(this.#algorithm);
    const able = connection.hello.features.includes("compare");
    if (!this.#compared && able) await this.#compare(connection);
    this.#compared = true;
    if (this.#options.dryRun) {
      for (const { filename, size, type } of this.#left.values()) {
        if (type === "file") this.#options.onFile?.(nothingMoved(filename, size));
      }
      this.#left.clear();
      return;
    }
    await eachOf(connections, this.#small(), (connection, small) => {
      return connection.pipeline(small, (reply, request) => this.#stored(reply, request));
    });
    await eachOf(connections, [...this.#left.values()], async (connection, items) => {
      for await (const item of items) {
        try {
          this.#done(item, await upload(connection, item.path, this.#keys(item)));
        } catch (error) {
          if (!connection.usable) throw error;
          this.#failed(item, error);
        }
      }
    });
  }

  /** Takes the reply to a small file or an empty directory. */
  #stored({ header }: Frame, { item, checksum }: SmallItem): Promise<void> {
    try {
      if (item.type === "directory") parseReply("done", header);
      else {
        const { filename } = item;
        const reply = parseReply("put", header);
        assertStoredAs(filename, reply);
        const { unchanged, size } = reply;
        if (!unchanged) assertStored(reply, checksum!);
        const crossed = { transferred: size, resumedFrom: 0 };
        this.#done(item, { filename, checksum, size, skipped: unchanged, ...crossed });
      }
      this.#left.delete(item.filename);
    } catch (error) {
      // What may pass is tried once more, by itself, when the others are done.
      if (item.type === "directory" || !mayPass(toFerryError(error))) this.#failed(item, error);
    }
    return Promise.resolve();
  }

  #keys({ filename }: Item) {
    return { ...this.#options, filename, keepTime: true };
  }

  async *#small(): AsyncGenerator<SmallItem, void, void> {
    const { overwrite = "never", preserve } = this.#options;
    for (const item of [...this.#left.values()]) {
      const { filename, type, path, size } = item;
      if (type === "directory") {
        yield { header: { op: "mkdir", filename }, item, checksum: null };
        continue;
      }
      if (size > SMALL_BYTES) continue;
      let body: Uint8Array;
      let times: { mtime: number; mode?: number };
      try {
        await using file = LocalFile.open(path);
        body = await file.readWhole();
        times = { mtime: file.mtime, ...(preserve ? { mode: file.mode } : {}) };
      } catch (error) {
        this.#failed(item, error);
        continue;
      }
      const checksum = await checksumOfBytes(this.#algorithm, body);
      const keys = { ...checksumKeys(this.#algorithm, checksum), size: body.length };
      const header = { op: "put", filename, overwrite, ...times, ...keys, total_size: body.length };
      yield { header, body, item, checksum };
    }
  }

  /** Asks the server which files it wants, and forgets the others. */
  async #compare(connection: Connection): Promise<void> {
    const files = [...this.#left.values()].filter(({ type }) => type === "file");
    const hash: Item[] = [];
    const wanted = new Set<string>();
    const settle = (reply: ManifestReply) => {
      const item = this.#left.get(reply.filename);
      if (!item) return;
      wanted.add(reply.filename);
      if (reply.decision === "hash") hash.push(item);
      if (reply.decision === "error") {
        this.#failed(item, FerryError.reported(reply.code, reply.message));
      }
    };
    const known = (file: Item) => ({
      ...file,
      checksum: this.#checksums.get(file.filename) ?? null,
    });
    try {
      await this.#ask(connection, files.map(known), settle);
    } catch (error) {
      // Who may write and not read is not told what is there: everything is sent, then.
      if (toFerryError(error).code === "denied") return;
      throw error;
    }
    const hashed: ManifestLine[] = [];
    for (const item of hash) {
      try {
        await using file = LocalFile.open(item.path);
        const { checksum } = await checksumOfSource(file, this.#algorithm);
        this.#checksums.set(item.filename, checksum);
        hashed.push(known(item));
        wanted.delete(item.filename);
      } catch (error) {
        this.#failed(item, error);
      }
    }
    if (hashed.length > 0) await this.#ask(connection, hashed, settle);
    for (const { filename, size } of files) {
      if (wanted.has(filename)) continue;
      this.#left.delete(filename);
      this.#options.onFile?.({ ...nothingMoved(filename, size), skipped: true });
    }
  }

  async #ask(
    connection: Connection,
    files: readonly ManifestLine[],
    settle: (reply: ManifestReply) => void,
  ): Promise<void> {
    const { overwrite = "never", checksumCompare = false } = this.#options;
    const header = { op: "compare", overwrite, content: checksumCompare };
    const lines = encodeLines(files, encodeManifestLine);
    const algorithm = this.#algorithm;
    const replies = connection.exchange(header, lines, { decode: decodeManifestReply, algorithm });
    for await (const some of replies) some.forEach(settle);
  }

  #done(item: Item, result: Transferred): void {
    this.#left.delete(item.filename);
    this.#options.onFile?.(result);
  }

  #failed(item: Item, error: unknown): void {
    this.#left.delete(item.filename);
    const failure = toFerryError(error).during(`put ${quote(item.path)}`);
    this.#options.onError?.(item.filename, failure);
  }
}

function joined(as: string, name: string): string {
  return as === "" ? name : `${as}/${name}`;
}

/** An empty directory has nothing in it that would bring it into being. */
function emptyRoot(root: string, as: string): Item {
  const filename = as;
  return { path: root, name: "", type: "directory", size: 0, mtime: 0, mode: 0o755, filename };
}

function nothingMoved(filename: string, size: number): Transferred {
  return { filename, checksum: null, size, skipped: false, transferred: 0, resumedFrom: 0 };
}
