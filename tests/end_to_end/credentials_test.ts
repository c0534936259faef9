import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { parseGrants } from "../../server/auth/grants.ts";
import { createCertificate } from "../../server/cli/certificate.ts";
import { TokenFile } from "../../server/auth/token_file.ts";
import { newToken } from "../../server/auth/token_table.ts";
import { connect } from "../../mod.ts";
import { takesToken } from "../support/token_server.ts";
import { spawnPython } from "../support/python.ts";
import {
  DENO,
  ferry,
  Ferryd,
  type FerryOptions,
  outcome,
  programArgs,
  TempDir,
} from "../support/programs.ts";

/** A ferryd with tokens and TLS, and what its clients need. */
class Fixture implements AsyncDisposable {
  readonly dir = new TempDir();
  readonly tokens = new TokenFile(this.dir.join("tokens"));
  server!: Ferryd;
  /** The token in the file for `--token-file`. */
  token!: string;
  pin!: string;

  static async start(args: string[] = []): Promise<Fixture> {
    const fixture = new Fixture();
    const { dir } = fixture;
    Deno.mkdirSync(dir.join("root"));
    dir.write("root/file", "content\n");
    fixture.token = await fixture.add("ci");
    fixture.writeToken(fixture.token);
    await fixture.certify();
    fixture.server = await Ferryd.start(dir.join("root"), [
      ...["--token-file", dir.join("tokens")],
      ...["--tls-cert", dir.join("cert.pem"), "--tls-key", dir.join("key.pem")],
      ...args,
    ]);
    return fixture;
  }

  /** Makes another certificate. */
  async certify(): Promise<void> {
    const hosts = ["localhost", "127.0.0.1"];
    const { cert, key, pin } = await createCertificate({ hosts, lifetime: 60_000 });
    this.dir.write("cert.pem", cert);
    this.dir.write("key.pem", key);
    this.pin = pin;
  }

  /** Makes another token. */
  async add(name: string): Promise<string> {
    const grants = parseGrants(["read"], []);
    const { token, record } = await newToken({ name, grants, expires: null });
    await this.tokens.add(record);
    return token;
  }

  writeToken(text: string, mode = 0o600): void {
    Deno.chmodSync(this.dir.write("token", text), mode);
  }

  /** Runs `ferry stat file`. */
  async stat(args: string[], env: Record<string, string> = {}): Promise<[number, string]> {
    const options: FerryOptions = { server: this.server.address, env, cwd: this.dir.path };
    const { code, stderr } = await ferry(["stat", "file", "--retries", "0", ...args], options);
    assert(!stderr.includes(this.token.slice(20)), "the token was shown");
    return [code, stderr];
  }

  /** Whether the server accepts a token. After each refused attempt, the next one has to wait longer. */
  async works(token: string): Promise<boolean> {
    const ca = [Deno.readTextFileSync(this.dir.join("cert.pem"))];
    return await takesToken(this.server.address, token, { ca });
  }

  /** Waits until a change has taken effect. */
  async until(works: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 60_000;
    while (!await works()) assert(Date.now() < deadline, "it did not come to pass");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.dir[Symbol.asyncDispose]();
  }
}

Deno.test("ferry takes the token from --token-file, or from FERRY_TOKEN, and tells nobody", async () => {
  await using f = await Fixture.start();
  const ca = ["--ca", "cert.pem"];
  assertEquals(await f.stat([...ca, "--token-file", "token"]), [0, ""]);
  assertEquals(await f.stat(ca, { FERRY_TOKEN: `${f.token}\n` }), [0, ""]);
  assertEquals(await f.stat(["--pin", f.pin], { FERRY_TOKEN_FILE: "token" }), [0, ""]);
  // The command line takes precedence over the environment.
  assertEquals(await f.stat([...ca, "--token-file", "token"], { FERRY_TOKEN: "junk" }), [0, ""]);
  // Comment lines above the token, as `ferryd token new` may write them, are ignored.
  f.writeToken(`this is the token\n${f.token}\n\n`);
  assertEquals(await f.stat([...ca, "--token-file", "token"]), [0, ""]);

  const [none, said] = await f.stat(ca);
  assertEquals(none, 3);
  assertMatch(said, /^ferry: Cannot connect to [^ ]+: the server wants a token\n$/);
  assertEquals((await f.stat(ca, { FERRY_TOKEN: "junk" }))[0], 2);
  const { stderr } = await f.server.stop();
  assertStringIncludes(stderr, "(ci)");
  assert(!stderr.includes(f.token.slice(20)), "the log shows the token");
});

