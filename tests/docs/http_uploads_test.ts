import { assertEquals } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { isInstalled, runTool } from "../support/tools.ts";
import { section } from "./documents.ts";

Deno.test({
  name: "the example of docs/http.md about uploads that resume works",
  ignore: !["bash", "curl"].every(isInstalled),
  async fn() {
    await using pair = await Pair.start(["--http", "127.0.0.1:0"]);
    const text = section("docs/http.md", "## Uploads that resume: tus");
    const [, example = ""] = /^```sh\n(.*?)^```$/ms.exec(text) ?? [];
    const script = [
      'curl() { command curl -sS --fail-with-body "$@"; }',
      example.replaceAll("127.0.0.1:8080", pair.server.listening.get("http")!),
    ].join("\n");
    const { code, stdout, stderr } = await runTool("bash", ["-ec", script], pair.cwd);
    assertEquals([code, stdout, stderr], [0, "hello world", ""]);
    assertEquals(Deno.readTextFileSync(`${pair.root}/docs/hello.txt`), "hello world");
  },
});
