import { assertEquals } from "@std/assert";
import { reasonOf, runDeno } from "../../packaging/run.ts";

Deno.test("reasonOf() finds in one line what went wrong", () => {
  const cases: [string, string][] = [
    ["error: Module not found\n    at file:///x.ts\n", "Module not found"],
    [
      "Compile main.js\nerror: Writing to 'x'\n\nCaused by:\n    0: Setting up.\n    1: no route\n\n" +
      "Stack backtrace:\n   0: <unknown>\n   1: main\n",
      "no route",
    ],
    ["warning: this\nsomething without a form\n", "something without a form"],
    ["\n", "it said nothing"],
  ];
  for (const [stderr, reason] of cases) assertEquals(reasonOf(stderr), reason);
});

Deno.test("runDeno() tells how it ended and what it wrote, without colours", async () => {
  const script = `console.log("out"); console.error("%cerr", "color: red"); Deno.exit(3)`;
  const { success, stdout, stderr } = await runDeno(["eval", script]);
  assertEquals([success, stdout, stderr], [false, "out\n", "err\n"]);
});
