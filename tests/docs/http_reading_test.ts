import { assertEquals, assertMatch } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { isInstalled, runTool } from "../support/tools.ts";
import { section } from "./documents.ts";

/** The address in the examples. */
const ADDRESS = "127.0.0.1:8080";

Deno.test({
  name: "the examples of docs/http.md about reading work",
  ignore: !["bash", "curl", "wget", "aria2c", "tar"].every(isInstalled),
  async fn() {
    await using pair = await Pair.start(["--http", "127.0.0.1:0", "--anonymous", "read"]);
    Deno.mkdirSync(`${pair.root}/photos`);
    const text = section("docs/http.md", "## Reading");
    const [downloads = "", wanted = ""] = blocksOf(text, "sh");
    const [expected] = blocksOf(text, "json").map((code) => JSON.parse(code));
    const add = (name: string) => {
      pair.dir.write(`root/photos/${name}`, "jpg");
      const time = new Date(expected.entries[0].mtime);
      Deno.utimeSync(`${pair.root}/photos/${name}`, time, time);
    };
    add("a.jpg");
    const [list = "", ...others] = downloads.trim().split("\n");
    const run = async (commands: string) => {
      const script = commands.replaceAll(ADDRESS, pair.server.listening.get("http")!)
        .replaceAll("curl ", "curl -sS --fail-with-body ");
      const { code, stdout, stderr } = await runTool("bash", ["-ec", script], pair.cwd);
      assertEquals([code, stderr], [0, ""], stdout);
      return stdout;
    };
    assertEquals(JSON.parse(await run(list)), expected);
    ["b.jpg", "c.jpg"].forEach(add);
    await run(others.join("\n"));
    for (const name of ["a.jpg", "b.jpg", "c.jpg", "photos/a.jpg", "photos/c.jpg"]) {
      assertEquals(Deno.readTextFileSync(`${pair.cwd}/${name}`), "jpg", name);
    }
    assertMatch(await run(wanted), /^repr-digest: sha-256=:[^:]{44}:, md5=:[^:]{24}:\r$/mi);
  },
});

function blocksOf(text: string, language: string): string[] {
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))]
    .map(([, code]) => code!);
}
