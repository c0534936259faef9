/**
 * Property-based tests with fast-check, with the same seed in each run, or that of FERRY_PROPERTY_SEED.
 *
 * @module
 */

import fc from "fast-check";

fc.configureGlobal({ seed: Number(Deno.env.get("FERRY_PROPERTY_SEED") ?? 2026) });

export default fc;
