import { assertEquals, assertMatch } from "@std/assert";
import { tokenTable } from "../../../../../server/auth/token_table.ts";
import { HttpServer, type HttpServerOptions } from "../../../../support/http_server.ts";
import { conversation } from "../../../../support/raw_http.ts";
import { makeLink } from "../../../../support/share_links.ts";
import { token } from "../../../../support/token_server.ts";

type Fields = Readonly<Record<string, string>>;

/** A server with a token for everything. */
async function started(options: HttpServerOptions = {}) {
  const made = await token("read,write,delete");
  const server = await HttpServer.start({ tokens: tokenTable([made.record]), ...options });
  server.write("f", "content");
  return { server, ...made };
}

/** `Authorization: Basic`. */
const basic = (user: string, password: string) => ({
  authorization: `Basic ${btoa(`${user}:${password}`)}`,
});

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** Requests a file, and gives the status and the code of the problem. */
async function ask(server: HttpServer, headers: Fields, method = "GET") {
  const { status, text } = await server.request(method, "/f", { headers });
  return status < 400 ? `${status}` : `${status} ${JSON.parse(text || "{}").code ?? ""}`.trim();
}

Deno.test("a token in the header of a request is what the request may do", async () => {
  const { server, token: shown, record } = await started();
  await using _server = server;
  assertEquals(await ask(server, {}), "401 auth_required");
  assertEquals(await ask(server, bearer(shown)), "200");
  assertEquals(await ask(server, basic("", shown)), "200");
  assertEquals(await ask(server, basic(record.id, shown.slice(-43))), "200");
  const reader = await token("read");
  server.server.reload({ tokens: tokenTable([record, reader.record]) });
  assertEquals(await ask(server, bearer(reader.token)), "200");
  assertEquals(await ask(server, bearer(reader.token), "DELETE"), "403 denied");
  server.server.reload({ tokens: tokenTable([record]) });
  assertEquals(await ask(server, bearer(reader.token)), "401 denied");
  assertEquals(await ask(server, bearer(shown), "DELETE"), "204");
});

Deno.test("a token that is not valid is refused, also for what anybody may do, and asks for another one", async () => {
  const { server, token: shown } = await started({ anonymous: ["read"] });
  await using _server = server;
  assertEquals(await ask(server, {}), "200");
  const { token: other } = await token("read");
  for (
    const wrong of [bearer(other), basic("me", "secret"), bearer("secret"), { authorization: "x" }]
  ) {
    const { status, headers, text } = await server.request("GET", "/f", { headers: wrong });
    assertEquals([status, JSON.parse(text).code], [401, "denied"]);
    assertEquals(headers["www-authenticate"], 'Basic realm="ferry", charset="UTF-8"');
    assertEquals([text.includes("secret"), text.includes(other)], [false, false]);
  }
  const browser = { ...bearer(other), "user-agent": "Mozilla/5.0" };
  const { headers } = await server.request("GET", "/f", { headers: browser });
  assertEquals(headers["www-authenticate"], 'Bearer realm="ferry"');
  const twice = { authorization: [`Bearer ${shown}`, `Bearer ${shown}`] };
  assertEquals((await server.request("GET", "/f", { headers: twice })).status, 400);
});

Deno.test("logins after failed ones wait, and too many are refused", async () => {
  const { server, token: shown } = await started();
  await using _server = server;
  assertEquals(await ask(server, bearer(shown)), "200");
  const wrong = async () => bearer((await token("read")).token);
  assertEquals(await ask(server, await wrong()), "401 denied");
  // More than can wait: those that do are given up when it is known that others are refused.
  const end = new AbortController();
  const refused = Promise.withResolvers<Response>();
  const requests = Array.from({ length: 40 }, async () => {
    try {
      const init = { headers: await wrong(), signal: end.signal };
      const response = await fetch(`${server.url}/f`, init);
      if (response.status === 503) refused.resolve(response.clone());
      await response.body?.cancel();
    } catch {
      // It was given up.
    }
  });
  const response = await refused.promise;
  const { code } = await response.json();
  assertEquals([code, response.headers.get("retry-after")], ["busy", "5"]);
  // One that is known already does not wait for others.
  assertEquals(await ask(server, bearer(shown)), "200");
  end.abort();
  await Promise.all(requests);
});

