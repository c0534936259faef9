/**
 * The page that browsers get of a directory: a document without data, whose script asks for the rest.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import Negotiator from "negotiator";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Exchange } from "../exchange/exchange.ts";
import type { Target } from "../exchange/target.ts";

/** A part of the page has its content's digest in its name. */
const FOR_EVER = "public, max-age=31536000, immutable";

/** The types of the parts, by how their names end. */
const TYPES: Readonly<Record<string, string>> = {
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** What all responses of the page say: no type is guessed, no other page embeds them or learns an address from them. */
const FIELDS = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/**
 * What a script or style that is a part may do by itself. A worker's policy is that of its own response: it compiles
 * WebAssembly, and reaches nothing.
 */
const PART_POLICY = "default-src 'none'; script-src 'wasm-unsafe-eval'";

/**
 * What the document may load: by a nonce its script and style, since files of users have the same origin, and by their
 * origin what its script asks for.
 */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "connect-src 'self'",
    "img-src 'self'",
    "worker-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** Whether a client is to get the page: it asks for a document rather than for JSON. */
export function wantsPage({ request, method }: Exchange): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  return new Negotiator(request).mediaType(["application/json", "text/html"]) === "text/html";
}

/**
 * Responds with the page. It is the same for all directories and clients, so that it takes no permit.
 *
 * @param status the status; its script learns from the same address, asked for as JSON, what went wrong
 * @param fields further header fields of the response
 */
export async function sendPage(
  exchange: Exchange,
  status = 200,
  fields: Readonly<Record<string, string>> = {},
): Promise<void> {
  const nonce = randomBytes(16).toString("base64");
  const shell = gunzipSync((await partOf("shell"))!).toString().replaceAll("%NONCE%", nonce);
  exchange.send(status, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy(nonce),
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
    vary: "accept",
    ...FIELDS,
    ...fields,
  }, shell);
}

/** Whether a target is a part of the page. */
export function isPagePart({ raw }: Target): boolean {
  return raw.startsWith("/.ferry/page/");
}

/** Responds with a part of the page: a script, a style, an icon. */
export async function sendPart(exchange: Exchange): Promise<void> {
  const name = exchange.target.path.slice(exchange.target.path.lastIndexOf("/") + 1);
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)];
  const packed = type === undefined ? undefined : await partOf(name);
  if (!packed || type === undefined) {
    throw new FerryError("not_found", "the page has no such part: load it again");
  }
  const gzip = new Negotiator(exchange.request).encoding(["gzip", "identity"]) === "gzip";
  const fields: Record<string, string> = {
    "content-type": type,
    "content-security-policy": PART_POLICY,
    "cache-control": FOR_EVER,
    vary: "accept-encoding",
    ...FIELDS,
    ...gzip ? { "content-encoding": "gzip" } : {},
  };
  exchange.send(200, fields, gzip ? packed : gunzipSync(packed));
}

/** A part as it is kept, compressed; undefined if there is none of that name. */
async function partOf(name: string): Promise<Uint8Array | undefined> {
  // Most servers never show the page: it is loaded by the first browser that asks.
  const { PARTS } = await import("./parts.ts");
  return Object.hasOwn(PARTS, name) ? Buffer.from(PARTS[name]!, "base64") : undefined;
}
