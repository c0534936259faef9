/**
 * Lists as the XML of an object store describes them.
 *
 * @module
 */

import type { ListedObject, ListedUpload, ListPage, UploadedPart } from "./bucket.ts";
import { compareNames } from "../../../lib/core/name_order.ts";
import { bareEtag } from "./object_headers.ts";
import { endOf } from "./object_names.ts";
import { decodeKey, parseElement, textIn, type XmlAnswer } from "./s3_answers.ts";

/** A page of uploads, and where the next one begins; undefined at the end. */
export interface UploadsPage {
  /** The uploads. */
  readonly uploads: ListedUpload[];
  /** The parameters that ask for the next page. */
  readonly next: Readonly<Record<string, string>> | undefined;
}

/** A page of parts, and where the next one begins; undefined at the end. */
export interface PartsPage {
  /** The parts. */
  readonly parts: UploadedPart[];
  /** The number of the last part of the page. */
  readonly next: string | undefined;
}

/** The page of a list of objects. */
export function listPage(xml: XmlAnswer, relative: (key: string) => string): ListPage {
  const escaped = xml.text("EncodingType")?.toLowerCase() === "url";
  const key = (text = "") => relative(escaped ? decodeKey(text) : text);
  const objects = contentsOf(xml).map((text): ListedObject => ({
    key: key(text("Key")),
    size: Number(text("Size")),
    etag: bareEtag(text("ETag")),
    modified: timeOf(text("LastModified")),
  }));
  const prefixes = xml.all("CommonPrefixes").map((group) => key(group.text("Prefix")));
  const next = continued(xml) ? xml.text("NextContinuationToken") ?? "" : undefined;
  return {
    objects,
    prefixes,
    next: next === undefined ? undefined : nextPage(next, objects, prefixes),
  };
}

/** Reads the text of an element within another one. */
type Reader = (name: string) => string | undefined;

/** The objects of a list, whether they were cut out of it or not. */
function contentsOf(xml: XmlAnswer): Reader[] {
  const parsed = xml.all("Contents").map((object): Reader => (name) => object.text(name));
  const cut = xml.cut.map((element): Reader => {
    let object: XmlAnswer | undefined;
    // What is not plain text is left to the parser.
    return (name) =>
      textIn(element, name) ?? (object ??= parseElement(element, "Contents"))?.text(name);
  });
  return [...parsed, ...cut];
}

/** What {@linkcode ListPage.next} of the page before asks for. */
export function nextParameters(
  next: string,
  prefix: string,
): Readonly<Record<string, string>> {
  const value = next.slice(1);
  return next.startsWith(BEHIND)
    ? { "start-after": prefix + value }
    : { "continuation-token": value };
}

/** Begins the text of {@linkcode ListPage.next} where the store's own token goes on. */
const TOKEN = "t";

/** Begins the text of {@linkcode ListPage.next} where the list goes on behind a key. */
const BEHIND = "b";

/** Some stores use the last key as their token, in which XML does not hold every character. */
function nextPage(
  token: string,
  objects: readonly ListedObject[],
  prefixes: readonly string[],
): string {
  if (token !== "" && !token.includes("\ufffd")) return TOKEN + token;
  const last = objects.at(-1)?.key ?? "";
  const group = prefixes.at(-1);
  if (group === undefined || compareNames(group, last) < 0) return BEHIND + last;
  // The group is passed as a whole: no key in it is behind that one.
  return BEHIND + endOf(group);
}

/** The page of a list of multipart uploads. */
export function uploadsPage(xml: XmlAnswer, relative: (key: string) => string): UploadsPage {
  const found = xml.all("Upload");
  const texts = found.map((upload) => upload.text("Key") ?? "");
  // Some stores escape the keys and do not say so.
  const escaped = texts.every((text) => /^(?:[\w.~/*+-]|%[0-9a-f]{2})*$/i.test(text));
  const keys = texts.map((text) => escaped ? decodeKey(text) : text);
  const uploads = found.map((upload, i): ListedUpload => ({
    key: relative(keys[i]!),
    uploadId: upload.text("UploadId") ?? "",
    initiated: timeOf(upload.text("Initiated")),
  }));
  const next = continued(xml) && uploads.length > 0
    ? { "key-marker": keys.at(-1)!, "upload-id-marker": uploads.at(-1)!.uploadId }
    : undefined;
  return { uploads, next };
}

/** The page of a list of parts. */
export function partsPage(xml: XmlAnswer): PartsPage {
  const parts = xml.all("Part").map((part): UploadedPart => ({
    number: Number(part.text("PartNumber")),
    etag: bareEtag(part.text("ETag")),
    size: Number(part.text("Size")),
  }));
  return { parts, next: continued(xml) ? xml.text("NextPartNumberMarker") : undefined };
}

function continued(xml: XmlAnswer): boolean {
  return xml.text("IsTruncated") === "true";
}

function timeOf(text: string | undefined): number {
  const time = Date.parse(text ?? "");
  return Number.isNaN(time) ? 0 : time;
}