Deno.test("a name that a foreign page may have given to the server is refused where that alone would do", async () => {
  const hosts = async (server: HttpServer, names: readonly string[]) =>
    await Promise.all(names.map((host) => ask(server, { host })));
  const own = [
    "127.0.0.1:80",
    "10.1.2.3",
    "[::1]:8080",
    "localhost:1",
    "LOCALHOST.",
    "a.localhost",
  ];
  const foreign = [
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "x y",
  ];
  await using open = await HttpServer.start({ httpHosts: ["Files.example.org"] });
  open.write("f", "content");
  assertEquals(new Set(await hosts(open, own)), new Set(["200"]));
  assertEquals(new Set(await hosts(open, foreign)), new Set(["421 denied"]));
  const given = ["files.example.org", "FILES.example.org:8080", "files.example.org."];
  assertEquals(new Set(await hosts(open, given)), new Set(["200"]));
  // Who has to show a token can be called by any name.
  const { server: closed, token: shown } = await started();
  await using _closed = closed;
  assertEquals(await ask(closed, { host: "evil.example", ...bearer(shown) }), "200");
  assertEquals(await ask(closed, { host: "evil.example" }), "401 auth_required");
  const { server: both } = await started({ anonymous: ["read"] });
  await using _both = both;
  assertEquals(await ask(both, { host: "evil.example" }), "421 denied");
});

