/**
 * What somebody may have meant who mistyped a word.
 *
 * @module
 */

import { levenshteinDistance } from "@std/text/levenshtein-distance";
import { quote } from "../core/errors.ts";

/** In so many characters of a word, or fewer, there may be one mistake; to swap two letters is two. */
const CHARACTERS_A_MISTAKE = 3;

/** A question to put behind a message, or nothing where no candidate is close to the word. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const typed = word.toLowerCase();
  let closest: string | undefined;
  let least = Math.ceil(word.length / CHARACTERS_A_MISTAKE) + 1;
  for (const candidate of candidates) {
    const distance = levenshteinDistance(typed, candidate.toLowerCase());
    if (distance < least) [closest, least] = [candidate, distance];
  }
  return closest === undefined ? "" : `. Did you mean ${quote(closest)}?`;
}
