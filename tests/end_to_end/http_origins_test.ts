/**
 * What pages of other web sites can make a real browser do to a server.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { existsSync } from "node:fs";
import type { Page } from "playwright-core";
import { tokenTable } from "../../server/auth/token_table.ts";
import { type Browsing, testInChromium } from "../support/chromium.ts";
import { HttpServer } from "../support/http_server.ts";
import { token } from "../support/token_server.ts";

/** Starts another web site, which has one empty page. */
function startSite(): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    return new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
  });
}

/** Opens a page of another web site. */
async function open(browsing: Browsing, site: Deno.HttpServer<Deno.NetAddr>, name: string) {
  const page = await browsing.empty();
  await page.goto(`http://${name}:${site.addr.port}/`);
  return page;
}

/** Runs an asynchronous function in a page, and gives what it returns. */
async function inPage(page: Page, body: string, values: Record<string, unknown>): Promise<unknown> {
  const names = Object.keys(values).join();
  const given = Object.values(values).map((value) => JSON.stringify(value)).join();
  return await page.evaluate(`(async (${names}) => {${body}})(${given})`);
}

testInChromium(
  "a page elsewhere can neither change nor read anything where everybody may do everything",
  async (browsing) => {
    await using server = await HttpServer.start();
    server.write("secret", "content");
    server.write("image.svg", '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>');
    await using site = startSite();
    const page = await open(browsing, site, "evil.example");
    const statuses: number[] = [];
    page.on("response", (response) => {
      if (response.url().startsWith(server.url)) statuses.push(response.status());
    });
    const tried = await inPage(
      page,
      `
      const outcome = (attempt) => attempt.then((response) => response.type, () => "failed");
      const simple = { method: "POST", mode: "no-cors" };
      const image = new Promise((resolve) => {
        const element = new Image();
        element.onload = () => resolve("shown");
        element.onerror = () => resolve("failed");
        element.src = url + "/image.svg";
      });
      return [
        await outcome(fetch(url + "/made/", simple)),
        await outcome(fetch(url + "/.ferry/api/move", {
          ...simple,
          body: JSON.stringify({ from: "secret", to: "moved" }),
        })),
        await outcome(fetch(url + "/secret", { method: "DELETE" })),
        await outcome(fetch(url + "/put", { method: "PUT", body: "x" })),
        await outcome(fetch(url + "/secret")),
        await image,
      ];
      `,
      { url: server.url },
    );
    assertEquals(tried, ["opaque", "opaque", "failed", "failed", "failed", "failed"]);
    // It was the server that refused what the browser had let pass.
    assertEquals([statuses.includes(403), statuses.some((status) => status < 400)], [true, false]);
    // A form makes the browser leave the page.
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url() === `${server.url}/made/`),
      inPage(
        page,
        `
        const form = document.createElement("form");
        Object.assign(form, { method: "POST", action: url + "/made/" });
        document.body.append(form);
        form.submit();
        `,
        { url: server.url },
      ),
    ]);
    assertEquals(answer.status(), 403);
    assertEquals(["made", "moved", "put"].filter((name) => existsSync(server.path(name))), []);
    assertEquals(server.read("secret"), "content");
  },
);

testInChromium(
  "a name of another web site that leads to the server opens nothing",
  async (browsing) => {
    await using server = await HttpServer.start();
    server.write("secret.txt", "content");
    const page = await browsing.empty();
    const response = await page.goto(`http://evil.example:${server.port}/secret.txt`);
    assertEquals(response?.status(), 421);
    // Whoever has given it that name learns what to do.
    await page.getByText("--http-host").first().waitFor();
    const own = await page.goto(`http://localhost:${server.port}/secret.txt`);
    assertEquals(own?.status(), 200);
  },
);

testInChromium(
  "a session is of no use to pages elsewhere, and not seen by scripts",
  async (browsing) => {
    const { token: shown, record } = await token("read,write,delete");
    await using server = await HttpServer.start({ tokens: tokenTable([record]) });
    server.write("secret", "content");
    await using site = startSite();
    // Another port of the same host is of the same site for a browser, and gets its cookies.
    const page = await open(browsing, site, "127.0.0.1");
    const own = await page.context().newPage();
    await own.goto(`${server.url}/.ferry/session`);
    const logIn = `
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ token });
      await fetch("/.ferry/session", { method: "POST", headers, body });
      return [(await fetch("/secret")).status, document.cookie];
    `;
    assertEquals(await inPage(own, logIn, { token: shown }), [200, ""]);
    const attack = `
      const attempts = ["POST", "GET"].map(async (method) => {
        const options = { method, mode: "no-cors", credentials: "include" };
        const response = await fetch(url + (method === "POST" ? "/made/" : "/secret"), options);
        return response.type;
      });
      return (await Promise.allSettled(attempts)).map(({ status }) => status);
    `;
    await inPage(page, attack, { url: server.url });
    assertEquals(existsSync(server.path("made")), false);
    const elsewhere = await page.context().newPage();
    await elsewhere.goto(`http://evil.example:${site.addr.port}/`);
    await inPage(elsewhere, attack, { url: server.url });
    assertEquals(existsSync(server.path("made")), false);
    const logOut = `
      const { status } = await fetch("/.ferry/session", { method: "DELETE" });
      return [status, (await fetch("/secret")).status];
    `;
    assertEquals(await inPage(own, logOut, {}), [204, 401]);
    assertEquals(await page.context().cookies(), []);
  },
);

testInChromium(
  "scripts of an origin that was allowed store and read files with their token",
  async (browsing) => {
    const { token: shown, record } = await token("read,write");
    await using site = startSite();
    const httpOrigins = [`http://app.example:${site.addr.port}`];
    const tokens = tokenTable([record]);
    await using server = await HttpServer.start({ tokens, httpOrigins });
    const script = `
      const headers = { authorization: "Bearer " + token };
      const put = await fetch(url + "/file", { method: "PUT", headers, body: "content" });
      const got = await fetch(url + "/file", { headers });
      const refused = await fetch(url + "/file");
      return [
        put.status,
        await got.text(),
        got.headers.get("etag"),
        refused.status,
        (await refused.json()).code,
      ];
    `;
    const values = { url: server.url, token: shown };
    const page = await open(browsing, site, "app.example");
    const [stored, content, etag, refused, code] = await inPage(page, script, values) as string[];
    assertEquals([stored, content, refused, code] as unknown, [
      201,
      "content",
      401,
      "auth_required",
    ]);
    assertMatch(etag!, /^"[0-9a-f]{32}"$/);
    const evil = await open(browsing, site, "evil.example");
    const failed = await inPage(
      evil,
      `return await fetch(url + "/file", {
      method: "PUT",
      headers: { authorization: "Bearer " + token },
      body: "other",
    }).then(() => "done", () => "failed");`,
      values,
    );
    assertEquals([failed, server.read("file")], ["failed", "content"]);
  },
);
