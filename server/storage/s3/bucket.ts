/**
 * A bucket of an S3-compatible object store, as the storage sees it: objects and multipart uploads under one prefix.
 *
 * Keys are relative to the prefix and are JavaScript strings; encoding them is the bucket's business, and so is
 * everything else of HTTP: signing, retries, XML. ETags are without quotes. Every method fails with a
 * {@linkcode FerryError}, whose cause is an `S3Error` with the status and the code of the store's answer.
 *
 * @module
 */

/** User metadata of an object: names in lower case, of letters, digits and hyphens; values of printable ASCII. */
export type Metadata = Readonly<Record<string, string>>;

/** What is known of an object without its content. */
export interface ObjectHead {
  /** Its key. */
  readonly key: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its ETag: the MD5 of the content for an object that was stored by one plain PUT, `...-N` for one of N parts. */
  readonly etag: string;
  /** When the store last wrote it, in milliseconds since 1970, by the clock of the store. */
  readonly modified: number;
  /** The time of the answer by the clock of the store, in milliseconds since 1970. */
  readonly now: number;
  /** Its metadata. */
  readonly metadata: Metadata;
}

/** An object in a list, without its metadata. */
export interface ListedObject {
  /** Its key. */
  readonly key: string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its ETag. */
  readonly etag: string;
  /** When the store last wrote it, in milliseconds since 1970. */
  readonly modified: number;
}

/** A page of a list. Objects and common prefixes are each in the order of their UTF-8 bytes. */
export interface ListPage {
  /** The objects. */
  readonly objects: readonly ListedObject[];
  /** With a delimiter: what names up to the delimiter are common to several keys, each with the delimiter. */
  readonly prefixes: readonly string[];
  /** Continues the list behind this page; undefined at its end. */
  readonly next?: string | undefined;
}

/** Options of {@linkcode Bucket.list}. */
export interface ListPageOptions {
  /** Only keys that begin with this. Default: "". */
  prefix?: string | undefined;
  /** Groups keys up to the delimiter. Default: undefined, no groups. */
  delimiter?: "/" | undefined;
  /** Only keys after this one, in the order of UTF-8 bytes. Default: undefined. */
  startAfter?: string | undefined;
  /** {@linkcode ListPage.next} of the page before. Default: undefined, the first page. */
  next?: string | undefined;
  /** The most objects and prefixes in the page. Default: 1000. */
  max?: number | undefined;
}

/** Options of requests that a caller may give up. */
export interface RequestOptions {
  /** Gives the request up, with the signal's abort reason. */
  signal?: AbortSignal | undefined;
}

/** Options of {@linkcode Bucket.get}. */
export interface GetOptions extends RequestOptions {
  /** The part of the object that is wanted. Default: undefined, all of it. */
  range?: { readonly start: number; readonly count: number } | undefined;
  /** The ETag that the object must still have. Default: undefined, any. */
  ifMatch?: string | undefined;
}

/** An object, or a part of it, that is being read. */
export interface ObjectBody extends ObjectHead {
  /** The requested bytes. A body that ends early fails with `io`. It has to be read to its end or cancelled. */
  readonly body: ReadableStream<Uint8Array>;
}

/** Options of {@linkcode Bucket.put}. */
export interface PutOptions extends RequestOptions {
  /** Its metadata. Default: none. */
  metadata?: Metadata | undefined;
  /** The MD5 of the content, as hexadecimal digits, where it is known. Default: undefined, it is computed. */
  md5?: string | undefined;
  /** Whether the store has to refuse it where the key is taken (`If-None-Match: *`). Default: false. */
  ifAbsent?: boolean | undefined;
  /** The ETag that the present object must have (`If-Match`). Default: undefined, any or none. */
  ifMatch?: string | undefined;
}

/** Options of {@linkcode Bucket.copy}. */
export interface CopyOptions extends RequestOptions {
  /** Replaces the metadata. Default: undefined, it is copied. */
  metadata?: Metadata | undefined;
  /** The ETag that the source must have. It is compared with a HEAD, too, since some stores ignore the condition. */
  ifMatch?: string | undefined;
}

