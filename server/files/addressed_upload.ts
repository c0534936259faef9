/**
 * The types that describe an upload that its client goes on with by an id, and the errors about it.
 *
 * @module
 */

import type { IncomingContent } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { StoredContent, UploadRecord } from "./upload_records.ts";

/** What a client announces of an upload. */
export interface NewUpload {
  /** The name that the file will get. Of a part, a name by which is decided who may send it. */
  readonly filename: string;
  /** Whether it is a part that is put together with others later. Default: false. */
  readonly isPart?: boolean | undefined;
  /** The size of the whole file in bytes; null if it is told later. */
  readonly size: number | null;
  /** What happens to an existing file of that name. */
  readonly overwrite: Overwrite;
  /** The modification time to keep, in milliseconds since 1970. */
  readonly mtime?: number | undefined;
  /** The checksum algorithm for the whole file. MD5 takes most of the time of a large upload. */
  readonly algorithm: Algorithm;
  /** The checksum of the whole file by that algorithm, with which it is verified. */
  readonly checksum?: Checksum | undefined;
  /** What the client is told about it again. */
  readonly note: string;
}

/** Parts that a client wants to be put together. */
export interface NewSum extends Omit<NewUpload, "size" | "isPart"> {
  /** The ids of the parts, in their order. */
  readonly parts: readonly string[];
}

/** The next bytes of an upload. */
export interface NextBytes extends Pick<IncomingContent, "read"> {
  /** How many they are; null if that is known only at their end. */
  readonly size: number | null;
  /** The offset in the file at which they begin, in bytes. */
  readonly offset: number;
  /** The size of the whole file in bytes, if it was not known when the upload was created. */
  readonly whole?: number | undefined;
  /** The checksum of the whole file by its algorithm, if the client knows it only now. */
  readonly checksum?: Checksum | undefined;
  /**
   * Whether the bytes count only if all of them come: `read` fails at their end if they are wrong. Default: false, every
   * byte that comes counts.
   */
  readonly allOrNone?: boolean | undefined;
}

/** An upload as far as it has come. */
export interface AddressedUpload {
  /** Its id. */
  readonly id: string;
  /** What it is; see {@linkcode UploadRecord}. */
  readonly kind: UploadRecord["kind"];
  /** The name that the file gets. */
  readonly filename: string;
  /** The size of the whole file in bytes; null if it is not known yet. */
  readonly size: number | null;
  /** How many bytes of it there are. */
  readonly offset: number;
  /** Their checksum, by the algorithm of the upload. */
  readonly prefix: Checksum;
  /** The {@linkcode NewUpload.note} of the client. */
  readonly note: string;
  /** The ids of the parts of a sum. */
  readonly parts: readonly string[] | undefined;
  /** When it is discarded if nothing more comes, in milliseconds since 1970. */
  readonly expires: number;
  /** The file that it has become; undefined if it is not complete. */
  readonly stored: StoredContent | undefined;
}

/** An upload does not go on at the offset that the client says. */
export class WrongOffset extends FerryError {
  /** The offset at which it goes on, in bytes. */
  readonly offset: number;

  /** @param offset the offset at which it goes on, in bytes */
  constructor(offset: number) {
    super("usage", `the upload goes on at the offset ${offset}`);
    this.offset = offset;
  }
}

/** Another request writes to an upload at the moment. */
export class UploadInUse extends FerryError {
  /** Creates the error. */
  constructor() {
    super("busy", "another request goes on with this upload");
  }
}

/** Nothing has come for an upload for so long that it is discarded. */
export class UploadExpired extends FerryError {
  /** Creates the error. */
  constructor() {
    super("not_found", "the upload has expired");
  }
}
