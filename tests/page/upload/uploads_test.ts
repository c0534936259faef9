/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import type { Collected } from "../../../page/upload/collect.ts";
import { Digests } from "../../../page/upload/digests.ts";
import type { Send } from "../../../page/upload/exchange.ts";
import { UploadFailure } from "../../../page/upload/failure.ts";
import { Remembered } from "../../../page/upload/remembered.ts";
import { WHOLE_BYTES } from "../../../page/upload/transfer.ts";
import { Uploads } from "../../../page/upload/uploads.ts";
import { md5Of } from "../../support/digests.ts";
import { UploadDoor } from "../../support/upload_door.ts";

/** Files that were dropped, by their paths. */
function dropped(files: Record<string, BlobPart>, directories: string[] = []): Collected {
  return {
    files: Object.entries(files).map(([path, content]) => ({
      path,
      file: new File([content], path.split("/").at(-1)!, { lastModified: 1 }),
    })),
    directories,
    flaws: [],
  };
}

function textBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** What a browser keeps of all its pages. */
class Kept {
  readonly #items = new Map<string, string>();
  /** How often something was kept. */
  writes = 0;
  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.writes++;
    this.#items.set(key, value);
  }
}

/** A page with uploads into a door. */
class Page {
  readonly uploads: Uploads;
  readonly #workers: Worker[] = [];
  #changed = Promise.withResolvers<void>();
  stored = 0;
  logins = 0;

  constructor(readonly door = new UploadDoor(), kept = new Kept()) {
    const start = () => {
      const url = new URL("../../../page/upload/md5_worker.ts", import.meta.url);
      const worker = new Worker(url, { type: "module" });
      this.#workers.push(worker);
      return worker;
    };
    this.uploads = new Uploads({
      send: door.send,
      digests: new Digests(start, 1),
      remembered: new Remembered(kept, "tab"),
      prefix: "",
      changed: () => this.#tell(),
      stored: () => this.stored++,
      loginNeeded: () => {
        this.logins++;
        this.#tell();
      },
    });
  }

  #tell(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  /** Waits until nothing more happens by itself. */
  async settled(): Promise<void> {
    await this.until(() => this.uploads.groups.every(({ isCounted }) => isCounted));
  }

  get states(): Record<string, string> {
    return Object.fromEntries(this.uploads.items.map(({ name, state }) => [name, state]));
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
  }
}

Deno.test("a folder arrives, is counted on both sides, and leaves nothing behind", async () => {
  const kept = new Kept();
  using page = new Page(new UploadDoor(), kept);
  const files = Object.fromEntries(
    Array.from({ length: 50 }, (_, n) => [`top/${n % 7}/${n}`, `${n}`]),
  );
  page.uploads.add(dropped(files, ["top/empty"]), "in");
  await page.settled();
  const { summary, groups: [group] } = page.uploads;
  assertEquals([summary.files, summary.arrived, summary.isActive], [50, 50, false]);
  assertEquals([summary.bytes, summary.sent], [90, 90]);
  assertEquals(group!.count, { here: 50, there: 50, missing: [] });
  assertEquals(page.door.directories, ["in/top/empty"]);
  assertEquals(page.door.files.get("in/top/3/3"), textBytes("3"));
  assertEquals(page.uploads.items[0]!.md5, md5Of(textBytes("0")));
  assertEquals(page.stored > 0, true);
  assertEquals(JSON.parse(kept.getItem("ferry-uploads")!), []);
  page.uploads.clear();
  assertEquals(page.uploads.groups, []);
});

Deno.test("a file that the server has lost meanwhile is missed at the end", async () => {
  using page = new Page();
  page.door.disturb = ({ method, url }) => {
    if (method === "GET" && url.endsWith("?recursive")) page.door.files.delete("top/b");
    return undefined;
  };
  page.uploads.add(dropped({ "top/a": "a", "top/b": "b" }), "");
  await page.settled();
  assertEquals(page.uploads.groups[0]!.count, { here: 2, there: 1, missing: ["top/b"] });
  assertEquals(page.states, { "top/a": "arrived", "top/b": "failed" });
  assertEquals(page.uploads.items[1]!.failure?.code, "lost");
  // It can be sent once more.
  page.door.disturb = () => undefined;
  page.uploads.retry(...page.uploads.items);
  await page.settled();
  assertEquals(page.uploads.groups[0]!.count, { here: 2, there: 2, missing: [] });
});

Deno.test("a file that is there already is not sent again", async () => {
  using page = new Page();
  page.door.files.set("in/a", textBytes("same"));
  page.uploads.add(dropped({ a: "same" }), "in");
  await page.settled();
  assertEquals(page.states, { "in/a": "arrived" });
  assertEquals(page.uploads.items[0]!.wasThere, true);
  assertEquals(page.door.requests.includes("POST /.tus/"), false);
});

