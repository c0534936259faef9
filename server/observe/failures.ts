/**
 * Failures in the log: what was foreseen in a line, and what was not with its cause, which no peer is told.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import { toFerryError } from "../../lib/core/errors.ts";

const logger = getLogger(["ferry", "server"]);

/** Options of {@linkcode logFailure}. */
export interface LogFailureOptions {
  /** What other names in the text stand for. */
  properties?: Readonly<Record<string, unknown>>;
  /** How much attention a failure deserves that was foreseen. Default: "info". */
  level?: "debug" | "info" | "warn";
}

/**
 * Logs a failure.
 *
 * @param text what failed, with `{message}` and `{code}` in the places of the error's
 */
export function logFailure(
  text: string,
  error: unknown,
  { properties = {}, level = "info" }: LogFailureOptions = {},
): void {
  const failure = toFerryError(error);
  const { code, message } = failure;
  if (code === "internal") {
    const cause = failure.cause ?? failure;
    logger.error(`${text}: {cause}`, { ...properties, message, code, cause });
  } else logger[level](text, { ...properties, message, code });
}

/**
 * Runs a callback that nobody waits for: of a timer, a signal or a socket. Where it fails, now or later, that is
 * logged, and nothing else comes of it.
 */
export function guarded(action: string, run: () => unknown): void {
  const failed = (error: unknown) =>
    logFailure("{message} ({code})", toFerryError(error).during(action), { level: "warn" });
  try {
    const result = run();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}
