/**
 * Buckets of real object stores as the parts of an S3 storage see them, served by one instance or several.
 *
 * @module
 */

import { PrefixDigest } from "../../lib/digest/prefix_digest.ts";
import { CHECKPOINT_BYTES } from "../../lib/files/partial_file.ts";
import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";
import type { Bucket } from "../../server/storage/s3/bucket.ts";
import { ChecksumRecords } from "../../server/storage/s3/checksum_records.ts";
import { type Engine as Abilities, tryEngine } from "../../server/storage/s3/engine_trial.ts";
import { NameLookup } from "../../server/storage/s3/name_lookup.ts";
import { openBucket, type S3Bucket } from "../../server/storage/s3/s3_bucket.ts";
import { S3Writes } from "../../server/storage/s3/s3_writes.ts";
import type { ServedBucket } from "../../server/storage/s3/served_bucket.ts";
import { KeptHashes } from "../../server/storage/kept_hashes.ts";
import type { PendingWrite, ResumableWrite } from "../../server/storage/storage.ts";
import { md5, MIB } from "./bytes.ts";
import type { SharedEngine } from "./engines/engine.ts";

/** Where a bucket is, in a form that a child process can be given. */
export interface BucketPlace {
  /** The URL of the engine, or of a proxy in front of it. */
  readonly endpoint: string;
  /** The name of the bucket. */
  readonly bucket: string;
  /** The key id. */
  readonly accessKeyId: string;
  /** The secret key. */
  readonly secretAccessKey: string;
}

/** A new bucket of an engine. */
export async function newBucket(engine: SharedEngine): Promise<BucketPlace> {
  const { endpoint, accessKeyId, secretAccessKey } = engine;
  return { endpoint, accessKeyId, secretAccessKey, bucket: await engine.bucket() };
}

/** Options of {@linkcode Instance.open}. */
export interface InstanceOptions {
  /** Its buffers and clock. Default: 64 MiB of buffers. */
  runtime?: Runtime;
  /** What the engine is taken for. Default: what a trial finds. */
  abilities?: Abilities;
  /** How long requests are repeated, in milliseconds. Default: that of `openBucket`. */
  retryTime?: number;
}

/** An instance that serves a bucket. Several may serve the same one. */
export class Instance implements AsyncDisposable {
  /** What its parts share. */
  readonly served: ServedBucket;
  /** Its writes. */
  readonly writes: S3Writes;
  readonly #closing: AbortController;

  private constructor(served: ServedBucket, closing: AbortController) {
    this.served = served;
    this.writes = new S3Writes(served);
    this.#closing = closing;
  }

  /** Begins to serve a bucket. */
  static async open(place: BucketPlace, options: InstanceOptions = {}): Promise<Instance> {
    const { endpoint, bucket: name, ...keys } = place;
    const { runtime = createRuntime({ bufferBytes: 64 * MIB }), retryTime } = options;
    const bucket: S3Bucket = openBucket({
      bucket: name,
      prefix: "served",
      endpoint,
      credentials: () => Promise.resolve(keys),
      runtime,
      ...(retryTime === undefined ? {} : { retryTime }),
    });
    const engine = options.abilities ?? await tryEngine(bucket);
    bucket.comparesEtags = engine.md5Etags;
    const closing = new AbortController();
    const served = {
      bucket,
      runtime,
      engine,
      lookup: new NameLookup(bucket, { prefixBytes: 7, clock: runtime.clock }),
      records: new ChecksumRecords(bucket),
      reading: new Map(),
      hashes: new KeptHashes(),
      maxFileSize: undefined,
      closing: closing.signal,
    };
    return new Instance(served, closing);
  }

  /** The content of a file; undefined if there is none. */
  async content(key: string): Promise<Uint8Array | undefined> {
    const object = await this.served.bucket.get(key);
    return object && new Uint8Array(await new Response(object.body).arrayBuffer());
  }

  /** What is in the bucket that is no file: records, tails, and multipart uploads that were not completed. */
  leftovers(): Promise<string[]> {
    return leftoversIn(this.served.bucket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("closed"));
    await this.writes[Symbol.asyncDispose]();
  }
}

/** What a file of random bytes is, in the pieces in which a server writes it. */
export class TestFile {
  /** The content. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its MD5. */
  readonly md5: string;
  /** The digests of what was written, by the writes. */
  readonly #digests = new WeakMap<PendingWrite, PrefixDigest>();

  /** A file of random content, or of the given one. */
  constructor(content: number | Uint8Array<ArrayBuffer>) {
    this.bytes = typeof content === "number" ? randomBytes(content) : content;
    this.md5 = md5(this.bytes);
  }

  /** How many bytes it has. */
  get size(): number {
    return this.bytes.length;
  }

  /**
   * Writes the bytes up to an offset as a server does, with checkpoints; after those that were written before.
   *
   * @param onPiece called before each piece with its offset
   */
  async writeTo(
    write: PendingWrite | ResumableWrite,
    end: number = this.size,
    onPiece: (at: number) => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const resumable = "checkpoint" in write ? write : undefined;
    const digest = this.#digests.get(write) ?? resumable?.prefix ??
      await PrefixDigest.create({ algorithm: "md5", proof: true });
    this.#digests.set(write, digest);
    for (let at = digest.size; at < end;) {
      await onPiece(at);
      const next = Math.min(end, at + MIB, at - at % CHECKPOINT_BYTES + CHECKPOINT_BYTES);
      const piece = this.bytes.subarray(at, next);
      await write.write(piece);
      digest.update(piece);
      at = next;
      if (at % CHECKPOINT_BYTES === 0) await resumable?.checkpoint(digest.save()!);
    }
    const saved = digest.save();
    if (saved && saved.size % CHECKPOINT_BYTES > 0) await resumable?.checkpoint(saved);
  }
}

function randomBytes(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

async function leftoversIn(bucket: Bucket): Promise<string[]> {
  const { objects } = await bucket.list({ prefix: ".ferry/" });
  const left = objects.map(({ key }) => key).filter((key) => !key.startsWith(".ferry/checksums/"));
  for await (const page of bucket.uploads()) left.push(...page.map(({ key }) => `part of ${key}`));
  return left;
}
