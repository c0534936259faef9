import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ferryd, ferryd, TempDir } from "../support/programs.ts";
import { Pair } from "../support/pair.ts";
import { isInstalled, runTool } from "../support/tools.ts";

const WITH_HTTP = ["--http", "127.0.0.1:0"];

/** Runs a tool that fetches URLs, such as curl; gives its exit status and its standard output. */
async function run(pair: Pair, tool: string, ...args: string[]): Promise<[number, string]> {
  const { code, stdout } = await runTool(tool, args, pair.cwd);
  return [code, stdout];
}

/** The URL that `ferry share` prints. */
async function linkTo(pair: Pair, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await pair.run("share", ...args);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^http:\/\/127\.0\.0\.1:\d+\/\.ferry\/s\/[\w-]{54}\/.*\n$/);
  return stdout.trim();
}

const TOOLS = ["curl", "wget", "aria2c"];

Deno.test({
  name: "what ferry share prints is downloaded by curl, wget and aria2, and listed and taken back",
  ignore: !TOOLS.every(isInstalled),
  async fn() {
    await using pair = await Pair.shared(WITH_HTTP);
    pair.dir.write("root/报告 1.txt", "content\n");
    const url = await linkTo(pair, "报告 1.txt");
    assert(url.endsWith(`/${encodeURIComponent("报告 1.txt")}`), url);
    assertEquals(await run(pair, "curl", "-sS", url), [0, "content\n"]);
    assertEquals((await run(pair, "curl", "-sSOJ", `${url}?download`))[0], 0);
    assertEquals((await run(pair, "wget", "-q", "-O", "by-wget", url))[0], 0);
    assertEquals((await run(pair, "aria2c", "-q", "--no-conf", "-o", "by-aria2", url))[0], 0);
    for (const name of ["by-wget", "by-aria2"]) {
      assertEquals(Deno.readTextFileSync(pair.dir.join(`cwd/${name}`)), "content\n");
    }

    const listed = await pair.run("share", "--list");
    assertEquals(listed.code, 0, listed.stderr);
    const [id = "", ...rest] = listed.stdout.trim().split(/ +/);
    assertEquals(rest.slice(3), ["download", "-", url, "报告", "1.txt"]);
    const events = await pair.run("share", "--list", "--json");
    const { created, expires, ...link } = JSON.parse(events.stdout);
    assertEquals(expires - created, 7 * 24 * 60 * 60 * 1000);
    assertEquals(link, {
      event: "link",
      op: "shares",
      id,
      url,
      filename: "报告 1.txt",
      type: "file",
      upload: false,
      downloads: null,
      taken: null,
    });

    assertEquals((await pair.run("share", "--revoke", id)).code, 0);
    assertEquals(await run(pair, "curl", "-sS", "-o", "-", "-w", "%{http_code}", "-f", url), [
      22,
      "410",
    ]);
    assertEquals((await pair.run("share", "--list")).stdout, "");
    const again = await pair.run("share", "--revoke", id);
    assertEquals([again.code, again.stdout], [4, ""]);
    assertStringIncludes(again.stderr, `Cannot take back the link "${id}"`);
  },
});

Deno.test({
  name: "a link counts downloads, also those that aria2 makes over several connections",
  ignore: !TOOLS.every(isInstalled),
  async fn() {
    await using pair = await Pair.shared(WITH_HTTP);
    const bytes = Uint8Array.from({ length: 8 * 1024 * 1024 }, (_, at) => (at * 31) >>> 7);
    pair.dir.write("root/large", bytes);
    const url = await linkTo(pair, "large", "--downloads", "1");
    const several = ["-q", "--no-conf", "-x4", "-s4", "-k1M", "-o", "got", url];
    assertEquals((await run(pair, "aria2c", ...several))[0], 0);
    assertEquals(Deno.readFileSync(pair.dir.join("cwd/got")), bytes);
    assertEquals((await run(pair, "curl", "-sSf", url))[0], 22);
    const { stdout } = await pair.run("share", "--list");
    assertStringIncludes(stdout, " 1 of 1 ");
  },
});

