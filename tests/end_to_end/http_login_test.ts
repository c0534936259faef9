import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createCertificate } from "../../server/cli/certificate.ts";
import { Ferryd, ferryd, TempDir } from "../support/programs.ts";
import { isInstalled, runTool } from "../support/tools.ts";

/** A ferryd that takes tokens over HTTP. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly #args: string[];
  server!: Ferryd;
  token!: string;

  private constructor(args: string[]) {
    this.#args = args;
  }

  static async start(args: string[] = []): Promise<Fixture> {
    const fixture = new Fixture(args);
    const { dir } = fixture;
    Deno.mkdirSync(dir.join("root"));
    Deno.mkdirSync(dir.join("cwd"));
    dir.write("root/file", "content\n");
    fixture.token = await fixture.add("laptop");
    await fixture.restart();
    return fixture;
  }

  /** Starts the server, anew if it was already. */
  async restart(): Promise<void> {
    if (this.server) await this.server.stop("SIGKILL");
    const options = ["--http", "127.0.0.1:0", "--token-file", this.dir.join("tokens")];
    this.server = await Ferryd.start(this.dir.join("root"), [...options, ...this.#args]);
  }

  async add(name: string, scope = "read,write"): Promise<string> {
    const { stdout } = await this.#token("new", "--name", name, "--scope", scope);
    return stdout.trim();
  }

  async revoke(name: string): Promise<void> {
    await this.#token("revoke", name);
    this.server.reload();
  }

  async #token(command: string, ...args: string[]) {
    const file = ["--token-file", this.dir.join("tokens")];
    const outcome = await ferryd(["token", command, ...file, ...args]);
    assertEquals(outcome.code, 0, outcome.stderr);
    return outcome;
  }

  get id(): string {
    return this.token.slice(6, 18);
  }

  url(path: string): string {
    const address = this.server.listening.get("http");
    return address === undefined
      ? `https://localhost:${this.server.portOf("https")}${path}`
      : `http://${address}${path}`;
  }

  run(tool: string, ...args: string[]) {
    return runTool(tool, args, this.dir.join("cwd"));
  }

  /** Runs curl, and gives the status of the response and its body. */
  async curl(path: string, ...args: string[]): Promise<[status: number, body: string]> {
    const always = ["-sS", "-w", "\n%{http_code}"];
    const { code, stdout, stderr } = await this.run("curl", ...always, ...args, this.url(path));
    assertEquals(code, 0, stderr);
    const end = stdout.lastIndexOf("\n");
    return [Number(stdout.slice(end + 1)), stdout.slice(0, end)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

const CONTENT = [200, "content\n"];

Deno.test({
  name: "curl shows its token as Bearer and as Basic, from a command line and from a file",
  ignore: !isInstalled("curl"),
  async fn() {
    await using f = await Fixture.start();
    const { token, id } = f;
    assertEquals((await f.curl("/file"))[0], 401);
    assertEquals(await f.curl("/file", "--oauth2-bearer", token), CONTENT);
    assertEquals(await f.curl("/file", "-u", `:${token}`), CONTENT);
    assertEquals(await f.curl("/file", "-u", `me:${token}`), CONTENT);
    assertEquals(await f.curl("/file", "-u", `${token}:`), CONTENT);
    assertEquals(await f.curl("/file", "-u", `${id}:${token.slice(-43)}`), CONTENT);
    // Where the server is asked first what it takes.
    assertEquals(await f.curl("/file", "--anyauth", "-u", `:${token}`), CONTENT);
    const netrc = f.dir.write("cwd/.netrc", `machine 127.0.0.1 login me password ${token}\n`);
    Deno.chmodSync(netrc, 0o600);
    assertEquals(await f.curl("/file", "--netrc"), CONTENT);
    const [status, body] = await f.curl("/file", "-u", "me:secret");
    assertEquals([status, JSON.parse(body).code], [401, "denied"]);
    const { stderr } = await f.server.stop();
    assert(!stderr.includes(token.slice(-43)) && !stderr.includes("secret"), stderr);
  },
});

Deno.test({
  name: "wget and aria2 show a token as a password",
  ignore: !isInstalled("wget") || !isInstalled("aria2c"),
  async fn() {
    await using f = await Fixture.start();
    const url = f.url("/file");
    const read = (name: string) => Deno.readTextFileSync(f.dir.join(`cwd/${name}`));
    // wget shows nothing before it was asked for it with Basic.
    const wget = ["-q", "--user", "me", "--password", f.token, "-O", "by-wget", url];
    assertEquals((await f.run("wget", ...wget)).code, 0);
    assertEquals((await f.run("wget", "-q", "-O", "none", url)).code, 6);
    const aria2 = ["-q", "--no-conf", "--http-user", "me", "--http-passwd", f.token];
    assertEquals((await f.run("aria2c", ...aria2, "-o", "by-aria2", url)).code, 0);
    assertEquals([read("by-wget"), read("by-aria2")], ["content\n", "content\n"]);
  },
});

Deno.test({
  name: "a session goes on when the server was killed and starts again, and ends with its token",
  ignore: !isInstalled("curl"),
  async fn() {
    await using f = await Fixture.start();
    const jar = ["-b", "jar", "-c", "jar"];
    const json = ["-H", "content-type: application/json", "-d", JSON.stringify({ token: f.token })];
    const [status, body] = await f.curl("/.ferry/session", ...jar, ...json);
    assertEquals([status, JSON.parse(body).token.name], [200, "laptop"]);
    assertEquals(await f.curl("/file", ...jar), CONTENT);
    await f.restart();
    assertEquals(await f.curl("/file", ...jar), CONTENT);
    await f.revoke("laptop");
    // ferryd reads its tokens anew in a moment.
    while ((await f.curl("/file", ...jar))[0] === 200);
    assertEquals((await f.curl("/file", ...jar))[0], 401);
    const [, after] = await f.curl("/.ferry/session", ...jar);
    assertEquals(JSON.parse(after), {
      token: null,
      scopes: [],
      grants: {},
      mayLogIn: true,
      by: null,
    });
  },
});

Deno.test({
  name: "a session over TLS is kept for this host alone, and for encrypted connections",
  ignore: !isInstalled("curl"),
  async fn() {
    const { cert, key } = await createCertificate({ hosts: ["localhost"], lifetime: 3_600_000 });
    await using dir = new TempDir();
    const [certFile, keyFile] = [dir.write("cert.pem", cert), dir.write("key.pem", key)];
    await using f = await Fixture.start(["--tls-cert", certFile, "--tls-key", keyFile]);
    const jar = ["--cacert", certFile, "-b", "jar", "-c", "jar"];
    const json = ["-H", "content-type: application/json", "-d", JSON.stringify({ token: f.token })];
    const [status, response] = await f.curl("/.ferry/session", ...jar, ...json, "-i");
    assertEquals(status, 200);
    assertMatch(response, /^set-cookie: __Host-ferry-[0-9a-f]{8}=[^;]+; .*\bSecure\b/im);
    assertStringIncludes(Deno.readTextFileSync(f.dir.join("cwd/jar")), "__Host-ferry-");
    assertEquals(await f.curl("/file", ...jar), CONTENT);
    assertEquals((await f.curl("/.ferry/session", ...jar, "-X", "DELETE"))[0], 204);
    assertEquals((await f.curl("/file", ...jar))[0], 401);
    const { stderr } = await f.server.stop();
    assertStringIncludes(stderr, "(laptop): login");
    assert(!stderr.includes(f.token.slice(-43)), stderr);
  },
});

Deno.test("ferryd says what is wrong with an origin and a name", async () => {
  await using dir = new TempDir();
  for (
    const [args, reason] of [
      [["--http-origin", "app.example.org"], '"app.example.org" is no origin of web pages'],
      [["--http-origin", "https://a.example/b"], '"https://a.example/b" is no origin of web pages'],
      [["--http-origin", "*"], '"*" is no origin of web pages'],
      [["--http-host", "https://a.example"], '"https://a.example" is no name of a host'],
      [["--http-host", "bücher.example"], 'write "xn--bcher-kva.example"'],
    ] as const
  ) {
    const all = ["--root", dir.path, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", ...args];
    const { code, stderr } = await ferryd(all);
    assertEquals(code, 2);
    assertStringIncludes(stderr, reason);
  }
});
