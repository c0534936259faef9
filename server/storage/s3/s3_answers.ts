/**
 * The XML that an object store answers with.
 *
 * @module
 */

import { parseXml, XmlElement } from "@rgrove/parse-xml";

const utf8 = new TextDecoder();

const utf8Encoder = new TextEncoder();

/** An element of an answer. */
export class XmlAnswer {
  readonly #element: XmlElement;
  /** The content of elements that were cut out: see {@linkcode parseAnswer}. */
  readonly cut: readonly string[];

  /** Wraps a parsed element. */
  constructor(element: XmlElement, cut: readonly string[] = []) {
    this.#element = element;
    this.cut = cut;
  }

  /** Its name. */
  get name(): string {
    return this.#element.name;
  }

  /** The text of the first child of a name; undefined if there is none. */
  text(name: string): string | undefined {
    for (const child of this.#element.children) {
      if (child instanceof XmlElement && child.name === name) return child.text;
    }
    return undefined;
  }

  /** The children of a name. */
  all(name: string): XmlAnswer[] {
    const found: XmlAnswer[] = [];
    for (const child of this.#element.children) {
      if (child instanceof XmlElement && child.name === name) found.push(new XmlAnswer(child));
    }
    return found;
  }
}

/** Characters that XML cannot hold. Stores write those of keys all the same. */
const FORBIDDEN = /(?![\t\r\n\x7f-\x9f])\p{Cc}|[\ufffe\uffff]/gu;

/** References to such characters. */
const REFERENCES = /&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));/gi;

/**
 * The root of an XML document; undefined if the bytes are none. Characters that XML cannot hold become U+FFFD.
 *
 * @param repeated the name of elements that may be cut out instead of being parsed: parsing thousands of them takes
 * longer than the store takes to list them. They have neither attributes nor elements of the same name within.
 */
export function parseAnswer(bytes: Uint8Array, repeated?: string): XmlAnswer | undefined {
  if (bytes.length === 0) return undefined;
  const text = utf8.decode(bytes).trimStart();
  if (!text.startsWith("<")) return undefined;
  const [rest, cut] = repeated === undefined || text.includes("<!")
    ? [text, []]
    : cutOut(text, repeated);
  try {
    const { root } = parseXml(rest.replace(FORBIDDEN, "\ufffd").replace(REFERENCES, "\ufffd"));
    return root ? new XmlAnswer(root, cut) : undefined;
  } catch {
    // For example HTML of something else than an object store.
    return undefined;
  }
}

/** A text without the elements of a name, and their contents. */
function cutOut(text: string, name: string): [rest: string, cut: string[]] {
  const [begin, end] = [`<${name}>`, `</${name}>`];
  const cut: string[] = [];
  let rest = "";
  let at = 0;
  for (let from; (from = text.indexOf(begin, at)) >= 0;) {
    const to = text.indexOf(end, from);
    if (to < 0) break;
    rest += text.slice(at, from);
    cut.push(text.slice(from + begin.length, to));
    at = to + end.length;
  }
  return [rest + text.slice(at), cut];
}

/** The text of an element within one that was cut out; undefined if it has none, or one that has to be parsed. */
export function textIn(element: string, name: string): string | undefined {
  const begin = `<${name}>`;
  const from = element.indexOf(begin);
  const to = element.indexOf("<", from + begin.length);
  if (from < 0 || !element.startsWith(`</${name}>`, to)) return undefined;
  const text = element.slice(from + begin.length, to).replaceAll("&quot;", '"');
  return text.includes("&") ? undefined : text;
}

/** Parses an element that was cut out; undefined if it is no XML. */
export function parseElement(element: string, name: string): XmlAnswer | undefined {
  return parseAnswer(utf8Encoder.encode(`<${name}>${element}</${name}>`));
}

/** The text of a key in a list with `encoding-type=url`. Bytes that are not UTF-8 become U+FFFD. */
export function decodeKey(text: string): string {
  const spaced = text.replaceAll("+", " ");
  if (!spaced.includes("%")) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    const bytes = utf8Encoder.encode(spaced);
    const decoded = new Uint8Array(bytes.length);
    let length = 0;
    for (let i = 0; i < bytes.length; i++) {
      const hex = bytes[i] === 0x25
        ? /^[0-9a-f]{2}$/i.exec(utf8.decode(bytes.subarray(i + 1, i + 3)))
        : null;
      decoded[length++] = hex ? parseInt(hex[0], 16) : bytes[i]!;
      if (hex) i += 2;
    }
    return utf8.decode(decoded.subarray(0, length));
  }
}

/** Escapes text for XML. Line ends are escaped as well, since parsers change them. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>"'\r\n\t]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** Whether XML can hold a text. */
export function fitsXml(text: string): boolean {
  return text.search(FORBIDDEN) < 0;
}
