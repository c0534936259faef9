import { assertEquals, assertMatch } from "@std/assert";
import { Ferryd, ferryd, TempDir } from "../support/programs.ts";
import { isInstalled, runTool } from "../support/tools.ts";
import { section } from "./documents.ts";

/** The address in the examples. */
const ADDRESS = "127.0.0.1:8080";

/** The blocks of code in a text that are in that language. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))]
    .map(([, code]) => code!);
}

Deno.test({
  name: "the examples of docs/http.md about tokens and sessions work",
  ignore: !["bash", "curl", "wget", "aria2c"].every(isInstalled),
  async fn() {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("cwd"));
    Deno.mkdirSync(dir.join("root"));
    dir.write("root/report.pdf", "content");
    const file = ["--token-file", dir.join("tokens")];
    const scopes = ["--scope", "read,write:inbox"];
    const { stdout: made } = await ferryd(["token", "new", ...file, "--name", "laptop", ...scopes]);
    const text = section("docs/http.md", "## Who may do what");
    const [shown, session, origin] = blocks(text, "sh") as [string, string, string];
    const [, ...options] = origin.trim().replace(ADDRESS, "127.0.0.1:0").split(" ");
    await using server = await Ferryd.start(dir.join("root"), [...file, ...options]);
    const run = async (commands: string) => {
      const script = [
        `FERRY_TOKEN=${made.trim()}`,
        'curl() { command curl -sS --fail-with-body "$@"; }',
        commands.replaceAll(ADDRESS, server.listening.get("http")!),
      ].join("\n");
      const { code, stdout, stderr } = await runTool("bash", ["-ec", script], dir.join("cwd"));
      assertEquals([code, stderr], [0, ""], stdout);
      return stdout;
    };
    assertEquals(await run(shown), "content".repeat(2));
    const named = (name: string) => Deno.readTextFileSync(dir.join(`cwd/${name}`));
    assertEquals(named("report.pdf"), "content");
    const [first = "", second] = (await run(session)).split("\n");
    assertEquals(second, "content");
    const [expected] = blocks(text, "json").map((code) => JSON.parse(code));
    const actual = JSON.parse(first);
    assertMatch(actual.token.id, /^[0-9a-f]{12}$/);
    assertEquals({ ...actual, token: { ...actual.token, id: expected.token.id } }, expected);
  },
});
