/**
 * Makes the source of the picture of speed from what `deno task bench:peers` prints, on standard input.
 *
 * @module
 */

import type { Figures } from "./bars.ts";
import { PICTURES } from "./pictures.ts";

/** The cases that are shown. */
const CASES: ReadonlySet<string> = new Set(["put", "get", "put-tree", "put-again", "resume"]);

/** The medians of the cases in a report, those of the programs that flush what they report and of scp. */
export function figuresIn(report: string): Figures {
  const cases: Figures["cases"] = [];
  let shown: Figures["cases"][number]["bars"] | undefined;
  for (const line of report.split("\n")) {
    const [, name, title] = /^(\S+): (.*) \(measured in/.exec(line) ?? [];
    if (name !== undefined) {
      shown = CASES.has(name) ? [] : undefined;
      if (shown) cases.push({ name: title!, bars: shown });
    }
    const [, program, median] = /^ {2}(\S.*?) +([\d.]+) s /.exec(line) ?? [];
    if (program !== undefined && !program.includes("durability none")) {
      shown?.push({ name: program, value: Number(median) });
    }
  }
  const [versions = ""] = /^ferry .*$/m.exec(report) ?? [];
  return {
    title: "Seconds, less is better",
    unit: "s",
    note: `Medians of deno task bench:peers over loopback; ${versions}. ` +
      "ferry and rsync --fsync flush to the disk.",
    cases,
  };
}

if (import.meta.main) {
  const report = await new Response(Deno.stdin.readable).text();
  const text = JSON.stringify(figuresIn(report), null, 2);
  Deno.writeTextFileSync(new URL("speed.json", PICTURES), `${text}\n`);
}
