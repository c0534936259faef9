/**
 * Properties that hold for whatever fast-check thinks of: the same in each run, or what FERRY_PROPERTY_SEED says.
 *
 * @module
 */

import fc from "fast-check";

fc.configureGlobal({ seed: Number(Deno.env.get("FERRY_PROPERTY_SEED") ?? 2026) });

export default fc;
