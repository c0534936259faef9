/**
 * The way in by a share link: `/.ferry/s/LINK/…` is the same space as `/…`, as far as the link shows it.
 *
 * @module
 */

import { FerryError } from "../../../../lib/core/errors.ts";
import { sourceOf } from "../../../../lib/core/source_address.ts";
import { baseOf } from "../../../shares/share.ts";
import { Exchange, type View } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";
import { encodePath, parseTarget, type Target } from "../exchange/target.ts";
import { wantsPage } from "../page/page.ts";

/** What the paths of links begin with. */
const ENTRANCE = "/.ferry/s/";

/** What a link leads to besides files: what it is about, and the parts of the page. */
const OWN_PATHS = /^\/\.ferry\/(share$|page\/)/;

/** Whether a target is below a share link. */
export function isByLink({ raw }: Target): boolean {
  return raw.startsWith(ENTRANCE);
}

/**
 * Enters by a link. Who makes the request otherwise, and how it is logged in, makes no difference.
 *
 * @returns the request as it is behind the link; undefined if it was already answered
 * @throws {HttpFailure} 404 if there is no such link
 * @throws {FerryError} that the link leads nowhere any more
 */
export async function enterShare(exchange: Exchange): Promise<Exchange | undefined> {
  const { service, request, response, target: { raw, query } } = exchange;
  // Other sites do not learn the link from requests that the visitor makes there, and search engines do not list it.
  response.setHeader("referrer-policy", "no-referrer");
  response.setHeader("x-robots-tag", "noindex");
  const [link = ""] = raw.slice(ENTRANCE.length).split("/", 1);
  const prefix = `${ENTRANCE}${link}`;
  const visit = await service.shares.visit(link, sourceOf(request.socket.remoteAddress ?? ""));
  if (!visit) throw nothingThere("there is no such link");
  const rest = raw.slice(prefix.length);
  if (/^\/\.ferry\//.test(rest) && !OWN_PATHS.test(rest)) {
    throw nothingThere("nothing is served there");
  }
  const { share, caller } = visit;
  const file = share.type === "file" ? encodePath(lastPart(share.filename)) : undefined;
  const isWhole = rest === "" || rest === file;
  // A person gets the page first, which offers the file; a program gets the file itself.
  if (isWhole && (!file || wantsPage(exchange) && !query.has("download"))) {
    return void exchange.send(307, { location: `${prefix}/`, "cache-control": "no-store" });
  }
  const view: View = { base: baseOf(share), prefix, visit };
  const target = { ...parseTarget(rest === "" ? file! : rest), query };
  return new Exchange({ ...exchange, caller, view, target });
}

function nothingThere(reason: string): HttpFailure {
  return new HttpFailure(404, new FerryError("not_found", reason));
}

function lastPart(filename: string): string {
  return filename.slice(filename.lastIndexOf("/") + 1);
}
