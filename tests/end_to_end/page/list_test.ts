/// <reference lib="dom" />
import { assert, assertEquals } from "@std/assert";
import { type Opened, testInChromium } from "../../support/chromium.ts";
import { HttpServer } from "../../support/http_server.ts";

/** The names that the list shows, from the top. */
async function names({ page }: Opened): Promise<string[]> {
  const rows = page.locator("[data-name]");
  return await rows.evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset.name!));
}

/** The names of the entries that are chosen. */
async function chosen({ page }: Opened): Promise<string[]> {
  const rows = page.locator('[data-name][aria-selected="true"]');
  return await rows.evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset.name!));
}

async function entriesOf(server: HttpServer, directory: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(server.path(directory)), ({ name }) => name)).sort()
    .filter((name) => name !== ".ferry");
}

testInChromium("folders are made, and entries renamed and deleted", async (browsing) => {
  await using server = await HttpServer.start();
  server.write("draft.txt", "text");
  server.write("keep.txt", "text");
  const opened = await browsing.open(server.url);

  await opened.part("new-folder").click();
  await opened.part("name").fill("a/b");
  await opened.part("name-submit").click();
  await opened.part("message").filter({ hasText: "slash" }).waitFor();
  await opened.part("name").fill("100% für alle");
  await opened.part("name-submit").click();
  await opened.shows("100% für alle");
  assertEquals(await chosen(opened), ["100% für alle"]);

  await opened.row("draft.txt").locator('[data-test="row-rename"]').click();
  // The part of the name before its extension is what one types over.
  await opened.page.keyboard.type("report");
  await opened.part("name-submit").click();
  await opened.shows("report.txt");
  assertEquals(server.read("report.txt"), "text");

  // A name that is taken is told in the dialog, which stays.
  await opened.row("report.txt").locator('[data-test="row-rename"]').click();
  await opened.part("name").fill("keep.txt");
  await opened.part("name-submit").click();
  await opened.part("message").filter({ hasText: "already" }).waitFor();
  await opened.page.keyboard.press("Escape");

  // Nothing is deleted before it is confirmed.
  const remove = opened.row("report.txt").locator('[data-test="row-delete"]');
  await remove.click();
  await opened.page.keyboard.press("Escape");
  assertEquals(await entriesOf(server, ""), ["100% für alle", "keep.txt", "report.txt"]);
  await remove.click();
  await opened.part("confirm").click();
  await opened.part("message").filter({ hasText: "1 item deleted" }).waitFor();
  await opened.row("report.txt").waitFor({ state: "detached" });
  assertEquals(await entriesOf(server, ""), ["100% für alle", "keep.txt"]);
});

testInChromium(
  "several entries are deleted together, folders with all that is in them",
  async (browsing) => {
    await using server = await HttpServer.start();
    for (let i = 0; i < 12; i++) server.write(`file ${i}`, "");
    Deno.mkdirSync(server.path("full"));
    server.write("full/inner", "");
    server.write("stays", "");
    const opened = await browsing.open(server.url);
    await opened.page.getByLabel("Choose all").check();
    await opened.row("stays").getByRole("checkbox").uncheck();
    await opened.part("delete-chosen").click();
    await opened.page.getByText("Everything in the folders").waitFor();
    await opened.part("confirm").click();
    await opened.part("message").filter({ hasText: "13 items deleted" }).waitFor();
    assertEquals(await entriesOf(server, ""), ["stays"]);
  },
);

testInChromium(
  "what has gone meanwhile is told, and the list shows what is there",
  async (browsing) => {
    await using server = await HttpServer.start();
    server.write("gone", "");
    server.write("stays", "");
    const opened = await browsing.open(server.url);
    await opened.row("gone").locator('[data-test="row-delete"]').click();
    Deno.removeSync(server.path("gone"));
    await opened.part("confirm").click();
    await opened.part("message").filter({ hasText: "not there any more" }).waitFor();
    await opened.row("gone").waitFor({ state: "detached" });
    assertEquals(await names(opened), ["stays"]);
  },
);