Deno.test({
  name: "others upload into a directory by a link, whose files nobody replaces by it",
  ignore: !isInstalled("curl"),
  async fn() {
    await using pair = await Pair.shared(WITH_HTTP);
    Deno.mkdirSync(`${pair.root}/inbox`);
    pair.write("sent", "sent\n");
    const url = await linkTo(pair, "inbox/", "--upload", "--expires", "1h");
    const status = ["-sS", "-o", "/dev/null", "-w", "%{http_code}"];
    assertEquals(await run(pair, "curl", ...status, "-T", "sent", url), [0, "201"]);
    assertEquals(Deno.readTextFileSync(`${pair.root}/inbox/sent`), "sent\n");
    pair.write("sent", "changed\n");
    assertEquals(await run(pair, "curl", ...status, "-T", "sent", url), [0, "412"]);
    assertEquals(await run(pair, "curl", ...status, `${url}sent`), [0, "403"]);
    assertEquals(await run(pair, "curl", ...status, url), [0, "403"]);
    assertEquals(Deno.readTextFileSync(`${pair.root}/inbox/sent`), "sent\n");
  },
});

Deno.test("ferry share says what it does not do", async () => {
  await using pair = await Pair.shared(WITH_HTTP);
  pair.dir.write("root/f", "x");
  const table: [args: string[], code: number, words: string][] = [
    [[], 2, "it takes names, or --list, or --revoke, and one of them alone"],
    [["f", "--list"], 2, "it takes names, or --list, or --revoke, and one of them alone"],
    [["f", "--upload", "--downloads", "1"], 2, "no downloads to be counted"],
    [["f", "--downloads", "0"], 2, "--downloads takes a whole number from 1 to 10000"],
    [["f", "--upload"], 5, 'Cannot share "f": it is a file, and only a directory takes uploads'],
    [["missing"], 4, 'Cannot share "missing": no such file or directory'],
  ];
  for (const [args, code, words] of table) {
    const outcome = await pair.run("share", ...args);
    assertEquals([args, outcome.code], [args, code]);
    assertStringIncludes(outcome.stderr, words);
  }
});

Deno.test("ferry share without an end, of the root and of several names", async () => {
  await using pair = await Pair.shared(WITH_HTTP);
  for (const name of ["a.txt", "b.txt", "c"]) pair.dir.write(`root/${name}`, name);
  const { stdout } = await pair.run("share", "*.txt", ".", "--expires", "0", "--json");
  const links = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assertEquals(links.map(({ filename, expires }) => [filename, expires]), [
    ["a.txt", null],
    ["b.txt", null],
    ["", null],
  ]);
  for (const { id } of links) assertEquals((await pair.run("share", "--revoke", id)).code, 0);
});

Deno.test("a server without HTTP has no links", async () => {
  await using pair = await Pair.shared();
  pair.dir.write("root/f", "x");
  const { code, stderr } = await pair.run("share", "f");
  assertEquals(code, 8);
  assertStringIncludes(stderr, "does not offer share links");
});

Deno.test("links begin with --http-url, and outlive the server", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  Deno.mkdirSync(dir.join("cwd"));
  dir.write("root/f", "content");
  const args = [...WITH_HTTP, "--http-url", "https://files.example.org"];
  let path: string;
  {
    await using server = await Ferryd.start(dir.join("root"), args);
    const response = await fetch(`http://${server.listening.get("http")}/.ferry/shares`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "f", expires_in: null }),
    });
    const { url } = await response.json();
    assertStringIncludes(url, "https://files.example.org/.ferry/s/");
    path = new URL(url).pathname;
  }
  await using server = await Ferryd.start(dir.join("root"), args);
  const response = await fetch(`http://${server.listening.get("http")}${path}`);
  assertEquals([response.status, await response.text()], [200, "content"]);
});

Deno.test("ferryd says what is wrong with a URL of its own", async () => {
  await using dir = new TempDir();
  const all = ["--root", dir.path, "--listen", "127.0.0.1:0", ...WITH_HTTP, "--http-url"];
  for (
    const url of ["files.example.org", "ftp://a.example", "https://a.example/b", "https://a/?b"]
  ) {
    const { code, stderr } = await ferryd([...all, url]);
    assertEquals(code, 2);
    assertStringIncludes(stderr, `${JSON.stringify(url)} is no URL of this server`);
  }
});
