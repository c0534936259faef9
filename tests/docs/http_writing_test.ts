import { assertEquals } from "@std/assert";
import { filesBelow } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { isInstalled, runTool } from "../support/tools.ts";
import { section } from "./documents.ts";

/** The address in the examples. */
const ADDRESS = "127.0.0.1:8080";

Deno.test({
  name: "the examples of docs/http.md about writing work",
  ignore: !["bash", "curl", "tar", "xxd", "sha256sum"].every(isInstalled),
  async fn() {
    await using pair = await Pair.start(["--http", "127.0.0.1:0"]);
    const text = section("docs/http.md", "## Writing");
    const block = (language: string) =>
      new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(text)![1]!;
    pair.write("a.txt", "hello\n");
    pair.write("b.txt", "b");
    const run = async (commands: string) => {
      const script = commands.replaceAll(ADDRESS, pair.server.listening.get("http")!)
        .replaceAll("curl ", "curl -sS --fail-with-body ");
      const { code, stdout, stderr } = await runTool("bash", ["-ec", script], pair.cwd);
      assertEquals([code, stderr], [0, ""], stdout);
      return stdout;
    };
    const [first = "", ...others] = block("sh").trim().split("\n");
    assertEquals(JSON.parse(await run(first)), JSON.parse(block("json")));
    assertEquals(Deno.readTextFileSync(`${pair.root}/docs/a.txt`), "hello\n");
    await run(others.join("\n"));
    const names = filesBelow(pair.root).filter((name) => !name.startsWith(".ferry/"));
    assertEquals(names.sort(), ["docs/b.txt", "old/both.tar"]);
  },
});