testInChromium("everything in the list can be done by keyboard", async (browsing) => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("folder"));
  server.write("folder/inner", "");
  for (const name of ["a", "b", "c", "d"]) server.write(name, "");
  const opened = await browsing.open(server.url);
  await opened.shows("d");
  const press = async (...keys: string[]) => {
    for (const key of keys) await opened.page.keyboard.press(key);
  };

  await press("ArrowDown", "Enter");
  await opened.shows("inner");
  assertEquals(new URL(opened.page.url()).pathname, "/folder/");
  assertEquals(await opened.part("list").evaluate((list) => list === document.activeElement), true);
  await press("ArrowDown", "Backspace");
  await opened.shows("folder");

  await press("ArrowDown", "ArrowDown", "Space", "ArrowDown", "ArrowDown", "Space");
  assertEquals(await chosen(opened), ["a", "c"]);
  await press("Home", "Shift+ArrowDown", "Shift+ArrowDown");
  assertEquals(await chosen(opened), ["folder", "a", "b"]);
  await press("Control+a");
  assertEquals((await chosen(opened)).length, 5);
  await press("Escape");
  assertEquals(await chosen(opened), []);

  await press("End", "F2");
  await opened.part("name").fill("e");
  await press("Enter");
  await opened.shows("e");
  await press("Delete");
  await opened.part("confirm").waitFor();
  await press("Tab", "Enter");
  await opened.row("e").waitFor({ state: "detached" });

  await press("n");
  await opened.part("name").fill("made");
  await press("Enter");
  await opened.shows("made");
  await press("/");
  await opened.page.keyboard.type("mad");
  await opened.row("a").waitFor({ state: "detached" });
  await press("Escape");
  await opened.shows("a");
  await press("?");
  await opened.page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  assertEquals(await entriesOf(server, ""), ["a", "b", "c", "folder", "made"]);
});

testInChromium("a folder is searched and sorted", async (browsing) => {
  await using server = await HttpServer.start();
  server.write("file 10.txt", "1");
  server.write("file 9.txt", "12345");
  server.write("Äpfel.txt", "123");
  Deno.utimeSync(server.path("file 9.txt"), 0, 1000);
  const opened = await browsing.open(server.url);
  await opened.shows("file 10.txt");
  assertEquals(await names(opened), ["Äpfel.txt", "file 9.txt", "file 10.txt"]);
  const sort = (column: string) => opened.page.getByRole("button", { name: column }).click();
  await sort("Size");
  assertEquals(await names(opened), ["file 9.txt", "Äpfel.txt", "file 10.txt"]);
  await sort("Size");
  assertEquals(await names(opened), ["file 10.txt", "Äpfel.txt", "file 9.txt"]);
  await sort("Modified");
  assertEquals((await names(opened)).at(-1), "file 9.txt");

  await opened.part("search").fill("apf");
  await opened.page.getByText("1 of 3 items").waitFor();
  assertEquals(await names(opened), ["Äpfel.txt"]);
  await opened.part("search").fill("nothing");
  await opened.page.getByText("Nothing here has that name").waitFor();
});

testInChromium(
  "a search finds what is in the folders below, and changes it there",
  async (browsing) => {
    await using server = await HttpServer.start();
    Deno.mkdirSync(server.path("a/b c"), { recursive: true });
    server.write("a/b c/deep file.txt", "deep");
    server.write("file", "");
    const opened = await browsing.open(server.url);
    await opened.part("search").fill("file");
    await opened.page.getByText("1 of 2 items").waitFor();
    await opened.part("search-below").click();
    await opened.shows("a/b c/deep file.txt");
    assertEquals(await names(opened), ["a/b c/deep file.txt", "file"]);
    const row = opened.row("a/b c/deep file.txt");
    const { name, content } = await opened.download(() =>
      row.locator('[data-test="row-download"]').click()
    );
    assertEquals([name, new TextDecoder().decode(content)], ["deep file.txt", "deep"]);
    await row.locator('[data-test="row-delete"]').click();
    await opened.part("confirm").click();
    await row.waitFor({ state: "detached" });
    assertEquals(await entriesOf(server, "a/b c"), []);
    // Without a search there is the folder alone again.
    await opened.part("search").fill("");
    await opened.page.getByText("1 folder, 1 file").waitFor();
    assertEquals(await names(opened), ["a", "file"]);
  },
);

testInChromium("an entry of a folder below is renamed there", async (browsing) => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("a"));
  server.write("a/old.txt", "");
  const opened = await browsing.open(server.url);
  await opened.part("search").fill("txt");
  await opened.part("search-below").click();
  await opened.row("a/old.txt").locator('[data-test="row-rename"]').click();
  await opened.part("name").fill("new.txt");
  await opened.part("name-submit").click();
  await opened.shows("a");
  assertEquals(await entriesOf(server, "a"), ["new.txt"]);
});

testInChromium("what a search hides is not deleted with what is chosen", async (browsing) => {
  await using server = await HttpServer.start();
  server.write("one", "");
  server.write("two", "");
  const opened = await browsing.open(server.url);
  await opened.page.getByLabel("Choose all").check();
  await opened.part("search").fill("one");
  await opened.part("delete-chosen").click();
  await opened.part("confirm").click();
  await opened.part("message").filter({ hasText: "1 item deleted" }).waitFor();
  assertEquals(await entriesOf(server, ""), ["two"]);
});

