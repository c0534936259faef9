/**
 * `ferryd --check-config`: it says everything that would keep ferryd from starting, and starts nothing.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { Mount, testWithMount } from "../support/mount.ts";
import { ferryd, filesBelow, type Outcome, TempDir } from "../support/programs.ts";
import { make } from "../support/tls_servers.ts";
import { token } from "../support/token_server.ts";
import { TokenFile } from "../../server/auth/token_file.ts";

/** Checks a configuration that is the content of a config file. */
async function checked(dir: TempDir, config: string, ...more: string[]): Promise<Outcome> {
  const path = dir.write("ferryd.toml", config);
  const runsCommands = /allow-|on-stored/.test(config);
  const args = ["--check-config", "--config", path, ...more];
  const found = await ferryd(args, { cwd: dir.path, runsCommands });
  assertEquals(found.stderr.match(/^ {4}at /m), null, "a stack trace");
  return found;
}

/** The lines on standard error of a configuration in which something is wrong. */
async function problems(dir: TempDir, config: string, ...more: string[]): Promise<string[]> {
  const { code, stdout, stderr } = await checked(dir, config, ...more);
  assertEquals([code, stdout], [2, ""], stderr);
  return stderr.trimEnd().split("\n").map((line) => line.replace(/^ferryd: /, ""));
}

Deno.test("ferryd --check-config says that a configuration is good, and leaves all as it is", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { record } = await token("read");
  await new TokenFile(dir.join("tokens")).add(record);
  const { cert, key } = await make(["localhost"], 30 * 24 * 60 * 60 * 1000);
  dir.write("cert.pem", cert);
  dir.write("key.pem", key);
  Deno.chmodSync(dir.join("key.pem"), 0o600);
  const config = [
    'root = "root"',
    // Whether something listens there is of no matter.
    `listen = "0.0.0.0:${busy.addr.port}"`,
    'http = "0.0.0.0:0"',
    'token-file = "tokens"',
    'tls-cert = "cert.pem"',
    'tls-key = "key.pem"',
    'allow-exec = ["ls"]',
  ].join("\n");
  const { code, stdout, stderr } = await checked(dir, config);
  assertEquals([code, stdout, stderr], [0, "ferryd: the configuration is good\n", ""]);
  assertEquals(filesBelow(dir.join("root")), []);
});

Deno.test("ferryd --check-config names all that is wrong, each once", async () => {
  await using dir = new TempDir();
  dir.write("tokens", "no tokens\n");
  Deno.chmodSync(dir.join("tokens"), 0o600);
  const config = [
    'listn = "127.0.0.1:0"',
    'idle-timeout = "often"',
    "quota = true",
    'root = "missing"',
    'http = "0.0.0.0:8080"',
    'http-origin = ["app"]',
    'allow-exec = ["ls", "no-such-command", "no-such-program"]',
    'before-store = "no-such-check"',
    'token-file = "tokens"',
    'tls-cert = "cert.pem"',
    'anonymous = "reed"',
    'log-file = "root-of-logs/log"',
    'audit = "."',
    'admin-socket = "root-of-sockets/s"',
  ].join("\n");
  const said = await problems(dir, config, "--listen", "99999", "--wrong");
  const wanted = [
    /^There is no option --wrong/,
    /^Cannot read the configuration ".*": there is no option "listn"\. Did you mean "listen"\?$/,
    /^Cannot read the configuration ".*": quota is not a text or a number$/,
    /^--idle-timeout takes a time from 1ms to 24d, such as .*, not "often"$/,
    /^Cannot serve "missing": no such file or directory$/,
    /^Cannot write to "root-of-logs\/log": there is no directory "root-of-logs"$/,
    /^Cannot write to "\.": it is a directory$/,
    /^Cannot listen on the socket "root-of-sockets\/s": there is no directory "root-of-sockets"$/,
    /^Cannot read the tokens "tokens": line 1 is not JSON$/,
    /^--tls-cert and --tls-key belong together$/,
    /"reed"/,
    /^"99999" is no address: write HOST:PORT$/,
    /^"app" is no origin of web pages/,
    /^Cannot allow the command "no-such-command": there is no such command on PATH$/,
    /^Cannot allow the command "no-such-program": there is no such command on PATH$/,
    /^Cannot run the command of --before-store: there is no such command on PATH$/,
  ];
  for (const [at, line] of said.entries()) assertMatch(line, wanted[at] ?? /^$/);
  assertEquals(said.length, wanted.length);
});

