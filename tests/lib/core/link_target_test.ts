import { assertEquals } from "@std/assert";
import { flawOfTarget, leadsTo } from "../../../lib/core/link_target.ts";
import { decideLink, OVERWRITE_POLICIES } from "../../../lib/core/overwrite.ts";
import type { FileName } from "../../../lib/core/remote_name.ts";
import { MAX_NAME_BYTES } from "../../../lib/core/remote_name.ts";

Deno.test("flawOfTarget() allows relative targets that go up only at their beginning", () => {
  const good = [
    "a",
    "a/b",
    "../a",
    "../../a/b",
    "./a",
    "./../a",
    "..",
    ".",
    "a/",
    "a//b",
    "...",
    "é",
  ];
  for (const target of good) assertEquals(flawOfTarget(target), undefined, target);
  assertEquals(flawOfTarget("x".repeat(MAX_NAME_BYTES)), undefined);
  const bad = {
    "": "is empty",
    "/": "is absolute",
    "/etc/passwd": "is absolute",
    "a\0b": "contains a NUL character",
    "\ud800": "is not well-formed Unicode",
    "a/..": 'has ".." behind a name',
    "../a/../b": 'has ".." behind a name',
    "a/./../b": 'has ".." behind a name',
    ["é".repeat(MAX_NAME_BYTES / 2 + 1)]: `is longer than ${MAX_NAME_BYTES} bytes`,
  };
  for (const [target, flaw] of Object.entries(bad)) assertEquals(flawOfTarget(target), flaw);
});

Deno.test("leadsTo() resolves a target by its text, and tells what leads out", () => {
  const cases: [directory: string, target: string, leads: string | undefined][] = [
    ["", "a", "a"],
    ["", ".", ""],
    ["", "..", undefined],
    ["a", "..", ""],
    ["a", "../..", undefined],
    ["a/b", "../c/./d/", "a/c/d"],
    ["a/b", "../../../x", undefined],
    ["", ".ferry", undefined],
    ["a", "../.FERRY/index.db", undefined],
    ["a", ".ferry-staging/x", undefined],
    ["a", "b".repeat(300), undefined],
  ];
  for (const [directory, target, leads] of cases) {
    assertEquals(
      leadsTo(directory as FileName, target),
      leads as FileName,
      `${directory} ${target}`,
    );
  }
});

Deno.test("decideLink() replaces by the policy, and never makes the same link again", () => {
  const link = { target: "a", mtime: 5 };
  for (const policy of OVERWRITE_POLICIES) {
    assertEquals(decideLink(policy, link, { target: "a", mtime: 9 }), "have");
  }
  const decided = (existing: { target?: string; mtime?: number }) =>
    OVERWRITE_POLICIES.map((policy) => decideLink(policy, link, existing));
  // never, always, newer, different
  assertEquals(decided({ target: "b", mtime: 9 }), ["exists", "send", "have", "send"]);
  assertEquals(decided({ target: "b", mtime: 5 }), ["exists", "send", "have", "send"]);
  assertEquals(decided({ mtime: 4 }), ["exists", "send", "send", "send"]);
  assertEquals(decideLink("newer", { target: "a" }, { mtime: 4 }), "have");
});
