/**
 * `/.ferry/shares`: making, listing and taking back share links. `/.ferry/share` below a link: what it is about.
 *
 * @module
 */

import * as v from "valibot";
import { formatAddress } from "../../../../lib/core/address.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { downloads, lifetime } from "../../../../lib/wire/share_keys.ts";
import type { Share } from "../../../shares/share.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { readJson } from "../exchange/json_body.ts";
import { HttpFailure } from "../exchange/problem.ts";

const REQUEST = v.strictObject({
  name: v.string("is not a string"),
  upload: v.optional(v.boolean("is neither true nor false"), false),
  expires_in: v.optional(v.nullable(lifetime)),
  downloads: v.optional(v.nullable(downloads)),
});

const NO_STORE = { "cache-control": "no-store" };

/** Makes a link. */
export async function createShare(exchange: Exchange): Promise<void> {
  const { name, upload, expires_in: lifetime, downloads } = await readJson(exchange, REQUEST);
  const filename = exchange.nameOf(name);
  const permit = exchange.permit({ op: "share", filename, upload });
  const request = { filename, upload, lifetime, downloads };
  const share = await exchange.service.shares.create(permit, request);
  const location = `/.ferry/shares/${share.id}`;
  exchange.json(201, describe(exchange, share), { ...NO_STORE, location });
}

/** Lists the links of the client. */
export async function listShares(exchange: Exchange): Promise<void> {
  const permit = exchange.permit({ op: "shares" });
  const all = await exchange.service.shares.list(permit);
  exchange.json(200, { shares: all.map((share) => describe(exchange, share)) }, NO_STORE);
}

/** Takes back a link of the client. */
export async function revokeShare(exchange: Exchange): Promise<void> {
  const permit = exchange.permit({ op: "unshare" });
  const { path } = exchange.target;
  await exchange.service.shares.revoke(permit, path.slice(path.lastIndexOf("/") + 1));
  exchange.send(204, NO_STORE);
}

/** Tells a visitor what the link is about. */
export async function showShare(exchange: Exchange): Promise<void> {
  const { visit } = exchange.view;
  if (!visit) throw new HttpFailure(404, new FerryError("not_found", "nothing is served there"));
  const { filename, type, upload, expires } = visit.share;
  const name = filename.slice(filename.lastIndexOf("/") + 1);
  const about = { name, type, upload, expires, downloads: await visit.downloads() };
  exchange.json(200, about, NO_STORE);
}

function describe(exchange: Exchange, { path, filename, ...share }: Share) {
  const { id, ...rest } = share;
  return { id, url: new URL(path, originOf(exchange)).href, name: filename, ...rest };
}

/** The origin by which the client reaches the server. */
function originOf({ service: { url, secure }, request }: Exchange): URL {
  if (url) return url;
  const { localAddress: hostname = "", localPort: port = 0 } = request.socket;
  const kind = secure ? "https" : "http";
  const asked = URL.parse(`${kind}://${request.headers.host}/`);
  return asked ?? new URL(`${kind}://${formatAddress({ hostname, port })}/`);
}
