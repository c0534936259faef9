/**
 * Stores objects under keys that no URL can have, as some programs do: the path of the request is sent as it is.
 *
 * @module
 */

import { createHash, createHmac } from "node:crypto";
import type { BucketPlace } from "./served_bucket.ts";

const REGION = "us-east-1";

/**
 * Stores an empty object.
 *
 * @param key the whole key; of printable ASCII that needs no escape
 */
export async function putRawObject(place: BucketPlace, key: string): Promise<void> {
  const { host, hostname, port } = new URL(place.endpoint);
  const path = `/${place.bucket}/${key}`;
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const headers = {
    "host": host,
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    "x-amz-date": date,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join("");
  const signed = Object.keys(headers).join(";");
  const canonical = ["PUT", path, "", lines, signed, "UNSIGNED-PAYLOAD"].join("\n");
  const scope = [date.slice(0, 8), REGION, "s3", "aws4_request"];
  const hash = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", date, scope.join("/"), hash].join("\n");
  const secret: string | Uint8Array = `AWS4${place.secretAccessKey}`;
  const signingKey = scope.reduce<string | Uint8Array>(
    (key, part) => createHmac("sha256", key).update(part).digest(),
    secret,
  );
  const signature = createHmac("sha256", signingKey).update(text).digest("hex");
  const credential = `${place.accessKeyId}/${scope.join("/")}`;
  const authorization =
    `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signed}, Signature=${signature}`;
  using conn = await Deno.connect({ hostname, port: Number(port) });
  const fields = { ...headers, authorization, "content-length": "0", "connection": "close" };
  const head = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  await conn.write(new TextEncoder().encode(`PUT ${path} HTTP/1.1\r\n${head}\r\n`));
  const answer = await new Response(conn.readable).text();
  if (!answer.startsWith("HTTP/1.1 200")) throw new Error(`it was not stored: ${answer}`);
}
