import axe from "axe-core";
import { assert, assertEquals } from "@std/assert";
import { type Opened, testInChromium } from "../../support/chromium.ts";
import { HttpServer } from "../../support/http_server.ts";

/** A server with a few files and a folder. */
async function start(): Promise<HttpServer> {
  const server = await HttpServer.start();
  Deno.mkdirSync(server.path("Photos"));
  for (const name of ["notes.md", "cover.png", "年度报告.docx"]) server.write(name, name);
  return server;
}

/** What axe finds wrong for people who use a screen reader, or see contrasts badly. */
async function flaws({ page }: Opened): Promise<string[]> {
  if (!await page.evaluate("'axe' in globalThis")) await page.evaluate(axe.source);
  // What appears fades in, and has its contrast only then.
  const found = await page.evaluate(`
    Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})))
      .then(() => axe.run({ resultTypes: ["violations"] }))
      .then(({ violations }) => violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, failureSummary }) => id + ": " + html + " " + failureSummary)))
  `);
  return found as string[];
}

/** A file outside of the list, to be uploaded. */
async function fileElsewhere(server: HttpServer): Promise<string> {
  await Deno.mkdir(server.path("elsewhere"));
  server.write("elsewhere/big.bin", new Uint8Array(100_000));
  return server.path("elsewhere/big.bin");
}

for (const dark of [false, true]) {
  testInChromium(`each view is accessible, ${dark ? "dark" : "light"}`, async (browsing) => {
    await using server = await start();
    const opened = await browsing.open(server.url, { dark });
    const { page } = opened;
    const close = async () => {
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    await opened.shows("notes.md");
    assertEquals(await flaws(opened), [], "the list");
    await opened.choose("upload-files", server.path("notes.md"), await fileElsewhere(server));
    await opened.waitForUpload("big.bin", "arrived");
    assertEquals(await flaws(opened), [], "uploads that have arrived");
    await opened.row("notes.md").getByRole("checkbox").check();
    assertEquals(await flaws(opened), [], "the list with an entry chosen");
    await opened.part("menu").click();
    assertEquals(await flaws(opened), [], "the menu");
    await page.keyboard.press("Escape");
    for (const action of ["row-rename", "row-delete", "row-more"]) {
      await opened.row("notes.md").locator(`[data-test="${action}"]`).click();
      assertEquals(await flaws(opened), [], action);
      await close();
    }
    await opened.row("Photos").locator('[data-test="row-share"]').click();
    await page.getByLabel("Upload into the folder").check();
    await opened.part("share-create").click();
    await opened.part("share-revoke").waitFor();
    assertEquals(await flaws(opened), [], "sharing");
    const dropBox = await opened.part("share-link").inputValue();
    await close();
    await page.keyboard.press("?");
    assertEquals(await flaws(opened), [], "the keys");
    await close();
    await opened.part("search").fill("nothing");
    await page.getByText("Nothing here has that name").waitFor();
    assertEquals(await flaws(opened), [], "a search without a find");
    await page.goto(`${server.url}/Photos/`);
    await page.getByText("This folder is empty").waitFor();
    assertEquals(await flaws(opened), [], "an empty folder");
    await page.goto(`${server.url}/no/such/`);
    await page.getByRole("alert").waitFor();
    assertEquals(await flaws(opened), [], "an error");
    await page.goto(dropBox);
    await opened.part("drop-box").waitFor();
    assertEquals(await flaws(opened), [], "a drop box");
  });
}

testInChromium("the page is Chinese for those who read Chinese, or choose it", async (browsing) => {
  await using server = await start();
  const opened = await browsing.open(server.url, { language: "zh-CN" });
  const { page } = opened;
  await opened.shows("notes.md");
  await page.getByText("1 个文件夹，3 个文件").waitFor();
  assertEquals(await page.locator("html").getAttribute("lang"), "zh-CN");
  await opened.part("menu").click();
  const words = /[A-Za-z]{3,}/g;
  const known = ["ferry", "notes", "cover", "png", "Photos", "docx", "English"];
  const text = await page.locator("#app").innerText();
  assertEquals((text.match(words) ?? []).filter((word) => !known.includes(word)), []);

  await opened.part("language").click();
  await page.getByText("1 folder, 3 files").waitFor();
  assertEquals(await page.locator("html").getAttribute("lang"), "en");
  // The choice is kept.
  await page.reload();
  await page.getByText("1 folder, 3 files").waitFor();
});

testInChromium("the page fits a telephone, where actions are in a menu", async (browsing) => {
  await using server = await start();
  server.write("a name as long as only people who describe the whole content choose it.txt", "");
  const opened = await browsing.open(server.url, { width: 320, height: 640 });
  const { page } = opened;
  await opened.shows("notes.md");
  const width = "document.documentElement.scrollWidth";
  assertEquals(await page.evaluate(width), 320);
  assertEquals(await opened.row("notes.md").locator('[data-test="row-rename"]').isVisible(), false);
  await opened.row("notes.md").locator('[data-test="row-more"]').click();
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await opened.part("name").fill("renamed.md");
  await opened.part("name-submit").click();
  await opened.shows("renamed.md");
  await opened.row("renamed.md").getByRole("checkbox").check();
  for (const part of ["download-chosen", "delete-chosen"]) {
    assert(await opened.part(part).isVisible(), part);
  }
  assertEquals(await page.evaluate(width), 320);
  assertEquals(await flaws(opened), []);
});

testInChromium("the colours follow the system, or a choice that is kept", async (browsing) => {
  await using server = await start();
  const background = "getComputedStyle(document.body).backgroundColor";
  const light = await browsing.open(server.url);
  const dark = await browsing.open(server.url, { dark: true });
  const colours = [await light.page.evaluate(background), await dark.page.evaluate(background)];
  assert(colours[0] !== colours[1], String(colours));
  await light.part("menu").click();
  await light.page.getByLabel("dark", { exact: true }).check({ force: true });
  assertEquals(await light.page.evaluate(background), colours[1]);
  await light.page.reload();
  await light.shows("notes.md");
  assertEquals(await light.page.evaluate(background), colours[1]);
});
