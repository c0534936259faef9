/**
 * Valid conversations over HTTP, as data for the fuzzer to mutate. A new kind of request is fuzzed when it has an entry
 * here.
 *
 * @module
 */

import { encodeBase64 } from "@std/encoding/base64";
import { createHash } from "node:crypto";
import { md5, utf8 } from "../support/bytes.ts";
import type { Conversation } from "./conversations.ts";

const HOST = "Host: 127.0.0.1\r\n";
const SMALL = "hello, fuzzer\n";
const digest = (algorithm: string) => createHash(algorithm).update(SMALL).digest("base64");
const base64 = (text: string) => encodeBase64(utf8.encode(text));

/** A request. Each line of `fields` ends with CRLF. */
function request(
  method: string,
  target: string,
  { fields = "", body }: { fields?: string; body?: string } = {},
): Uint8Array {
  const length = body === undefined ? "" : `Content-Length: ${utf8.encode(body).length}\r\n`;
  return utf8.encode(`${method} ${target} HTTP/1.1\r\n${HOST}${length}${fields}\r\n${body ?? ""}`);
}

const TUS = "Tus-Resumable: 1.0.0\r\n";
const OCTETS = "Content-Type: application/offset+octet-stream\r\n";
const JSON_BODY = "Content-Type: application/json\r\n";

function created(name: string, fields: string, body?: string): Uint8Array {
  const metadata = `Upload-Metadata: filename ${base64(name)},mtime ${base64("1700000000000")}\r\n`;
  const all = TUS + metadata + fields + (body === undefined ? "" : OCTETS);
  return request("POST", "/.tus/", { fields: all, ...body === undefined ? {} : { body } });
}

