/**
 * Suggestions for mistyped words.
 *
 * @module
 */

import { levenshteinDistance } from "@std/text/levenshtein-distance";
import { quote } from "../core/errors.ts";

/** One typing error is accepted per this many characters of a word. Swapped letters count as two errors. */
const CHARACTERS_PER_ERROR = 3;

/** The end of a message that suggests the closest candidate; empty if none is close to the word. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const typed = word.toLowerCase();
  let closest: string | undefined;
  let least = Math.ceil(word.length / CHARACTERS_PER_ERROR) + 1;
  for (const candidate of candidates) {
    const distance = levenshteinDistance(typed, candidate.toLowerCase());
    if (distance < least) [closest, least] = [candidate, distance];
  }
  return closest === undefined ? "" : `. Did you mean ${quote(closest)}?`;
}
