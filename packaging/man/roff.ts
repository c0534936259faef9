/**
 * The language of manual pages, mdoc(7): text, macros, and where a page begins.
 *
 * @module
 */

import { VERSION } from "../../lib/core/version.ts";

/** The section of a manual: 1 for commands, 7 for conventions, 8 for commands of administrators. */
export type Section = 1 | 7 | 8;

/** A manual page. */
export interface ManualPage {
  /** Its name, as `man` takes it: `ferry-put`. */
  readonly name: string;
  /** Its section. */
  readonly section: Section;
  /** Its text in mdoc(7). */
  readonly source: string;
}

/** Text in which nothing has a meaning for the formatter. Its lines must not be parts of a macro's line. */
export function plain(text: string): string {
  return text.replaceAll("\\", "\\e").replace(/^(?=[.'])/gm, "\\&");
}

/** What is typed as it is, in bold, with hyphens that are those of a keyboard. */
export function literal(text: string): string {
  return `\\fB${plain(text).replaceAll("-", "\\-")}\\fR`;
}

/** A placeholder, or what is stressed, in italics. */
export function italic(text: string): string {
  return `\\fI${plain(text)}\\fR`;
}

/** Lines that are shown as they are. */
export function display(text: string): string {
  const lines = plain(text.replace(/\n+$/, "")).replaceAll("-", "\\-");
  return `.Bd -literal -offset indent\n${lines}\n.Ed\n`;
}

/** A word that is an option or a placeholder in a help text. */
const TERM = /(?<![\w-])(--?[a-z][a-z0-9-]*)|\b([A-Z][A-Z0-9]+)\b(?!_)/g;

/** Prose of a help text, with its options in bold and its placeholders in italics. */
export function prose(text: string): string {
  let result = "";
  let end = 0;
  for (const { 0: term, 1: option, index } of text.matchAll(TERM)) {
    result += plain(text.slice(end, index)) + (option ? literal(option) : italic(term));
    end = index + term.length;
  }
  return paragraph(result + plain(text.slice(end)));
}

/** The end of a sentence inside a line, closing quotes, parentheses and fonts included. */
const SENTENCE_END = /((?<!\.)[.!?](?:['")\]]|\\f[RBI])*)\s+(?=\S)/g;

/**
 * Finished text as lines of a page: each sentence begins one, by which the formatter knows how much space to leave, and
 * none is taken for a request.
 */
export function paragraph(text: string): string {
  const lines = text.trim().replace(SENTENCE_END, "$1\n");
  return lines.replace(/^[ \t]+/gm, "").replace(/^(?=[.'])/gm, "\\&");
}

/** A heading of the first level and what is below it; nothing where that is nothing. */
export function section(title: string, body: string): string {
  return body.trim() === "" ? "" : `.Sh ${title.toUpperCase()}\n${body}`;
}

/** A list of terms, each in the first line of an item, and of what they mean. */
export function definitions(items: readonly (readonly [term: string, meaning: string])[]): string {
  if (items.length === 0) return "";
  const rows = items.map(([term, meaning]) => `.It ${term}\n${meaning}\n`);
  return `.Bl -tag -width Ds\n${rows.join("")}.El\n`;
}

/** What {@linkcode page} needs besides the text. */
export interface PageHead {
  name: string;
  section: Section;
  /** What it is about, in a few words. */
  about: string;
  /** The date in its footer. */
  date: Date;
}

/** A page. */
export function page({ name, section, about, date }: PageHead, ...parts: string[]): ManualPage {
  const day = date.toLocaleDateString("en-US", {
    year: "numeric",
    month: "long",
    day: "numeric",
    timeZone: "UTC",
  });
  // The first line asks for the preprocessor of tables.
  const head = `'\\" t
.Dd ${day}
.Dt ${name.toUpperCase()} ${section}
.Os ferry ${VERSION}
.Sh NAME
.Nm ${name}
.Nd ${plain(about)}
`;
  return { name, section, source: head + parts.join("") };
}
