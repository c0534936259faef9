import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { X509Certificate } from "node:crypto";
import { createCertificate } from "../../../../server/cli/certificate.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { parseToken } from "../../../../lib/security/token.ts";
import { ferryd, TempDir } from "../../../support/programs.ts";

const mode = (path: string) => Deno.statSync(path).mode! & 0o777;

Deno.test("ferryd token new prints the token, and nothing else, on standard output", async () => {
  await using dir = new TempDir();
  const file = dir.join("tokens");
  const args = ["token", "new", "--token-file", file, "--name", "ci"];
  const made = await ferryd([
    ...args,
    "--scope",
    "read,write",
    "--path",
    "inbox/",
    "--expires",
    "30d",
  ]);
  assertEquals(made.code, 0, made.stderr);
  assertMatch(made.stdout, /^ferry_[0-9a-f]{12}_[A-Za-z0-9_-]{43}\n$/);
  const { id, secret } = parseToken(made.stdout.trim());
  assertStringIncludes(made.stderr, id);
  assert(!made.stderr.includes(secret));
  assert(!Deno.readTextFileSync(file).includes(secret));
  assertEquals(mode(file), 0o600);

  const list = await ferryd(["token", "list", "--token-file", file]);
  const day = new Date(Date.now() + 30 * 24 * 60 * 60 * 1000).toISOString().slice(0, 10);
  assertMatch(
    list.stdout,
    new RegExp(`^${id}  "ci"  read:inbox/,write:inbox/  expires ${day}T.*\\n$`),
  );

  const revoked = await ferryd(["token", "revoke", "--token-file", file, "ci"]);
  assertEquals([revoked.code, revoked.stdout], [0, ""]);
  assertMatch(
    revoked.stderr,
    /^ferryd: a ferryd that runs with this file ends within two seconds what goes on by it$/m,
  );
  assertEquals((await ferryd(["token", "list", "--token-file", file])).stdout, "");
  assertEquals((await ferryd(["token", "revoke", "--token-file", file, id])).code, 4);
});

Deno.test("ferryd token says what is missing, and makes nothing then", async () => {
  await using dir = new TempDir();
  const file = dir.join("tokens");
  const at = ["--token-file", file];
  const table: [string[], string][] = [
    [["token", "new", "--name", "x", "--scope", "read"], "--token-file"],
    [["token", "new", ...at, "--scope", "read"], "--name"],
    [["token", "new", ...at, "--name", "x"], "--scope"],
    [["token", "new", ...at, "--name", "x", "--scope", "root"], '"root" is no scope'],
    [["token", "new", ...at, "--name", "x", "--scope", "exec", "--path", "a"], '"exec"'],
    [["token", "new", ...at, "--name", "x", "--scope", "read", "--path", "../a"], '"../a"'],
    [["token", "new", ...at, "--name", "x", "--scope", "read", "--expires", "soon"], '"soon"'],
    [["token", "revoke", ...at], "Nothing was named"],
    [["token", "steal", ...at], 'no ferryd token "steal"'],
    [["cert"], "--host"],
  ];
  for (const [args, words] of table) {
    const { code, stdout, stderr } = await ferryd(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, words);
  }
  assertEquals([...Deno.readDirSync(dir.path)], []);
});

Deno.test("ferryd token waits for nobody at a pipe", async () => {
  await using dir = new TempDir();
  const at = ["--token-file", dir.pipe("tokens")];
  for (const args of [["new", "--name", "x", "--scope", "read"], ["list"], ["revoke", "x"]]) {
    const { code, stdout, stderr } = await ferryd(["token", ...args, ...at]);
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, "it is a pipe: a regular file is needed");
  }
});

Deno.test("ferryd --help tells of its commands, and each of its own options", async () => {
  const help = await Promise.all(
    [["--help"], ["token", "--help"], ["token", "new", "--help"], ["cert", "-h"]]
      .map((args) => ferryd(args)),
  );
  const words = ["ferryd token", "ferryd token revoke", "--expires", "--host"];
  for (const [at, { code, stdout }] of help.entries()) {
    assertEquals(code, 0);
    assertStringIncludes(stdout, words[at]!);
  }
});

Deno.test("ferryd cert makes a certificate and a key that only its owner can read", async () => {
  await using dir = new TempDir();
  const cwd = dir.path;
  const made = await ferryd(["cert", "--host", "localhost", "--host", "127.0.0.1"], { cwd });
  assertEquals(made.code, 0, made.stderr);
  const [cert, key] = [dir.join("ferryd-cert.pem"), dir.join("ferryd-key.pem")];
  assertEquals([mode(cert), mode(key)], [0o644, 0o600]);
  const { fingerprint256, subjectAltName } = new X509Certificate(Deno.readTextFileSync(cert));
  assertEquals(made.stdout, `sha256:${fingerprint256.replaceAll(":", "").toLowerCase()}\n`);
  assertStringIncludes(subjectAltName!, "DNS:localhost, IP Address:127.0.0.1");
  assert(!made.stderr.includes("PRIVATE"));

  const before = Deno.readTextFileSync(key);
  const again = await ferryd(["cert", "--host", "localhost"], { cwd });
  assertEquals([again.code, again.stderr], [
    5,
    'ferryd: Cannot write "ferryd-cert.pem" and "ferryd-key.pem": they exist already; with --replace ' +
    "they are replaced\n",
  ]);
  assertEquals(Deno.readTextFileSync(key), before);
  // Whichever of the two is there, the other one is not made either.
  for (const [gone, there] of [[cert, "key"], [key, "cert"]] as const) {
    const text = Deno.readTextFileSync(gone);
    Deno.removeSync(gone);
    const { code, stderr } = await ferryd(["cert", "--host", "localhost"], { cwd });
    assertEquals([code, stderr], [
      5,
      `ferryd: Cannot write "ferryd-${there}.pem": it exists already; with --replace it is replaced\n`,
    ]);
    assertEquals([...Deno.readDirSync(cwd)].map(({ name }) => name), [`ferryd-${there}.pem`]);
    Deno.writeTextFileSync(gone, text);
  }
  const same = ["cert", "--host", "localhost", "--tls-cert", "x.pem", "--tls-key", "./x.pem"];
  assertEquals((await ferryd(same, { cwd })).code, 2);
  assertEquals((await ferryd(["cert", "--host", "localhost", "--replace"], { cwd })).code, 0);
  assert(Deno.readTextFileSync(key) !== before);
});

Deno.test("createCertificate() refuses what is no host", async () => {
  const make = (host: string) => createCertificate({ hosts: [host], lifetime: 1000 });
  for (
    const host of ["localhost", "files.example.org", "*.example.org", "10.0.0.1", "[::1]", "::1"]
  ) {
    assertMatch((await make(host)).pin, /^sha256:[0-9a-f]{64}$/);
  }
  for (const host of ["", "a b", "300.0.0.1", "a..b", "https://x", "x:y", "-", "a,DNS:b"]) {
    const error = await make(host).then(() => undefined, (error) => error);
    assert(error instanceof FerryError && error.code === "usage", `"${host}" was taken`);
  }
});
