/**
 * Gives content its name: by one PUT, or by completing a multipart upload. Both replace a file atomically.
 *
 * @module
 */

import { algorithmOf, sameChecksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import type { Bucket, Metadata, ObjectHead } from "./bucket.ts";
import { isClaim, maySeemClaim } from "./claim.ts";
import {
  canClaim,
  claimName,
  type Condition,
  giveUpClaim,
  takeName,
  type WantedName,
} from "./name_claim.ts";
import { metadataOf } from "./object_attributes.ts";
import { COPY_SIZES } from "./object_copy.ts";
import { foreseenETag, type WholeContent } from "./part_writer.ts";
import { assertMeets } from "./replaced_object.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { checksumOf } from "./stored_file.ts";

/** The metadata that is kept nowhere but with the object. */
const ATTRIBUTES: readonly string[] = Object.keys(metadataOf({ mtime: 0, mode: 0 }));

/** Content that was uploaded in parts. */
type UploadedContent = Extract<WholeContent, { parts: unknown }>;

/** Content that is to get a name. */
export interface Publication {
  /** The name. */
  readonly name: FileName;
  /** All bytes. */
  readonly content: WholeContent;
  /** How many bytes they are. */
  readonly size: number;
  /** The metadata that the multipart upload was begun with. */
  readonly metadata: Metadata;
  /** Identifies the upload, also when another process goes on with it. */
  readonly holder: string;
}

/** Publishes files in a bucket: those of one name one after the other, in the order of the calls. */
export class Publisher {
  readonly #served: ServedBucket;
  /** The last publication of each name that is in progress. */
  readonly #last = new Map<FileName, Promise<unknown>>();

  /** Publishes in that bucket. */
  constructor(served: ServedBucket) {
    this.#served = served;
  }

  /**
   * Publishes a file; see `PendingWrite.commit`.
   *
   * @throws {FerryError} `exists`, `not_a_file`, `io`
   */
  async publish(publication: Publication, options: CommitOptions): Promise<Committed> {
    const { name } = publication;
    const before = this.#last.get(name);
    const publishing = (async () => {
      await before?.catch(() => {});
      return await this.#publish(publication, options);
    })();
    this.#last.set(name, publishing);
    try {
      return await publishing;
    } finally {
      if (this.#last.get(name) === publishing) this.#last.delete(name);
    }
  }

  async #publish(publication: Publication, options: CommitOptions): Promise<Committed> {
    const { lookup, bucket } = this.#served;
    const { name, size } = publication;
    const { checksum, replace } = options;
    await lookup.assertPlaceable(name);
    const { content, metadata } = await this.#disguised(publication, options);
    const attempt = new Attempt(this.#served, { ...publication, content, metadata }, options);
    await using disguise = new AsyncDisposableStack();
    if (content !== publication.content) disguise.defer(() => discard(bucket, content));
    const existing = await (replace ? attempt.replace() : attempt.create());
    if (existing) {
      await assertSame(this.#served, existing, { size, checksum });
      return { checksum, size, unchanged: true };
    }
    disguise.move();
    lookup.published(name);
    return { checksum, size, unchanged: false };
  }

  /** The content; if it would look like a claim, as a multipart upload of one part, which has another ETag. */
  async #disguised(
    { name, content, size, metadata }: Publication,
    options: CommitOptions,
  ): Promise<Pick<Publication, "content" | "metadata">> {
    if (!("bytes" in content)) return { content, metadata };
    const { bucket, runtime: { digests } } = this.#served;
    const { bytes } = content;
    const seemsClaim = maySeemClaim(size) && isClaim({ size, etag: digests.md5Of(bytes) });
    if (!seemsClaim) return { content, metadata };
    const wanted = wantedMetadata(options);
    const upload = await bucket.begin(name, wanted);
    const parts = [await bucket.uploadPart(upload, 1, bytes)];
    return { content: { upload, parts }, metadata: wanted };
  }
}

/** The metadata that an object is to have. */
function wantedMetadata({ mtime, mode, checksum }: CommitOptions): Metadata {
  return metadataOf({ mtime, mode, checksums: [checksum] });
}

async function discard(bucket: Bucket, content: WholeContent): Promise<void> {
  if ("upload" in content) await bucket.abort(content.upload).catch(() => {});
}

/** @throws {FerryError} `exists` if an object has other content */
async function assertSame(
  served: ServedBucket,
  existing: ObjectHead,
  { size, checksum }: { size: number; checksum: string },
): Promise<void> {
  if (existing.size === size) {
    const known = await checksumOf(served, existing, algorithmOf(checksum)!);
    if (sameChecksum(known, checksum)) return;
  }
  throw new FerryError("exists", "another file has that name");
}

/** One publication, whose name is its alone within this process. */
class Attempt {
  readonly #served: ServedBucket;
  readonly #publication: Publication;
  readonly #options: CommitOptions;
  /** The metadata that the object is to have. */
  readonly #metadata: Metadata;

  constructor(served: ServedBucket, publication: Publication, options: CommitOptions) {
    this.#served = served;
    this.#publication = publication;
    this.#options = options;
    this.#metadata = wantedMetadata(options);
  }

  get #wanted(): WantedName {
    const { name, holder } = this.#publication;
    return { name, holder, assertMay: this.#options.assertMay };
  }

  /**
   * Publishes, whatever has the name, unless a condition is to be met. Then the store is told which object may be
   * replaced, where it is able to compare that: it is not for content that was uploaded in parts.
   *
   * @throws {FerryError} `exists` if another file has the name by then
   */
  async replace(): Promise<undefined> {
    const { condition, checksum, assertMay } = this.#options;
    const { content, name } = this.#publication;
    const { engine, lookup } = this.#served;
    const algorithm = algorithmOf(checksum)!;
    const replaced = condition && await assertMeets(this.#served, name, {
      found: await lookup.look(name),
      condition,
      algorithm,
    });
    assertMay?.();
    if (!("bytes" in content)) return void await this.#complete(content);
    const ifMatch = engine.replaceIfMatch ? replaced?.etag : undefined;
    if (await this.#put(content.bytes, { ifMatch }) !== undefined) return;
    throw new FerryError("exists", "the file that has the name was changed meanwhile");
  }

  /** Publishes where no file has the name; otherwise returns that file. */
  create(): Promise<ObjectHead | undefined> {
    const { conditionalPut, conditionalComplete } = this.#served.engine;
    const { content } = this.#publication;
    if ("bytes" in content) {
      const { bytes } = content;
      if (!conditionalPut) return this.#createUnguarded(() => this.#put(bytes, {}));
      return takeName(this.#served, this.#wanted, (condition) => this.#put(bytes, condition));
    }
    if (canClaim(this.#served)) return this.#createClaimed(content);
    return this.#createUnguarded(() => this.#complete(content, { ifAbsent: conditionalComplete }));
  }

  /** Publishes where a look finds no file: all that can be done on a store without conditional PUT. */
  async #createUnguarded(
    publish: () => Promise<string | undefined>,
  ): Promise<ObjectHead | undefined> {
    const existing = await this.#head();
    if (existing) return existing;
    this.#options.assertMay?.();
    if (await publish() !== undefined) return undefined;
    const taken = await this.#head();
    if (taken) return taken;
    throw new FerryError("busy", "the file that has the name is being removed");
  }

  /** Completes a multipart upload under the protection of a claim. */
  async #createClaimed(content: UploadedContent): Promise<ObjectHead | undefined> {
    const name = await claimName(this.#served, this.#wanted);
    if ("existing" in name) return name.existing;
    const { claimed } = name;
    const found = await this.#head();
    if (found?.etag !== claimed) {
      // The claim was removed with its directory, or replaced by a writer that replaces whatever has the name.
      return found && !isClaim(found) ? found : await this.#createClaimed(content);
    }
    try {
      await this.#complete(content);
    } catch (error) {
      await giveUpClaim(this.#served, this.#publication.name, claimed);
      throw error;
    }
    return undefined;
  }

  #head(): Promise<ObjectHead | undefined> {
    return this.#served.bucket.head(this.#publication.name);
  }

  /** Stores the whole content. Returns undefined if the condition does not hold. */
  #put(bytes: Uint8Array<ArrayBuffer>, condition: Condition): Promise<string | undefined> {
    const { checksum } = this.#options;
    const md5 = algorithmOf(checksum) === "md5" ? checksum : undefined;
    const { bucket } = this.#served;
    return bucket.put(this.#publication.name, bytes, {
      metadata: this.#metadata,
      md5,
      ...condition,
    });
  }

  /** Completes the multipart upload. Returns undefined if the condition does not hold. */
  async #complete(
    { upload, parts }: UploadedContent,
    condition: { ifAbsent?: boolean } = {},
  ): Promise<string | undefined> {
    const { bucket, records, runtime } = this.#served;
    const { name, size, metadata: begun } = this.#publication;
    const { checksum } = this.#options;
    const wanted = this.#metadata;
    // The metadata was given when the multipart upload began. A checksum that was not known by then is remembered
    // elsewhere; for anything else the object is copied onto itself.
    const isWrong = Object.keys(begun).some((key) => begun[key] !== wanted[key]) ||
      ATTRIBUTES.some((key) => begun[key] !== wanted[key]);
    const isUnknown = !isWrong && Object.keys(wanted).some((key) => begun[key] !== wanted[key]);
    if (isWrong && size > COPY_SIZES.whole) {
      throw new FerryError("io", "the store cannot change the attributes of so large a file");
    }
    const foreseen = foreseenETag(parts, runtime);
    if (isUnknown && foreseen) await records.remember(name, foreseen, [checksum]);
    const etag = await bucket.complete(upload, parts, condition);
    if (etag === undefined) return undefined;
    if (isWrong) await bucket.copy(name, name, { metadata: wanted, ifMatch: etag });
    if (isUnknown && etag !== foreseen) await records.remember(name, etag, [checksum]);
    return etag;
  }
}