/** A multipart upload. */
export interface MultipartUpload {
  /** The key that the object will get. */
  readonly key: string;
  /** The store's id of the upload. */
  readonly uploadId: string;
}

/** A multipart upload in a list. */
export interface ListedUpload extends MultipartUpload {
  /** When it was begun, in milliseconds since 1970. */
  readonly initiated: number;
}

/** A part that was uploaded. */
export interface UploadedPart {
  /** Its number, 1 to 10000. */
  readonly number: number;
  /** Its ETag. */
  readonly etag: string;
  /** Its size in bytes. */
  readonly size: number;
}

/**
 * The bucket, under one prefix.
 *
 * A write is acknowledged when its promise resolves. One that fails with a cut connection may have happened all the
 * same: the bucket retries such requests, and looks before it reports a failure of {@linkcode Bucket.complete}.
 */
export interface Bucket {
  /**
   * Looks at an object; undefined if there is none.
   *
   * @throws {FerryError} `io`, `unreachable`, `busy` where the store asks for patience
   */
  head(key: string, options?: RequestOptions): Promise<ObjectHead | undefined>;

  /**
   * Reads an object or a part of it; undefined if there is none. A range that begins behind the end has an empty body.
   *
   * @throws {FerryError} `busy` if it is not the object of `ifMatch` any more
   */
  get(key: string, options?: GetOptions): Promise<ObjectBody | undefined>;

  /**
   * Stores an object by one request, with its MD5, and compares the ETag of the answer where that is an MD5.
   *
   * @returns the ETag; undefined if `ifAbsent` or `ifMatch` does not hold
   */
  put(
    key: string,
    bytes: Uint8Array,
    options?: PutOptions,
  ): Promise<string | undefined>;

  /** Deletes an object. One that does not exist is no error. */
  delete(key: string, options?: RequestOptions): Promise<void>;

  /**
   * Deletes up to 1000 objects.
   *
   * @returns the keys that could not be deleted, each with its error
   */
  deleteAll(
    keys: readonly string[],
    options?: RequestOptions,
  ): Promise<ReadonlyMap<string, Error>>;

  /**
   * Copies an object of at most 5 GiB within the bucket, on the side of the store. Onto itself with `metadata` it
   * replaces the metadata.
   *
   * @returns the ETag of the copy; undefined if there is no source, or it is not that of `ifMatch`
   */
  copy(from: string, to: string, options?: CopyOptions): Promise<string | undefined>;

  /** Lists a page of the keys. */
  list(options?: ListPageOptions & RequestOptions): Promise<ListPage>;

  /** Begins a multipart upload. */
  begin(key: string, metadata?: Metadata): Promise<MultipartUpload>;

  /** Uploads a part, with its MD5, and compares the ETag of the answer. A part of the same number is replaced. */
  uploadPart(
    upload: MultipartUpload,
    number: number,
    bytes: Uint8Array,
    options?: RequestOptions,
  ): Promise<UploadedPart>;

  /** Makes a range of an object a part, on the side of the store. */
  copyPart(
    upload: MultipartUpload,
    number: number,
    source: { key: string; start: number; count: number; etag: string },
    options?: RequestOptions,
  ): Promise<UploadedPart>;

  /**
   * Makes the object visible: all parts that were uploaded have to be in the list. If the answer is an error that may
   * hide a success, looks at the object before it reports one.
   *
   * @param ifAbsent whether the store has to refuse it where the key is taken; some ignore that
   * @returns the ETag of the object; undefined if the store refused it for `ifAbsent`
   * @throws {FerryError} `not_found` if the upload does not exist (any more)
   */
  complete(
    upload: MultipartUpload,
    parts: readonly UploadedPart[],
    options?: { ifAbsent?: boolean | undefined } & RequestOptions,
  ): Promise<string | undefined>;

  /** Discards a multipart upload and its parts. One that does not exist is no error. */
  abort(upload: MultipartUpload): Promise<void>;

  /** The parts of an upload, by their numbers; undefined if there is no such upload. */
  parts(upload: MultipartUpload): Promise<UploadedPart[] | undefined>;

  /** All multipart uploads under the prefix, page by page. */
  uploads(): AsyncIterable<readonly ListedUpload[]>;
}
