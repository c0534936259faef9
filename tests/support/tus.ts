/**
 * Requests of tus.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { encodeBase64 } from "@std/encoding/base64";
import type { HttpRequest, HttpResponse } from "./http_server.ts";

/** A server that takes requests over HTTP. */
export interface TusServer {
  request(method: string, target: string, options?: HttpRequest): Promise<HttpResponse>;
}

/** The value of Upload-Metadata. */
export function metadata(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key} ${encodeBase64(new TextEncoder().encode(value))}`).join(",");
}

/** The fields that every request has. */
export const TUS = { "tus-resumable": "1.0.0" };

/** The fields of a request with bytes of an upload. */
export const BYTES = { ...TUS, "content-type": "application/offset+octet-stream" };

/** Options of {@linkcode createUpload}. */
export interface CreateOptions {
  /** Where it is created. Default: `/.tus/`. */
  readonly at?: string;
  /** Further header fields. */
  readonly headers?: HttpRequest["headers"];
  /** Values of Upload-Metadata beside the name. */
  readonly values?: Readonly<Record<string, string>>;
}

/** Creates an upload, and returns its path. */
export async function createUpload(
  server: TusServer,
  filename: string,
  size: number,
  { at = "/.tus/", headers = {}, values = {} }: CreateOptions = {},
): Promise<string> {
  const created = await server.request("POST", at, {
    headers: {
      ...TUS,
      "upload-length": String(size),
      "upload-metadata": metadata({ filename, ...values }),
      ...headers,
    },
  });
  assertEquals(created.status, 201, created.text);
  return created.headers.location as string;
}

/** Sends bytes of an upload. */
export function sendBytes(
  server: TusServer,
  path: string,
  offset: number,
  body: NonNullable<HttpRequest["body"]>,
  headers: HttpRequest["headers"] = {},
): Promise<HttpResponse> {
  return server.request("PATCH", path, {
    headers: { ...BYTES, "upload-offset": String(offset), ...headers },
    body,
  });
}

/** Asks for an upload. */
export function lookAt(
  server: TusServer,
  path: string,
  headers: HttpRequest["headers"] = {},
): Promise<HttpResponse> {
  return server.request("HEAD", path, { headers: { ...TUS, ...headers } });
}
