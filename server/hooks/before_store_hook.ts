/**
 * `--before-store`: a program that decides whether an upload is let in, before its content is received.
 *
 * @module
 */

import { getLogger } from "@logtape/logtape";
import pLimit from "p-limit";
import { FerryError, toFerryError } from "../../lib/core/errors.ts";
import type { BeforeStore } from "../observe/operation.ts";
import type { HookCommand, HookEnd } from "./hook_command.ts";
import { type HookInput, inputOfProposed } from "./hook_input.ts";

const logger = getLogger(["ferry", "server"]);

/** Options of {@linkcode beforeStoreHook}. */
export interface BeforeStoreHookOptions {
  /** How many may run at the same time. */
  readonly jobs: number;
  /** How long an upload waits for the answer, in milliseconds, before it is refused. */
  readonly timeout: number;
}

/**
 * Makes the function that asks the program. An upload is let in only if the program says so: it is refused with `denied`
 * and the first line of the output for another exit status than 0, and with `busy` if the program does not answer.
 */
export function beforeStoreHook(
  command: HookCommand,
  { jobs, timeout }: BeforeStoreHookOptions,
): BeforeStore {
  const limit = pLimit(jobs);
  return async (upload, by, id) => {
    const input = inputOfProposed(upload, { by, id });
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    try {
      const { failure, refused, line } = await limit(() => ask(command, input, late.signal));
      if (failure === undefined) return;
      if (refused) throw new FerryError("denied", line === "" ? "it is not taken here" : line);
      throw unanswered(failure);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** Runs the program, unless the time is over. */
async function ask(command: HookCommand, input: HookInput, late: AbortSignal): Promise<HookEnd> {
  if (late.aborted) throw unanswered("all that may run at the same time were busy");
  try {
    return await command.run(input, late);
  } catch (error) {
    throw unanswered(late.aborted ? "it took too long" : toFerryError(error).reason);
  }
}

/** The error for the client; the operator gets the reason. */
function unanswered(reason: string): FerryError {
  logger.error("The command of --before-store failed: {reason}", { reason });
  return new FerryError("busy", "the program that checks uploads does not answer: try again later");
}
