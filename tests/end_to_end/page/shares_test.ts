import { assertEquals } from "@std/assert";
import { text } from "../../support/bytes.ts";
import { type Opened, startWithPage, testInChromium } from "../../support/chromium.ts";

/** Makes a link to an entry of the list, and returns it. */
async function share(opened: Opened, name: string, ...choices: string[]): Promise<string> {
  await opened.row(name).locator('[data-test="row-share"]').click();
  for (const choice of choices) await opened.part(choice).click();
  await opened.part("share-create").click();
  return await opened.part("share-link").inputValue();
}

testInChromium(
  "a link to a file is made, opened by somebody else, and taken back",
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    pair.dir.write("root/report.txt", "content");
    pair.dir.write("root/secret.txt", "secret");
    const owner = await browsing.open(url);
    const link = await share(owner, "report.txt");

    const guest = await browsing.open(link);
    const file = await guest.download(() => guest.part("row-download").click());
    assertEquals([file.name, text(file.content)], ["report.txt", "content"]);
    assertEquals(await guest.page.getByText("secret.txt").count(), 0);
    assertEquals(await guest.part("upload-files").count(), 0);

    await owner.part("share-revoke").click();
    await owner.part("message").waitFor();
    await guest.page.reload();
    await guest.part("message").filter({ hasText: "This link has ended" }).waitFor();
  },
);

testInChromium("a link to a folder shows the folder, and nothing above it", async (browsing) => {
  const { pair, url } = await startWithPage();
  await using _ = pair;
  Deno.mkdirSync(`${pair.root}/album/deep`, { recursive: true });
  pair.dir.write("root/album/deep/one.txt", "1");
  pair.dir.write("root/secret.txt", "secret");
  const link = await share(await browsing.open(url), "album");
  const guest = await browsing.open(link);
  await guest.row("deep").getByRole("link", { name: "deep" }).first().click();
  await guest.shows("one.txt");
  assertEquals(await guest.row("secret.txt").count(), 0);
});

testInChromium(
  "what is sent into a drop box arrives, and its visitors see nothing",
  async (browsing) => {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    Deno.mkdirSync(`${pair.root}/inbox`);
    pair.dir.write("root/inbox/of others.txt", "secret");
    const owner = await browsing.open(url);
    const link = await share(owner, "inbox", "share-for-upload");
    const guest = await browsing.open(link);
    await guest.part("drop-box").waitFor();
    Deno.mkdirSync(`${pair.cwd}/mine`);
    pair.write("mine/a", "a");
    pair.write("mine/b", "b");
    await guest.drop(`${pair.cwd}/mine`);
    await guest.waitForUpload("mine/a", "arrived");
    await guest.waitForUpload("mine/b", "arrived");
    assertEquals(Deno.readTextFileSync(`${pair.root}/inbox/mine/a`), "a");
    assertEquals(await guest.page.getByText("of others.txt").count(), 0);

    // A name that is taken is not replaced.
    await guest.choose("upload-files", pair.write("of others.txt", "mine"));
    await guest.waitForUpload("of others.txt", "exists");
    await guest.part("uploads-replace-all").click();
    await guest.waitForUpload("of others.txt", "failed");
    assertEquals(Deno.readTextFileSync(`${pair.root}/inbox/of others.txt`), "secret");
  },
);

testInChromium("a link whose downloads are used up says so", async (browsing) => {
  const { pair, url } = await startWithPage();
  await using _ = pair;
  pair.dir.write("root/once.txt", "content");
  const owner = await browsing.open(url);
  await owner.row("once.txt").locator('[data-test="row-share"]').click();
  await owner.part("share-downloads").selectOption("1");
  await owner.part("share-create").click();
  const guest = await browsing.open(await owner.part("share-link").inputValue());
  const file = await guest.download(() => guest.part("row-download").click());
  assertEquals(text(file.content), "content");
  await guest.page.getByText("1 of 1 downloads").waitFor();
  await guest.part("row-download").click();
  await guest.part("message").filter({ hasText: "This link has ended" }).waitFor();
});
