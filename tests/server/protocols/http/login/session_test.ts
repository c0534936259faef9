import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { MemoryStorage, serve, type Server, type Storage } from "../../../../../mod.ts";
import { tokenTable } from "../../../../../server/auth/token_table.ts";
import { HttpServer, send } from "../../../../support/http_server.ts";
import { token } from "../../../../support/token_server.ts";

const SESSION = "/.ferry/session";

/** A server with a token. */
async function started(options: Parameters<typeof HttpServer.start>[0] = {}) {
  const made = await token("read,write");
  const server = await HttpServer.start({ tokens: tokenTable([made.record]), ...options });
  server.write("f", "content");
  return { server, ...made };
}

/** Logs in, and gives the cookie and its attributes. */
async function logIn(server: HttpServer, token: string) {
  const headers = { "content-type": "application/json" };
  const body = JSON.stringify({ token });
  const response = await server.request("POST", SESSION, { headers, body });
  const [line = ""] = (response.headers["set-cookie"] ?? []) as string[];
  const [cookie = "", ...attributes] = line.split("; ");
  return { response, cookie, attributes };
}

Deno.test("a browser logs in once, is recognised by its cookie, and logs out", async () => {
  const { server, token, record } = await started();
  await using _server = server;
  const { response, cookie, attributes } = await logIn(server, token);
  const described = {
    token: { id: record.id, name: record.name, expires: null },
    scopes: ["read", "write"],
    grants: { read: [""], write: [""] },
    mayLogIn: true,
    by: "cookie",
  };
  assertEquals([response.status, response.json], [200, described]);
  assertMatch(cookie, /^ferry-[0-9a-f]{8}=/);
  assert(!cookie.includes(token.slice(-43)));
  const [flag, age = "", ...rest] = attributes.sort();
  assertEquals([flag, ...rest], ["HttpOnly", "Path=/", "SameSite=Strict"]);
  // Seven days, less the time that the response took.
  assertMatch(age, /^Max-Age=604(800|7\d\d)$/);

  const headers = { cookie: `other=1; ${cookie}` };
  const shown = await server.request("GET", SESSION, { headers });
  assertEquals([shown.status, shown.json], [200, described]);
  assertEquals(shown.headers["cache-control"], "no-store");
  assertEquals((await server.request("GET", "/f", { headers })).text, "content");

  const left = await server.request("DELETE", SESSION, { headers });
  const [forget = ""] = left.headers["set-cookie"] as string[];
  assertEquals([left.status, forget.split("; ").includes("Max-Age=0")], [204, true]);
  // The server knows that it is over, whoever has kept a copy.
  assertEquals((await server.request("GET", "/f", { headers })).status, 401);
  const after = await server.request("GET", SESSION, { headers });
  assertEquals([after.status, after.json.token, after.json.by], [200, null, null]);
});

Deno.test("a session begins only with a token that is valid", async () => {
  const { server, record } = await started();
  await using _server = server;
  const other = await token("read");
  const { response, cookie } = await logIn(server, other.token);
  assertEquals([response.status, response.json.code, cookie], [401, "denied", ""]);
  const malformed = await logIn(server, "secret");
  assertEquals([malformed.response.status, malformed.response.json.code], [401, "denied"]);
  assert(!malformed.response.text.includes("secret"));
  const text = JSON.stringify({ token: record.id });
  const json = { "content-type": "application/json" };
  for (
    const [headers, body, status] of [
      [{ "content-type": "text/plain" }, text, 415],
      [{}, text, 415],
      [json, "{", 400],
      [json, "null", 400],
      [json, "{}", 400],
      [json, '{"token": 1}', 400],
      [json, " ".repeat(70_000), 413],
    ] as const
  ) {
    assertEquals((await server.request("POST", SESSION, { headers, body })).status, status, body);
  }
});

Deno.test("a session ends with its token: taken back, or with another secret", async () => {
  const { server, token: shown, record } = await started();
  await using _server = server;
  const { cookie } = await logIn(server, shown);
  const other = await token("read,write");
  const statusNow = async () => (await server.request("GET", "/f", { headers: { cookie } })).status;
  assertEquals(await statusNow(), 200);
  server.server.reload({ tokens: tokenTable([]) });
  assertEquals(await statusNow(), 401);
  server.server.reload({ tokens: tokenTable([record]) });
  assertEquals(await statusNow(), 200);
  server.server.reload({ tokens: tokenTable([{ ...record, verifier: other.record.verifier }]) });
  assertEquals(await statusNow(), 401);
});

Deno.test("a session is known to all servers over the same files, and to no other", async () => {
  const { token: shown, record } = await token("read");
  await using storage = new MemoryStorage();
  await using other = new MemoryStorage();
  const start = async (storage: Storage) =>
    await serve({
      storage,
      listen: "127.0.0.1:0",
      http: "127.0.0.1:0",
      tokens: tokenTable([record]),
    });
  await using one = await start(storage);
  await using two = await start(storage);
  await using elsewhere = await start(other);
  const ask = (server: Server, method: string, headers: Record<string, string>, body = "") => {
    const { port } = server.addresses.find(({ kind }) => kind === "http")!;
    return send(port, method, SESSION, { headers, body });
  };
  const json = { "content-type": "application/json" };
  const { headers } = await ask(one, "POST", json, JSON.stringify({ token: shown }));
  const [cookie = ""] = String(headers["set-cookie"]).split(";");
  const known = async (server: Server) => (await ask(server, "GET", { cookie })).json.by;
  assertEquals([await known(one), await known(two)], ["cookie", "cookie"]);
  assertEquals(await known(elsewhere), null);
  // A browser sends the cookies of all servers of a host to each of them.
  const login = await ask(elsewhere, "POST", json, JSON.stringify({ token: shown }));
  const both = `${cookie}; ${String(login.headers["set-cookie"]).split(";")[0]}`;
  assertEquals((await ask(elsewhere, "GET", { cookie: both })).json.by, "cookie");
  assertEquals((await ask(two, "GET", { cookie: both })).json.by, "cookie");
  // Logging out there leaves the session here.
  const left = await ask(elsewhere, "DELETE", { cookie: both });
  assertEquals([left.status, (left.headers["set-cookie"] as string[]).length], [204, 1]);
  assertEquals([await known(two), await known(elsewhere)], ["cookie", null]);
});

Deno.test("a download ends when the token behind its session is taken back", async () => {
  const { server, token: shown, record } = await started();
  await using _server = server;
  server.write("large", new Uint8Array(64 * 2 ** 20));
  const { cookie } = await logIn(server, shown);
  const response = await fetch(`${server.url}/large`, { headers: { cookie } });
  const reader = response.body!.getReader();
  await reader.read();
  server.server.reload({ tokens: tokenTable([{ ...record, expires: 1 }]) });
  await assertRejects(async () => {
    while (!(await reader.read()).done);
  }, Error);
});