Deno.test("ferryd --check-config finds what is wrong between options, and in files", async () => {
  await using dir = new TempDir();
  const [mine, other] = [await make(["localhost"]), await make(["localhost"])];
  const expired = await make(["localhost"], -60_000);
  for (const [name, text] of Object.entries({ ...mine, other: other.key })) dir.write(name, text);
  dir.write("old", expired.cert);
  dir.write("old-key", expired.key);
  dir.write("writable", "");
  Deno.chmodSync(dir.join("writable"), 0o622);
  dir.write("file", "");
  dir.pipe("pipe");
  Deno.mkdirSync(dir.join("newer/.ferry"), { recursive: true });
  dir.write("newer/.ferry/version", '{"format":99,"ferry":"9.9.9"}');
  const cases: [config: string[], says: RegExp[]][] = [
    [
      ['tls-cert = "cert"', 'tls-key = "other"', 'listen = "0.0.0.0:0"', 'root = "file"'],
      [
        /Cannot serve "file": it is not a directory/,
        /^Cannot use the certificate and its key: /,
        /others than this machine could connect: say with --anonymous/,
      ],
    ],
    [
      ['tls-cert = "old"', 'tls-key = "old-key"', 'token-file = "writable"'],
      [
        /others than its owner can write to it; chmod 600 it/,
        /"old": it has expired \(.*\): make a new one/,
      ],
    ],
    [
      ['tls-cert = "pipe"', 'tls-key = "key"', 'classic-exec = "127.0.0.1:0"', "together = true"]
        .concat(["quota = 1", 'http-url = "https://files.example.org"']),
      [
        /has no quota/,
        /"pipe": it is a pipe: a regular file is needed/,
        /^--http has to say where to listen for HTTP/,
        /that takes --allow-shell/,
      ],
    ],
    [
      ['root = "s3://files"', 's3-endpoint = "ftp://a"', 'token-file = "missing"']
        .concat(['listen = "9900"', 'http = "127.0.0.1:9900"']),
      [
        /an endpoint is the http or https address/,
        /Cannot read the tokens "missing": no such file/,
        /^--listen and --http are both 127\.0\.0\.1:9900/,
      ],
    ],
    [['root = "newer"'], [/Cannot serve "newer": ferry 9\.9\.9 wrote \.ferry in format 99/]],
    [['s3-endpoint = "http://127.0.0.1:1"'], [/^--s3-endpoint belongs to a bucket/]],
  ];
  for (const [config, says] of cases) {
    const said = await problems(dir, config.join("\n"));
    for (const each of says) {
      assertEquals(said.filter((line) => each.test(line)).length, 1, `${each}: ${said}`);
    }
  }
});

Deno.test({
  name: "ferryd --check-config looks at sockets, queues, pipes and quotas of tokens",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root"));
    Deno.mkdirSync(dir.join("queue"));
    dir.write("file", "");
    dir.pipe("pipe");
    const { record } = await token("read,write");
    await new TokenFile(dir.join("tokens")).add({ ...record, quota: 1024 });
    const root = 'root = "root"';
    const long = dir.join("s".repeat(120));
    const cases: [config: string[], says: RegExp][] = [
      [['log-file = "l"', 'audit = "./l"'], /^--log-file and --audit are both "l": each needs its/],
      [['admin-socket = "file"'], /socket "file": something that is no socket has that name$/],
      [[`admin-socket = "${long}"`], /: the path is longer than a socket's may be/],
      [['on-stored = "cat"', 'hook-queue = "file"'], /--on-stored in "file": it is no directory$/],
      [['on-stored = "cat"', 'hook-queue = "no/q"'], /in "no\/q": there is no directory "no"$/],
      [['token-file = "tokens"', "together = true"], /has a quota, which can be kept only in a/],
    ];
    for (const [config, says] of cases) {
      const said = await problems(dir, [root, ...config].join("\n"));
      assertEquals(said.filter((line) => says.test(line)), said, `${says}`);
      assertEquals(said.length, 1);
    }
    // A socket on which a ferryd listens, or which one has left, does not keep it from starting.
    using _listener = Deno.listen({ transport: "unix", path: dir.join("s") });
    const good = [root, 'admin-socket = "s"', 'hook-queue = "queue"', 'token-file = "tokens"'];
    // Nobody reads the pipe, and nobody has to.
    const { code, stderr } = await checked(dir, [...good, 'log-file = "pipe"'].join("\n"));
    assertEquals([code, stderr], [0, ""]);
  },
});

