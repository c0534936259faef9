/**
 * Documents in Markdown as text of manual pages.
 *
 * @module
 */

import { lexer, type Token, type Tokens } from "marked";
import { definitions, display, italic, literal, paragraph, plain } from "./roff.ts";

/** The headings of a page, by their level. Deeper ones are lines in bold. */
const HEADINGS = [(text: string) => `.Sh ${text.toUpperCase()}`, (text: string) => `.Ss ${text}`];

/**
 * The text of a document.
 *
 * @param level the level that its headings of the first level have on the page, from 1 on; those of level 0 are left out
 */
export function fromMarkdown(markdown: string, level: number): string {
  return blocks(lexer(markdown), level - 1);
}

/**
 * The part of a document below a heading, without the heading and without the parts below others of its level.
 *
 * @throws where there is no such heading
 */
export function partOf(markdown: string, heading: string): string {
  const tokens = lexer(markdown);
  const start = tokens.findIndex((token) => token.type === "heading" && token.text === heading);
  if (start < 0) throw new Error(`there is no heading ${JSON.stringify(heading)}`);
  const rest = tokens.slice(start + 1);
  const end = rest.findIndex((token) => token.type === "heading");
  return rest.slice(0, end < 0 ? undefined : end).map(({ raw }) => raw).join("");
}

function blocks(tokens: readonly Token[], shift: number): string {
  let result = "";
  // A paragraph needs no macro right behind a heading.
  let separated = true;
  for (const token of tokens) {
    if (token.type === "space" || token.type === "html") continue;
    if (token.type === "heading") {
      const depth = token.depth + shift;
      const known = HEADINGS[depth - 1];
      if (depth > HEADINGS.length && !separated) result += ".Pp\n";
      if (depth > 0) result += `${(known ?? stressed)(inline(token.tokens ?? []))}\n`;
      separated = depth <= HEADINGS.length;
      continue;
    }
    const text = block(token as Tokens.Generic, shift);
    // Lists and displays have space around them anyway.
    result += (separated || /^\.B[dl]/.test(text) ? "" : ".Pp\n") + text;
    separated = false;
  }
  return result;
}

function stressed(text: string): string {
  return `\\fB${text}\\fR`;
}

function block(token: Tokens.Generic, shift: number): string {
  switch (token.type) {
    case "code":
      return display(token.text);
    case "list":
      return list(token as Tokens.List, shift);
    case "table":
      return table(token as Tokens.Table);
    case "blockquote":
      return `.Bd -filled -offset indent\n${blocks(token.tokens ?? [], shift)}.Ed\n`;
    case "paragraph":
    case "text":
      return `${paragraph(inline(token.tokens ?? []))}\n`;
    default:
      throw new Error(`no manual page has a ${token.type}: ${token.raw}`);
  }
}

function list({ ordered, items }: Tokens.List, shift: number): string {
  const rows = items.map(({ tokens }) => `.It\n${blocks(tokens, shift)}`);
  return `.Bl -${ordered ? "enum" : "bullet"}\n${rows.join("")}.El\n`;
}

/** A row with a cell of more characters, fonts included, is not shown as a row of a table. */
const LONG_CELL = 32;

/** A table, or a list where its rows would not fit into a terminal of 80 columns. */
function table({ header, rows }: Tokens.Table): string {
  const [titles, ...lines] = [header, ...rows].map((row) =>
    row.map(({ tokens }) => inline(tokens))
  );
  const long = titles!.map((_, at) => lines.some((line) => line[at]!.length > LONG_CELL));
  return long.includes(true) ? asItems(titles!, lines, long) : tabulated([titles!, ...lines]);
}

/** Rows as items: the first cell and the short ones in the line of the item, the long ones as text below it. */
function asItems(
  titles: readonly string[],
  rows: readonly string[][],
  long: readonly boolean[],
): string {
  const firstLong = long.indexOf(true, 1);
  return definitions(rows.map(([first = "", ...others]) => {
    const cells = others.map((cell, index) => ({ cell, at: index + 1 })).filter(({ cell }) => cell);
    const beside = cells.filter(({ at }) => !long[at]).map(({ cell }) => cell);
    const below = cells.filter(({ at }) => long[at]).map(({ cell, at }) =>
      paragraph(at === firstLong ? cell : `${titles[at]}: ${cell}`)
    );
    const notes = beside.length > 0 ? ` (${beside.join(", ")})` : "";
    return [first + notes, below.join("\n.Pp\n") || "\\&"];
  }));
}

/** A table in the language of tbl(1). */
function tabulated(rows: readonly string[][]): string {
  const lines = rows.map((row) => row.map((cell) => cell || "\\&").join("\t"));
  const columns = rows[0]!.length;
  const format = `${"lb ".repeat(columns).trim()}\n${"l ".repeat(columns).trim()}.`;
  return `.TS\n${format}\n${lines.join("\n")}\n.TE\n`;
}

function inline(tokens: readonly Token[]): string {
  return tokens.map((token) => span(token as Tokens.Generic)).join("");
}

function span(token: Tokens.Generic): string {
  const { tokens = [] } = token;
  switch (token.type) {
    case "codespan":
      return literal(token.text);
    case "strong":
    case "em":
      return `\\fI${inline(tokens)}\\fR`;
    case "link": {
      // Other documents are on this page, or in the package.
      const elsewhere = /^https?:/.test(token.href) && token.href !== token.text;
      return inline(tokens) + (elsewhere ? ` <${italic(token.href)}>` : "");
    }
    case "image":
      return `[${plain(token.text)}]`;
    case "br":
      return "\n";
    case "text":
    case "escape":
      return token.tokens ? inline(token.tokens) : plain(token.text);
    default:
      throw new Error(`no manual page has a ${token.type}: ${token.raw}`);
  }
}
