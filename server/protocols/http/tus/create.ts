/**
 * POST: creates an upload, with its first bytes if they follow, or puts uploads together.
 *
 * @module
 */

import { type Algorithm, isMd5 } from "../../../../lib/core/checksum.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { type Overwrite, OVERWRITE_POLICIES } from "../../../../lib/core/overwrite.ts";
import type { AddressedUpload, NewUpload } from "../../../files/addressed_upload.ts";
import type { AddressedUploads } from "../../../files/addressed_uploads.ts";
import type { Permit } from "../../../auth/permit.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { CheckedBytes } from "./checked_bytes.ts";
import { countIn, hasBytes, parseMetadata, wantsMd5 } from "./fields.ts";
import { linkOf, progressFields } from "./progress.ts";
import { wholeChecksumIn } from "./upload.ts";

/**
 * Of files up to this size, in bytes, the MD5 is always computed. It takes most of the time of a large upload, so that
 * of a larger one it is computed if the client gives it or asks for it.
 */
const MD5_BYTES = 64 * 1024 * 1024;

/** Answers a POST that creates an upload. */
export async function create(exchange: Exchange): Promise<void> {
  const concat = exchange.header("upload-concat");
  const isSum = concat?.startsWith("final;");
  if (concat !== undefined && concat !== "partial" && !isSum) {
    throw new FerryError("bad_header", "the header field upload-concat is malformed");
  }
  const upload = announcedIn(exchange, { isPart: concat === "partial" });
  const permit = exchange.permit({ op: "put", filename: upload.filename });
  const uploads = exchange.addressedUploads(permit);
  const created = isSum
    ? await permit.wait(uploads.concatenate({
      ...upload,
      algorithm: "md5",
      parts: partsIn(exchange, concat!),
    }))
    : await begin(exchange, { uploads, permit, upload });
  exchange.send(201, {
    location: linkOf(exchange, created.id),
    ...progressFields(exchange, created),
  });
}

/** What the metadata of a request say of an upload. */
type Announced = Omit<NewUpload, "size" | "algorithm">;

/** Begins an upload, and takes its first bytes. */
async function begin(
  exchange: Exchange,
  { uploads, permit, upload }: {
    uploads: AddressedUploads;
    permit: Permit;
    upload: Announced;
  },
): Promise<AddressedUpload> {
  const size = sizeIn(exchange);
  const follows = hasBytes(exchange) && exchange.body.size !== 0;
  const bytes = new CheckedBytes(exchange);
  const checksum = wholeChecksumIn(exchange);
  const isSmall = !upload.isPart && (size === null || size <= MD5_BYTES);
  const needsMd5 = isSmall || (upload.checksum ?? checksum) !== undefined || wantsMd5(exchange);
  const algorithm: Algorithm = needsMd5 ? "md5" : "xxh128";
  const { allOrNone } = bytes;
  const read = (into: Uint8Array) => bytes.read(into);
  const first = follows ? { size: bytes.size, read, checksum, allOrNone } : undefined;
  using _ending = permit.onEnd((reason) => exchange.body.fail(reason));
  return await uploads.create({ ...upload, size, algorithm }, first, (id) => {
    // The client needs it even if the bytes cannot be stored now.
    exchange.response.setHeader("location", linkOf(exchange, id));
  });
}

/**
 * The announced size; null if it is told later.
 *
 * @throws {FerryError} `bad_header`
 */
function sizeIn(exchange: Exchange): number | null {
  const length = countIn(exchange, "upload-length");
  const deferred = exchange.header("upload-defer-length");
  if ((length === undefined) === (deferred === undefined)) {
    throw new FerryError(
      "bad_header",
      "either Upload-Length or Upload-Defer-Length has to be there",
    );
  }
  if (deferred !== undefined && deferred !== "1") {
    throw new FerryError("bad_header", "the header field upload-defer-length is not 1");
  }
  return length ?? null;
}

/** What the metadata of a request say of the file. */
function announcedIn(
  exchange: Exchange,
  { isPart }: { isPart: boolean },
): Announced {
  const note = exchange.header("upload-metadata") ?? "";
  const values = parseMetadata(note);
  const [, ...directory] = exchange.target.path.split("/");
  const name = nameIn(values) ?? (isPart ? crypto.randomUUID() : undefined);
  if (name === undefined) {
    throw new FerryError("bad_name", "Upload-Metadata has to have a filename");
  }
  return {
    filename: exchange.nameOf([...directory, name].join("/")),
    isPart,
    overwrite: overwriteIn(exchange, values),
    mtime: mtimeIn(values.get("mtime")),
    checksum: md5In(values.get("md5")),
    note,
  };
}

/** The name of the file, as the clients in use send it. */
function nameIn(values: ReadonlyMap<string, string>): string | undefined {
  const name = values.get("filename") ?? values.get("name");
  // Uppy sends the path of a file in a folder beside its name, and the text "null" if it is in none.
  const path = values.get("relativePath");
  return name !== undefined && path?.endsWith(`/${name}`) ? path.replace(/^\//, "") : name;
}

function overwriteIn(exchange: Exchange, values: ReadonlyMap<string, string>): Overwrite {
  if (exchange.header("if-none-match") === "*") return "never";
  const text = values.get("overwrite") ?? "never";
  const policy = OVERWRITE_POLICIES.find((known) => known === text);
  if (policy) return policy;
  const known = OVERWRITE_POLICIES.join(", ");
  throw new FerryError("bad_header", `overwrite in Upload-Metadata is one of ${known}`);
}

function mtimeIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Math.round(Number(text));
  if (/^-?\d+(\.\d+)?$/.test(text) && Number.isSafeInteger(ms)) return ms;
  throw new FerryError("bad_header", "mtime in Upload-Metadata is no number of milliseconds");
}

function md5In(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const md5 = text.toLowerCase();
  if (isMd5(md5)) return md5;
  throw new FerryError("bad_header", "md5 in Upload-Metadata has not 32 hexadecimal digits");
}

/**
 * The ids of the uploads that are to be put together.
 *
 * @throws {FerryError} `bad_header`
 */
function partsIn(exchange: Exchange, concat: string): string[] {
  const links = concat.slice("final;".length).split(" ").filter(Boolean);
  const path = linkOf(exchange, "");
  if (links.length === 0) throw new FerryError("bad_header", "no uploads are named");
  return links.map((link) => {
    const at = /^https?:\/\/[^/]*(\/.*)$/.exec(link)?.[1] ?? link;
    const id = at.startsWith(path) ? at.slice(path.length) : "";
    if (/^[\w-]+$/.test(id)) return id;
    throw new FerryError("bad_header", "Upload-Concat names something that is no upload here");
  });
}
