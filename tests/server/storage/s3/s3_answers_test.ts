import { assert, assertEquals } from "@std/assert";
import {
  decodeKey,
  escapeXml,
  fitsXml,
  parseAnswer,
} from "../../../../server/storage/s3/s3_answers.ts";

const utf8 = new TextEncoder();

function parse(text: string): ReturnType<typeof parseAnswer> {
  return parseAnswer(utf8.encode(text));
}

Deno.test("parseAnswer() reads elements, whatever comes before them", () => {
  const xml = parse(
    `\n\n<?xml version="1.0"?><R xmlns="u"><A>1 &amp; &#50;</A><B><C>x</C></B><B/><D></D></R>`,
  )!;
  assertEquals(xml.name, "R");
  assertEquals(xml.text("A"), "1 & 2");
  assertEquals(xml.text("D"), "");
  assertEquals(xml.text("none"), undefined);
  assertEquals(xml.all("B").map((each) => each.text("C")), ["x", undefined]);
});

Deno.test("parseAnswer() takes characters that XML cannot hold for unknown ones", () => {
  for (const character of ["\u0001", "&#x1;", "&#x01;", "&#1;", "&#x1F;", "&#31;", "\uffff"]) {
    assertEquals(parse(`<R><K>a${character}b</K></R>`)?.text("K"), "a\ufffdb");
  }
  for (
    const [text, expected] of [["&#9;", "\t"], ["&#xA;", "\n"], ["&#xd;", "\r"], [
      "&#133;",
      "\u0085",
    ]]
  ) {
    assertEquals(parse(`<R><K>a${text}b</K></R>`)?.text("K"), `a${expected}b`);
  }
});

Deno.test("parseAnswer() takes what is no XML, or a part of it, for no answer", () => {
  for (const text of ["", "Welcome", "<R><A>", "<R></S>", "<!DOCTYPE html><p>Welcome", "{}"]) {
    assertEquals(parse(text), undefined);
  }
  // Entities that a document declares itself are not expanded.
  const bomb = `<!DOCTYPE R [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><R><A>&b;</A></R>`;
  assertEquals(parse(bomb), undefined);
});

Deno.test("decodeKey() reads each escape of a list, and bytes that are not UTF-8", () => {
  assertEquals(decodeKey("a+b%20c%2B%25%C3%A4%0A%F0%9F%98%80/d"), "a b c+%ä\n\u{1f600}/d");
  assertEquals(decodeKey("%FFa%2"), "\ufffda%2");
  assertEquals(decodeKey("plain"), "plain");
});

Deno.test("what escapeXml() wrote, parseAnswer() reads", () => {
  const text = `<a href="x">'&amp;'</a>]]>\r\n\t\u0085\u2028\u{1f600}`;
  assert(fitsXml(text));
  assertEquals(parse(`<R><K>${escapeXml(text)}</K></R>`)?.text("K"), text);
  for (const other of ["\u0001", "\uffff", "a\u001fb"]) assert(!fitsXml(other));
});
