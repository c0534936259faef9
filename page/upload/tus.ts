/// <reference lib="dom" />
/**
 * A client of tus 1.0.0, as far as this page needs it.
 *
 * @module
 */

import type { Send, UploadResponse } from "./exchange.ts";
import { UploadFailure } from "./failure.ts";
import { pathOf } from "./names.ts";

/** What becomes of a file that has the name already. */
export type Overwrite = "never" | "always";

/** A file that is to be sent. */
export interface UploadedFile {
  /** Its bytes. */
  readonly blob: Blob;
  /** Its name on the server. */
  readonly name: string;
  /** Its modification time in milliseconds since 1970. */
  readonly mtime: number;
  readonly overwrite: Overwrite;
}

/** How far an upload is. */
export interface Progress {
  /** The number of bytes that the server has. */
  readonly offset: number;
  /** The size of the whole file; NaN if it is not known there. */
  readonly size: number;
  /** The MD5 in hexadecimal of the bytes that the server has; undefined if it does not tell. */
  readonly prefix: string | undefined;
  /** The MD5 in hexadecimal of the file that was stored; undefined as long as bytes are missing. */
  readonly stored: string | undefined;
}

/** Options of a request that carries bytes. */
export interface SendOptions {
  /** The MD5 in hexadecimal of the whole file, where these bytes are the last: the server compares it. */
  readonly md5?: string | undefined;
  readonly signal?: AbortSignal;
  /** Called with the number of bytes that were sent. */
  onSent?(bytes: number): void;
}

const BYTES = "application/offset+octet-stream";

/** Uploads into one view. */
export class Tus {
  readonly #send: Send;
  readonly #prefix: string;

  /** @param prefix what precedes each path of the view */
  constructor(send: Send, prefix: string) {
    this.#send = send;
    this.#prefix = prefix;
  }

  /**
   * Creates an upload, with no bytes or with all of them.
   *
   * @param md5 that of the whole file, if it is known; without bytes, too
   */
  async create(
    { blob, name, mtime, overwrite }: UploadedFile,
    { whole, md5, signal, onSent }: SendOptions & { whole: boolean },
  ): Promise<Progress & { url: string }> {
    const metadata = {
      filename: name,
      mtime: String(mtime),
      overwrite,
      ...md5 === undefined ? {} : { md5 },
    };
    const response = await this.#send({
      method: "POST",
      url: `${pathOf(this.#prefix, "")}/.tus/`,
      headers: {
        "tus-resumable": "1.0.0",
        "upload-length": String(blob.size),
        // With it the server computes the MD5 of large files, too.
        "want-repr-digest": "md5=10",
        "upload-metadata": Object.entries(metadata)
          .map(([key, value]) => `${key} ${base64(new TextEncoder().encode(value))}`).join(","),
        ...whole && blob.size > 0 ? { "content-type": BYTES } : {},
      },
      ...whole && blob.size > 0 ? { body: blob } : {},
      ...signal ? { signal } : {},
      ...onSent ? { onSent } : {},
    });
    const url = response.header("location");
    if (url === null) throw new UploadFailure("internal", { status: response.status });
    return { url, ...progressIn(response, blob.size) };
  }

  /** How far an upload is. */
  async look(url: string, signal: AbortSignal): Promise<Progress> {
    const headers = { "tus-resumable": "1.0.0" };
    const response = await this.#send({ method: "HEAD", url, headers, signal });
    return progressIn(response, Number(response.header("upload-length") ?? NaN));
  }

  /** Sends the next bytes. */
  async append(
    url: string,
    { offset, bytes, size }: { offset: number; bytes: Blob; size: number },
    { md5, signal, onSent }: SendOptions,
  ): Promise<Progress> {
    const response = await this.#send({
      method: "PATCH",
      url,
      headers: {
        "tus-resumable": "1.0.0",
        "upload-offset": String(offset),
        "content-type": BYTES,
        ...md5 === undefined ? {} : { "repr-digest": `md5=:${base64(bytesOfHex(md5))}:` },
      },
      body: bytes,
      ...signal ? { signal } : {},
      ...onSent ? { onSent } : {},
    });
    return progressIn(response, size);
  }

  /** Removes an upload; where that fails, it expires by itself. */
  async remove(url: string): Promise<void> {
    const headers = { "tus-resumable": "1.0.0" };
    await this.#send({ method: "DELETE", url, headers }).catch(() => {});
  }
}

function progressIn(response: UploadResponse, size: number): Progress {
  return {
    offset: Number(response.header("upload-offset") ?? 0),
    size,
    prefix: md5In(response.header("upload-prefix-digest")),
    stored: md5In(response.header("repr-digest")),
  };
}

/** The MD5 in hexadecimal of a field that has it as `md5=:BASE64:`. */
export function md5In(field: string | null): string | undefined {
  const found = /\bmd5=:([A-Za-z0-9+/]{22}==):/.exec(field ?? "");
  return found ? hexOfBase64(found[1]!) : undefined;
}

function hexOfBase64(text: string): string {
  return [...atob(text)].map((unit) => unit.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}
