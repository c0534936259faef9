/**
 * `share`: makes a link by which others can download or upload.
 *
 * @module
 */

import { FerryError, quote } from "../../../../lib/core/errors.ts";
import type { ShareRequest } from "../../../../lib/wire/operations/share.ts";
import type { SharedLink } from "../../../../lib/core/share_link.ts";
import type { Share } from "../../../shares/share.ts";
import type { ServedConnection, SessionLinks } from "../exchange/served_connection.ts";
import type { Handler } from "../exchange/exchange.ts";

/** Answers a `share`. */
export const share: Handler<ShareRequest> = {
  action: ({ filename }) => `share ${quote(filename)}`,

  async answer(exchange) {
    const { connection, permit, request } = exchange;
    const links = linksOf(connection);
    const { filename, upload, expires_in: lifetime, downloads } = request;
    const wanted = { filename, upload, lifetime, downloads };
    const made = await links.shares.create(permit, wanted);
    return await exchange.reply({ ...linkKeys(made, links) });
  },
};

/**
 * The links of the server.
 *
 * @throws {FerryError} `denied` if it has none
 */
export function linksOf({ options: { links } }: ServedConnection): SessionLinks {
  if (links) return links;
  throw new FerryError(
    "denied",
    "the server is not reached by links: it was started without --http",
  );
}

/** The keys that describe a link. */
export function linkKeys({ path, downloads, ...share }: Share, links: SessionLinks): SharedLink {
  const { id, ...rest } = share;
  const { most = null, taken = null } = downloads ?? {};
  return { id, url: links.urlOf(path), ...rest, downloads: most, taken };
}
