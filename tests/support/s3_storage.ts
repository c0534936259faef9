/**
 * Storages in buckets of real object stores, which tests can close and open again.
 *
 * @module
 */

import { createRuntime } from "../../lib/runtime/runtime.ts";
import { isClaim } from "../../server/storage/s3/claim.ts";
import { pagesOf } from "../../server/storage/s3/name_lookup.ts";
import { openBucket, type S3Bucket } from "../../server/storage/s3/s3_bucket.ts";
import { S3Storage, type S3StorageOptions } from "../../server/storage/s3/s3_storage.ts";
import { type Abilities, ALL_ABILITIES, type TestedStorage } from "../storage/conformance.ts";
import { Engine, type EngineKind } from "./engines/engine.ts";

/** How many bytes the prefix of a storage has. */
const PREFIX_BYTES = 12;

/** What an object store is able to do: a key has 1024 bytes, with the slashes behind the prefix and a directory. */
export const S3_ABILITIES: Abilities = {
  ...ALL_ABILITIES,
  links: false,
  stagedTrees: false,
  keepsOpenFiles: false,
  listsAttributes: false,
  contents: false,
  longestName: 1024 - PREFIX_BYTES - 2,
};

/** A storage in a prefix of its own in a bucket. */
class S3Fixture implements TestedStorage {
  readonly #options: S3StorageOptions;
  /** The same prefix, as the storage sees it. */
  readonly #bucket: S3Bucket;
  /** Takes it back where it is as good as new. */
  readonly #takeBack: (fixture: S3Fixture) => void;
  #isClean = false;
  storage!: S3Storage;

  private constructor(options: S3StorageOptions, takeBack: (fixture: S3Fixture) => void) {
    const { credentials } = options;
    this.#options = options;
    this.#takeBack = takeBack;
    this.#bucket = openBucket({
      ...options,
      credentials: typeof credentials === "function"
        ? credentials
        : () => Promise.resolve(credentials),
      runtime: createRuntime(),
    });
  }

  static async open(
    options: S3StorageOptions,
    takeBack: (fixture: S3Fixture) => void,
  ): Promise<S3Fixture> {
    const fixture = new S3Fixture(options, takeBack);
    fixture.storage = await S3Storage.open(options);
    return fixture;
  }

  async reopen(): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    this.storage = await S3Storage.open(this.#options);
  }

  /** Multipart uploads, records of them, and claims. The version stays. */
  async leftovers(): Promise<string[]> {
    const left: string[] = [];
    for await (const page of this.#bucket.uploads()) {
      for (const { key, uploadId } of page) left.push(`upload ${uploadId} of ${key}`);
    }
    for await (const objects of pagesOf(this.#bucket, {})) {
      for (const object of objects) {
        const isOwn = /^\.ferry\/(?!checksums\/|records\/|version$)/.test(object.key);
        if (isOwn || isClaim(object)) left.push(object.key);
      }
    }
    this.#isClean = left.length === 0;
    return left;
  }

  /** Removes all objects, and closes the storage only if something else is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for await (const objects of pagesOf(this.#bucket, {})) {
      await this.#bucket.deleteAll(objects.map(({ key }) => key));
    }
    if (this.#isClean) this.#takeBack(this);
    else await this.storage[Symbol.asyncDispose]();
  }
}

/**
 * Makes empty storages for tests, one after another, in a bucket of the shared engine of a kind. Finding out what an
 * engine is able to do takes longer than many a test, so a storage that a test has left in order is emptied and given
 * to the next one.
 */
export function emptyStorages(kind: EngineKind): () => Promise<TestedStorage> {
  let bucket: Promise<string> | undefined;
  const unused: S3Fixture[] = [];
  return async () => {
    const fixture = unused.pop();
    if (fixture) return fixture;
    const engine = await Engine.shared(kind);
    const { endpoint, region, accessKeyId, secretAccessKey } = engine;
    const options = {
      endpoint,
      region,
      bucket: await (bucket ??= engine.bucket()),
      prefix: crypto.randomUUID().slice(-PREFIX_BYTES),
      credentials: { accessKeyId, secretAccessKey },
    };
    return await S3Fixture.open(options, (fixture) => unused.push(fixture));
  };
}
