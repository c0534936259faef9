import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import {
  formatGrants,
  mergeGrants,
  parseGrants,
  parseScopes,
  scopesOf,
} from "../../../server/auth/grants.ts";
import { type Scope, SCOPES } from "../../../lib/core/scope.ts";

Deno.test("SCOPES has every scope once", () => {
  const all: Record<Scope, true> = {
    read: true,
    write: true,
    delete: true,
    exec: true,
    echo: true,
  };
  assertEquals([...SCOPES].sort(), Object.keys(all).sort() as Scope[]);
});

Deno.test("parseScopes() reads a list, and names what is none", () => {
  assertEquals(parseScopes("read, write,"), ["read", "write"]);
  assertEquals(parseScopes(""), []);
  const error = assertThrows(() => parseScopes("read,root"), FerryError);
  assertEquals(error.code, "usage");
  assertStringIncludes(error.message, '"root"');
});

Deno.test("mergeGrants() grants what either of the two does", () => {
  const merged = (...[some, more]: string[]) =>
    formatGrants(mergeGrants(parseGrants([some!], []), parseGrants([more!], [])));
  assertEquals(merged("", ""), "");
  assertEquals(merged("read", "write:in/"), "read,write:in/");
  assertEquals(merged("read:a/,exec", "read:b/,read:a/"), "read:a/,read:b/,exec");
  assertEquals(merged("read:a/", "read"), "read");
  assertEquals(merged("read", "read:a/"), "read");
});

Deno.test("parseGrants() gives each scope its directories", () => {
  const table: [string[], string[], Record<string, string[]>][] = [
    [["read,write"], [], { read: [""], write: [""] }],
    [["read,write"], ["inbox/"], { read: ["inbox"], write: ["inbox"] }],
    [["read"], ["a", "b/c/"], { read: ["a", "b/c"] }],
    [["read", "write:in/box/"], [], { read: [""], write: ["in/box"] }],
    [["read:a,read:b,read:a"], [], { read: ["a", "b"] }],
    [["read:a,read"], [], { read: [""] }],
    [["read"], ["/"], { read: [""] }],
    [["read:a,exec"], [], { read: ["a"], exec: [""] }],
  ];
  for (const [scopes, paths, grants] of table) {
    assertEquals(parseGrants(scopes, paths) as unknown, grants);
  }
  assertEquals(scopesOf(parseGrants(["exec,read:a"], [])), ["read", "exec"]);
});

Deno.test("parseGrants() refuses what confines nothing", () => {
  const table: [string[], string[], string][] = [
    [["exec"], ["inbox/"], '"exec"'],
    [["exec:ls"], [], '"exec"'],
    [["read:../x"], [], '"../x"'],
    [["read"], ["/etc"], '"/etc"'],
    [["read"], ["a//b"], '"a//b"'],
    [["read"], [".ferry"], '".ferry"'],
    [["root"], [], '"root"'],
  ];
  for (const [scopes, paths, words] of table) {
    const error = assertThrows(() => parseGrants(scopes, paths), FerryError, words);
    assertEquals(error.code, "usage");
  }
});

Deno.test("formatGrants() writes what parseGrants() reads", () => {
  for (const text of ["read", "read,write:inbox/", "read:a/,read:b/c/,delete,exec"]) {
    assertEquals(formatGrants(parseGrants([text], [])), text);
  }
  assertEquals(formatGrants({}), "");
});
