import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { FerryError } from "../lib/errors.ts";
import type { Request } from "../lib/header.ts";
import { assertAllowed, type Scope, SCOPES } from "../server/access.ts";

/** What each operation needs; the type makes a new operation fail here until somebody decided. */
const NEEDED: Record<Request["op"], readonly Scope[]> = {
  hello: [],
  ping: [],
  get: ["read"],
  list: ["read"],
  stat: ["read"],
  put: ["write"],
  compare: ["read", "write"],
  mkdir: ["write"],
  move: ["write", "delete"],
  remove: ["delete"],
  exec: ["exec"],
};

/** Every combination of the scopes. */
const GRANTS = Array.from(
  { length: 1 << SCOPES.length },
  (_, bits) => SCOPES.filter((_, at) => bits & 1 << at),
);

for (const [op, needed] of Object.entries(NEEDED) as [Request["op"], readonly Scope[]][]) {
  Deno.test(`assertAllowed() ${op} needs ${needed.join(" and ") || "nothing"}`, () => {
    for (const granted of GRANTS) {
      const missing = needed.find((scope) => !granted.includes(scope));
      if (missing === undefined) {
        assertAllowed(op, granted);
        continue;
      }
      const error = assertThrows(() => assertAllowed(op, granted), FerryError);
      assertEquals(error.code, "denied", `${op} with ${granted}`);
      assertStringIncludes(error.message, `"${missing}"`);
    }
  });
}

Deno.test("SCOPES has every scope once", () => {
  const all: Record<Scope, true> = {
    read: true,
    write: true,
    delete: true,
    exec: true,
    echo: true,
  };
  assertEquals([...SCOPES].sort(), Object.keys(all).sort() as Scope[]);
});
