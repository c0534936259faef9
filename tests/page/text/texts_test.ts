import { assert, assertEquals } from "@std/assert";
import { EN } from "../../../page/text/en.ts";
import { ZH } from "../../../page/text/zh.ts";
import { preferred } from "../../../page/text/language.ts";

/** The texts in a table by their paths: what functions make is called with samples. */
function leaves(value: unknown, path = ""): [path: string, text: string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, String(value(...SAMPLES[path] ?? [3, 4]))]];
  return Object.entries(value as Record<string, unknown>)
    .flatMap(([key, inner]) => leaves(inner, `${path}.${key}`));
}

const SAMPLES: Record<string, unknown[]> = Object.fromEntries(
  [
    ".choose",
    ".sortBy",
    ".more",
    ".removeOne",
    ".created",
    ".renamed",
    ".loggedInAs",
    ".endsOn",
    ".linkEnds",
  ]
    .concat(".shareTitle", ".dropTitle", ".problems.other").map((path) => [path, ["X"]]),
);

Deno.test("every text is there in both languages", () => {
  const [english, chinese] = [leaves(EN), leaves(ZH)];
  assertEquals(chinese.map(([path]) => path), english.map(([path]) => path));
  for (const [path, text] of [...english, ...chinese]) assert(text.trim() !== "", path);
});

Deno.test("the Chinese texts are Chinese, and use its punctuation", () => {
  for (const [path, text] of leaves(ZH)) {
    if (path === ".otherLanguage") continue;
    if (path.startsWith(".keyList") && path.endsWith(".0")) continue;
    assert(/\p{Script=Han}/u.test(text), `${path}: ${text}`);
    assert(!/\p{Script=Han}[,;:!?]|[,;:!?]\p{Script=Han}/u.test(text), `${path}: ${text}`);
  }
  for (const [path, text] of leaves(EN)) {
    if (path === ".otherLanguage") continue;
    assert(!/\p{Script=Han}/u.test(text), `${path}: ${text}`);
  }
});

Deno.test("numbers of things have the right forms", () => {
  assertEquals(EN.counted(1, 1), "1 folder, 1 file");
  assertEquals(EN.counted(0, 10_000), "10,000 files");
  assertEquals(EN.counted(2, 0), "2 folders");
  assertEquals(EN.counted(0, 0), "0 files");
  assertEquals(EN.removeMany(1) + EN.removeMany(2), "Delete 1 item?Delete 2 items?");
  assertEquals([1, 2, 24, 48].map(EN.shareHours), ["1 hour", "2 hours", "1 day", "2 days"]);
  assertEquals(ZH.counted(2, 10_000), "2 个文件夹，10,000 个文件");
});

Deno.test("the language is the one chosen before, else the first that the browser prefers and the page has", () => {
  assertEquals(preferred(null, ["zh-TW", "en"]), "zh");
  assertEquals(preferred(null, ["de", "en-GB", "zh"]), "en");
  assertEquals(preferred(null, ["de", "zh-CN", "en"]), "zh");
  assertEquals(preferred(null, ["de"]), "en");
  assertEquals(preferred("zh", ["en"]), "zh");
  assertEquals(preferred("klingon", ["en"]), "en");
});