testInChromium(
  "of a folder of 10,000 files only what is in view is drawn, while it scrolls",
  async (browsing) => {
    await using server = await HttpServer.start();
    for (let i = 1; i <= 10_000; i++) server.write(`file ${i}.txt`, "");
    const opened = await browsing.open(server.url);
    await opened.page.getByText("10,000 files").waitFor();
    const steps = await opened.part("list").evaluate(async (list) => {
      const steps: { rows: number; drawn: number }[] = [];
      let drawn = 0;
      const observer = new MutationObserver((records) => {
        const added = records.flatMap(({ addedNodes }) => [...addedNodes]);
        drawn += added.filter((node) => (node as HTMLElement).dataset?.name).length;
      });
      observer.observe(list, { subtree: true, childList: true });
      for (let i = 0; i < 40; i++) {
        drawn = 0;
        list.scrollTop += 7000;
        // The frame after the next one shows what was scrolled to.
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        steps.push({ rows: list.querySelectorAll("[data-name]").length, drawn });
      }
      return steps;
    });
    // Only what is in view is in the document, and a step draws no more than that.
    for (const { rows, drawn } of steps) {
      assert(rows < 60, `${rows} rows`);
      assert(drawn > 0 && drawn < 60, `${drawn} rows were drawn in a step`);
    }
    await opened.part("list").press("End");
    await opened.shows("file 10000.txt");
    await opened.part("search").fill("file 4242");
    await opened.page.getByText("1 of 10,000 items").waitFor();
  },
);

testInChromium("folders are places in the history of the browser", async (browsing) => {
  await using server = await HttpServer.start();
  Deno.mkdirSync(server.path("a b/ü"), { recursive: true });
  server.write("a b/ü/deep", "");
  const opened = await browsing.open(server.url);
  const { page } = opened;
  await opened.row("a b").getByRole("link", { name: "a b", exact: true }).click();
  await opened.row("ü").getByRole("link", { name: "ü", exact: true }).click();
  await opened.shows("deep");
  assertEquals(await page.title(), "ü – ferry");
  assertEquals(new URL(page.url()).pathname, "/a%20b/%C3%BC/");
  await page.reload();
  await opened.shows("deep");
  await page.goBack();
  await opened.shows("ü");
  await page.goForward();
  await opened.shows("deep");
  await page.getByRole("navigation").getByRole("link", { name: "Files" }).click();
  await opened.shows("a b");
});

testInChromium("details show the MD5 that the server computes", async (browsing) => {
  await using server = await HttpServer.start();
  server.write("fox", "The quick brown fox jumps over the lazy dog");
  const opened = await browsing.open(server.url);
  await opened.row("fox").locator('[data-test="row-more"]').click();
  await opened.page.getByRole("button", { name: "Details" }).click();
  await opened.part("md5").filter({ hasText: "9e107d9d372bb6826bd81d3542a419d6" }).waitFor();
});

testInChromium("several entries are downloaded as one archive", async (browsing) => {
  await using server = await HttpServer.start();
  for (const name of ["a", "b", "c"]) server.write(name, name);
  const opened = await browsing.open(server.url);
  for (const name of ["a", "c"]) await opened.row(name).getByRole("checkbox").check();
  const { content } = await opened.download(() => opened.part("download-chosen").click());
  const [, ...files] = new TextDecoder("latin1").decode(content).split("PK\x03\x04");
  // The name of a file stands 26 bytes behind its mark, and is as long as the byte at 22 says.
  const stored = files.map((file) => file.slice(26, 26 + file.charCodeAt(22)));
  assertEquals(stored.map((name) => name.slice(name.lastIndexOf("/") + 1)), ["a", "c"]);
});

testInChromium(
  "without a network the list stays, and is brought up to date afterwards",
  async (browsing) => {
    await using server = await HttpServer.start();
    server.write("before", "");
    const opened = await browsing.open(server.url);
    await opened.shows("before");
    const context = opened.page.context();
    await context.setOffline(true);
    server.write("meanwhile", "");
    await opened.page.getByRole("button", { name: "Reload" }).click();
    await opened.part("message").filter({ hasText: "does not answer" }).waitFor();
    assertEquals(await names(opened), ["before"]);
    await context.setOffline(false);
    await opened.shows("meanwhile");
  },
);

testInChromium("a name shows what it hides", async (browsing) => {
  await using server = await HttpServer.start();
  server.write("photo\u202egpj.exe", "");
  const opened = await browsing.open(server.url);
  await opened.page.getByText("photo\\u202egpj.exe").waitFor();
});
