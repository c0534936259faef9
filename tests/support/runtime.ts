/**
 * The runtime (memory, threads and the clock) for tests of single modules.
 *
 * @module
 */

import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";

/** Shared by the tests of a file. */
export const RUNTIME: Runtime = createRuntime();
