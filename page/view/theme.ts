/// <reference lib="dom" />
/**
 * Whether the page is dark or light.
 *
 * @module
 */

import { effect, type Signal, signal } from "@preact/signals";
import { keep, kept } from "../text/kept.ts";

/** A choice of colours; `auto` is that of the system. */
export type Theme = "auto" | "light" | "dark";

/** All choices, the one to begin with first. */
export const THEMES: readonly Theme[] = ["auto", "light", "dark"];

/** Where the choice of a user is kept. */
const KEY = "ferry.theme";

/** The choice. */
export const theme: Signal<Theme> = signal(
  THEMES.find((name) => name === kept(KEY)) ?? "auto",
);

/** Chooses colours, for later visits, too. */
export function setTheme(chosen: Theme): void {
  keep(KEY, chosen);
  theme.value = chosen;
}

/** Keeps the colours of the document those that are chosen. */
export function followTheme(): void {
  effect(() => {
    const schemes = { auto: "light dark", light: "light", dark: "dark" };
    document.documentElement.style.colorScheme = schemes[theme.value];
  });
}