Deno.test("ferryd only checks, and only tells its version, in whatever form that is asked for", async () => {
  await using dir = new TempDir();
  for (const flag of ["--check-config", "--check-config=true", "--check-config=1"]) {
    const { code, stdout } = await ferryd([flag, "--root", dir.path]);
    assertEquals([code, stdout], [0, "ferryd: the configuration is good\n"], flag);
  }
  for (const flag of ["--version", "-V", "--version=true"]) {
    const { code, stdout } = await ferryd([flag, "--root", "missing"]);
    assertEquals(code, 0);
    assertMatch(stdout, /^ferryd \d+\./, flag);
  }
  assertEquals(filesBelow(dir.path), []);
});

Deno.test("ferryd --check-config warns of what does not keep ferryd from starting", async () => {
  await using dir = new TempDir();
  const { cert, key } = await make(["localhost"]);
  dir.write("cert", cert);
  dir.write("key", key);
  Deno.chmodSync(dir.join("key"), 0o644);
  const old = { ...(await token("read")).record, expires: 0 };
  await new TokenFile(dir.join("tokens")).add(old);
  const soon = await checked(dir, 'tls-cert = "cert"\ntls-key = "key"\ntoken-file = "tokens"');
  assertEquals(soon.code, 0);
  assertMatch(soon.stderr, /^ferryd: warning: no token in "tokens" is valid/m);
  assertMatch(soon.stderr, /^ferryd: warning: the certificate "cert" is valid until .* only/m);
  assertMatch(soon.stderr, /^ferryd: warning: others can read the key "key": chmod 600 it$/m);
  const open = await checked(dir, 'listen = "0.0.0.0:0"\nanonymous = "read"');
  assertEquals(open.code, 0);
  assertMatch(open.stderr, /^ferryd: warning: others can connect to 0\.0\.0\.0:0, and nothing is/);
});

testWithMount("ferryd --check-config finds places where nothing can be made", async () => {
  await using dir = new TempDir();
  await using mount = new Mount("size=1m");
  mount.makeReadOnly();
  Deno.mkdirSync(dir.join("root"));
  const config = [
    'root = "root"',
    ...["log-file", "audit", "admin-socket", "hook-queue"].map((name) =>
      `${name} = "${mount.path}/${name}"`
    ),
    'on-stored = "cat"',
  ];
  const said = await problems(dir, config.join("\n"));
  const places = ["write to", "write to", "listen on the socket", "--on-stored in"];
  assertEquals(said.length, places.length, said.join("\n"));
  for (const [at, place] of places.entries()) {
    assertMatch(said[at]!, new RegExp(`^Cannot .*${place} "${mount.path}/[a-z-]+": .*read-only`));
  }
  assertEquals(filesBelow(dir.join("root")), []);
});

Deno.test({
  name: "ferryd --check-config warns of its own files where clients could reach them",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using dir = new TempDir();
    Deno.mkdirSync(dir.join("root/.ferry"), { recursive: true });
    dir.write("log", "");
    Deno.symlinkSync("../log", dir.join("root/link"));
    Deno.symlinkSync("root", dir.join("other"));
    for (
      const [audit, isReached] of [
        ["root/audit", true],
        ["root/link", true],
        ["root/.ferry/audit", true],
        ["other/audit", true],
        ["log", false],
        ["audit", false],
      ] as const
    ) {
      const { code, stderr } = await checked(dir, `root = "root"\naudit = "${audit}"`);
      const warning =
        `ferryd: warning: "${audit}" is in the directory that is served: give --audit a ` +
        "place that clients do not reach\n";
      assertEquals([code, stderr], [0, isReached ? warning : ""]);
    }
  },
});

Deno.test("ferryd says of a config file that is none what it is", async () => {
  await using dir = new TempDir();
  const cases: [path: string, says: RegExp][] = [
    [dir.path, /it is a directory: a regular file is needed$/],
    [dir.pipe("pipe"), /it is a pipe: a regular file is needed$/],
    [dir.join("missing"), /no such file or directory$/],
    [dir.write("binary", crypto.getRandomValues(new Uint8Array(4096))), /Parse error on line/],
    [dir.write("huge", new Uint8Array(17 * 1024 * 1024)), /it is larger than 16 MiB/],
  ];
  for (const [path, says] of cases) {
    const { code, stderr } = await ferryd(["--config", path], { cwd: dir.path });
    assertEquals(code, 2, stderr);
    assertMatch(stderr, /^ferryd: Cannot read the configuration "[^\n]*\n$/);
    assertMatch(stderr.trimEnd(), says);
  }
});
