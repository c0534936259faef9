/// <reference lib="dom" />
import { assertEquals } from "@std/assert";
import { keep, kept, storageOf } from "../../../page/text/kept.ts";

/** Runs something where the storage of the browser is another one. */
function withStorage(get: () => unknown, run: () => void): void {
  const before = Object.getOwnPropertyDescriptor(globalThis, "localStorage")!;
  Object.defineProperty(globalThis, "localStorage", { configurable: true, get });
  try {
    run();
  } finally {
    Object.defineProperty(globalThis, "localStorage", before);
  }
}

Deno.test("where the browser keeps nothing, nothing fails", () => {
  const off = () => {
    throw new DOMException("", "SecurityError");
  };
  withStorage(off, () => {
    keep("key", "value");
    assertEquals([kept("key"), storageOf("localStorage")], [null, undefined]);
  });
  const full = {
    getItem: () => null,
    setItem() {
      throw new DOMException("", "QuotaExceededError");
    },
  };
  withStorage(() => full, () => keep("key", "value"));
});
