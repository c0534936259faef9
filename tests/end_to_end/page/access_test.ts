import { assertEquals } from "@std/assert";
import { testInChromium } from "../../support/chromium.ts";
import { HttpServer } from "../../support/http_server.ts";
import { token } from "../../support/token_server.ts";
import { tokenTable } from "../../../server/auth/token_table.ts";

/** What the page offers for changes. */
const CHANGES = ["new-folder", "upload-files", "upload-folder", "row-rename", "row-delete"];

testInChromium("the page offers what the client may do, and no more", async (browsing) => {
  await using server = await HttpServer.start({ anonymous: ["read"] });
  server.write("file", "");
  const opened = await browsing.open(server.url);
  await opened.shows("file");
  for (const part of CHANGES) assertEquals(await opened.part(part).count(), 0, part);
  assertEquals(await opened.part("row-download").count(), 1);
  await opened.drop(server.path("file"));
  await opened.part("message").filter({ hasText: "You may not upload here" }).waitFor();
  assertEquals(await opened.part("uploads").count(), 0);
});

testInChromium("a token that reaches one folder is led there", async (browsing) => {
  const { token: text, record } = await token("read", "inbox/");
  await using server = await HttpServer.start({ tokens: tokenTable([record]) });
  Deno.mkdirSync(server.path("inbox"));
  server.write("inbox/mine", "");
  server.write("secret", "");
  const opened = await browsing.open(server.url);
  await opened.part("login-token").fill(text);
  await opened.part("login-submit").click();
  await opened.page.getByText("You may not do this").waitFor();
  await opened.page.getByRole("link", { name: "inbox" }).click();
  await opened.shows("mine");
});

testInChromium("a token that may only send sees nothing, and can send", async (browsing) => {
  const { token: text, record } = await token("write");
  await using server = await HttpServer.start({ tokens: tokenTable([record]) });
  server.write("secret", "");
  const opened = await browsing.open(server.url);
  await opened.part("login-token").fill(text);
  await opened.part("login-submit").click();
  await opened.part("drop-box").waitFor();
  assertEquals(await opened.page.getByText("secret").count(), 0);
  await opened.part("upload-files").waitFor();
  assertEquals(await opened.part("new-folder").count(), 0);
});

testInChromium("a token that is not valid is refused with a sentence", async (browsing) => {
  const { record } = await token("read");
  await using server = await HttpServer.start({ tokens: tokenTable([record]) });
  const opened = await browsing.open(server.url);
  for (const wrong of ["nonsense", (await token("read")).token]) {
    await opened.part("login-token").fill(wrong);
    await opened.part("login-submit").click();
    await opened.part("message").filter({ hasText: "not valid" }).waitFor();
  }
});

testInChromium("a visitor who may read logs in to do more, and out again", async (browsing) => {
  const { token: text, record } = await token("read,write");
  await using server = await HttpServer.start({
    tokens: tokenTable([record]),
    anonymous: ["read"],
  });
  server.write("file", "");
  const opened = await browsing.open(server.url);
  await opened.shows("file");
  assertEquals(await opened.part("upload-files").count(), 0);
  await opened.part("login").click();
  await opened.part("login-token").fill(text);
  await opened.part("login-submit").click();
  await opened.part("upload-files").waitFor();
  await opened.part("menu").click();
  await opened.part("logout").click();
  await opened.part("login").waitFor();
  assertEquals(await opened.part("upload-files").count(), 0);
});
