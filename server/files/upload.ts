/**
 * What is said of an upload: by the client that offers or sends a file, and by the service that takes it.
 *
 * @module
 */

import type { IncomingContent } from "../../lib/core/bytes.ts";
import type { Algorithm, Checksum } from "../../lib/core/checksum.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Committed } from "../../lib/files/commit.ts";
import type { OfferedUpload } from "./offered_upload.ts";

/** A file that a client has uploaded. */
export interface StoredUpload {
  /** Its name, relative to the root. */
  readonly filename: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The checksum of what is stored, of the algorithm that the client asked for. */
  readonly checksum: Checksum;
  /** Whether nothing was changed, since an identical or a newer file was there. */
  readonly unchanged: boolean;
  /** How many bytes an earlier upload that was cut had left; 0 where it began at the start. */
  readonly resumedFrom: number;
}

/** What a client says of an upload in advance. */
export interface Upload {
  /** The name that the file is to have. */
  readonly filename: string;
  /** The size of the whole file in bytes; null for a stream. */
  readonly size: number | null;
  /** What it is checked with. */
  readonly algorithm: Algorithm;
  /** What becomes of a file that has the name. */
  readonly overwrite: Overwrite;
  /** The modification time to keep, in milliseconds since 1970. */
  readonly mtime?: number | undefined;
}

/** An upload that is offered: the client asks whether it should be sent. */
export interface UploadOffer extends Upload {
  /** The checksum of its content; null where it is not known yet. */
  readonly checksum: Checksum | null;
  /** Whether to begin at the start though a partial upload is there. */
  readonly restart: boolean;
}

/** An upload whose content comes. */
export interface UploadStart extends Upload {
  /** Where in the file the content begins, in bytes; above 0 it resumes the partial upload that was offered. */
  readonly offset: number;
  /** The permission bits to keep, 0 to 0o777. */
  readonly mode?: number | undefined;
}

/** The content of an upload. */
export interface UploadContent extends IncomingContent {
  /** Reads and throws away what is left, if that is little; false where it is more. */
  drain(): Promise<boolean>;
}

/** The answer to an offer. */
export type OfferAnswer =
  /** Nothing to do: the file that is there serves. */
  | { decision: "have"; checksum: Checksum; size: number }
  /** Its checksum decides: the client offers it again with that. */
  | { decision: "hash" }
  /** It should be sent: all of it, or what follows the partial upload. */
  | { decision: "send"; partial: OfferedUpload | undefined };

/** An upload that has come whole and is being published. */
export interface ReceivedUpload {
  /**
   * What became of it. Fails with why it was not published, with `auth_required` where the permit has ended before.
   */
  readonly published: Promise<Committed>;
}
