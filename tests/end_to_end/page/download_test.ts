import { assertEquals } from "@std/assert";
import { text } from "../../support/bytes.ts";
import { startWithPage, testInChromium } from "../../support/chromium.ts";

testInChromium("a file is downloaded from the list under its name", async (browsing) => {
  const { pair, url } = await startWithPage();
  await using _ = pair;
  pair.dir.write("root/für alle 100%.txt", "content");
  const opened = await browsing.open(url);
  const row = opened.row("für alle 100%.txt");
  const file = await opened.download(() => row.locator('[data-test="row-download"]').click());
  assertEquals([file.name, text(file.content)], ["für alle 100%.txt", "content"]);
});

testInChromium("a folder is downloaded as one archive", async (browsing) => {
  const { pair, url } = await startWithPage();
  await using _ = pair;
  Deno.mkdirSync(`${pair.root}/folder/deep`, { recursive: true });
  pair.dir.write("root/folder/deep/one", "1");
  const opened = await browsing.open(url);
  const row = opened.row("folder");
  const folder = await opened.download(() => row.locator('[data-test="row-download"]').click());
  assertEquals(folder.name, "folder.zip");
  const path = pair.dir.write("folder.zip", folder.content);
  const args = [
    "-c",
    "import sys, zipfile; print(sorted(zipfile.ZipFile(sys.argv[1]).namelist()))",
    path,
  ];
  const { stdout } = await new Deno.Command("python3", { args }).output();
  assertEquals(text(stdout).trim(), "['folder/deep/', 'folder/deep/one']");
});
