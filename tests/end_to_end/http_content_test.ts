/**
 * What files can do in a real browser that somebody uploaded and another one opens.
 */

import { assert, assertEquals } from "@std/assert";
import { decodeBase64 } from "@std/encoding/base64";
import { existsSync } from "node:fs";
import { testInChromium } from "../support/chromium.ts";
import { HttpServer } from "../support/http_server.ts";
import { makeLink } from "../support/share_links.ts";

/** Changes something on the server, which everybody may do here, if it runs with the rights of the page. */
const ATTACK = "fetch('/harmed', { method: 'PUT', body: 'x' }); document.title = 'harmed';";

const HTML = `<!doctype html><title>harmless</title><script>${ATTACK}</script>
<img src="absent" onerror="${ATTACK}"><a href="javascript:${ATTACK}" id="link">link</a>
<form action="/harmed/" method="post"><input type="submit" id="button"></form>`;

const XHTML = `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>harmless</title></head>
<body><script>${ATTACK}</script></body></html>`;

const FILES: Readonly<Record<string, string>> = {
  "page.html": HTML,
  "page.xhtml": XHTML,
  "page.xml": `<?xml version="1.0"?>${XHTML}`,
  "picture.svg":
    `<svg xmlns="http://www.w3.org/2000/svg" onload="${ATTACK}"><script>${ATTACK}</script></svg>`,
  // What looks like a document, under names that say otherwise.
  "page.txt": HTML,
  "page.json": HTML,
  "page.png": HTML,
};

testInChromium("no script of a file runs, whatever its type", async (browsing) => {
  await using server = await HttpServer.start();
  for (const [name, content] of Object.entries(FILES)) server.write(name, content);
  const { prefix } = await makeLink(server, { name: "" });
  const page = await browsing.empty();
  for (const path of Object.keys(FILES).flatMap((name) => [`/${name}`, `${prefix}/${name}`])) {
    const response = await page.goto(server.url + path, { waitUntil: "load" });
    assertEquals(response?.status(), 200, path);
    for (const id of ["link", "button"]) {
      // A sandbox has neither: what is clicked there leads nowhere.
      if (path.endsWith(".html")) await page.click(`#${id}`, { noWaitAfter: true });
    }
    // What a script would have begun by now reaches the server before this.
    assertEquals(await page.evaluate("fetch('/').then(() => 'sent', () => 'refused')"), "refused");
    assert(await page.title() !== "harmed", path);
    assertEquals(existsSync(server.path("harmed")), false, path);
  }
});

testInChromium("pictures and texts are shown all the same", async (browsing) => {
  await using server = await HttpServer.start();
  const pixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";
  server.write("pixel.png", decodeBase64(pixel));
  server.write("größe.txt", "Größe 名前");
  const page = await browsing.empty();
  await page.goto(`${server.url}/pixel.png`);
  assertEquals(await page.evaluate("document.images[0].naturalWidth"), 1);
  await page.goto(`${server.url}/größe.txt`);
  assertEquals(await page.evaluate("document.body.innerText"), "Größe 名前");
});