const requests: Readonly<Record<string, readonly Uint8Array[]>> = {
  "GET of files": [
    request("GET", "/kept/file"),
    request("GET", "/kept/large", {
      fields: "Accept-Encoding: gzip\r\nConnection: keep-alive\r\n",
    }),
    request("GET", "/kept/deep/er/empty?download", {
      fields: "Want-Repr-Digest: sha-256=5, md5=1\r\n",
    }),
    request("GET", "/link/secret"),
  ],
  "GET of ranges": [
    request("GET", "/kept/large", { fields: "Range: bytes=0-99\r\n" }),
    request("GET", "/kept/large", { fields: "Range: bytes=-5, 10-20, 199990-\r\n" }),
    request("GET", "/kept/file", {
      fields: `Range: bytes=3-\r\nIf-Range: "${md5(utf8.encode(SMALL))}"\r\n`,
    }),
    request("GET", "/kept/file", { fields: "Range: bytes=100-\r\n" }),
  ],
  "GET with conditions": [
    request("GET", "/kept/file", {
      fields: `If-None-Match: "${md5(utf8.encode(SMALL))}", W/"x"\r\n`,
    }),
    request("GET", "/kept/file", {
      fields: "If-Match: *\r\nIf-Unmodified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n",
    }),
    request("GET", "/kept/file", {
      fields: "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n",
    }),
  ],
  "GET of directories": [
    request("GET", "/kept/", { fields: "Accept: application/json\r\n" }),
    request("GET", "/?recursive", {
      fields: "Accept: application/json;q=0.9, text/html;q=0.1\r\n",
    }),
    request("GET", "/", { fields: "Accept: text/html\r\n" }),
    request("GET", "/kept"),
  ],
  "GET of archives": [
    request("GET", "/kept/?archive=tar"),
    request("GET", "/kept/?archive=zip&name=file&name=deep"),
  ],
  "PUT": [
    request("PUT", "/fuzz/a", { body: SMALL }),
    request("PUT", "/fuzz/a", { body: SMALL, fields: "If-None-Match: *\r\n" }),
    request("PUT", "/fuzz/b/c", {
      body: SMALL,
      fields: `Repr-Digest: sha-256=:${digest("sha256")}:, md5=:${digest("md5")}:\r\n`,
    }),
    request("PUT", "/fuzz/d", {
      body: SMALL,
      fields: `Content-MD5: ${digest("md5")}\r\nX-OC-Mtime: 1700000000\r\n`,
    }),
    request("PUT", "/fuzz/a", {
      body: SMALL,
      fields: `If-Match: "${md5(utf8.encode(SMALL))}"\r\n`,
    }),
  ],
  "PUT in chunks": [
    request("PUT", "/fuzz/e", { fields: "Transfer-Encoding: chunked\r\n" }),
    utf8.encode("5\r\nhello\r\n8;x=y\r\n, fuzzer\r\n0\r\nTrailer: z\r\n\r\n"),
    request("GET", "/fuzz/e"),
  ],
  "PUT that waits": [
    request("PUT", "/fuzz/f", { body: SMALL, fields: "Expect: 100-continue\r\n" }),
    request("PUT", "/fuzz/", { body: SMALL, fields: "Expect: 100-continue\r\n" }),
  ],
  "POST, move, DELETE": [
    request("POST", "/fuzz/g/h/"),
    request("PUT", "/fuzz/g/i", { body: SMALL }),
    request("POST", "/.ferry/api/move", {
      fields: JSON_BODY,
      body: JSON.stringify({ from: "fuzz/g/i", to: "fuzz/g/j", overwrite: true }),
    }),
    request("DELETE", "/fuzz/g/j"),
    request("DELETE", "/fuzz/g/"),
  ],
  "uploads by tus": [
    request("OPTIONS", "/.tus/"),
    created("fuzz/t", "Upload-Length: 14\r\n", SMALL),
    created("fuzz/u", "Upload-Length: 100\r\n", SMALL),
    created("fuzz/v", "Upload-Defer-Length: 1\r\n"),
    created("fuzz/w", "Upload-Length: 14\r\nUpload-Concat: partial\r\n", SMALL),
    request("PATCH", "/.tus/AAAAAAAAAAAAAAAA", {
      fields: `${TUS}${OCTETS}Upload-Offset: 0\r\n`,
      body: SMALL,
    }),
    request("DELETE", "/.tus/AAAAAAAAAAAAAAAA", { fields: TUS }),
  ],
  "logging in": [
    request("GET", "/.ferry/session"),
    request("GET", "/kept/file", { fields: "Authorization: Bearer ferry_0123456789ab_AAAA\r\n" }),
    request("GET", "/kept/file", {
      fields: `Authorization: Basic ${base64("user:ferry_0_A")}\r\n`,
    }),
    request("GET", "/kept/file", { fields: "Cookie: ferry_session=a.b.c; x=y\r\n" }),
    request("POST", "/.ferry/session", {
      fields: JSON_BODY,
      body: '{"token":"ferry_0123456789ab_AAAA"}',
    }),
    request("DELETE", "/.ferry/session"),
  ],
  "pages elsewhere": [
    request("OPTIONS", "/fuzz/a", {
      fields: "Origin: https://app.example.org\r\nAccess-Control-Request-Method: PUT\r\n",
    }),
    request("PUT", "/fuzz/a", { body: SMALL, fields: "Origin: https://evil.example\r\n" }),
    request("GET", "/kept/file", { fields: "Sec-Fetch-Site: cross-site\r\n" }),
  ],
  "share links": [
    request("GET", "/.ferry/shares"),
    request("GET", "/.ferry/s/AAAAAAAAAAAAAAAAAAAA/file"),
    request("GET", `/.ferry/s/${"A".repeat(54)}/`),
    request("POST", "/.ferry/shares", {
      fields: JSON_BODY,
      body: '{"name":"kept/file","expires_in":1000,"downloads":1}',
    }),
    request("DELETE", "/.ferry/shares/AAAAAAAAAAA"),
    request("DELETE", "/.ferry/shares/AAAAAAAA"),
  ],
};

/** Whether what is sent can change nothing that has to stay: the files in `kept/`. */
function sparesKept(bytes: Uint8Array): boolean {
  const text = new TextDecoder("latin1").decode(bytes)
    .replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return !/\b(?:PUT|DELETE|POST|PATCH)\b[^\n]*kept/i.test(text) &&
    !/"(?:from|to)"[^}]*kept/i.test(text);
}

/** Conversations over HTTP. */
export const HTTP_CONVERSATIONS: readonly Conversation[] = Object.entries(requests)
  .map(([name, parts]) => ({ name: `HTTP: ${name}`, place: "http", parts, allows: sparesKept }));
