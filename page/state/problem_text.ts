/**
 * What went wrong, and what to do about it, for people.
 *
 * @module
 */

import { Problem } from "../door/request.ts";
import type { Texts } from "../text/en.ts";

/** The sentence for an error. What is not a {@linkcode Problem} is a mistake in the page: its message is shown. */
export function problemText(error: unknown, { problems }: Texts): string {
  if (!(error instanceof Problem)) return problems.other(String(error));
  if (error.status === 410) return problems.gone;
  if (error.status === 421) return problems.otherName;
  const { code, message } = error;
  return code !== "other" && code in problems
    ? problems[code as Exclude<keyof Texts["problems"], "other">]
    : problems.other(message);
}