Deno.test("where another file has the name, somebody decides whether it is replaced", async () => {
  using page = new Page();
  page.door.files.set("a", textBytes("old"));
  page.door.files.set("b", textBytes("OLD"));
  page.uploads.add(dropped({ a: "new", b: "new" }), "");
  await page.settled();
  assertEquals(page.states, { a: "exists", b: "exists" });
  assertEquals(page.uploads.summary.undecided, 2);
  const [a, b] = page.uploads.items;
  page.uploads.decide("skip", a!);
  page.uploads.decide("replace", b!);
  await page.settled();
  assertEquals(page.states, { a: "skipped", b: "arrived" });
  assertEquals(page.door.files.get("a"), textBytes("old"));
  assertEquals(page.door.files.get("b"), textBytes("new"));
  assertEquals(page.uploads.groups[0]!.count, { here: 1, there: 1, missing: [] });
});

Deno.test("where nobody may list, files are sent all the same, and confirmed one by one", async () => {
  using page = new Page();
  page.door.mayList = false;
  page.uploads.add(dropped({ a: "a" }), "");
  await page.settled();
  assertEquals(page.states, { a: "arrived" });
  assertEquals(page.uploads.groups[0]!.count, undefined);
});

Deno.test("what failed can be tried again", async () => {
  using page = new Page();
  page.door.disturb = ({ method }) =>
    method === "POST" ? { failure: new UploadFailure("quota", { status: 507 }) } : undefined;
  page.uploads.add(dropped({ a: "a" }), "");
  await page.settled();
  assertEquals(page.uploads.items[0]!.failure?.code, "quota");
  assertEquals(page.uploads.groups[0]!.count?.missing, ["a"]);
  page.door.disturb = () => undefined;
  page.uploads.retry(...page.uploads.items);
  await page.settled();
  assertEquals(page.states, { a: "arrived" });
  assertEquals(page.uploads.groups[0]!.count?.missing, []);
});

Deno.test("a login that has ended is asked for once, and all goes on after it", async () => {
  using page = new Page();
  let isLoggedIn = false;
  page.door.disturb = () =>
    isLoggedIn ? undefined : { failure: new UploadFailure("auth_required", { status: 401 }) };
  page.uploads.add(dropped({ a: "a", b: "b" }), "");
  page.uploads.add(dropped({ c: "c" }), "");
  await page.until(() => page.logins > 0);
  const { isPaused, needsLogin } = page.uploads.summary;
  assertEquals([isPaused, needsLogin], [true, true]);
  isLoggedIn = true;
  page.uploads.resume();
  await page.settled();
  assertEquals(page.logins, 1);
  assertEquals(page.states, { a: "arrived", b: "arrived", c: "arrived" });
});

Deno.test("after a reload the same file goes on, and its group is not unfinished any more", async () => {
  const kept = new Kept();
  const door = new UploadDoor();
  const content = new Uint8Array(WHOLE_BYTES + 10).fill(7);
  {
    using page = new Page(door, kept);
    door.disturb = ({ method }) =>
      method === "PATCH" ? { failure: new UploadFailure("offline"), after: 900 } : undefined;
    page.uploads.add(dropped({ large: content, small: "s" }), "in");
    await page.until(() =>
      page.states["in/large"] === "paused" && page.states["in/small"] === "arrived"
    );
    page.uploads.save();
    page.uploads.items[0]!.stop!.abort();
  }
  door.disturb = () => undefined;
  using page = new Page(door, kept);
  const [left] = page.uploads.unfinished;
  assertEquals([left!.tops, left!.files, left!.arrived], [["large", "small"], 2, 1]);
  door.requests.length = 0;
  page.uploads.add(dropped({ large: content, small: "s" }), "in");
  assertEquals(page.uploads.unfinished, []);
  await page.settled();
  assertEquals(door.requests.filter((request) => request.includes(".tus")), [
    "HEAD /.tus/1",
    "PATCH /.tus/1",
  ]);
  assertEquals(door.files.get("in/large"), content);
});

Deno.test("a cancelled upload is removed from the server", async () => {
  using page = new Page();
  page.door.disturb = ({ method }) =>
    method === "PATCH" ? { failure: new UploadFailure("offline"), after: 9 } : undefined;
  page.uploads.add(dropped({ large: new Uint8Array(WHOLE_BYTES + 10) }), "");
  await page.until(() => page.states["large"] === "paused");
  page.uploads.cancel(...page.uploads.items);
  await page.settled();
  assertEquals(page.states, { large: "skipped" });
  assertEquals(page.door.pending.size, 0);
  assertEquals(page.uploads.unfinished, []);
});

