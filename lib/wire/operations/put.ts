/**
 * The operation `put`, and the offer, by which a client asks whether it should send a file.
 *
 * @module
 */

import * as v from "valibot";
import type { Checksum } from "../../core/checksum.ts";
import { UNKEPT, type Unkept } from "../../core/entry.ts";
import {
  algorithm,
  boolean,
  checksum,
  contentVersion,
  fileSize,
  hex128,
  key,
  knownChecksum,
  mode,
  mtime,
  ok,
  overwrite,
  stageId,
  string,
  wireSize,
} from "../schema.ts";
import type { Operation } from "./operation.ts";

const keys = v.object({
  op: v.literal("put"),
  filename: key(string, "The name that the file is to have."),
  algorithm,
  checksum,
  overwrite: key(overwrite, "What to do when the name is taken."),
  mtime: key(
    v.optional(mtime),
    "The modification time to be kept, in milliseconds since 1970.",
  ),
  mode: key(v.optional(mode), "The permission bits to be kept, 0 to 511 (0o777)."),
  offer: key(
    v.optional(boolean, false),
    "Whether this only asks if the file should be sent. No body follows then.",
  ),
  size: key(
    v.optional(wireSize),
    "The whole file's size in bytes, in an offer and where `offset` is above 0.",
  ),
  offset: key(
    v.optional(wireSize, 0n),
    "How many bytes of a partial upload that the server offered precede the body.",
  ),
  sparse: key(
    v.optional(boolean, false),
    "Whether runs of zeros are stored as holes, where the server's file system has any.",
  ),
  restart: key(
    v.optional(boolean, false),
    "In an offer: that the partial upload that was offered is not of this file, and no other will do.",
  ),
  basis: key(
    v.optional(string),
    "The file on the server that the body builds upon: it is a recipe then.",
  ),
  basis_version: key(
    v.optional(contentVersion),
    "The version that the basis has to have still, as the reply to a `signature` told it.",
  ),
  stage: key(
    v.optional(stageId),
    "The staged tree that the file is put into; there it replaces what has its name.",
  ),
});

const request = v.pipe(
  keys,
  v.check(
    ({ basis, basis_version }) => (basis === undefined) === (basis_version === undefined),
    "has only one of basis and basis_version",
  ),
  v.check(
    ({ basis, size }) => basis === undefined || size !== undefined,
    "has a basis and no size",
  ),
);

/** The header of a `put`. */
export type PutRequest = v.InferOutput<typeof request>;

const reply = v.object({
  status: ok,
  filename: key(string, "The name on the server."),
  checksum: knownChecksum,
  size: key(fileSize, "The file's size in bytes."),
  unchanged: key(
    v.optional(boolean, false),
    "Whether nothing was changed because the file that is there will do.",
  ),
  unkept: key(
    v.optional(
      v.pipe(
        v.array(string),
        // A newer server may send other values.
        v.transform((kinds) => UNKEPT.filter((kind) => kinds.includes(kind))),
      ),
      () => [],
    ),
    "What of the file the server's file system did not keep: `mtime`, `mtime_fraction`, `mode`.",
  ),
});

/** The reply to an upload. */
export interface PutReply {
  /** The name on the server. */
  filename: string;
  /** The checksum of the file under that name. */
  checksum: Checksum;
  /** The file's size in bytes. */
  size: number;
  /** Whether nothing was changed because the existing file is kept. */
  unchanged: boolean;
  /** The attributes that the server's file system did not store. */
  unkept: Unkept[];
}

/** The reply to an offer. */
export interface OfferReply {
  /** Always `ok`: the reply does not report an error. */
  status: "ok";
  /** `send` the file; nothing to do because the server already has it (`have`); or `hash` it and offer it again. */
  decision: "send" | "have" | "hash";
  /** The checksum of the existing file; null if it is not known. */
  checksum: Checksum | null;
  /** With `have`: the size of the existing file in bytes. Older servers do not send it. */
  size?: number | undefined;
  /** With `send`: how many bytes of the file the server has as a partial upload. */
  offset: number;
  /** The MD5 of those bytes. */
  prefix_md5: string | null;
  /** The XXH3-128 of those bytes. */
  prefix_xxh128: string | null;
  /** The MD5 state after those bytes (the words A, B, C and D), so that the client need not compute it. */
  prefix_state: string | null;
  /** With `send`: whether a file has the name, which the upload would replace. Older servers do not tell. */
  replaces: boolean;
}

const offer = v.object({
  status: ok,
  decision: key(
    v.picklist(["send", "have", "hash"], "is none of send, have, hash"),
    "`send` the file, nothing to do because you `have` it there, or `hash` it and offer it again.",
  ),
  checksum,
  size: key(
    v.optional(fileSize),
    "With `have`: the size in bytes of the file that is there. Older servers do not tell it.",
  ),
  offset: key(
    v.optional(fileSize, 0n),
    "With `send`: how many bytes of the file the server has as a partial upload.",
  ),
  prefix_md5: key(v.nullish(hex128, null), "The md5 of those bytes."),
  prefix_xxh128: key(v.nullish(hex128, null), "The XXH3-128 of those bytes."),
  prefix_state: key(
    v.nullish(hex128, null),
    "The words A, B, C and D of md5 behind those bytes, so that the client need not compute them.",
  ),
  replaces: key(
    v.optional(boolean, false),
    "With `send`: whether a file has the name now.",
  ),
});

/** Stores the body as a file; or, as an offer, asks whether the file should be sent. */
export const put = {
  name: "put",
  description:
    "Stores the body as a file, whole, verified and durable before it has its name; or, " +
    "with `offer`, asks whether the file should be sent, and from where on.",
  needs: ({ basis }) => [
    { scope: "write", reach: "inside" },
    ...(basis === undefined ? [] : [{ scope: "read", reach: "inside", of: "basis" } as const]),
  ],
  request,
  reply,
  offer,
} satisfies Operation<PutRequest, PutReply>;
