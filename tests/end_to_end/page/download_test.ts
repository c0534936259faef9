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
