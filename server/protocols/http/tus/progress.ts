/**
 * The header fields of responses that tell how far an upload has come.
 *
 * @module
 */

import { isMd5 } from "../../../../lib/core/checksum.ts";
import type { AddressedUpload } from "../../../files/addressed_upload.ts";
import { digestField } from "../exchange/digest_fields.ts";
import { entityTag } from "../exchange/entity_tag.ts";
import type { Exchange } from "../exchange/exchange.ts";

/** The path of an upload, for a link. */
export function linkOf({ view }: Exchange, id: string): string {
  return `${view.prefix}/.tus/${id}`;
}

/** How far an upload has come, and if it is complete, the file that it has become. */
export function progressFields(
  exchange: Exchange,
  { offset, expires, stored, filename, kind }: AddressedUpload,
): Record<string, string> {
  const fields = {
    "upload-offset": String(offset),
    "upload-expires": new Date(expires).toUTCString(),
  };
  if (!stored) return fields;
  const link = kind === "part" ? undefined : exchange.linkTo(filename);
  return {
    ...fields,
    ...isMd5(stored.checksum)
      ? { "etag": entityTag(stored.checksum), "repr-digest": digestField(stored.checksum) }
      : {},
    ...link === undefined ? {} : { "content-location": link },
  };
}