Deno.test("an upload that is cancelled while the server creates it is removed", async () => {
  const [made, answered] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const removed = Promise.withResolvers<void>();
  const door = new class extends UploadDoor {
    override readonly send: Send = async (request) => {
      const response = await this.answer(request);
      if (request.method === "DELETE") removed.resolve();
      // The server has it, and its answer is under way.
      if (request.method === "POST") {
        made.resolve();
        await answered.promise;
      }
      return response;
    };
  }();
  using page = new Page(door);
  page.uploads.add(dropped({ large: new Uint8Array(WHOLE_BYTES + 10) }), "");
  await made.promise;
  assertEquals([page.states, door.pending.size], [{ large: "sending" }, 1]);
  page.uploads.cancel(...page.uploads.items);
  assertEquals(page.states, { large: "skipped" });
  answered.resolve();
  await removed.promise;
  assertEquals(door.pending.size, 0);
});

Deno.test("an unfinished group can be forgotten", async () => {
  const kept = new Kept();
  const door = new UploadDoor();
  new Remembered(kept, "tab").save({
    id: "1",
    prefix: "",
    directory: "",
    tops: ["a"],
    hasDirectory: false,
    files: 1,
    arrived: 0,
    uploads: [{ name: "a", size: 1, mtime: 1, url: "/.tus/7" }],
  });
  using page = new Page(door, kept);
  page.uploads.forget(page.uploads.unfinished[0]!);
  assertEquals(page.uploads.unfinished, []);
  await Promise.resolve();
  assertEquals(door.requests, ["DELETE /.tus/7"]);
});

Deno.test("what is cancelled before the server could be asked is gone at once", async () => {
  const kept = new Kept();
  using page = new Page(new UploadDoor(), kept);
  page.door.disturb = () => ({ failure: new UploadFailure("offline") });
  page.uploads.add(dropped({ "top/a": "a" }, ["top/empty"]), "");
  await page.until(() => page.uploads.summary.isPaused);
  page.uploads.cancel(...page.uploads.items);
  await page.settled();
  const asked = page.door.requests.length;
  page.uploads.clear();
  page.uploads.hurry();
  assertEquals(page.uploads.groups, []);
  assertEquals(page.door.requests.length, asked);
  assertEquals(JSON.parse(kept.getItem("ferry-uploads")!), []);
});

Deno.test("a file that failed and is cancelled is not missed any more", async () => {
  using page = new Page();
  page.door.disturb = ({ method }) =>
    method === "POST" ? { failure: new UploadFailure("quota", { status: 507 }) } : undefined;
  page.uploads.add(dropped({ "top/a": "a" }), "");
  await page.settled();
  assertEquals(page.uploads.groups[0]!.count?.missing, ["top/a"]);
  page.uploads.cancel(...page.uploads.items);
  await page.settled();
  assertEquals(page.states, { "top/a": "skipped" });
  assertEquals(page.uploads.groups[0]!.count, undefined);
});

Deno.test("each further file of a folder costs the page as much as the first", async () => {
  const kept = new Kept();
  using page = new Page(new UploadDoor(), kept);
  const files = Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`top/${n}`, ""]));
  page.uploads.add(dropped(files), "");
  const [group] = page.uploads.groups;
  let looks = 0;
  for (const item of group!.items) {
    let { state } = item;
    Object.defineProperty(item, "state", {
      get: () => (looks++, state),
      set: (value) => state = value,
    });
  }
  const began = Date.now();
  while (!group!.isCounted) await new Promise((resolve) => setTimeout(resolve, 10));
  const tenths = 1 + Math.floor((Date.now() - began) / 100);
  // It is measured ten times a second how far all of them are, and kept once a second.
  assertEquals(looks < (100 + 6 * tenths) * 400, true, `${looks} looks at 400 files`);
  assertEquals(kept.writes < 20 + tenths, true, `kept ${kept.writes} times`);
});

Deno.test("a file that was there and has gone before it was compared is sent", async () => {
  using page = new Page();
  page.door.files.set("a", textBytes("same"));
  page.door.listsMd5 = false;
  page.door.disturb = ({ method }) => {
    if (method === "HEAD") page.door.files.clear();
    return undefined;
  };
  page.uploads.add(dropped({ a: "same" }), "");
  await page.settled();
  assertEquals(page.states, { a: "arrived" });
  assertEquals(page.door.files.get("a"), textBytes("same"));
});

Deno.test("what was there at the beginning and has gone at the end can be sent", async () => {
  using page = new Page();
  page.door.files.set("top/a", textBytes("same"));
  let lists = 0;
  page.door.disturb = ({ url }) => {
    if (url.endsWith("?recursive") && ++lists === 2) page.door.files.clear();
    return undefined;
  };
  page.uploads.add(dropped({ "top/a": "same" }), "");
  await page.settled();
  assertEquals(page.states, { "top/a": "failed" });
  page.uploads.retry(...page.uploads.items);
  await page.settled();
  assertEquals(page.states, { "top/a": "arrived" });
  assertEquals(page.door.files.get("top/a"), textBytes("same"));
});
