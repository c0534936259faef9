/**
 * The types that describe an upload: what the client announces, and what the service answers.
 *
 * @module
 */

import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Committed } from "../../lib/files/commit.ts";
import type { OfferedUpload } from "./offered_upload.ts";
import type { Precondition } from "./precondition.ts";

/** An upload that a client wants to send. */
export interface ProposedUpload {
  /** The name that the file will get, relative to the root. */
  readonly filename: string;
  /** The size of the whole file in bytes; null if the client has not announced it. */
  readonly size: number | null;
  /** The checksum that the client has announced; null if it has announced none. */
  readonly checksum: Checksum | null;
}

/** A directory that a client has put together, and that has got its name as a whole. */
export interface PublishedDirectory {
  /** Its name, relative to the root. */
  readonly filename: string;
  /** The number of files in it. */
  readonly files: number;
  /** Their size in bytes. */
  readonly bytes: number;
}

/** A file that a client has uploaded. */
export interface StoredUpload {
  /** Its name, relative to the root. */
  readonly filename: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The checksum of the stored file, of the algorithm that the client requested. */
  readonly checksum: Checksum;
  /** Whether nothing was changed because an identical or newer file existed. */
  readonly unchanged: boolean;
  /** The offset at which an interrupted upload was resumed, in bytes; 0 if it started from the beginning. */
  readonly resumedFrom: number;
  /** How many bytes were not sent, since they are those of a file that the server has; 0 if all were sent. */
  readonly reused: number;
  /** Whether it is in a directory that does not have its name yet. Default: undefined, no. */
  readonly staged?: true | undefined;
}

/** The file that an upload builds upon. */
export interface Basis {
  /** Its name. */
  readonly filename: string;
  /** The version that it has to have still. */
  readonly version: string;
}

/** What a client announces of an upload. */
export interface Upload {
  /** The name that the file will get. */
  readonly filename: string;
  /** The size of the whole file in bytes; null for a stream. */
  readonly size: number | null;
  /** The checksum algorithm. */
  readonly algorithm: Algorithm;
  /** The overwrite policy: what happens to an existing file of that name. */
  readonly overwrite: Overwrite;
  /** The modification time to keep, in milliseconds since 1970. */
  readonly mtime?: number | undefined;
  /** Whether runs of zeros are stored as holes where the storage has any. Default: false. */
  readonly sparse?: boolean | undefined;
}

/** An upload that is offered: the client asks whether it should be sent. */
export interface UploadOffer extends Upload {
  /** The checksum of its content; null if it is not known yet. */
  readonly checksum: Checksum | null;
  /** Whether to start from the beginning even if there is a partial upload. */
  readonly restart: boolean;
}

/** An upload whose content follows. */
export interface UploadStart extends Upload {
  /**
   * The offset in the file at which the content starts, in bytes. If above 0, it resumes the partial upload that was
   * offered.
   */
  readonly offset: number;
  /** The permission bits to keep, 0 to 0o777. */
  readonly mode?: number | undefined;
  /**
   * Whether a partial upload is kept if the content is cut. Default: true. False where the client has no way to resume
   * one.
   */
  readonly resumable?: boolean | undefined;
  /** What the client requires of what has the name, by MD5s. Default: undefined, nothing. */
  readonly precondition?: Precondition | undefined;
  /**
   * The file that the content builds upon: what comes is a recipe then, and the size MUST be given. Default: undefined,
   * the content itself comes.
   */
  readonly basis?: Basis | undefined;
}

/** The answer to an offer. */
export type OfferAnswer =
  /** Nothing to do: the existing file is kept. */
  | { decision: "have"; checksum: Checksum; size: number }
  /** The checksum decides: the client has to offer the file again with its checksum. */
  | { decision: "hash" }
  /** The file should be sent: all of it, or the rest after the partial upload. */
  | { decision: "send"; partial: OfferedUpload | undefined; replaces: boolean };

/** An upload that was received completely and is being published. */
export interface ReceivedUpload {
  /** The result. Fails with the reason if it is not published; with `auth_required` if the permit has ended before. */
  readonly published: Promise<Committed>;
}
