import { assertEquals, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async/delay";
import { configure, getTextFormatter, reset } from "@logtape/logtape";
import { MAX_REGULAR_FILE_BYTES } from "../../../lib/cli/input_file.ts";
import { parseGrants } from "../../../server/auth/grants.ts";
import { createCertificate } from "../../../server/cli/certificate.ts";
import { readKeyPair, readTokens, reload, watchTokens } from "../../../server/cli/credentials.ts";
import { TokenFile } from "../../../server/auth/token_file.ts";
import { connect, FsStorage, serve } from "../../../mod.ts";
import { takesToken } from "../../support/token_server.ts";
import { TempDir } from "../../support/programs.ts";

const NO_FILES = { "token-file": undefined, "tls-cert": undefined, "tls-key": undefined };

Deno.test("watchTokens() keeps the old tokens while their file cannot be read, and says so once", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const file = new TokenFile(path);
  const grants = parseGrants(["read"], []);
  const { token } = await file.create({ name: "ci", grants, expires: null });
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  const tokens = readTokens({ ...NO_FILES, "token-file": path })!;
  await using server = await serve({ storage, listen: "127.0.0.1:0", tokens });
  const works = (token: string) => takesToken(`127.0.0.1:${server.addresses[0]!.port}`, token);
  const good = Deno.readTextFileSync(path);
  const damages: [damage: () => void, words: string][] = [
    [() => dir.write("tokens", "junk"), "line 1 is not JSON"],
    [() => dir.write("tokens", ""), "it is empty"],
    [() => Deno.removeSync(path), "no such file"],
    [() => void dir.pipe("tokens"), "it is a pipe"],
    [() => {
      Deno.removeSync(path);
      Deno.chmodSync(dir.write("tokens", good), 0o666);
    }, "chmod 600 it"],
  ];
  const complaints = await logOf(async (lines) => {
    using _watch = watchTokens(server, { ...NO_FILES, "token-file": path }, tokens);
    for (const [damage, words] of damages) {
      damage();
      while (!lines.some((line) => line.includes(words))) await delay(10);
      assertEquals(await works(token), true, words);
    }
    Deno.chmodSync(path, 0o600);
    const added = await file.create({ name: "new", grants, expires: null });
    while (!await works(added.token)) await delay(10);
  });
  assertEquals(complaints.length, damages.length, complaints.join(""));
  for (const complaint of complaints) assertStringIncludes(complaint, "stay as they were");
});

Deno.test("reload() keeps the old tokens and says why, where the file is damaged in any way", async () => {
  await using dir = new TempDir();
  const path = dir.join("tokens");
  const made = await new TokenFile(path).create({
    name: "ci",
    grants: parseGrants(["read"], []),
    expires: null,
  });
  const good = Deno.readTextFileSync(path);
  const certificate = await createCertificate({ hosts: ["localhost"], lifetime: 60_000 });
  const [certPath, keyPath] = [dir.join("cert.pem"), dir.join("key.pem")];
  const options = { "token-file": path, "tls-cert": certPath, "tls-key": keyPath };
  dir.write("cert.pem", certificate.cert);
  dir.write("key.pem", certificate.key);
  await using storage = FsStorage.open(dir.path, { durability: "none" });
  const tokens = readTokens(options);
  const tls = await readKeyPair(options);
  await using server = await serve({ storage, listen: "127.0.0.1:0", tokens, tls });
  const address = `127.0.0.1:${server.addresses[0]!.port}`;
  const pins = [certificate.pin];
  const works = () => connect(address, { tls: { pins }, token: made.token, retries: 0 });
  const replace = (path: string, put: () => void) => {
    Deno.removeSync(path);
    put();
  };
  const write = (text: string, mode = 0o600) => () =>
    replace(path, () => Deno.chmodSync(dir.write("tokens", text), mode));
  const damages: [damage: () => void, words: string][] = [
    [write(""), "it is empty"],
    [write("\n"), "line 1 is not JSON"],
    [write(good.slice(0, -20)), "line 2 is not JSON"],
    [write("\0".repeat(good.length)), "line 1 is not JSON"],
    [write(good, 0o666), "chmod 600 it"],
    [write(" ".repeat(MAX_REGULAR_FILE_BYTES + 1)), "it is larger than 16 MiB"],
    [() => replace(path, () => {}), "no such file"],
    [() => Deno.mkdirSync(path), "it is a directory"],
    [() => replace(path, () => dir.pipe("tokens")), "it is a pipe"],
    [() => replace(path, () => Deno.symlinkSync("/dev/zero", path)), "it is a device"],
    [write("junk"), "line 1 is not JSON"],
    [() => replace(certPath, () => dir.pipe("cert.pem")), "it is a pipe"],
    [() => replace(keyPath, () => dir.pipe("key.pem")), "it is a pipe"],
  ];
  for (const [damage, words] of damages) {
    damage();
    const complaints = await logOf(() => reload(server, options));
    const [complaint = ""] = complaints.filter((line) => line.includes(words));
    assertStringIncludes(complaint, "stays as it was", `${words}: ${complaints.join("")}`);
    assertStringIncludes(complaint, "send SIGHUP again");
    await (await works())[Symbol.asyncDispose]();
  }
  // Where all tokens are revoked, it is not empty.
  write(good)();
  await new TokenFile(path).revoke("ci");
  await logOf(() => reload(server, options));
  assertEquals(await works().catch(({ code }) => code), "denied");
});

/** What is logged as an error meanwhile. */
async function logOf(run: (lines: readonly string[]) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const format = getTextFormatter();
  await configure({
    sinks: { lines: (record) => void lines.push(format(record)) },
    loggers: [
      { category: ["ferry"], sinks: ["lines"], lowestLevel: "error" },
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "warning" },
    ],
  });
  await run(lines);
  await reset();
  return lines;
}
