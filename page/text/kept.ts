/// <reference lib="dom" />
/**
 * What the browser keeps for later visits. It may be switched off there, or full: then nothing is kept.
 *
 * @module
 */

/** A storage of the browser; undefined where it is switched off. */
export function storageOf(kind: "localStorage" | "sessionStorage"): Storage | undefined {
  try {
    return globalThis[kind];
  } catch {
    return undefined;
  }
}

/** What was kept under a key; null if nothing was. */
export function kept(key: string): string | null {
  return storageOf("localStorage")?.getItem(key) ?? null;
}

/** Keeps something under a key. */
export function keep(key: string, value: string): void {
  try {
    storageOf("localStorage")?.setItem(key, value);
  } catch {
    // It holds until the page is closed.
  }
}