Deno.test("ferry takes no token from a file that others can read", async () => {
  await using f = await Fixture.start();
  for (const [mode, code] of [[0o640, 2], [0o604, 2], [0o620, 2], [0o400, 0]] as const) {
    f.writeToken(f.token, mode);
    const [status, stderr] = await f.stat(["--ca", "cert.pem", "--token-file", "token"]);
    assertEquals(status, code, stderr);
    if (code !== 0) assertStringIncludes(stderr, "chmod 600");
    Deno.removeSync(f.dir.join("token"));
  }
  assertEquals((await f.stat(["--ca", "cert.pem", "--token-file", "token"]))[0], 4);
  f.writeToken("junk");
  assertEquals((await f.stat(["--ca", "cert.pem", "--token-file", "token"]))[0], 2);
});

Deno.test("ferry waits for nobody at a pipe that it is to read a configuration from", async () => {
  await using f = await Fixture.start();
  f.dir.pipe("pipe");
  const [code, stderr] = await f.stat(["--config", "pipe"], { FERRY_TOKEN: f.token });
  assertEquals(code, 2);
  assertStringIncludes(stderr, "it is a pipe: a regular file is needed");
});

Deno.test("ferry takes a token and a certificate from what a command prints", async () => {
  await using f = await Fixture.start();
  for (const name of ["token pipe", "ca pipe"]) {
    f.dir.pipe(name);
    Deno.chmodSync(f.dir.join(name), 0o600);
  }
  const certificate = Deno.readTextFileSync(f.dir.join("cert.pem"));
  const written = Promise.all([
    Deno.writeTextFile(f.dir.join("token pipe"), `a note\n${f.token}\n`),
    Deno.writeTextFile(f.dir.join("ca pipe"), certificate),
  ]);
  const [code] = await f.stat(["--ca", "ca pipe", "--token-file", "token pipe"]);
  assertEquals(code, 0);
  await written;
});

Deno.test("ferry says what is wrong with what it is to trust", async () => {
  await using f = await Fixture.start();
  f.dir.write("empty.pem", "\n");
  const token = ["--token-file", "token"];
  for (
    const [args, status, words] of [
      [["--ca", "missing.pem"], 4, 'Cannot read the certificates in "missing.pem"'],
      [["--ca", "empty.pem"], 2, "there is none in PEM"],
      [["--pin", "sha256:12"], 2, '"sha256:12" is no pin'],
      [["--tls"], 3, "nobody who is trusted here has signed it"],
      [["--pin", `sha256:${"0".repeat(64)}`], 3, `it is ${f.pin}`],
      [[], 8, "seems to speak TLS"],
    ] as const
  ) {
    const [code, stderr] = await f.stat([...args, ...token]);
    assertEquals(code, status, stderr);
    assertStringIncludes(stderr, words);
  }
});

