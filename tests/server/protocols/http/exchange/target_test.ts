import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../../../lib/core/errors.ts";
import { encodePath, parseTarget } from "../../../../../server/protocols/http/exchange/target.ts";
import fc from "../../../../support/properties.ts";

/** Parts of names, some of which are written in unusual ways. */
const PART = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 })
  .filter((part) => part !== "." && part !== ".." && !/[/\0]/.test(part) && part.isWellFormed());

Deno.test("parseTarget() reads back what encodePath() has written", () => {
  fc.assert(
    fc.property(fc.array(PART, { minLength: 1, maxLength: 5 }), fc.boolean(), (parts, slash) => {
      const name = parts.join("/");
      const { path, isDirectory } = parseTarget(encodePath(name) + (slash ? "/" : ""));
      assertEquals({ path, isDirectory }, { path: name, isDirectory: slash });
    }),
  );
  assertEquals(encodePath(""), "");
});

Deno.test("parseTarget() separates the path from the query, and decodes both", () => {
  const table: [text: string, raw: string, path: string, isDirectory: boolean, a: string | null][] =
    [
      ["/", "/", "", true, null],
      ["/?a=b", "/", "", true, "b"],
      ["/x/y%20z?a=%2F..", "/x/y%20z", "x/y z", false, "/.."],
      ["/x%3Fa=b", "/x%3Fa=b", "x?a=b", false, null],
      ["/x?y?a", "/x", "x", false, null],
      ["/x#a", "/x#a", "x#a", false, null],
      ["/x/?", "/x/", "x", true, null],
    ];
  for (const [text, raw, path, isDirectory, a] of table) {
    const { query, ...target } = parseTarget(text);
    assertEquals({ ...target, a: query.get("a") }, { raw, path, isDirectory, a }, text);
  }
});

Deno.test("parseTarget() takes an absolute form for the host of the request only", () => {
  assertEquals(parseTarget("http://HOST:1/a?b", "host:1").path, "a");
  assertEquals(parseTarget("https://host", "host").path, "");
  assertEquals(parseTarget("http://host?a", "host").query.has("a"), true);
  for (const text of ["http://other/a", "http://host@other/a", "http:/host/a", "//host/a"]) {
    assertThrows(() => parseTarget(text, "host"), FerryError);
  }
  assertThrows(() => parseTarget("http://host/a"), FerryError);
});

Deno.test("parseTarget() makes of no text a name with a part that leads elsewhere", () => {
  const unit = fc.constantFrom("/", ".", "%2e", "%2E", "%2f", "\\", "%5c", "%00", "a", "?", "%");
  fc.assert(fc.property(fc.array(unit, { maxLength: 12 }), (units) => {
    let path;
    try {
      ({ path } = parseTarget(`/${units.join("")}`));
    } catch (error) {
      if (error instanceof FerryError) return;
      throw error;
    }
    if (path === "") return;
    for (const part of path.split("/")) assertEquals(["", ".", ".."].includes(part), false, path);
  }));
});
