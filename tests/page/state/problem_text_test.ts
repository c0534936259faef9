import { assertEquals } from "@std/assert";
import { Problem } from "../../../page/door/request.ts";
import { problemText } from "../../../page/state/problem_text.ts";
import { EN } from "../../../page/text/en.ts";
import { isErrorCode } from "../../../lib/core/errors.ts";

Deno.test("problemText() says what to do, by the code of the error", () => {
  const { problems } = EN;
  assertEquals(problemText(new Problem("exists", 412, "x"), EN), problems.exists);
  assertEquals(problemText(new Problem("not_found", 410, "x"), EN), problems.gone);
  assertEquals(problemText(new Problem("denied", 421, "x"), EN), problems.otherName);
  assertEquals(
    problemText(new Problem("usage", 400, "it broke"), EN),
    "The server says: it broke.",
  );
  assertEquals(
    problemText(new Problem("other", 500, "it broke"), EN),
    "The server says: it broke.",
  );
  assertEquals(problemText(new Error("oh"), EN), "The server says: Error: oh.");
});

Deno.test("the codes that have sentences are codes of the server", () => {
  const own = ["gone", "link", "other", "otherName"];
  const codes = Object.keys(EN.problems).filter((key) => !own.includes(key));
  assertEquals(codes.filter((code) => !isErrorCode(code)), []);
});
