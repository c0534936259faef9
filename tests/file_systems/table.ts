/**
 * The table of file systems, as it is printed and as it is in the documentation.
 *
 * @module
 */

import { PROJECT } from "../support/programs.ts";
import { CHECKS } from "./checks.ts";
import { NONE } from "./trial.ts";

/** The page of the documentation that has the table. */
export const PAGE = "docs/file_systems.md";

/** The heading of the first column. */
const CORNER = "file system";

/** The cell of a check that does not hold. */
export const FAILS = "no";

/** The cells by file system and check. */
export type Table = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** The table in Markdown, with its columns aligned. */
export function render(table: Table): string {
  const columns = CHECKS.map(({ name }) => name);
  const head = [CORNER, ...columns];
  const rows = [...table].map(([system, cells]) => {
    return [system, ...columns.map((column) => cells.get(column) ?? NONE)];
  });
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at]!.length)));
  const line = (cells: readonly string[]) => {
    return `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`;
  };
  const rule = line(widths.map((width) => "-".repeat(width)));
  return [line(head), rule, ...rows.map(line)].join("\n");
}

/** Parses the table in a Markdown text whose first column has the heading {@linkcode CORNER}. */
export function parse(markdown: string): Table {
  const lines = markdown.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${CORNER} `));
  if (start < 0) throw new Error(`${PAGE} has no table of file systems`);
  const length = lines.slice(start).findIndex((line) => !line.startsWith("|"));
  const rows = lines.slice(start, length < 0 ? undefined : start + length)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  const [, ...columns] = rows[0]!;
  return new Map(
    rows.slice(2).map(([system, ...cells]) => [
      system!,
      new Map(columns.map((column, at) => [column, cells[at] ?? ""])),
    ]),
  );
}

/** The table in the documentation. */
export function documented(): Table {
  return parse(Deno.readTextFileSync(PROJECT + PAGE));
}

/**
 * The differences between a file system's cells and the documentation. For a file system that is not in the
 * documentation, all checks should hold.
 */
export function differences(
  row: ReadonlyMap<string, string>,
  said: ReadonlyMap<string, string> = new Map(),
): string[] {
  return [...row].flatMap(([name, found]) => {
    const expected = said.get(name) ?? (found === FAILS ? "yes" : found);
    return found === expected ? [] : [`${name}: ${PAGE} says "${expected}", this is "${found}"`];
  });
}
