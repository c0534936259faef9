/**
 * Puts what `deno task bench:peers --json` has measured into docs/performance.md, and makes the source of the picture of
 * speed.
 *
 * @module
 */

import { type MeasuredCase, readReport, type Report } from "../../tests/bench/report.ts";
import type { Figures } from "./bars.ts";
import { PICTURES } from "./pictures.ts";

/** The document. */
export const PERFORMANCE: URL = new URL("../performance.md", import.meta.url);

/** What was measured. */
export const REPORT: URL = new URL("../performance.json", import.meta.url);

/** The cases that the picture shows. */
const SHOWN: readonly string[] = ["put", "get", "put-tree", "get-tree", "put-again", "resume"];

/** Where a table stands in the document: `<!-- measured: NAME -->`, the table, `<!-- end -->`. */
const PLACE = /(<!-- measured: (\S+) -->\n)[^]*?(<!-- end -->)/g;

/** The medians of the cases that are drawn: those of the programs that flush what they report, and of scp. */
export function figuresIn({ cases }: Report): Figures {
  const shown = SHOWN.flatMap((name) => cases[name] ?? []);
  return {
    title: "Seconds, less is better",
    unit: "s",
    note: `Medians of deno task bench:peers over loopback; ${shown[0]?.programs[0] ?? ""}. ` +
      "ferry and rsync --fsync flush to the disk.",
    cases: shown.map(({ title, medians }) => ({
      name: title,
      bars: medians.filter(({ name }) => !name.includes("durability none"))
        .map(({ name, seconds }) => ({ name, value: seconds })),
    })),
  };
}

/**
 * The document with the tables of a report.
 *
 * @throws {Error} if the report lacks a case that the document has a place for
 */
export function withTables(document: string, { cases }: Report): string {
  return document.replace(PLACE, (_, start: string, name: string, end: string) => {
    const measured = cases[name];
    if (!measured) throw new Error(`nothing was measured of ${name}`);
    return `${start}\n${blockOf(measured)}\n${end}`;
  });
}

function blockOf({ command, date, machine, programs, table }: MeasuredCase): string {
  const about = [date, machine, ...programs].map((line) => `# ${line}`);
  return ["```text", `$ ${command}`, ...about, table.trimEnd(), "```", ""].join("\n");
}

if (import.meta.main) {
  const report = readReport(REPORT);
  const document = Deno.readTextFileSync(PERFORMANCE);
  Deno.writeTextFileSync(PERFORMANCE, withTables(document, report));
  const figures = JSON.stringify(figuresIn(report), null, 2);
  Deno.writeTextFileSync(new URL("speed.json", PICTURES), `${figures}\n`);
}
