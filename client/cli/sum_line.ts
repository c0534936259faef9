/**
 * Lines of a checksum and a name, in the format of md5sum.
 *
 * @module
 */

import { escapeControls, printable } from "../../lib/core/errors.ts";

/**
 * A line as md5sum prints it. Backslashes and line breaks in the name are escaped, and the line then
 * begins with a backslash (GNU coreutils manual, "cksum output modes").
 */
export function md5sumLine(md5: string, name: string): string {
  const escaped = name.replace(
    /[\\\n\r]/g,
    (c) => c === "\\" ? "\\\\" : c === "\n" ? "\\n" : "\\r",
  );
  return `${escaped === name ? "" : "\\"}${md5}  ${escaped}`;
}

/** Such a line for a terminal, with the control characters of the name escaped. */
export function shownSumLine(md5: string, name: string): string {
  return escapeControls(name) === name ? md5sumLine(md5, name) : `${md5}  ${printable(name)}`;
}
