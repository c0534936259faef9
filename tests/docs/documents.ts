/**
 * The documents of the project, and what tests read in them.
 *
 * @module
 */

import { existsSync } from "node:fs";
import { assert } from "@std/assert";
import { PROJECT } from "../support/programs.ts";

/** A fenced block of a document. */
export interface Block {
  /** Its language: `ts`, `json`, `console`, … */
  language: string;
  /** What follows the language on the first line. */
  info: string;
  /** The lines between the fences. */
  lines: string[];
}

/** The text of a document, by its path in the project. */
export function read(path: string): string {
  return Deno.readTextFileSync(PROJECT + path);
}

/** The paths of all documents below a directory, the generated ones apart. */
export function documentsIn(directory: string): string[] {
  return [...Deno.readDirSync(PROJECT + directory)].flatMap(({ name, isDirectory }) => {
    const path = directory === "" ? name : `${directory}/${name}`;
    return isDirectory ? documentsIn(path) : name.endsWith(".md") ? [path] : [];
  }).sort();
}

/** The paths of the documents that specify the protocol. */
export const PROTOCOL: readonly string[] = ["PROTOCOL.md", ...documentsIn("docs/protocol")];

/** The fenced blocks of some documents that are in a language. */
export function blocksIn(paths: readonly string[], language: string): Block[] {
  return paths.flatMap((path) =>
    [...read(path).matchAll(/^```(\S+) ?(.*)\n([^]*?)^```$/gm)]
      .map(([, language, info, text]) => ({
        language: language!,
        info: info!,
        lines: text!.trimEnd().split("\n"),
      }))
  ).filter((block) => block.language === language);
}

/** The code of the fenced blocks in a text that are in a language. */
export function codeIn(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\S+).*\n([^]*?)^```$/gm)]
    .filter(([, each]) => each === language).map(([, , code]) => code!);
}

/** The text under a heading, down to the next one of the same or a higher level. */
export function section(path: string, heading: string): string {
  const page = read(path);
  const start = page.indexOf(`\n${heading}\n`);
  assert(start >= 0, `${path} has no "${heading}"`);
  const level = heading.indexOf(" ");
  const rest = page.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${level}} `, "m"));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The rows of the first table in a text, without its head, code marks removed. */
export function rows(text: string): string[][] {
  const lines = text.split("\n");
  const head = lines.findIndex((line) => /^\| -+/.test(line));
  assert(head > 0, "there is no table");
  const table: string[][] = [];
  for (const line of lines.slice(head + 1)) {
    if (!line.startsWith("|")) break;
    table.push(line.split("|").slice(1, -1).map((cell) => cell.trim().replaceAll("`", "")));
  }
  return table;
}

/** A text with each run of white space, line breaks too, as one space. */
export function words(text: string): string {
  return text.replace(/\s+/g, " ");
}

/** Whether a path from the project's directory exists. */
export function exists(path: string): boolean {
  return existsSync(PROJECT + path);
}
