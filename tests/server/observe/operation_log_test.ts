import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ferry, Ferryd, ferryd, TempDir } from "../../support/programs.ts";
import { RawPeer } from "../../support/raw_peer.ts";
import { md5 } from "../../support/bytes.ts";

/** The lines of a log in JSON, without what differs from run to run. */
function entriesOf(log: string): Record<string, unknown>[] {
  return log.trimEnd().split("\n").map((line) => {
    const { "@timestamp": time, message, logger, peer, request, seconds, ...rest } = JSON.parse(
      line,
    );
    assertEquals(new Date(time).toISOString(), time);
    assertMatch(message, /^127\.0\.0\.1:\d+(?: \(ci\))?: .* \[[0-9a-f]{12}\.\d+\]$/);
    assertEquals([logger, typeof seconds], ["ferry.server", "number"]);
    assertMatch(`${peer} ${request}`, /^127\.0\.0\.1:\d+ [0-9a-f]{12}\.\d+$/);
    return rest;
  });
}

Deno.test("the log has a line for each operation that ends, with flat fields", async () => {
  await using dir = new TempDir();
  const root = dir.join("root");
  for (const path of [`${root}/d`, dir.join("out")]) Deno.mkdirSync(path, { recursive: true });
  const server = await Ferryd.start(root, [
    ...["--log", "json", "--http", "127.0.0.1:0"],
    ...["--allow-exec", "true"],
  ]);
  const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });
  dir.write("a", "some text");
  await run("put", "a", "--as", "d/a");
  await run("put", "a", "--as", "d/a");
  await ferry(["get", "d"], { cwd: dir.join("out"), server: server.address });
  await run("mv", "d/a", "d/b");
  await run("rm", "d/b");
  await run("exec", "--", "true", "a b");
  const url = `http://${server.listening.get("http")}`;
  const put = await fetch(`${url}/h`, { method: "PUT", body: "over HTTP" });
  await put.body?.cancel();
  const missing = await fetch(`${url}/none`);
  await missing.body?.cancel();
  const { stderr } = await server.stop();
  const file = { listener: "tcp", op: "put", name: "d/a", size: 9, checksum: md5("some text") };
  const gone = { listener: "http", op: "get", name: "none", code: "not_found" };
  const entries = entriesOf(stderr);
  assertEquals(entries.at(-1), {
    ...gone,
    level: "INFO",
    received: 0,
    sent: entries.at(-1)!.sent,
    method: "GET",
    target: "/none",
    reason: "no such file or directory",
  });
  assertEquals(entries.slice(0, -1), [
    { level: "INFO", ...file, received: 9, sent: 0, unchanged: false },
    { level: "INFO", ...file, received: 9, sent: 0, unchanged: true },
    { level: "INFO", listener: "tcp", op: "list", name: "d", received: 0, sent: entries[2]!.sent },
    {
      ...{ level: "INFO", listener: "tcp", op: "get", name: "d/a", received: 0, sent: 9 },
      checksum: md5("some text"),
    },
    { level: "INFO", listener: "tcp", op: "move", name: "d/a", to: "d/b", received: 0, sent: 0 },
    { level: "INFO", listener: "tcp", op: "remove", name: "d/b", received: 0, sent: 0 },
    {
      ...{ level: "INFO", listener: "tcp", op: "exec", command: 'true "a b"' },
      ...{ received: 0, sent: 0, exit_code: 0 },
    },
    {
      ...{ level: "INFO", listener: "http", op: "put", name: "h", received: 9, sent: 77, size: 9 },
      ...{ unchanged: false, checksum: md5("over HTTP"), method: "PUT", target: "/h" },
    },
  ]);
});

Deno.test("ferry -v shows the request ids of the log", async () => {
  await using dir = new TempDir();
  Deno.mkdirSync(dir.join("root"));
  dir.write("root/a", "x");
  const server = await Ferryd.start(dir.join("root"), ["--log", "json", "-v"]);
  const run = (...args: string[]) => ferry(args, { cwd: dir.path, server: server.address });
  const shown = await run("stat", "a", "-v");
  const told = await run("get", "none", "-v", "--json");
  const { stderr } = await server.stop();
  const log = stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  const requestOf = (name: string) => log.find((entry) => entry.name === name)?.request;
  assertStringIncludes(shown.stderr, `ferry: request ${requestOf("a")}: ok "a"\n`);
  const events = told.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  const reply = { event: "reply", request: requestOf("none"), filename: null };
  assertEquals(events[0], { ...reply, status: "not_found" });
});

Deno.test("the log says which token did something, and warns of refusals", async () => {
  await using dir = new TempDir();
  const tokens = dir.join("tokens");
  const scope = ["--name", "ci", "--scope", "read"];
  const { stdout } = await ferryd(["token", "new", "--token-file", tokens, ...scope]);
  const secret = stdout.trim();
  const server = await Ferryd.start(dir.path, ["--log", "json", "--token-file", tokens]);
  dir.write("secret", secret);
  Deno.chmodSync(dir.join("secret"), 0o600);
  dir.write("a", "x");
  const args = ["--token-file", "secret"];
  await ferry(["put", "a", ...args], { cwd: dir.path, server: server.address });
  dir.write("secret", `${secret.slice(0, -4)}AAAA`);
  await ferry(["ls", ...args], { cwd: dir.path, server: server.address });
  using peer = await RawPeer.connect(server.port);
  assertEquals(await peer.ask({ op: "list" }), "auth_required");
  const { stderr } = await server.stop();
  const told = entriesOf(stderr).map(({ level, op, token_name, code }) => [
    ...[level, op, token_name, code],
  ]);
  assertEquals(told, [
    ["INFO", "login", "ci", undefined],
    ["WARN", "put", "ci", "denied"],
    ["WARN", "login", undefined, "denied"],
    ["WARN", "list", undefined, "auth_required"],
  ]);
});
