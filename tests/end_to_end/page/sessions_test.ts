import { assertEquals } from "@std/assert";
import { parseGrants } from "../../../server/auth/grants.ts";
import { TokenFile } from "../../../server/auth/token_file.ts";
import { newToken } from "../../../server/auth/token_table.ts";
import { type Opened, startWithPage, testInChromium } from "../../support/chromium.ts";
import { TempDir } from "../../support/programs.ts";

/** A file of tokens for a ferryd. */
class Tokens implements AsyncDisposable {
  readonly #dir = new TempDir();
  readonly #file = new TokenFile(this.#dir.join("tokens"));

  /** The options of a ferryd. */
  get args(): string[] {
    return ["--token-file", this.#dir.join("tokens")];
  }

  /** Makes a token that may do everything. */
  async add(name: string): Promise<string> {
    const grants = parseGrants(["read", "write", "delete"], []);
    const { token, record } = await newToken({ name, grants, expires: null });
    await this.#file.add(record);
    return token;
  }

  /** Takes a token back. */
  async revoke(name: string): Promise<void> {
    await this.#file.revoke(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** Waits until the server takes the cookie of a page no more. */
async function loggedOut({ page }: Opened): Promise<void> {
  const headers = { accept: "application/json" };
  for (;;) {
    const response = await page.request.get(page.url(), { headers });
    if (response.status() === 401) return;
  }
}

testInChromium(
  "a login outlives a reload, and ends with the token",
  async (browsing) => {
    await using tokens = new Tokens();
    const token = await tokens.add("laptop");
    const { pair, url } = await startWithPage(tokens.args);
    await using _ = pair;
    pair.dir.write("root/file", "");
    const opened = await browsing.open(url);
    await opened.logIn(token);
    await opened.page.reload();
    await opened.shows("file");
    // Scripts cannot read the cookie.
    assertEquals(await opened.page.evaluate("document.cookie"), "");

    await tokens.revoke("laptop");
    await loggedOut(opened);
    await opened.page.reload();
    await opened.part("login-token").waitFor();
    assertEquals(await opened.row("file").count(), 0);
  },
);

testInChromium(
  "an upload waits where the login has ended, and goes on after another one",
  async (browsing) => {
    await using tokens = new Tokens();
    const first = await tokens.add("first");
    const second = await tokens.add("second");
    const { pair, url } = await startWithPage(tokens.args);
    await using _ = pair;
    pair.dir.write("root/there", "");
    const opened = await browsing.open(url);
    await opened.logIn(first);
    await tokens.revoke("first");
    await loggedOut(opened);
    await opened.choose("upload-files", pair.write("new", "content"));
    await opened.logIn(second);
    await opened.waitForUpload("new", "arrived");
    assertEquals(Deno.readTextFileSync(`${pair.root}/new`), "content");
  },
);

testInChromium("after a logout nothing is left to be seen", async (browsing) => {
  await using tokens = new Tokens();
  const token = await tokens.add("laptop");
  const { pair, url } = await startWithPage(tokens.args);
  await using _ = pair;
  pair.dir.write("root/file", "");
  const opened = await browsing.open(url);
  await opened.logIn(token);
  await opened.part("menu").click();
  await opened.part("logout").click();
  await opened.part("login-token").waitFor();
  await opened.page.goBack().catch(() => {});
  await opened.page.goto(url);
  await opened.part("login-token").waitFor();
  assertEquals(await opened.row("file").count(), 0);
});
