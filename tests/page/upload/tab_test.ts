import { assert, assertEquals } from "@std/assert";
import { Tab } from "../../../page/upload/tab.ts";

/** What is kept for a tab, with a copy of what is kept for another one. */
class Kept {
  readonly #items: Map<string, string>;
  constructor(other?: Kept) {
    this.#items = new Map(other === undefined ? [] : other.#items);
  }
  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }
  removeItem(key: string): void {
    this.#items.delete(key);
  }
}

Deno.test("a reloaded tab is the same, and one that was opened from it another", () => {
  const kept = new Kept();
  const tab = new Tab(kept);
  const opened = new Tab(new Kept(kept));
  assert(opened.id !== tab.id);
  tab.leave();
  const reloaded = new Tab(kept);
  assertEquals(reloaded.id, tab.id);
  assert(new Tab(new Kept(kept)).id !== tab.id);
  // A page may come back as it was.
  reloaded.leave();
  reloaded.stay();
  assert(new Tab(new Kept(kept)).id !== tab.id);
});

Deno.test("where nothing can be kept, each page is another tab", () => {
  const tab = new Tab(undefined);
  tab.leave();
  assert(new Tab(undefined).id !== tab.id);
});
