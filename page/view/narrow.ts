/// <reference lib="dom" />
/**
 * Whether the page is narrow, as on a telephone.
 *
 * @module
 */

import { type ReadonlySignal, signal } from "@preact/signals";

/** Below which width there is one column; the styles have the same one. */
const query = matchMedia("(max-width: 640px)");

const isNarrow = signal(query.matches);
query.addEventListener("change", () => isNarrow.value = query.matches);

/** Whether the page is narrow. */
export const narrow: ReadonlySignal<boolean> = isNarrow;
