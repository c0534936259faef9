import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromMarkdown } from "../../packaging/man/markdown.ts";
import { manualPages } from "../../packaging/man/pages.ts";
import { paragraph, prose } from "../../packaging/man/roff.ts";
import { REAL } from "../support/command_specs.ts";
import { DENO, type Outcome, outcome, PROJECT, TempDir } from "../support/programs.ts";
import { isInstalled, runTool } from "../support/tools.ts";

/** The first second of 2026. */
const EPOCH = "1767225600";

function manTask(args: string[], epoch = EPOCH): Promise<Outcome> {
  return outcome(
    new Deno.Command(DENO, {
      args: ["run", "--quiet", "--no-check", "-A", `${PROJECT}packaging/man/main.ts`, ...args],
      env: { NO_COLOR: "1", SOURCE_DATE_EPOCH: epoch },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

Deno.test("there is a manual page for each command, with all its options", () => {
  const pages = new Map(manualPages(new Date(0)).map((page) => [page.name, page]));
  for (const { name, summary, options } of REAL) {
    const words = name.split(" ");
    const page = pages.get(words.slice(0, 2).join("-"))!;
    const about = words.length > 2 ? name : summary.slice(1);
    assertStringIncludes(page.source, about);
    assertEquals(page.section, words[0] === "ferry" ? 1 : 8);
    const text = page.source.replaceAll("\\-", "-");
    for (const option of Object.keys(options)) assertStringIncludes(text, `--${option}\\fR`, name);
  }
  const protocol = pages.get("ferry-protocol")!;
  assertEquals(protocol.section, 7);
  for (const name of ["core", "limits", "extensions/delta"]) {
    const [title] = Deno.readTextFileSync(`${PROJECT}docs/protocol/${name}.md`).split("\n");
    assertStringIncludes(protocol.source, `.Sh ${title!.slice("# ".length).toUpperCase()}\n`);
  }
});

Deno.test({
  name: "deno task man writes pages in which mandoc and man find nothing wrong",
  ignore: !isInstalled("mandoc") || !isInstalled("man"),
  fn: async () => {
    await using dir = new TempDir();
    const { code, stdout, stderr } = await manTask(["--out", dir.join("man")]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^\/.*\/man: \d+ manual pages\n$/);
    const pages = [1, 7, 8].flatMap((section) =>
      [...Deno.readDirSync(dir.join(`man/man${section}`))]
        .map(({ name }) => dir.join(`man/man${section}/${name}`))
    );
    const lint = await runTool("mandoc", ["-T", "lint", "-W", "warning", ...pages], dir.path);
    assertEquals(lint, { code: 0, stdout: "", stderr: "" });
    for (const page of ["man1/ferry-put.1", "man8/ferryd-token.8"]) {
      const shown = await runTool("man", ["--warnings", "-l", dir.join(`man/${page}`)], dir.path);
      assertEquals([shown.code, shown.stderr], [0, ""]);
      assertStringIncludes(shown.stdout, "January 1, 2026");
    }
  },
});

Deno.test("deno task man says what it cannot do", async () => {
  await using dir = new TempDir();
  const file = dir.write("file", "");
  const unknown = await manTask(["--out", dir.join("man")], "yesterday");
  assertEquals([unknown.code, unknown.stdout], [2, ""]);
  assertMatch(unknown.stderr, /^man: SOURCE_DATE_EPOCH is "yesterday", and not a number .*\n$/);
  const below = await manTask(["--out", `${file}/man`]);
  assertEquals([below.code, below.stdout], [5, ""]);
  assertMatch(below.stderr, /^man: Cannot write to ".*\/man": .*\n$/);
});

Deno.test("nothing in a text is taken for a request of the formatter", () => {
  assertEquals(
    prose(".TH is no request. 'tis\n.so\\n"),
    "\\&.\\fITH\\fR is no request.\n\\&'tis\n\\&.so\\en",
  );
  assertEquals(prose("write NAME/ by --to-all"), "write \\fINAME\\fR/ by \\fB\\-\\-to\\-all\\fR");
  assertEquals(paragraph("One (or two). Three... four"), "One (or two).\nThree... four");
  assertEquals(
    fromMarkdown("# A\n\ntext `-x`\n\n- one\n- [two](three.md)\n\n```\n.x\n```\n", 2),
    ".Ss A\ntext \\fB\\-x\\fR\n.Bl -bullet\n.It\none\n.It\ntwo\n.El\n" +
      ".Bd -literal -offset indent\n\\&.x\n.Ed\n",
  );
});
