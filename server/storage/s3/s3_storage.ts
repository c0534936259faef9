/**
 * A storage in a bucket of an S3-compatible object store. Any number of servers may serve one bucket.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../../lib/core/checksum.ts";
import type { Entry, Listed } from "../../../lib/core/entry.ts";
import { FerryError, toFerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { assertNumbers } from "../../../lib/core/number_options.ts";
import { createRuntime, type Runtime } from "../../../lib/runtime/runtime.ts";
import type {
  ChangeOptions,
  CreateOptions,
  ListOptions,
  MoveOptions,
  PartialUploads,
  PendingWrite,
  RemoveOptions,
  Storage,
  StoredFile,
} from "../storage.ts";
import { assertKnownBucket, writeVersion } from "./bucket_version.ts";
import { ChecksumRecords, hasParts } from "./checksum_records.ts";
import { CountedUploads } from "./counted_uploads.ts";
import type { Credentials, CredentialSource } from "./credentials.ts";
import { type Engine, tryEngine } from "./engine_trial.ts";
import { inParallel, settled } from "../in_parallel.ts";
import { NameLookup } from "./name_lookup.ts";
import { directoryEntry, fileEntry } from "./object_attributes.ts";
import { KeptHashes } from "../kept_hashes.ts";
import { RECORDS_DIRECTORY, Subtree } from "../subtree.ts";
import type { StorageUsage } from "../usage.ts";
import { bytesOf, prefixOf } from "./object_names.ts";
import { openBucket, type S3Bucket } from "./s3_bucket.ts";
import type { S3LocationOptions } from "./s3_location.ts";
import type { MadeRequest, S3Patience } from "./s3_requests.ts";
import { S3Writes } from "./s3_writes.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { absence, checksumOf, S3StoredFile } from "./stored_file.ts";
import { listTree } from "./tree_listing.ts";
import { move } from "./tree_move.ts";
import { remove } from "./tree_removal.ts";

/** The memory for buffers of a storage that is given no runtime, in bytes: some parts of several transfers. */
export const BUFFER_BYTES: number = 64 * 1024 * 1024;

/** For how long it is taken for granted that the bucket still answers, in milliseconds. */
const SERVING_MS = 3000;

/** How many names are looked at at the same time. */
const FIND_AT_ONCE = 16;

/** Options of {@linkcode S3Storage.open}. */
export interface S3StorageOptions extends S3LocationOptions, S3Patience {
  /** The keys that sign requests, or what provides them, for example {@linkcode credentialsFrom}. */
  credentials: Credentials | CredentialSource;
  /** The maximum size of a file in bytes. Default: undefined, no limit. */
  maxFileSize?: number | undefined;
  /** Buffers, threads and the clock, which may be shared with others. Default: its own, with 67108864 bytes (64 MiB). */
  runtime?: Runtime | undefined;
  /** Called for each request to the store, retries included. */
  onRequest?: ((request: MadeRequest) => void) | undefined;
}

/**
 * A {@linkcode Storage} in a bucket of an S3-compatible object store, such as Ceph, Swift or AWS S3. Any number of
 * servers may serve one bucket at the same time.
 *
 * The file `a/b` is the object `a/b` below the prefix. Objects of other programs are served as well; where there are
 * both `a` and `a/x`, the file `a` wins. Lists show when the store wrote an object, and `stat` the modification time
 * that was kept. `shortcomings` tells what the store cannot guarantee.
 *
 * @example Two servers over one bucket
 * ```ts
 * import { connect, credentialsFrom, S3Storage, serve } from "@ferry/ferry";
 *
 * async function start() {
 *   const storage = await S3Storage.open({
 *     endpoint: "https://objects.example.net",
 *     bucket: "files",
 *     prefix: "incoming",
 *     credentials: credentialsFrom((name) => Deno.env.get(name)),
 *   });
 *   for (const sentence of storage.shortcomings) console.warn(sentence);
 *   return await serve({ storage, listen: "127.0.0.1:0" });
 * }
 *
 * async function putAndLook() {
 *   await using one = await start();
 *   await using two = await start();
 *   await using writer = await connect(`127.0.0.1:${one.addresses[0]!.port}`);
 *   await using reader = await connect(`127.0.0.1:${two.addresses[0]!.port}`);
 *   await writer.put(new TextEncoder().encode("hello\n"), { as: "greeting.txt" });
 *   console.log((await reader.stat("greeting.txt")).checksum); // b1946ac92492d2347c6235b4d2611184
 * }
 * ```
 */
