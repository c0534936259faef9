import { assert, assertEquals } from "@std/assert";
import { failureText, reasonsText, timeText, UPLOAD_TEXTS } from "../../../page/upload/texts.ts";

Deno.test("a time that is left has one unit, and hours have minutes", () => {
  const told = (seconds: number) => timeText(seconds, UPLOAD_TEXTS.en);
  assertEquals([0.2, 5, 59.4, 60, 3540, 3600, 9000].map(told), [
    "1 s",
    "5 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h 0 min",
    "2 h 30 min",
  ]);
});

Deno.test("an error says what to do, and one that is not foreseen what the server says", () => {
  const failed = (code: string, status: number, message: string) =>
    failureText({ code, status, message }, UPLOAD_TEXTS.en);
  assert(failed("quota", 507, "it is full").includes("delete something"));
  assert(failed("usage", 400, "the field is odd").endsWith("The server says: the field is odd."));
  assertEquals(failed("denied", 410, ""), UPLOAD_TEXTS.en.codes.gone);
});

Deno.test("Chinese texts are Chinese", () => {
  const texts = Object.values(UPLOAD_TEXTS.zh).flatMap((text) =>
    typeof text === "string" ? text : typeof text === "object" ? Object.values(text) : []
  );
  for (const text of texts) assert(/\p{Script=Han}/u.test(text), text);
});

Deno.test("the reasons of many failures are each said once, the commonest first", () => {
  const failure = (code: string) => ({ code, status: 507, message: "" });
  const failures = ["too_large", "quota", "quota"].map(failure);
  const { codes } = UPLOAD_TEXTS.en;
  assertEquals(reasonsText(failures, UPLOAD_TEXTS.en), [
    `${codes.quota} (2 files)`,
    codes.too_large,
  ]);
});

Deno.test("each reason says what to do", () => {
  const { codes } = UPLOAD_TEXTS.en;
  for (const [code, text] of Object.entries(codes)) {
    // What passes by itself, and what has buttons of its own.
    if (["offline", "exists"].includes(code)) continue;
    assert(/: .+|, then try again/.test(text), `${code}: ${text}`);
  }
});
