/**
 * Gives content its name: by one PUT, or by completing a multipart upload. Both replace a file atomically.
 *
 * @module
 */

import { sleep } from "../../../lib/core/clock.ts";
import { algorithmOf, sameChecksum } from "../../../lib/core/checksum.ts";
import { FerryError } from "../../../lib/core/errors.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import type { CommitOptions, Committed } from "../../../lib/files/commit.ts";
import type { Bucket, Metadata, ObjectHead } from "./bucket.ts";
import {
  claimBytes,
  claimMetadata,
  isClaim,
  mayReplaceClaim,
  maySeemClaim,
  STALE_CLAIM_MS,
} from "./claim.ts";
import { metadataOf } from "./object_attributes.ts";
import { foreseenETag, type WholeContent } from "./part_writer.ts";
import type { ServedBucket } from "./served_bucket.ts";
import { checksumOf } from "./stored_file.ts";

/** The interval at which a name is looked at while another writer has a claim on it, in milliseconds. */
const POLL_MS = 250;

/** The largest object that a store copies by one request, in bytes: 5 GiB. */
const MAX_COPY_BYTES = 5 * 1024 ** 3;

/** The metadata that is kept nowhere but with the object. */
const ATTRIBUTES: readonly string[] = Object.keys(metadataOf({ mtime: 0, mode: 0 }));

/** Content that was uploaded in parts. */
type UploadedContent = Extract<WholeContent, { parts: unknown }>;

/** The condition of a PUT. Default: none. */
interface Condition {
  ifAbsent?: true;
  ifMatch?: string | undefined;
}

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
    const content = await this.#disguised(publication);
    const attempt = new Attempt(this.#served, { ...publication, content }, options);
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
  async #disguised({ name, content, size }: Publication): Promise<WholeContent> {
    if (!("bytes" in content)) return content;
    const { bucket, runtime: { digests } } = this.#served;
    const { bytes } = content;
    if (!maySeemClaim(size) || !isClaim({ size, etag: digests.md5Of(bytes) })) return content;
    const upload = await bucket.begin(name);
    return { upload, parts: [await bucket.uploadPart(upload, 1, bytes)] };
  }
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
    const { mtime, mode, checksum } = options;
    this.#metadata = metadataOf({ mtime, mode, checksums: [checksum] });
  }

  /** Publishes, whatever has the name. */
  async replace(): Promise<undefined> {
    this.#options.assertMay?.();
    const { content } = this.#publication;
    if ("bytes" in content) await this.#put(content.bytes, {});
    else await this.#complete(content);
  }

  /** Publishes where no file has the name; otherwise returns that file. */
  create(): Promise<ObjectHead | undefined> {
    const { conditionalPut, conditionalComplete, replaceIfMatch } = this.#served.engine;
    const { content } = this.#publication;
    if ("bytes" in content) {
      const { bytes } = content;
      if (!conditionalPut) return this.#createUnguarded(() => this.#put(bytes, {}));
      return this.#take((condition) => this.#put(bytes, condition));
    }
    if (conditionalPut && replaceIfMatch) return this.#createClaimed(content);
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
    const { holder } = this.#publication;
    let claimed: string | undefined;
    const existing = await this.#take(async (condition) =>
      claimed = await this.#putClaim(condition, holder)
    );
    if (existing) return existing;
    // One that replaces whatever has the name may have replaced the claim.
    const replaced = await this.#head();
    if (replaced?.etag !== claimed) return replaced;
    try {
      await this.#complete(content);
    } catch (error) {
      // Other writers need not wait until the claim is stale. If the file is there after all, this does nothing.
      await this.#putClaim({ ifMatch: claimed }).catch(() => {});
      throw error;
    }
    return undefined;
  }

  /**
   * Takes the name by a conditional PUT: if it is free, or if a claim has it whose holder has gone. Waits for another
   * writer that has a claim on it.
   *
   * @param put puts an object on a condition; returns undefined if that does not hold
   * @returns the file that has the name; undefined if it was taken
   */
  async #take(
    put: (condition: Condition) => Promise<string | undefined>,
  ): Promise<ObjectHead | undefined> {
    const { engine: { replaceIfMatch }, runtime: { clock }, closing } = this.#served;
    const { holder } = this.#publication;
    const until = clock.monotonic() + 2 * STALE_CLAIM_MS;
    do {
      this.#options.assertMay?.();
      if (await put({ ifAbsent: true }) !== undefined) return undefined;
      const head = await this.#head();
      if (head && !isClaim(head)) return head;
      const given = head && replaceIfMatch && mayReplaceClaim(head, holder);
      if (given && await put({ ifMatch: head.etag }) !== undefined) return undefined;
      await sleep(clock, POLL_MS, closing);
    } while (clock.monotonic() < until);
    throw new FerryError("busy", "other writers keep taking that name");
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

  #putClaim(condition: Condition, holder?: string): Promise<string | undefined> {
    const metadata = claimMetadata(holder);
    const bytes = claimBytes({ replaced: condition.ifMatch });
    return this.#served.bucket.put(this.#publication.name, bytes, { metadata, ...condition });
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
    if (isWrong && size > MAX_COPY_BYTES) {
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
