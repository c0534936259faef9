/**
 * Chromium, which opens the page of a server and does what a person does.
 *
 * @module
 */

import fs from "node:fs";
import type { Browser, BrowserType, CDPSession, Page } from "playwright-core";
import { assertEquals } from "@std/assert";
import { CHROMIUM } from "./engines/chromium.ts";
import { type BorrowedEngine, Engine, testWithEngine } from "./engines/engine.ts";
import { Pair } from "./pair.ts";

/** How long anything may take on a busy machine, in milliseconds. */
const PATIENCE_MS = 180_000;

/** A test in Chromium; it is ignored, with the reason, where there is none. */
export function testInChromium(
  criterion: string,
  run: (browsing: Browsing) => Promise<void>,
): void {
  testWithEngine(CHROMIUM, criterion, async () => {
    await using browsing = await Browsing.start();
    await run(browsing);
    browsing.assertQuiet();
  });
}

/** Loads playwright, which looks for files below /proc that Deno shows nobody without all permissions. */
async function driver(): Promise<BrowserType> {
  const { existsSync } = fs;
  fs.existsSync = (path) => {
    try {
      return existsSync(path);
    } catch {
      return false;
    }
  };
  try {
    return (await import("playwright-core")).chromium;
  } finally {
    fs.existsSync = existsSync;
  }
}

/** What a person in front of a browser does. */
export class Browsing implements AsyncDisposable {
  readonly #program: BorrowedEngine;
  readonly #browser: Browser;
  /** What the console reported, and requests to other hosts. */
  readonly #complaints: string[] = [];

  private constructor(program: BorrowedEngine, browser: Browser) {
    this.#program = program;
    this.#browser = browser;
  }

  /** Connects to a Chromium that nobody else uses meanwhile, which is started if there is none. */
  static async start(): Promise<Browsing> {
    const program = await Engine.borrowed(CHROMIUM);
    const options = { isLocal: true, artifactsDir: program.dir, timeout: PATIENCE_MS };
    const browser = await (await driver()).connectOverCDP(program.endpoint, options);
    return new Browsing(program, browser);
  }

  /** An empty page in a browser that has kept nothing. It may do what it likes. */
  async empty(): Promise<Page> {
    const context = await this.#browser.newContext();
    context.setDefaultTimeout(PATIENCE_MS);
    return await context.newPage();
  }

  /** Opens a page in a browser that has kept nothing. */
  async open(
    url: string,
    { language = "en-GB", width = 1280, height = 800, dark = false, beforeOpen }: {
      language?: string;
      width?: number;
      height?: number;
      dark?: boolean;
      /** Prepares the empty page before it goes to the server. */
      beforeOpen?(opened: Opened): Promise<void>;
    } = {},
  ): Promise<Opened> {
    const context = await this.#browser.newContext({
      locale: language,
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
      acceptDownloads: true,
      ignoreHTTPSErrors: true,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const { host } = new URL(url);
    page.on("request", (request) => {
      const asked = request.url();
      const isElsewhere = /^(https?|wss?):/.test(asked) && new URL(asked).host !== host;
      if (isElsewhere) this.#complaints.push(`a request to ${asked}`);
    });
    page.on("pageerror", (error) => this.#complaints.push(String(error)));
    page.on("console", (message) => {
      const text = message.text();
      // Chromium reports each response with an error status, and each request without one.
      const isExpected = /^Failed to load resource/.test(text);
      if (message.type() === "error" && !isExpected) this.#complaints.push(text);
    });
    const opened = new Opened(page);
    await beforeOpen?.(opened);
    await page.goto(url);
    return opened;
  }

  /** Fails if a script has failed, if the policy of the page forbade something, or if it asked another host. */
  assertQuiet(): void {
    assertEquals(this.#complaints, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What was opened is closed; the program goes on.
    await this.#browser.close();
    await this.#program[Symbol.asyncDispose]();
  }
}

/** A page that is open. */
export class Opened {
  /** The page, for playwright. */
  readonly page: Page;
  #devtools: CDPSession | undefined;

  /** @param page the page */
  constructor(page: Page) {
    this.page = page;
  }

  /** The element with a `data-test`. */
  part(name: string) {
    return this.page.locator(`[data-test="${name}"]`);
  }

  /** The row of an entry in the list. */
  row(name: string) {
    return this.page.locator(`[data-name="${name}"]`);
  }

  /** Waits until the list has an entry. */
  async shows(name: string): Promise<void> {
    await this.row(name).waitFor();
  }

  /** Logs in with a token. */
  async logIn(token: string): Promise<void> {
    await this.part("login-token").fill(token);
    await this.part("login-submit").click();
    await this.part("list").or(this.part("upload-files")).first().waitFor();
  }

  /** Drops files and directories of this machine on the page, as a file manager does. */
  async drop(...paths: string[]): Promise<void> {
    const devtools = await this.page.context().newCDPSession(this.page);
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await devtools.send("Input.dispatchDragEvent", { type, x: 200, y: 300, data });
    }
    await devtools.detach();
  }

  /** Chooses files, or a directory, in the dialog that a button opens. */
  async choose(button: string, ...paths: string[]): Promise<void> {
    const [chooser] = await Promise.all([
      this.page.waitForEvent("filechooser"),
      this.part(button).first().click(),
    ]);
    await chooser.setFiles(paths);
  }

  /** Limits how many bytes the page sends in a second, or takes the network from it. Default: neither. */
  async network(
    { bytesPerSecond = -1, offline = false }: { bytesPerSecond?: number; offline?: boolean } = {},
  ): Promise<void> {
    this.#devtools ??= await this.page.context().newCDPSession(this.page);
    await this.#devtools.send("Network.enable");
    await this.#devtools.send("Network.emulateNetworkConditions", {
      offline,
      latency: 0,
      downloadThroughput: -1,
      uploadThroughput: bytesPerSecond,
    });
  }

  /** Waits until a file on its way has a state. */
  async waitForUpload(name: string, state: string): Promise<void> {
    await this.page.locator(`[data-upload="${name}"][data-state="${state}"]`).waitFor();
  }

  /** Waits until both sides have counted, and returns what they have counted. */
  async counted(): Promise<{ here: number; there: number }> {
    const counted = this.part("uploads-counted").last();
    await counted.waitFor();
    const { here, there } = await counted.evaluate((element: { dataset: DOMStringMap }) => ({
      ...element.dataset,
    })) as Record<string, string>;
    return { here: Number(here), there: Number(there) };
  }

  /** Downloads what a link leads to, and returns its name and its content. */
  async download(
    click: () => Promise<void>,
  ): Promise<{ name: string; content: Uint8Array<ArrayBuffer> }> {
    const [file] = await Promise.all([this.page.waitForEvent("download"), click()]);
    return { name: file.suggestedFilename(), content: await Deno.readFile(await file.path()) };
  }
}

/** Types of the page's document that the types of Deno do not have. */
type DOMStringMap = Record<string, string | undefined>;

/** Both programs, with a server for browsers as well. */
export async function startWithPage(args: string[] = []): Promise<{ pair: Pair; url: string }> {
  const pair = await Pair.start(["--http", "127.0.0.1:0", ...args]);
  return { pair, url: `http://127.0.0.1:${pair.server.portOf("http")}` };
}
