/**
 * How share links are printed.
 *
 * @module
 */

import { printable } from "../../lib/core/errors.ts";
import type { SharedLink } from "../../lib/core/share_link.ts";
import { timeText } from "./entry_output.ts";
import type { Output } from "./output.ts";

/**
 * Prints a link: one that was just made as its URL alone, to be copied or piped; in a list, with what it is for.
 *
 * @param op `share`, or `shares` for a list
 */
export function showLink(output: Output, op: "share" | "shares", link: SharedLink): void {
  if (output.json) return output.event({ event: "link", op, ...link });
  output.line(op === "share" ? link.url : lineOf(link));
}

function lineOf({ id, url, filename, upload, expires, downloads, taken }: SharedLink): string {
  const until = expires === null ? "never".padEnd(25) : timeText(expires);
  const count = downloads === null ? "-" : `${taken} of ${downloads}`;
  const use = upload ? "upload" : "download";
  return `${id} ${until} ${use.padEnd(8)} ${count.padStart(8)} ${url} ${
    printable(filename || ".")
  }`;
}
