/**
 * PUT: stores a file, which is published when all of its content was received and verified.
 *
 * @module
 */

import { FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import type { Committed } from "../../../../lib/files/commit.ts";
import { AttestedContent } from "../../../files/attested_content.ts";
import type { Precondition } from "../../../files/precondition.ts";
import { attestationsIn, digestField } from "../exchange/digest_fields.ts";
import { entityTag, preconditionIn } from "../exchange/entity_tag.ts";
import type { Exchange, Handler } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";

/** Answers a PUT. */
export const put: Handler = async (exchange) => {
  const { filename, target, body } = exchange;
  const permit = exchange.permit({ op: "put", filename });
  if (target.isDirectory) {
    throw new FerryError("not_a_file", "a name with a slash at its end is that of a directory");
  }
  assertWhole(exchange);
  const lines = exchange.request.headersDistinct;
  const precondition = preconditionIn(lines);
  const attestations = attestationsIn(lines);
  const content = new AttestedContent(body, { attestations, needsMd5: precondition !== undefined });
  const mtime = mtimeIn(exchange.header("x-oc-mtime"));
  const there = await exchange.files(permit).find(filename, "md5");
  if (there?.type === "directory") throw new FerryError("not_a_file", "it is a directory");
  const { checksum, size } = await stored(precondition, async () => {
    const received = await permit.wait(
      exchange.uploads(permit).put({
        filename,
        size: body.size,
        algorithm: content.algorithm,
        overwrite: "always",
        offset: 0,
        mtime,
        resumable: false,
        precondition,
      }, content),
    );
    return await received.published;
  });
  const md5 = content.algorithm === "md5" ? checksum : null;
  exchange.json(there ? 200 : 201, { name: target.path, type: "file", size, md5 }, {
    ...md5 === null ? {} : { etag: entityTag(md5) },
    "repr-digest": digestField(checksum),
    ...mtime === undefined ? {} : { "x-oc-mtime": "accepted" },
  });
};

/**
 * Refuses a body that is not the whole content of a file.
 *
 * @throws {FerryError} `usage`
 * @throws {HttpFailure} 415 for content in a coding
 */
function assertWhole(exchange: Exchange): void {
  if (exchange.header("content-range") !== undefined) {
    throw new FerryError("usage", "a PUT has the whole content: none with Content-Range is taken");
  }
  const coding = exchange.header("content-encoding") ?? "identity";
  if (coding.toLowerCase() !== "identity") {
    const failure = new FerryError("usage", "content is taken only as it is to be stored");
    throw new HttpFailure(415, failure, { "accept-encoding": "identity" });
  }
}

/**
 * The modification time that the client asks for, in milliseconds since 1970.
 *
 * @param text seconds since 1970, as clients of ownCloud send them
 * @throws {FerryError} `bad_header`
 */
function mtimeIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Math.round(Number(text) * 1000);
  if (/^-?\d+(\.\d+)?$/.test(text) && Number.isSafeInteger(ms)) return ms;
  throw new FerryError("bad_header", "X-OC-Mtime is no number of seconds since 1970");
}

/**
 * Stores a file. That something is missing means that a precondition does not hold; without one, that the directory has
 * vanished, or is behind a link that leads nowhere.
 */
async function stored(
  precondition: Precondition | undefined,
  store: () => Promise<Committed>,
): Promise<Committed> {
  try {
    return await store();
  } catch (error) {
    const failure = toFerryError(error);
    if (failure.code !== "not_found") throw failure;
    throw new HttpFailure(precondition ? 412 : 409, failure);
  }
}
