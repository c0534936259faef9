/**
 * A recipe that is encoded while its content is still searched for what it has in common with its basis.
 *
 * @module
 */

import type { PlanPiece } from "./plan.ts";
import type { RandomAccess } from "./random_access.ts";
import { RecipeSource } from "./recipe.ts";

/** The most bytes of a recipe that are encoded at once. */
const CHUNK_BYTES = 256 * 1024;

/**
 * Encodes a recipe. Each chunk is overwritten when the next one is asked for.
 *
 * @param pieces what {@linkcode planPutInPieces} of plan.ts yields
 * @param local the new content, from which literals are read. It is not closed
 * @param onPiece called for each piece that has been encoded
 * @throws {FerryError} `io`, also if the local content is shorter than it was; what the plan fails with
 */
export async function* recipeInPieces(
  pieces: AsyncIterable<PlanPiece>,
  local: RandomAccess,
  onPiece?: (piece: PlanPiece) => void,
): AsyncGenerator<Uint8Array, void, void> {
  const memory = new Uint8Array(CHUNK_BYTES);
  let expected = 0;
  for await (const piece of pieces) {
    const { from, to, copies } = piece;
    const part = {
      size: to,
      seek: (at: number) => local.seek(at),
      read: (into: Uint8Array) => local.read(into),
    };
    const recipe = new RecipeSource(copies, part, from, expected);
    for (let count; (count = await recipe.read(memory)) !== null;) yield memory.subarray(0, count);
    expected = recipe.expected;
    onPiece?.(piece);
  }
}
