/**
 * POST to a name with a slash at its end: creates a directory.
 *
 * @module
 */

import type { Entry } from "../../../../lib/core/entry.ts";
import { FerryError, toFerryError } from "../../../../lib/core/errors.ts";
import { conditionOf, type Precondition } from "../../../files/precondition.ts";
import { preconditionIn } from "../exchange/entity_tag.ts";
import type { Handler } from "../exchange/exchange.ts";
import { HttpFailure } from "../exchange/problem.ts";

/** Answers a POST to a directory. */
export const makeDirectory: Handler = async (exchange) => {
  const { filename, target: { path, isDirectory }, body } = exchange;
  const permit = exchange.permit({ op: "mkdir", filename });
  if (!isDirectory) {
    const failure = new FerryError(
      "usage",
      "files are stored by PUT, directories made by POST to DIR/",
    );
    throw new HttpFailure(405, failure, { allow: "DELETE, GET, HEAD, PUT" });
  }
  if (body.size !== 0) throw new FerryError("usage", "a POST that makes a directory has no body");
  const files = exchange.files(permit);
  const there = await files.find(filename, "md5");
  const precondition = preconditionIn(exchange.request.headersDistinct);
  if (precondition) assertHolds(precondition, there);
  if (filename !== "") await files.mkdir(filename);
  exchange.json(there ? 200 : 201, { name: path, type: "directory" });
};

/**
 * Fails if a precondition does not hold. Without it the directory would be made, so that this is 412 also where it
 * requires that something is there.
 *
 * @throws {HttpFailure} 412
 */
function assertHolds(precondition: Precondition, there: Entry | undefined): void {
  try {
    conditionOf(precondition)(there);
  } catch (error) {
    throw new HttpFailure(412, toFerryError(error));
  }
}
