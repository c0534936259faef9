import { assertEquals } from "@std/assert";
import {
  decideOverwrite,
  type FileState,
  type Overwrite,
  OVERWRITE_POLICIES,
  type OverwriteDecision,
} from "../../../lib/core/overwrite.ts";

const A = "a".repeat(32);
const B = "b".repeat(32);

/** What comes in and what is there, and the decisions under `never` and `different`. */
const BY_CONTENT: readonly (readonly [FileState, FileState, string, OverwriteDecision[]])[] = [
  [{ size: 1, checksum: A }, { size: 1, checksum: A }, "the same", ["have", "have"]],
  [{ size: 1, checksum: A }, { size: 1, checksum: B }, "another md5", ["exists", "send"]],
  [{ size: 1, checksum: A }, { size: 2, checksum: B }, "another size and md5", ["exists", "send"]],
  [{ size: 1, checksum: null }, { size: 2, checksum: B }, "another size, no md5 in", [
    "exists",
    "send",
  ]],
  [{ size: 1, checksum: A }, { size: 2, checksum: null }, "another size, no md5 there", [
    "exists",
    "send",
  ]],
  [{ size: 1, checksum: null }, { size: 2, checksum: null }, "another size, no md5", [
    "exists",
    "send",
  ]],
  [{ size: 1, checksum: null }, { size: 1, checksum: A }, "the same size, no md5 in", [
    "hash",
    "hash",
  ]],
  [{ size: 1, checksum: A }, { size: 1, checksum: null }, "the same size, no md5 there", [
    "hash",
    "hash",
  ]],
  [{ size: 1, checksum: null }, { size: 1, checksum: null }, "the same size, no md5", [
    "hash",
    "hash",
  ]],
  [{ size: null, checksum: null }, { size: 1, checksum: A }, "a stream", ["hash", "hash"]],
  [{ size: null, checksum: A }, { size: 1, checksum: A }, "a stream that is the same", [
    "have",
    "have",
  ]],
  [{ size: null, checksum: A }, { size: 1, checksum: B }, "a stream that is not", [
    "exists",
    "send",
  ]],
  [{ size: 0, checksum: A }, { size: 0, checksum: A }, "both empty", ["have", "have"]],
  [{ size: 0, checksum: null }, { size: 1, checksum: A }, "one empty", ["exists", "send"]],
];

for (const [turn, policy] of (["never", "different"] as const).entries()) {
  Deno.test(`decideOverwrite() ${policy}: by content, whatever the times`, () => {
    for (const [incoming, existing, what, decisions] of BY_CONTENT) {
      for (const [before, after] of [[undefined, undefined], [1, 2], [2, 1], [1, undefined]]) {
        const decision = decideOverwrite(
          policy,
          { ...incoming, mtime: before },
          { ...existing, mtime: after },
        );
        assertEquals(decision, decisions[turn]!, what);
      }
    }
  });
}

Deno.test("decideOverwrite() always: send, even what is the same", () => {
  for (const [incoming, existing, what] of BY_CONTENT) {
    assertEquals(decideOverwrite("always", incoming, existing), "send", what);
  }
});

Deno.test("decideOverwrite() newer: by time, whatever the content", () => {
  const times: readonly (readonly [number | undefined, number | undefined, OverwriteDecision])[] = [
    [2, 1, "send"],
    [1, 1, "have"],
    [1, 2, "have"],
    [0, -1, "send"],
    [1, undefined, "send"],
    [undefined, 1, "have"],
    [undefined, undefined, "have"],
  ];
  for (const [incoming, existing] of BY_CONTENT) {
    for (const [after, before, decision] of times) {
      assertEquals(
        decideOverwrite("newer", { ...incoming, mtime: after }, { ...existing, mtime: before }),
        decision,
        `${after} over ${before}`,
      );
    }
  }
});

/** Times of what comes in and of what is there that may be the first one, as a file system keeps it. */
const CUT_OFF: readonly (readonly [number, number])[] = [
  [5123, 5000],
  [5999, 5000],
  [5123, 4000],
  [5000, 4000],
  [4001, 4000],
  [-877, -1000],
  [-877, -2000],
];

Deno.test("decideOverwrite() newer: by content where a time may have lost less than a second, or two", () => {
  for (const [mtime, kept] of CUT_OFF) {
    const table: readonly [string | null, string | null, OverwriteDecision][] = [
      [A, A, "have"],
      [A, B, "send"],
      [A, null, "hash"],
      [null, A, "hash"],
      [null, null, "hash"],
    ];
    for (const [checksum, other, decision] of table) {
      const decided = decideOverwrite(
        "newer",
        { size: 1, mtime, checksum },
        { size: 1, mtime: kept, checksum: other },
      );
      assertEquals([mtime, kept, checksum, other, decided], [
        mtime,
        kept,
        checksum,
        other,
        decision,
      ]);
    }
    const longer = { size: 2, mtime, checksum: null };
    assertEquals(decideOverwrite("newer", longer, { ...longer, size: 1, mtime: kept }), "send");
  }
});

Deno.test("decideOverwrite() newer: by time where no file system has kept the one for the other", () => {
  for (
    const [mtime, kept] of [[5123, 5122], [6000, 5000], [7000, 5000], [6123, 4000], [5123, 3000]]
  ) {
    const file = { size: 1, checksum: A };
    assertEquals(decideOverwrite("newer", { ...file, mtime }, { ...file, mtime: kept }), "send");
    assertEquals(decideOverwrite("newer", { ...file, mtime: kept }, { ...file, mtime }), "have");
  }
});

Deno.test("OVERWRITE_POLICIES has every policy once, the default first", () => {
  const all: Record<Overwrite, true> = { never: true, always: true, newer: true, different: true };
  assertEquals(OVERWRITE_POLICIES[0], "never");
  assertEquals([...OVERWRITE_POLICIES].sort(), Object.keys(all).sort() as Overwrite[]);
});
