/**
 * The table of file systems: as it is printed, and as it stands in the documentation.
 *
 * @module
 */

import { PROJECT } from "../support/programs.ts";
import { CHECKS } from "./checks.ts";
import { NONE } from "./trial.ts";

/** Where the documentation has it. */
export const PAGE = "docs/file_systems.md";

/** What stands in the first column's head. */
const CORNER = "file system";

/** What stands for a check that does not hold. */
export const FAILS = "no";

/** The cells of each file system, by the names of file systems and checks. */
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

/** The table of a text in Markdown, which has one whose first column is headed as here. */
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

/** The table of the documentation. */
export function documented(): Table {
  return parse(Deno.readTextFileSync(PROJECT + PAGE));
}

/**
 * Where a file system's cells are not those that the documentation has for it; where it has none, all checks
 * should hold.
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
