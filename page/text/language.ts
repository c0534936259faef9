/// <reference lib="dom" />
/**
 * The language of the page, and its texts.
 *
 * @module
 */

import { computed, effect, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { keep, kept } from "./kept.ts";
import { EN, type Texts } from "./en.ts";
import { ZH } from "./zh.ts";

/** A language of the page. */
export type Language = "en" | "zh";

/** Where the choice of a user is kept. */
const KEY = "ferry.language";

/** The language to begin with: what the user has chosen here, else what the browser prefers. */
export function preferred(kept: string | null, wanted: readonly string[]): Language {
  if (kept === "en" || kept === "zh") return kept;
  const first = wanted.find((tag) => /^(en|zh)\b/i.test(tag));
  return first?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

/** The language of the page. */
export const language: Signal<Language> = signal(
  preferred(kept(KEY), navigator.languages),
);

/** The texts in the language of the page. */
export const texts: ReadonlySignal<Texts> = computed(() => language.value === "zh" ? ZH : EN);

/** How numbers and dates are written: for English as the browser prefers, if it prefers English. */
export const locale: ReadonlySignal<string> = computed(() =>
  language.value === "zh" ? "zh-CN" : navigator.languages.find((tag) => /^en\b/i.test(tag)) ?? "en"
);

/** Chooses the language, for later visits, too. */
export function setLanguage(chosen: Language): void {
  keep(KEY, chosen);
  language.value = chosen;
}

/** Keeps the language of the document, which screen readers speak, that of the page. */
export function followLanguage(): void {
  effect(() => {
    document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
  });
}
