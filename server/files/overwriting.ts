/**
 * How far a client may replace what is there.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Permit } from "../auth/permit.ts";

/** The overwrite policy of a request, as far as the client may replace files. */
export function policyFor(
  { link }: Permit,
  { overwrite }: { readonly overwrite: Overwrite },
): Overwrite {
  return link?.createsOnly ? "never" : overwrite;
}

/** Whether an upload may replace the file that has its name when it is published. */
export function mayReplace(overwrite: Overwrite): boolean {
  return overwrite !== "never";
}

/** The error for a name that another file has. */
export function taken(): FerryError {
  return new FerryError("exists", "another file has that name");
}
