/**
 * Ends a connection when its user gives up.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import type { Wire } from "../../lib/wire/frames.ts";

/** Closes a connection when the signal is aborted, until disposed of. */
export function closeOnAbort(wire: Wire, signal: AbortSignal | undefined): Disposable {
  const abort = () => wire.close(new FerryError("closed", "given up"));
  signal?.addEventListener("abort", abort, { once: true });
  if (signal?.aborted) abort();
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", abort) };
}
