import { assertEquals, assertMatch } from "@std/assert";
import { Pair } from "../support/pair.ts";
import { Ferryd, ferryd, TempDir } from "../support/programs.ts";
import { isInstalled, runTool } from "../support/tools.ts";
import { codeIn, section } from "./documents.ts";

/** The address in the examples. */
const ADDRESS = "127.0.0.1:8080";

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
    const [shown, session, origin] = codeIn(text, "sh") as [string, string, string];
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
    const [expected] = codeIn(text, "json").map((code) => JSON.parse(code));
    const actual = JSON.parse(first);
    assertMatch(actual.token.id, /^[0-9a-f]{12}$/);
    assertEquals({ ...actual, token: { ...actual.token, id: expected.token.id } }, expected);
  },
});

Deno.test({
  name: "the examples of docs/http.md about share links work",
  ignore: !["bash", "curl", "tar"].every(isInstalled),
  async fn() {
    await using pair = await Pair.start();
    const { dir, root } = pair;
    for (const name of ["photos", "inbox"]) Deno.mkdirSync(`${root}/${name}`);
    dir.write("root/report.pdf", "content");
    dir.write("root/photos/a.jpg", "photo");
    const text = section("docs/http.md", "## Share links");
    const [made, used, wanted, address] = codeIn(text, "sh") as [string, string, string, string];
    await pair.server.stop();
    pair.server = await Ferryd.start(root, ["--http", "127.0.0.1:0"]);
    const links: string[] = [];
    for (const line of made.trim().split("\n")) {
      const { code, stdout, stderr } = await pair.run(...line.split(" ").slice(1));
      assertEquals([code, stderr], [0, ""]);
      links.push(...stdout.trim().split("\n"));
    }
    const [toFile = "", toDirectory = "", toInbox = "", ...listed] = links;
    assertEquals(listed.map((line) => line.split(" ").at(-1)), ["inbox", "photos", "report.pdf"]);
    const run = async (commands: string) => {
      const script = [
        `LINK_TO_FILE=${toFile} LINK_TO_DIRECTORY=${toDirectory} LINK_TO_INBOX=${toInbox}`,
        'curl() { command curl -sS --fail-with-body "$@"; }',
        commands.replaceAll(ADDRESS, pair.server.listening.get("http")!),
      ].join("\n");
      const { code, stdout, stderr } = await runTool("bash", ["-ec", script], pair.cwd);
      assertEquals([code, stderr], [0, ""], stdout);
      return stdout;
    };
    await run(used);
    const [got, photo, sent] = ["cwd/report.pdf", "cwd/photos/a.jpg", "root/inbox/report.pdf"]
      .map((path) => Deno.readTextFileSync(dir.join(path)));
    assertEquals([got, photo, sent], ["content", "photo", "content"]);
    const [expected] = codeIn(text, "json").map((code) => JSON.parse(code));
    const { id, url, created, expires, ...rest } = JSON.parse(await run(wanted));
    assertEquals(
      Object.keys({ id, url, ...rest }).sort().join(),
      Object.keys(expected)
        .filter((key) => key !== "created" && key !== "expires").sort().join(),
    );
    assertEquals({ ...expected, ...rest }, expected);
    assertEquals([url.length - pair.server.listening.get("http")!.length, expires - created], [
      expected.url.length - ADDRESS.length,
      expected.expires - expected.created,
    ]);
    // Its options are those of a server, which another test starts.
    assertMatch(address, /^ferryd --http \S+ --http-url https:\S+\n$/);
  },
});
