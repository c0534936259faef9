import { assert } from "@std/assert";
import { PROJECT } from "../support/programs.ts";
import { documentsIn, exists, read } from "./documents.ts";

const DOCUMENTS = [
  ...[...Deno.readDirSync(PROJECT)].map(({ name }) => name).filter((name) => name.endsWith(".md")),
  ...["docs", "examples", "fixtures"].flatMap(documentsIn),
];

/** The largest sizes of the documents that people read first, in bytes. */
const LARGEST = { "README.md": 8192, "PROTOCOL.md": 10240 };

/** The anchors that a document's headings have. */
function anchorsOf(page: string): Set<string> {
  const anchor = (heading: string) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
  return new Set([...page.matchAll(/^#+ (.*)$/gm)].map(([, text]) => anchor(text!)));
}

for (const [path, largest] of Object.entries(LARGEST)) {
  Deno.test(`${path} has at most ${largest} bytes`, () => {
    const { size } = Deno.statSync(PROJECT + path);
    assert(size <= largest, `it has ${size}`);
  });
}

Deno.test("the documents link only to headings and files that are there", () => {
  let links = 0;
  for (const path of DOCUMENTS) {
    const page = read(path);
    const base = new URL(path, "file:///");
    for (const [, target] of page.matchAll(/\]\(([^)\s]*)\)/g)) {
      if (/^https?:/.test(target!)) continue;
      links++;
      const { pathname, hash } = new URL(target!, base);
      const file = pathname.slice(1);
      assert(exists(file), `${path} links to ${target}, and there is no ${file}`);
      const isThere = hash === "" || anchorsOf(read(file)).has(decodeURIComponent(hash.slice(1)));
      assert(isThere, `${path} links to ${target}, and ${file} has no such heading`);
    }
  }
  assert(links > 100, `only ${links} links were found`);
});

Deno.test("the documents name only sources that are there", () => {
  let named = 0;
  for (const path of DOCUMENTS.filter((path) => path !== "CHANGELOG.md")) {
    const source =
      /\b(?:client|docs|fixtures|lib|packaging|server|tests)\/[\w/.-]+\.(?:json|sh|ts)\b/g;
    for (const [file] of read(path).matchAll(source)) {
      named++;
      assert(exists(file) || exists(`docs/${file}`), `${path} names ${file}`);
    }
  }
  assert(named > 20, `only ${named} were found`);
});
