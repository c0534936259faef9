/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { Remembered, type Unfinished } from "../../../page/upload/remembered.ts";

const FILE = { name: "in/a", size: 10, mtime: 1 };

function group(id: string, prefix = ""): Unfinished {
  const uploads = [{ ...FILE, url: `/.tus/${id}` }];
  return {
    id,
    prefix,
    directory: "in",
    tops: ["a"],
    hasDirectory: false,
    files: 1,
    arrived: 0,
    uploads,
  };
}

/** What tabs of one browser share. */
class Browser {
  readonly #kept = new Map<string, string>();
  now = 1_000_000;
  isFull = false;

  tab(name: string): Remembered {
    const storage = {
      getItem: (key: string) => this.#kept.get(key) ?? null,
      setItem: (key: string, value: string) => {
        if (this.isFull) throw new DOMException("", "QuotaExceededError");
        this.#kept.set(key, value);
      },
    };
    return new Remembered(storage, name, () => this.now);
  }
}

Deno.test("a reloaded page finds what it did not finish, and other tabs only once it is closed", () => {
  const browser = new Browser();
  browser.tab("one").save(group("1"));
  assertEquals(browser.tab("one").unfinished("").map(({ id }) => id), ["1"]);
  assertEquals(browser.tab("two").unfinished(""), []);
  browser.now += 20_000;
  assertEquals(browser.tab("two").unfinished("").map(({ id }) => id), ["1"]);
});

Deno.test("an unfinished upload is found by its file", () => {
  const tab = new Browser().tab("one");
  tab.save(group("1"));
  assertEquals(tab.find("", FILE), "/.tus/1");
  assertEquals(tab.find("", { ...FILE, size: 11 }), undefined);
  assertEquals(tab.find("", { ...FILE, mtime: 2 }), undefined);
  assertEquals(tab.find("/.ferry/s/x", FILE), undefined);
});

Deno.test("what was forgotten, or is a week old, is gone", () => {
  const browser = new Browser();
  const tab = browser.tab("one");
  tab.save(group("1"));
  tab.save(group("2"));
  tab.save(group("2"));
  tab.forget("1");
  assertEquals(tab.unfinished("").map(({ id }) => id), ["2"]);
  browser.now += 8 * 24 * 60 * 60 * 1000;
  assertEquals(tab.unfinished(""), []);
});

Deno.test("where nothing can be kept, nothing fails", () => {
  const off = new Remembered(undefined, "one");
  off.save(group("1"));
  off.forget("1");
  assertEquals(off.unfinished(""), []);
  const browser = new Browser();
  browser.isFull = true;
  browser.tab("one").save(group("1"));
  assertEquals(browser.tab("one").unfinished(""), []);
});