Deno.test("what a foreign page makes a browser do is refused, but not to follow a link", async () => {
  const { server, token: shown } = await started({ anonymous: ["read", "write", "delete"] });
  await using _server = server;
  const host = `127.0.0.1:${server.port}`;
  const page = { host, origin: `http://${host}` };
  const evil = { host, origin: "http://evil.example" };
  const link = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" };
  const cases: [status: string, method: string, headers: Fields][] = [
    ["200", "GET", { host }],
    ["200", "GET", page],
    ["200", "GET", { host, "sec-fetch-site": "same-origin" }],
    ["200", "GET", { host, "sec-fetch-site": "none" }],
    ["200", "GET", { host, ...link, "sec-fetch-dest": "document" }],
    ["403 denied", "GET", { host, ...link, "sec-fetch-dest": "iframe" }],
    ["403 denied", "GET", { host, ...link, "sec-fetch-dest": "object" }],
    ["403 denied", "GET", { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
    ["403 denied", "GET", { host, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }],
    ["403 denied", "GET", evil],
    ["403 denied", "DELETE", evil],
    ["403 denied", "DELETE", { host, origin: "null" }],
    ["403 denied", "DELETE", { ...page, "sec-fetch-site": "cross-site" }],
    ["403 denied", "DELETE", { host, ...link, "sec-fetch-dest": "document" }],
    ["403 denied", "DELETE", { ...evil, ...basic("", shown) }],
    ["403 denied", "DELETE", { host, origin: `http://127.0.0.1:${server.port + 1}` }],
    ["204", "DELETE", { ...evil, ...bearer(shown) }],
    ["404 not_found", "DELETE", { host, origin: `https://${host}` }],
    ["404 not_found", "DELETE", { host: "127.0.0.1", origin: "http://127.0.0.1" }],
    ["404 not_found", "DELETE", { host: "127.0.0.1:80", origin: "http://127.0.0.1" }],
    ["404 not_found", "DELETE", { host }],
  ];
  for (const [status, method, headers] of cases) {
    assertEquals(
      await ask(server, headers, method),
      status,
      `${method} ${JSON.stringify(headers)}`,
    );
  }
});

Deno.test("scripts of origins that were allowed may make requests with a token, and see the responses", async () => {
  const app = "https://app.example.org";
  const { server, token: shown } = await started({ httpOrigins: [`${app}/`] });
  await using _server = server;
  const preflight = {
    origin: app,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization,content-type",
    "access-control-request-private-network": "true",
  };
  const { status, headers, text } = await server.request("OPTIONS", "/f", { headers: preflight });
  assertEquals([status, text], [204, ""]);
  assertEquals(headers["access-control-allow-origin"], app);
  assertEquals(headers["access-control-allow-headers"], "authorization,content-type");
  assertEquals(headers["access-control-allow-private-network"], "true");
  assertEquals(headers["access-control-allow-credentials"], undefined);
  assertMatch(String(headers["access-control-allow-methods"]), /\bPUT\b/);
  assertEquals(headers["vary"], "Origin");

  const cross = { origin: app, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" };
  const got = await server.request("GET", "/f", { headers: { ...cross, ...bearer(shown) } });
  assertEquals([got.status, got.text], [200, "content"]);
  assertEquals(got.headers["access-control-allow-origin"], app);
  assertMatch(String(got.headers["access-control-expose-headers"]), /\bETag\b/);
  // A problem can be seen, too.
  const refused = await server.request("GET", "/f", { headers: cross });
  assertEquals([refused.status, refused.headers["access-control-allow-origin"]], [401, app]);

  const evil = { ...preflight, origin: "https://evil.example" };
  const denied = await server.request("OPTIONS", "/f", { headers: evil });
  assertEquals([denied.status >= 400, denied.headers["access-control-allow-origin"]], [
    true,
    undefined,
  ]);
  assertEquals(denied.headers["vary"], "Origin");
});

Deno.test("a page elsewhere gets nothing by the cookie of a session, though its origin was allowed", async () => {
  const app = "https://app.example.org";
  const { server, token: shown } = await started({ httpOrigins: [app] });
  await using _server = server;
  const json = { "content-type": "application/json" };
  const body = JSON.stringify({ token: shown });
  const login = await server.request("POST", "/.ferry/session", { headers: json, body });
  const [cookie = ""] = String(login.headers["set-cookie"]).split(";");
  assertEquals(await ask(server, { cookie }), "200");
  assertEquals(await ask(server, { cookie, origin: app }), "401 auth_required");
  const evil = { cookie, origin: "https://evil.example" };
  assertEquals(await ask(server, evil, "DELETE"), "403 denied");
});

Deno.test("behind a proxy that encrypts, the server goes by the URL that it was given", async () => {
  const url = "https://files.example.org";
  const { server, token: shown } = await started({ anonymous: ["read"], httpUrl: url });
  await using _server = server;
  const host = "files.example.org";
  assertEquals(await ask(server, { host }), "200");
  assertEquals(await ask(server, { host: "other.example.org" }), "421 denied");
  // A proxy may give the listener a name of its own.
  const json = { "content-type": "application/json", host: "127.0.0.1:8080" };
  const body = JSON.stringify({ token: shown });
  const logIn = (origin: string) =>
    server.request("POST", "/.ferry/session", { headers: { ...json, origin }, body });
  assertEquals((await logIn("https://other.example.org")).status, 403);
  const { status, headers } = await logIn(url);
  assertEquals(status, 200);
  assertMatch(String(headers["set-cookie"]), /^__Host-ferry-.*; Secure/);
  const [cookie = ""] = String(headers["set-cookie"]).split(";");
  assertEquals(await ask(server, { cookie, host }, "DELETE"), "204");
});

Deno.test("below a share link it makes no difference who is logged in", async () => {
  const { server, token: shown } = await started();
  await using _server = server;
  const { path } = await makeLink(server, { name: "f" }, bearer(shown));
  const { token: other } = await token("read");
  for (const headers of [{}, bearer(other), { authorization: "x" }]) {
    assertEquals((await server.request("GET", path, { headers })).text, "content");
  }
});

Deno.test("an upload is refused before it is sent: without a token, with a wrong one, for a foreign page", async () => {
  const { server, token: shown } = await started();
  await using _server = server;
  const fields = [
    [401, ""],
    [401, "Authorization: Bearer secret\r\n"],
    [403, `Authorization: Basic ${btoa(`:${shown}`)}\r\nOrigin: http://evil.example\r\n`],
  ] as const;
  for (const [status, more] of fields) {
    const header = `PUT /new HTTP/1.1\r\nHost: localhost\r\n${more}` +
      "Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n";
    const responses = await conversation(server.port, header, { end: false });
    assertEquals(responses.map(({ status }) => status), [status]);
    assertEquals(responses[0]!.headers["connection"], "close");
  }
});
