/**
 * HEAD, PATCH and DELETE of an upload.
 *
 * @module
 */

import { encodeHex } from "@std/encoding/hex";
import { type Checksum, isMd5 } from "../../../../lib/core/checksum.ts";
import { type ErrorCode, FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import type { AddressedUpload } from "../../../files/addressed_upload.ts";
import type { AddressedUploads } from "../../../files/addressed_uploads.ts";
import { filenameOf } from "../../../files/upload_register.ts";
import type { Permit } from "../../../auth/permit.ts";
import { attestationsIn, digestField } from "../exchange/digest_fields.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";
import { CheckedBytes } from "./checked_bytes.ts";
import { countIn, hasBytes, wrongType } from "./fields.ts";
import { linkOf, progressFields } from "./progress.ts";

/**
 * The errors because of which a file could not be published and may be published later. Clients wait and try again only
 * where they are told that the upload is locked.
 */
const PASSING: readonly ErrorCode[] = ["busy", "io", "no_space", "quota"];

/** Answers a HEAD: how far an upload has come. */
export async function show(exchange: Exchange, id: string): Promise<void> {
  const { uploads, permit } = await permitted(exchange, id);
  let upload: AddressedUpload;
  try {
    upload = await permit.wait(uploads.look(id));
  } catch (error) {
    const failure = toFerryError(error);
    throw PASSING.includes(failure.code) ? new HttpFailure(423, failure) : error;
  }
  const { size, note, kind, parts = [], prefix } = upload;
  exchange.send(200, {
    "cache-control": "no-store",
    ...progressFields(exchange, upload),
    ...size === null ? { "upload-defer-length": "1" } : { "upload-length": String(size) },
    ...note === "" ? {} : { "upload-metadata": note },
    ...isMd5(prefix) ? { "upload-prefix-digest": digestField(prefix) } : {},
    ...kind === "part" ? { "upload-concat": "partial" } : {},
    ...kind === "sum"
      ? { "upload-concat": `final;${parts.map((part) => linkOf(exchange, part)).join(" ")}` }
      : {},
  });
}

/** Answers a PATCH: appends bytes to an upload. */
export async function append(exchange: Exchange, id: string): Promise<void> {
  if (!hasBytes(exchange)) throw wrongType();
  const offset = countIn(exchange, "upload-offset");
  if (offset === undefined) throw new FerryError("bad_header", "Upload-Offset is missing");
  const whole = countIn(exchange, "upload-length");
  const checksum = wholeChecksumIn(exchange);
  const bytes = new CheckedBytes(exchange);
  const { uploads, permit } = await permitted(exchange, id);
  const { size, allOrNone } = bytes;
  const read = (into: Uint8Array) => bytes.read(into);
  const next = { size, read, offset, whole, checksum, allOrNone };
  using _ending = permit.onEnd((reason) => exchange.body.fail(reason));
  const upload = await uploads.append(id, next);
  exchange.send(204, progressFields(exchange, upload));
}

/** Answers a DELETE: discards an upload. */
export async function discard(exchange: Exchange, id: string): Promise<void> {
  const { uploads } = await permitted(exchange, id);
  await uploads.discard(id);
  exchange.send(204);
}

async function permitted(
  exchange: Exchange,
  id: string,
): Promise<{ uploads: AddressedUploads; permit: Permit }> {
  const filename = await filenameOf(exchange.service.records, id);
  const permit = exchange.permit({ op: "put", filename });
  return { uploads: exchange.addressedUploads(permit), permit };
}

/**
 * The MD5 of the whole file in Repr-Digest; undefined if none is there.
 *
 * @throws {FerryError} `bad_header`
 */
export function wholeChecksumIn({ request }: Exchange): Checksum | undefined {
  const { "repr-digest": lines } = request.headersDistinct;
  const md5 = attestationsIn({ "repr-digest": lines })
    .find(({ algorithm }) => algorithm === "md5");
  return md5 && encodeHex(md5.digest);
}
