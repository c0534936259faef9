/**
 * Logs failures: an expected one in a line, and an unexpected one with its cause, which is never sent to a peer.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { toFerryError } from "../../lib/core/errors.ts";

const logger = getLogger(["ferry", "server"]);

/** Options of {@linkcode logFailure}. */
export interface LogFailureOptions {
  /** The values of the other placeholders in the text. */
  properties?: Readonly<Record<string, unknown>>;
  /** The level of an expected failure. Default: "info". */
  level?: "debug" | "info" | "warn";
}

/**
 * Logs a failure.
 *
 * @param text what failed, with the placeholders `{reason}` and `{code}` for the message and the code of the error
 */
export function logFailure(
  text: string,
  error: unknown,
  { properties = {}, level = "info" }: LogFailureOptions = {},
): void {
  const failure = toFerryError(error);
  const { code, message: reason } = failure;
  if (code === "internal") {
    const cause = failure.cause ?? failure;
    logger.error(`${text}: {cause}`, { ...properties, reason, code, cause });
  } else logger[level](text, { ...properties, reason, code });
}

/**
 * Runs a callback of a timer, a signal or a socket, whose result nobody waits for. If it fails, synchronously or later,
 * the failure is logged and has no other effect.
 */
export function guarded(action: string, run: () => unknown): void {
  const failed = (error: unknown) =>
    logFailure("{reason} ({code})", toFerryError(error).during(action), { level: "warn" });
  try {
    const result = run();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}