Deno.test("ferry asks for a token on a terminal, and shows nothing of it", async () => {
  await using f = await Fixture.start();
  // A pseudoterminal between the program and the test; it echoes input unless echo is turned off.
  const typist = `
import os, pty, sys, termios, time
token, status, shown = sys.argv[1], 0, b""
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
typed = False
while True:
    try:
        data = os.read(terminal, 1024)
    except OSError:
        break
    if not data:
        break
    shown += data
    if not typed and b"Token for" in shown:
        # The question comes a moment before the echo goes.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(terminal, token.encode() + b"\\n" * (token != chr(3)))
        typed = True
_, status = os.waitpid(pid, 0)
sys.stdout.write(shown.decode())
sys.exit(abs(os.waitstatus_to_exitcode(status)))
`;
  const ask = async (token: string) => {
    const args = ["stat", "file", "-s", f.server.address, "--ca", f.dir.join("cert.pem")];
    return await outcome(
      new Deno.Command("python3", {
        args: ["-c", typist, token, DENO, ...programArgs("ferry"), ...args],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn(),
    );
  };
  const right = await ask(f.token);
  assertEquals(right.code, 0, right.stdout + right.stderr);
  assertStringIncludes(right.stdout, `Token for ${f.server.address}:`);
  assertStringIncludes(right.stdout, "f75b8179e4bbe7e2b4a074dcef62de95");
  assert(!right.stdout.includes(f.token.slice(20)), right.stdout);
  const wrong = await ask("junk");
  assertEquals(wrong.code, 2, wrong.stdout);
  assert(!wrong.stdout.includes("junk"));
  const none = await ask("");
  assertEquals(none.code, 3, none.stdout);
  // Ctrl-C ends the program by SIGINT, whose number is 2.
  const interrupted = await ask("\x03");
  assertEquals(interrupted.code, 2, interrupted.stdout);
  assert(!interrupted.stdout.includes("ferry:"), interrupted.stdout);
});

Deno.test("ferryd notices when its token file changes, for who is connected too", async () => {
  await using f = await Fixture.start();
  const tls = { ca: [Deno.readTextFileSync(f.dir.join("cert.pem"))] };
  const { address } = f.server;
  await using client = await connect(address, { tls, token: f.token, retries: 0 });
  await client.stat("file");
  const path = f.dir.join("tokens");
  const both = Deno.readTextFileSync(path);
  /** Waits until the client's permission is as expected. */
  const allowed = (expected: boolean) =>
    f.until(async () => {
      const code = await client.stat("file").then(() => "ok", ({ code }) => code);
      assert(["ok", "auth_required"].includes(code), code);
      await delay(10);
      return (code === "ok") === expected;
    });
  const rename = (text: string) => {
    Deno.chmodSync(f.dir.write("tokens.new", text), 0o600);
    Deno.renameSync(f.dir.join("tokens.new"), path);
  };
  // Here ferryd itself replaces the file; a token that it has added by then is accepted, too.
  const added = await f.add("second");
  await f.tokens.revoke("ci");
  await allowed(false);
  assertEquals(await f.works(added), true);
  assertEquals(await f.works(f.token), false);
  const one = Deno.readTextFileSync(path);
  // The ways in which editors save a file: in place, by replacing it, and by renaming the old one.
  const ways: Record<string, (text: string) => void> = {
    "in place": (text) => f.dir.write("tokens", text),
    "by a rename": rename,
    "with a backup": (text) => {
      Deno.renameSync(path, f.dir.join("tokens~"));
      rename(text);
    },
  };
  for (const write of Object.values(ways)) {
    write(both);
    await allowed(true);
    write(one);
    await allowed(false);
  }
});

Deno.test("ferryd ends a download whose token is taken out of its file", async () => {
  await using f = await Fixture.start();
  using large = Deno.openSync(f.dir.join("root/large"), { write: true, create: true });
  large.truncateSync(2 ** 30);
  const tls = { ca: [Deno.readTextFileSync(f.dir.join("cert.pem"))] };
  await using client = await connect(f.server.address, { tls, token: f.token, retries: 0 });
  let received = 0;
  let revoked: Promise<unknown> | undefined;
  const out = {
    async write(bytes: Uint8Array) {
      received += bytes.length;
      await (revoked ??= f.tokens.revoke("ci"));
      // The rate is so low that the whole file would take minutes.
      await new Promise((resolve) => setTimeout(resolve, 100));
    },
  };
  const { code } = await client.get("large", { out }).catch((error) => error);
  assertEquals([code, received < 2 ** 30], ["closed", true]);
});

Deno.test("SIGHUP does not end a ferryd that has nothing to read anew", async () => {
  await using dir = new TempDir();
  await using server = await Ferryd.start(dir.path);
  server.reload();
  await using client = await connect(server.address);
  await client.ping();
  const { code, stderr } = await server.stop();
  assertEquals(code, 0);
  assertStringIncludes(stderr, "neither tokens nor a certificate");
});

Deno.test("ferryd reads its certificate anew on SIGHUP, and drops no connection", async () => {
  await using f = await Fixture.start();
  const { pin: before } = f;
  const options = (pin: string) => ({ tls: { pins: [pin] }, token: f.token, retries: 0 });
  await using client = await connect(f.server.address, options(before));
  await f.certify();
  f.server.reload();
  await f.until(() =>
    connect(f.server.address, options(f.pin))
      .then(async (client) => (await client[Symbol.asyncDispose](), true), () => false)
  );
  await client.stat("file");
  const old = await connect(f.server.address, options(before)).catch((error) => error);
  assertEquals(old.code, "denied");

  f.dir.write("key.pem", "junk");
  f.server.reload();
  await using after = await connect(f.server.address, options(f.pin));
  await after.stat("file");
  const { stderr } = await f.server.stop();
  assertStringIncludes(stderr, "stays as it was");
  assertStringIncludes(stderr, "is valid until");
});

Deno.test("ferryd listens for others with tokens, or where it is said what anybody may do", async () => {
  await using f = await Fixture.start();
  const root = f.dir.join("elsewhere");
  Deno.mkdirSync(root);
  const listen = ["--listen", "0.0.0.0:0"];
  const refused = await Ferryd.start(root, listen).catch((error) => String(error));
  assertStringIncludes(String(refused), "--token-file");
  for (const allowed of [["--token-file", f.dir.join("tokens")], ["--anonymous", "read"]]) {
    await using server = await Ferryd.start(root, [...listen, ...allowed]);
    assertMatch(server.address, /^0\.0\.0\.0:\d+$/);
    assertStringIncludes((await server.stop()).stderr, "nothing is encrypted");
  }
});

Deno.test("ferryd says what is wrong with what it is to let clients in by", async () => {
  await using f = await Fixture.start();
  const root = f.dir.join("elsewhere");
  Deno.mkdirSync(root);
  f.dir.write("junk", "junk");
  const [cert, key] = [f.dir.join("cert.pem"), f.dir.join("key.pem")];
  for (
    const [args, words] of [
      [["--tls-cert", cert], "--tls-cert and --tls-key belong together"],
      [["--tls-key", key], "--tls-cert and --tls-key belong together"],
      [["--tls-cert", f.dir.join("none"), "--tls-key", key], "no such file"],
      [["--tls-cert", f.dir.join("junk"), "--tls-key", key], "Cannot use the certificate"],
      [["--token-file", f.dir.join("none")], "no such file"],
      [["--token-file", f.dir.join("junk")], "line 1 is not JSON"],
      [["--token-file", f.dir.pipe("pipe")], "it is a pipe: a regular file is needed"],
      [["--token-file", root], "it is a directory: a regular file is needed"],
      [["--token-file", "/dev/zero"], "it is a device: a regular file is needed"],
      [["--tls-cert", f.dir.join("pipe"), "--tls-key", key], "it is a pipe"],
      [["--tls-cert", cert, "--tls-key", f.dir.join("pipe")], "it is a pipe"],
      [["--config", f.dir.join("pipe")], "it is a pipe"],
    ] as const
  ) {
    const refused = await Ferryd.start(root, [...args]).catch((error) => String(error));
    assertStringIncludes(String(refused), words);
    assertMatch(String(refused), /ferryd: /);
  }
});

Deno.test("a peer in Python shows a token over TLS, and believes no other server", async () => {
  await using f = await Fixture.start();
  const FERRY_CA = f.dir.join("cert.pem");
  const stat = (FERRY_TOKEN: string, ca = FERRY_CA) => {
    const env = { FERRY_TOKEN, FERRY_CA: ca };
    return outcome(spawnPython("python_peer.py", ["stat", f.server.address, "file"], { env }));
  };
  const right = await stat(f.token);
  assertEquals(right.stdout, "f75b8179e4bbe7e2b4a074dcef62de95  file\n", right.stderr);
  const wrong = await stat(f.token.slice(0, -1) + (f.token.endsWith("A") ? "E" : "A"));
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.stderr, "(denied)");
  await f.certify();
  const elsewhere = await stat(f.token);
  assertEquals(elsewhere.code, 1);
  assertStringIncludes(elsewhere.stderr, "CERTIFICATE_VERIFY_FAILED");
});