export class S3Storage implements Storage {
  /** See {@linkcode Storage.durability}: a store keeps what it has acknowledged. */
  readonly durability = "full";
  readonly #served: ServedBucket;
  readonly #closing: AbortController;
  readonly #writes: S3Writes;
  readonly #uploads: CountedUploads;
  #records: Promise<Storage> | undefined;
  /** The look at the bucket that was made last, and the monotonic time until which it counts. */
  #serving: { until: number; looked: Promise<unknown> } | undefined;

  private constructor(served: ServedBucket, closing: AbortController) {
    this.#served = served;
    this.#closing = closing;
    this.#writes = new S3Writes(served);
    this.#uploads = new CountedUploads(
      () => this.partialUploads.listAll(),
      served.runtime.clock,
    );
  }

  /**
   * Opens a bucket as a storage, and finds out by a harmless trial what the store is able to do.
   *
   * @throws {FerryError} `usage` for options that make no sense; `denied`, `not_found`, `unreachable`, `io` with what is
   * wrong with the bucket, the credentials or the endpoint; `bad_version` if a newer ferry has served the bucket and has
   * left there what this one cannot read
   */
  static async open(options: S3StorageOptions): Promise<S3Storage> {
    const { maxFileSize, runtime = createRuntime({ bufferBytes: BUFFER_BYTES }) } = options;
    assertNumbers({ maxFileSize });
    const { bucket, engine, isOwnVersion } = await tryBucket(options, runtime);
    if (!isOwnVersion && !engine.unwritable) await writeVersion(bucket);
    const closing = new AbortController();
    const lookup = new NameLookup(bucket, {
      prefixBytes: bytesOf(bucket.location.prefix),
      clock: runtime.clock,
    });
    const served: ServedBucket = {
      bucket,
      runtime,
      engine,
      lookup,
      records: new ChecksumRecords(bucket),
      reading: new Map(),
      hashes: new KeptHashes(),
      maxFileSize,
      closing: closing.signal,
    };
    return new S3Storage(served, closing);
  }

  /**
   * Finds out whether a bucket can be opened, and leaves nothing in it. Returns what `shortcomings` would be.
   *
   * @throws {FerryError} as {@linkcode S3Storage.open} does
   */
  static async examine(options: S3StorageOptions): Promise<readonly string[]> {
    const { runtime = createRuntime({ bufferBytes: BUFFER_BYTES }) } = options;
    const { engine } = await tryBucket(options, runtime);
    return engine.shortcomings;
  }

  /** See {@linkcode Storage.partialUploads}. */
  get partialUploads(): PartialUploads {
    return this.#writes.partialUploads;
  }

  /** See {@linkcode Storage.shortcomings}. */
  get shortcomings(): readonly string[] {
    return this.#served.engine.shortcomings;
  }

  /** See {@linkcode Storage.internal}. */
  internal(): Promise<Storage> {
    const records = this.#records ??= Subtree.open(this, RECORDS_DIRECTORY);
    records.catch(() => {
      if (this.#records === records) this.#records = undefined;
    });
    return records;
  }

  /** Returns this storage itself, since it has no links: see {@linkcode Storage.within}. */
  within(): S3Storage {
    return this;
  }

  /** See {@linkcode Storage.assertServing}. The bucket is looked at once in some seconds. */
  async assertServing(): Promise<void> {
    const { bucket, runtime: { clock }, closing: signal } = this.#served;
    signal.throwIfAborted();
    if (!this.#serving || this.#serving.until < clock.monotonic()) {
      const looked = bucket.list({ max: 1, signal });
      const serving = this.#serving = { until: clock.monotonic() + SERVING_MS, looked };
      // A failure is not remembered.
      looked.catch(() => {
        if (this.#serving === serving) this.#serving = undefined;
      });
    }
    await this.#serving.looked;
  }

  /** See {@linkcode Storage.usage}. Nobody counts what is in a bucket, but for partial uploads: once in a minute. */
  usage(): Promise<StorageUsage> {
    const partialUploads = this.#uploads.amount;
    return Promise.resolve({
      disk: undefined,
      quota: undefined,
      partialUploads,
      stagedTrees: undefined,
    });
  }

  /** See {@linkcode Storage.stat}. */
  async stat(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry> {
    const entry = await this.find(name, algorithm);
    if (!entry) throw new FerryError("not_found", "no such file or directory");
    return entry;
  }

  /** See {@linkcode Storage.find}. */
  async find(name: FileName | "", algorithm: Algorithm = "md5"): Promise<Entry | undefined> {
    if (name === "") return directoryEntry(name);
    const { lookup, engine, records } = this.#served;
    const found = await lookup.look(name);
    if (found === "directory") return directoryEntry(name);
    if (!found) {
      if (lookup.fits(name)) await lookup.assertParents(name);
      return undefined;
    }
    const entry = fileEntry(name, found, algorithm, engine);
    if (entry.checksum !== null || !hasParts(found)) return entry;
    return { ...entry, checksum: await records.find(name, found.etag, algorithm) };
  }

  /** See {@linkcode Storage.findAll}. */
  async findAll(
    names: readonly FileName[],
    algorithm: Algorithm = "md5",
  ): Promise<(Entry | FerryError | undefined)[]> {
    const { lookup } = this.#served;
    const absent = await lookup.absentAmong(names);
    const found: (Entry | FerryError | undefined)[] = Array.from(names, () => undefined);
    await inParallel(FIND_AT_ONCE, names.entries(), async ([at, name]) => {
      const finding = absent.has(name) ? lookup.assertParents(name) : this.find(name, algorithm);
      found[at] = await finding.catch(toFerryError) ?? undefined;
    });
    return found;
  }

  /** See {@linkcode Storage.list}. */
  list(name: FileName | "", options: ListOptions): AsyncIterable<Listed> {
    return listTree(this.#served, name, options);
  }

  /** See {@linkcode Storage.open}. */
  open(name: FileName, algorithm: Algorithm): Promise<StoredFile> {
    return S3StoredFile.open(this.#served, name, algorithm);
  }

  /** See {@linkcode Storage.checksum}. */
  async checksum(name: FileName, algorithm: Algorithm): Promise<Checksum> {
    const head = await this.#served.lookup.head(name);
    if (!head) throw await absence(this.#served, name);
    return await checksumOf(this.#served, head, algorithm);
  }

  /** See {@linkcode Storage.assertFits}. */
  assertFits(name: FileName, size: number | null): Promise<void> {
    return this.#writes.assertFits(name, size);
  }

  /** See {@linkcode Storage.create}. */
  create(name: FileName, options: CreateOptions): Promise<PendingWrite> {
    return this.#writes.create(name, options);
  }

  /** See {@linkcode Storage.remove}. */
  remove(name: FileName, options: RemoveOptions): Promise<void> {
    return remove(this.#served, name, options);
  }

  /** See {@linkcode Storage.move}. */
  move(from: FileName, to: FileName, options: MoveOptions): Promise<void> {
    return move(this.#served, from, to, options);
  }

  /** See {@linkcode Storage.mkdir}. */
  async mkdir(name: FileName, { assertMay }: ChangeOptions = {}): Promise<void> {
    const { bucket, lookup } = this.#served;
    const [found] = await settled([lookup.look(name), lookup.assertParents(name)]);
    if (found === "directory") return;
    if (found) throw new FerryError("exists", "a file has that name");
    assertMay?.();
    lookup.madeDirectory(name);
    await bucket.put(prefixOf(name), new Uint8Array());
    lookup.madeDirectory(name);
  }

  /** Ends writes, lists and reads that are in progress. The bucket and its files stay as they are. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writes[Symbol.asyncDispose]();
    this.#closing.abort(new FerryError("closed", "the storage was closed"));
  }
}

/** A bucket, what its store can do, and whether this version of ferry is the one that was noted there last. */
async function tryBucket(
  options: S3StorageOptions,
  runtime: Runtime,
): Promise<{ bucket: S3Bucket; engine: Engine; isOwnVersion: boolean }> {
  const bucket = openBucket({ ...options, credentials: sourceOf(options.credentials), runtime });
  const engine = await tryEngine(bucket);
  bucket.comparesEtags = engine.md5Etags;
  return { bucket, engine, isOwnVersion: await assertKnownBucket(bucket) };
}

function sourceOf(credentials: Credentials | CredentialSource): CredentialSource {
  return typeof credentials === "function" ? credentials : () => Promise.resolve(credentials);
}
