/**
 * Makes and uses share links over HTTP.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { HttpResponse, HttpServer } from "./http_server.ts";

/** A link, as `POST /.ferry/shares` describes it. */
export interface MadeLink {
  readonly id: string;
  readonly url: string;
  /** The path of the URL. */
  readonly path: string;
  /** The path of the URL as far as it is the same for all that the link leads to; without a slash at its end. */
  readonly prefix: string;
}

/** Asks for a link. */
export function askForLink(
  server: HttpServer,
  request: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<HttpResponse> {
  return server.request("POST", "/.ferry/shares", {
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(request),
  });
}

/** Makes a link. */
export async function makeLink(
  server: HttpServer,
  request: unknown,
  headers?: Readonly<Record<string, string>>,
): Promise<MadeLink> {
  const { status, json } = await askForLink(server, request, headers);
  assertEquals(status, 201, JSON.stringify(json));
  const path = new URL(json.url).pathname;
  return { ...json, path, prefix: path.split("/").slice(0, 4).join("/") };
}
