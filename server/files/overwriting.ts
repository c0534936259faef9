/**
 * How far a client may replace what is there.
 *
 * @module
 */

import type { Overwrite } from "../../lib/core/overwrite.ts";
import type { Permit } from "../auth/permit.ts";

/** The overwrite policy of a request, as far as the client may replace files. */
export function policyFor(
  { link }: Permit,
  { overwrite }: { readonly overwrite: Overwrite },
): Overwrite {
  return link?.createsOnly ? "never" : overwrite;
}
