/**
 * Sends a file, or parts of it.
 *
 * @module
 */

import type { ByteSource } from "../../../../lib/core/bytes.ts";
import type { Algorithm } from "../../../../lib/core/checksum.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import type { Permit } from "../../../auth/permit.ts";
import type { OpenedFile } from "../../../files/opened_file.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";
import { isConditional, judge, rangeApplies } from "./conditions.ts";
import { wantedIn } from "./digest_wishes.ts";
import { contentRange, multipart, type Part, partsIn } from "./ranges.ts";
import { contentFields, validatorsOf, versionFields } from "./representation.ts";

/**
 * Up to this size, in bytes, a file whose checksum is not known is read for it before it is sent. A larger one is sent
 * without, unless the request needs it: the client would wait for long.
 */
const READ_FIRST_BYTES = 64 * 1024 * 1024;

/**
 * Responds with the file that the target of a request names.
 *
 * @throws {FerryError} `not_found`, `not_a_file`
 * @throws {HttpFailure} 412, 416
 */
export async function sendFile(exchange: Exchange, permit: Permit): Promise<void> {
  await using file = await openFor(exchange, permit);
  const lines = exchange.request.headersDistinct;
  const validators = validatorsOf(file);
  const now = exchange.service.runtime.clock.now();
  const version = versionFields(validators, now);
  switch (judge(lines, validators)) {
    case "failed":
      throw new HttpFailure(412, new FerryError("exists", "the file is another than expected"));
    case "same":
      return exchange.send(304, version);
  }
  const asAttachment = exchange.target.query.has("download");
  const fields = { ...version, ...contentFields(file, { asAttachment }) };
  const parts = rangeApplies(lines, validators, now) ? partsFor(exchange, file) : undefined;
  if (exchange.method !== "HEAD") {
    await exchange.countDownload({ first: !parts || parts.some(({ offset }) => offset === 0) });
  }
  if (parts === undefined) return await sendWhole(exchange, permit, file, fields);
  await sendParts(exchange, permit, file, { fields, parts });
}

/** Opens the file of a request, with the checksums that the response needs. */
async function openFor(exchange: Exchange, permit: Permit): Promise<OpenedFile> {
  const { filename, request: { headersDistinct: lines } } = exchange;
  const files = exchange.files(permit);
  const wanted = wantedIn(lines);
  const compares = lines["range"] !== undefined || isConditional(lines);
  const checksums = new Set<Algorithm>(compares ? ["md5", ...wanted] : wanted);
  const file = await files.open(filename, { algorithm: "md5", checksums: [...checksums] });
  if (file.known("md5") !== null) return file;
  if (file.entry.size > READ_FIRST_BYTES) return file;
  await file[Symbol.asyncDispose]();
  return await files.open(filename, { algorithm: "md5", checksums: ["md5", ...wanted] });
}

/** The parts that a GET asks for; undefined for the whole file. */
function partsFor(exchange: Exchange, { entry: { size } }: OpenedFile): Part[] | undefined {
  const range = exchange.header("range");
  return range === undefined || exchange.method === "HEAD" ? undefined : partsIn(range, size);
}

type Fields = Readonly<Record<string, string>>;

async function sendWhole(
  exchange: Exchange,
  permit: Permit,
  file: OpenedFile,
  fields: Fields,
): Promise<void> {
  const { size } = file.entry;
  if (file.known("md5") !== null || exchange.method === "HEAD") {
    return await exchange.stream(200, fields, partOf(file, { offset: 0, size }), { size, permit });
  }
  // While it is sent it is digested, so that its checksum is known from the next time on.
  const digest = await exchange.service.runtime.digests.create("md5");
  const source = file.part({ offset: 0, size });
  const checksum = () => digest.checksum();
  await exchange.stream(200, fields, {
    async read(into) {
      const count = await source.read(into);
      if (count !== null) digest.update(into.subarray(0, count));
      return count;
    },
    async assertUnchanged() {
      const whole = checksum();
      await file.assertUnchanged(whole);
      await file.remember(whole);
    },
  }, { size, permit });
}

async function sendParts(
  exchange: Exchange,
  permit: Permit,
  file: OpenedFile,
  { fields, parts }: { fields: Fields; parts: readonly Part[] },
): Promise<void> {
  const { size } = file.entry;
  const [first] = parts as [Part];
  if (parts.length === 1) {
    const range = { "content-range": contentRange(first, size) };
    const options = { size: first.size, permit };
    return await exchange.stream(206, { ...fields, ...range }, partOf(file, first), options);
  }
  const type = fields["content-type"]!;
  const body = multipart(parts, { size, type });
  const { buffers } = exchange.service.runtime;
  const pieces = body.pieces(file, buffers);
  await exchange.stream(206, { ...fields, "content-type": body.type }, pieces, {
    size: body.size,
    permit,
  });
}

/** A part of a file of which the checksum is known, so that the client can verify it. */
function partOf(file: OpenedFile, part: Part): ByteSource {
  const { read } = file.part(part);
  return { read, assertUnchanged: () => file.assertUnchanged() };
}
