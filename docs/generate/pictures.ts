/**
 * Draws the pictures of docs/pictures: each `.dot` with Graphviz, each `.json` as bars. A picture holds
 * the digest of its source, by which a test sees that it is not older.
 *
 * @module
 */

import { instance } from "@viz-js/viz";
import { encodeHex } from "@std/encoding/hex";
import { bars } from "./bars.ts";

/** Where the pictures and their sources lie. */
export const PICTURES: URL = new URL("../pictures/", import.meta.url);

/** The colours that sources may use, and what they become on a dark page. */
export const DARK: Readonly<Record<string, string>> = {
  "#ffffff": "#0d1117",
  "#1f2328": "#f0f6fc",
  "#59636e": "#9198a1",
  "#f6f8fa": "#212830",
  "#ddf4ff": "#0c2d6b",
  "#dafbe1": "#033a16",
  "#fff8c5": "#4b2900",
  "#0969da": "#4493f8",
  "#8c959f": "#656c76",
};

/** The names of the sources. */
export function sources(): string[] {
  return [...Deno.readDirSync(PICTURES)].map(({ name }) => name)
    .filter((name) => /\.(dot|json)$/.test(name)).sort();
}

/** The name of the picture that is drawn from a source. */
export function pictureOf(source: string): string {
  return source.replace(/\.\w+$/, ".svg");
}

/** The digest of a source, as its picture has it. */
export async function digestOf(source: string): Promise<string> {
  const bytes = new TextEncoder().encode(source);
  return encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

/** Draws a source. */
async function draw(name: string, source: string): Promise<string> {
  const svg = name.endsWith(".dot")
    ? (await instance()).renderString(source, { format: "svg" })
    : bars(JSON.parse(source));
  const rules = Object.entries(DARK).map(([light, dark]) =>
    `[fill="${light}"]{fill:${dark}}[stroke="${light}"]{stroke:${dark}}`
  );
  const style = `<style>@media (prefers-color-scheme:dark){${rules.join("")}}</style>`;
  const start = svg.indexOf("<svg");
  return `<!-- source: ${name}, SHA-256 ${await digestOf(source)} -->\n` +
    // A text has the colour black unless it has an attribute.
    svg.slice(start).replace(/<svg[^>]*>/, (tag) => `${tag}\n${style}`) + "\n";
}

if (import.meta.main) {
  for (const name of sources()) {
    const svg = await draw(name, Deno.readTextFileSync(new URL(name, PICTURES)));
    Deno.writeTextFileSync(new URL(pictureOf(name), PICTURES), svg.trimEnd() + "\n");
  }
}
