/**
 * What the uploads of the page talk to, in memory: uploads by tus, lists of directories, and failures on demand.
 *
 * @module
 */

import { createHash } from "node:crypto";
import type { Send, UploadRequest, UploadResponse } from "../../page/upload/exchange.ts";
import { UploadFailure } from "../../page/upload/failure.ts";
import { md5Of } from "./digests.ts";

/** A field with an MD5. */
function field(bytes: Uint8Array): string {
  return `md5=:${createHash("md5").update(bytes).digest("base64")}:`;
}

interface Pending {
  readonly name: string;
  readonly size: number;
  readonly md5: string | undefined;
  readonly overwrite: string;
  bytes: Uint8Array<ArrayBuffer>;
}

/** How a request is disturbed: it fails with this, after so many bytes of its body have arrived. */
export interface Disturbance {
  readonly failure: UploadFailure;
  /** Default: 0. */
  readonly after?: number;
}

/** A server in memory. */
export class UploadDoor {
  /** The stored files by their names. */
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  /** The directories that were made. */
  readonly directories: string[] = [];
  /** Each request: `POST /.tus/`. */
  readonly requests: string[] = [];
  /** The uploads that are not complete, by their addresses. */
  readonly pending = new Map<string, Pending>();
  /** Whether a list tells MD5s. */
  listsMd5 = true;
  /** Whether directories may be listed. */
  mayList = true;
  /** Asked for each request, whether and how it is disturbed. */
  disturb: (request: UploadRequest) => Disturbance | undefined = () => undefined;
  /** Changes what is stored. */
  damage: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> = (bytes) => bytes;
  #ids = 0;

  /** Sends a request to it. */
  readonly send: Send = (request) => this.answer(request);

  /** Answers a request. */
  protected async answer(request: UploadRequest): Promise<UploadResponse> {
    const { method, url, headers = {}, body, signal, onSent } = request;
    signal?.throwIfAborted();
    this.requests.push(`${method} ${url}`);
    const disturbance = this.disturb(request);
    const sent = new Uint8Array(await body?.arrayBuffer() ?? new ArrayBuffer(0));
    const bytes = disturbance ? sent.slice(0, disturbance.after ?? 0) : sent;
    onSent?.(bytes.length);
    const respond = (): UploadResponse => {
      if (method === "POST" && url === "/.tus/") return this.#create(headers, bytes);
      if (url.startsWith("/.tus/")) return this.#upload(method, url, headers, bytes);
      if (method === "GET") return this.#list(url);
      if (method === "HEAD") return this.#head(url);
      this.directories.push(decodeURIComponent(url.slice(1, -1)));
      return response(201);
    };
    if (disturbance === undefined) return respond();
    // What has arrived of a cut request stays.
    if (method === "PATCH" && bytes.length > 0) respond();
    throw disturbance.failure;
  }

  #create(
    headers: Readonly<Record<string, string>>,
    bytes: Uint8Array<ArrayBuffer>,
  ): UploadResponse {
    const metadata = Object.fromEntries(
      headers["upload-metadata"]!.split(",").map((pair) => {
        const [key, value] = pair.split(" ");
        return [key, new TextDecoder().decode(Uint8Array.fromBase64(value!))];
      }),
    );
    const { filename: name, md5, overwrite } = metadata as Record<string, string>;
    const there = this.files.get(name!);
    if (there && overwrite === "never") {
      if (md5 !== md5Of(there)) throw new UploadFailure("exists", { status: 412 });
      return response(
        201,
        { "upload-offset": `${there.length}`, "repr-digest": field(there) },
        "/x",
      );
    }
    const url = `/.tus/${++this.#ids}`;
    const size = Number(headers["upload-length"]);
    this.pending.set(url, { name: name!, size, md5, overwrite: overwrite!, bytes });
    return this.#state(url, 201, url);
  }

  #upload(
    method: string,
    url: string,
    headers: Readonly<Record<string, string>>,
    bytes: Uint8Array<ArrayBuffer>,
  ): UploadResponse {
    const pending = this.pending.get(url);
    if (pending === undefined) throw new UploadFailure("not_found", { status: 404 });
    if (method === "DELETE") this.pending.delete(url);
    if (method !== "PATCH") return this.#state(url, 200);
    if (Number(headers["upload-offset"]) !== pending.bytes.length) {
      throw new UploadFailure("usage", { status: 409 });
    }
    pending.bytes = joined(pending.bytes, bytes);
    const whole = headers["repr-digest"];
    if (pending.bytes.length === pending.size && whole !== field(pending.bytes)) {
      this.pending.delete(url);
      throw new UploadFailure("checksum_mismatch", { status: 422 });
    }
    return this.#state(url, 204);
  }

  /** How far an upload is; a complete one is stored. */
  #state(url: string, status: number, location?: string): UploadResponse {
    const pending = this.pending.get(url);
    if (pending === undefined) return response(status);
    const { bytes, size, name } = pending;
    const fields = {
      "upload-offset": `${bytes.length}`,
      "upload-length": `${size}`,
      "upload-prefix-digest": field(bytes),
    };
    if (bytes.length < size) return response(status, fields, location);
    const stored = this.damage(bytes);
    this.files.set(name, stored);
    return response(status, { ...fields, "repr-digest": field(stored) }, location);
  }

  #list(url: string): UploadResponse {
    if (!this.mayList) throw new UploadFailure("denied", { status: 403 });
    const directory = decodeURIComponent(url.replace(/\?.*/, "").replace(/^\/|\/$/g, ""));
    const below = [...this.files].filter(([name]) =>
      directory === "" || name.startsWith(`${directory}/`)
    );
    if (below.length === 0 && directory !== "") {
      throw new UploadFailure("not_found", { status: 404 });
    }
    const entries = new Map<string, unknown>();
    for (const [path, bytes] of below) {
      const name = directory === "" ? path : path.slice(directory.length + 1);
      const top = name.split("/")[0]!;
      const md5 = this.listsMd5 ? md5Of(bytes) : null;
      if (name === top || url.endsWith("?recursive")) {
        entries.set(name, { name, type: "file", size: bytes.length, md5 });
      } else {
        entries.set(top, { name: top, type: "directory", size: 0, md5: null });
      }
    }
    return response(
      200,
      {},
      undefined,
      JSON.stringify({ directory, entries: [...entries.values()] }),
    );
  }

  #head(url: string): UploadResponse {
    const bytes = this.files.get(decodeURIComponent(url.slice(1)));
    if (bytes === undefined) throw new UploadFailure("not_found", { status: 404 });
    return response(200, { "repr-digest": field(bytes) });
  }
}

function joined(
  one: Uint8Array<ArrayBuffer>,
  other: Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(one.length + other.length);
  all.set(one);
  all.set(other, one.length);
  return all;
}

function response(
  status: number,
  fields: Record<string, string> = {},
  location?: string,
  text = "",
): UploadResponse {
  const all = location === undefined ? fields : { ...fields, location };
  return { status, text, header: (name) => all[name as keyof typeof all] ?? null };
}
