/**
 * Takes the pictures of the page in docs/pictures, with Chromium.
 *
 * @module
 */

import { Browsing, type Opened, startWithPage } from "../../tests/support/chromium.ts";
import type { Pair } from "../../tests/support/pair.ts";
import { randomBytes } from "../../tests/support/random_file.ts";
import { PICTURES } from "./pictures.ts";

/** What is served: names, and sizes in bytes; 0 for directories. */
const SERVED: Readonly<Record<string, number>> = {
  "Contracts": 0,
  "Photos 2026": 0,
  "Releases": 0,
  "Annual report.pdf": 2_481_212,
  "Interview.mp3": 18_220_031,
  "Minutes.md": 5_210,
  "Plan.svg": 48_712,
  "Übersicht.xlsx": 212_480,
  "会议记录.docx": 96_313,
};

/** The time of all files. */
const TIME = new Date("2026-11-27T09:30:00Z");

const MIB = 1024 * 1024;

/** How fast files are sent while a picture is taken, in bytes per second. */
const RATE = 6 * MIB;

/** Fills the directory that is served. */
async function fill({ root }: Pair): Promise<void> {
  for (const [name, size] of Object.entries(SERVED)) {
    const path = `${root}/${name}`;
    if (size === 0) await Deno.mkdir(path);
    else await Deno.writeFile(path, new Uint8Array(size));
    await Deno.utime(path, TIME, TIME);
  }
}

/** Sends files, and waits until one of them is being sent. */
async function send(opened: Opened, pair: Pair): Promise<void> {
  const paths = [24, 2, 3].map((size, index) =>
    pair.write(`Take ${index + 1}.mov`, randomBytes(size * MIB, index + 1))
  );
  await opened.network({ bytesPerSecond: RATE });
  await opened.choose("upload-files", ...paths);
  await opened.waitForUpload("Take 2.mov", "arrived");
  await opened.waitForUpload("Take 3.mov", "arrived");
  await opened.page.getByText("left").first().waitFor();
}

async function take(opened: Opened, name: string): Promise<void> {
  const bytes = await opened.page.screenshot({ animations: "disabled", caret: "hide" });
  await Deno.writeFile(new URL(`${name}.png`, PICTURES), bytes);
}

if (import.meta.main) {
  await using browsing = await Browsing.start();
  for (const dark of [false, true]) {
    const { pair, url } = await startWithPage();
    await using _ = pair;
    await fill(pair);
    const opened = await browsing.open(url, { width: 1080, height: 680, dark });
    await opened.shows("Contracts");
    await send(opened, pair);
    await take(opened, dark ? "page-dark" : "page");
  }
  const { pair, url } = await startWithPage();
  await using _ = pair;
  await fill(pair);
  const phone = await browsing.open(url, { width: 360, height: 680, language: "zh-CN" });
  await phone.shows("Contracts");
  await take(phone, "page-phone");
}
