/**
 * What tests of single modules use of the machine.
 *
 * @module
 */

import { createRuntime, type Runtime } from "../../lib/runtime/runtime.ts";

/** Shared by the tests of a file. */
export const RUNTIME: Runtime = createRuntime();
