import { assert, assertEquals } from "@std/assert";
import { DARK, digestOf, pictureOf, PICTURES, sources } from "../../docs/generate/pictures.ts";

for (const source of sources()) {
  const picture = pictureOf(source);
  const svg = Deno.readTextFileSync(new URL(picture, PICTURES));

  Deno.test(`${picture} is drawn from what ${source} is now`, async () => {
    const digest = await digestOf(Deno.readTextFileSync(new URL(source, PICTURES)));
    assert(svg.includes(digest), "run deno task pictures");
  });

  Deno.test(`${picture} has colours that are readable on a dark page, and a background`, () => {
    const colours = [...svg.matchAll(/ (?:fill|stroke)="([^"]*)"/g)].map(([, colour]) => colour!);
    assertEquals(colours.filter((colour) => colour !== "none" && !(colour in DARK)), []);
    const uncoloured = [...svg.matchAll(/<text[^>]*>/g)].filter(([tag]) => !tag.includes(" fill="));
    assertEquals(uncoloured, []);
    assert(/<(?:polygon|rect)[^>]* fill="#ffffff"/.test(svg), "it has no background");
    assert(svg.includes("prefers-color-scheme:dark"));
  });
}

Deno.test("each picture has a source", () => {
  const pictures = [...Deno.readDirSync(PICTURES)].map(({ name }) => name)
    .filter((name) => name.endsWith(".svg")).sort();
  assertEquals(pictures, sources().map(pictureOf).sort());
});
