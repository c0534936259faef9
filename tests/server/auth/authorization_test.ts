import { assertEquals, assertThrows } from "@std/assert";
import { FerryError } from "../../../lib/core/errors.ts";
import type { Request } from "../../../lib/wire/operations/operations.ts";
import {
  type AccessRequest,
  assertAllowed,
  boundsOf,
  type Principal,
} from "../../../server/auth/authorization.ts";
import { grantEverywhere, type Grants, parseGrants } from "../../../server/auth/grants.ts";
import { parseFileName } from "../../../lib/core/remote_name.ts";
import { type Scope, SCOPES } from "../../../lib/core/scope.ts";
import fc from "../../support/properties.ts";

/** What each operation needs; the type makes a new operation fail here until somebody decided. */
const NEEDED: Record<Request["op"], readonly Scope[]> = {
  hello: [],
  auth: [],
  ping: [],
  get: ["read"],
  signature: ["read"],
  list: ["read"],
  stat: ["read"],
  verify: ["read"],
  put: ["write"],
  receipt: ["write"],
  link: ["write"],
  stage: ["write"],
  publish: ["write"],
  assemble: ["write"],
  piece: ["write"],
  compare: ["read", "write"],
  mkdir: ["write"],
  discard: ["write"],
  move: ["write", "delete"],
  remove: ["delete"],
  exec: ["exec"],
  share: ["read"],
  shares: [],
  unshare: [],
};

/** Every combination of the scopes. */
const GRANTS = Array.from(
  { length: 1 << SCOPES.length },
  (_, bits) => SCOPES.filter((_, at) => bits & 1 << at),
);

function somebody(grants: Grants, { mayAuthenticate = false } = {}): Principal {
  return { grants, mayAuthenticate };
}

/** "ok", or the code of the refusal. */
function decide(who: Principal, question: AccessRequest): string {
  try {
    assertAllowed(who, question);
    return "ok";
  } catch (error) {
    return (error as FerryError).code;
  }
}

for (const [op, needed] of Object.entries(NEEDED) as [Request["op"], readonly Scope[]][]) {
  Deno.test(`assertAllowed() ${op} needs ${needed.join(" and ") || "nothing"}`, () => {
    const question = { op, filename: "a/b", to: "c/d" };
    for (const granted of GRANTS) {
      const who = somebody(grantEverywhere(granted));
      const missing = needed.filter((scope) => !granted.includes(scope));
      if (missing.length === 0) {
        assertAllowed(who, question);
        continue;
      }
      const error = assertThrows(() => assertAllowed(who, question), FerryError);
      assertEquals(error.code, "denied", `${op} with ${granted}`);
      assertEquals(missing.some((scope) => error.message.includes(`"${scope}"`)), true);
      const stranger = somebody(grantEverywhere(granted), { mayAuthenticate: true });
      assertEquals(decide(stranger, question), "auth_required");
    }
  });
}

Deno.test("assertAllowed() share needs write where others may upload, and not read", () => {
  const upload = { op: "share", filename: "a", upload: true } as const;
  assertAllowed(somebody(grantEverywhere(["write"])), upload);
  assertEquals(decide(somebody(grantEverywhere(["read"])), upload), "denied");
});

Deno.test("assertAllowed() put needs read for what it builds upon, and write for its name alone", () => {
  const who = somebody(parseGrants(["read:pub/,write:in/"], []));
  const put = { op: "put", filename: "in/f" } as const;
  assertAllowed(who, put);
  assertAllowed(who, { ...put, basis: "pub/f" });
  for (const basis of ["in/f", "pub", "other/f"]) {
    assertEquals(decide(who, { ...put, basis }), "denied", basis);
  }
  assertEquals(decide(who, { ...put, basis: "../f" }), "bad_name");
  assertEquals(decide(who, { op: "put", filename: "pub/f", basis: "pub/f" }), "denied");
  const only = { only: parseFileName("in/f"), createsOnly: false };
  const visitor = { ...somebody(grantEverywhere(["read", "write"])), link: only };
  assertAllowed(visitor, { ...put, basis: "in/f" });
  assertEquals(decide(visitor, { ...put, basis: "in/g" }), "denied");
});

/** Who asks, in the tables below. */
const PRINCIPALS = {
  nobody: somebody({}),
  stranger: somebody({}, { mayAuthenticate: true }),
  all: somebody(grantEverywhere(SCOPES)),
  reader: somebody(parseGrants(["read"], [])),
  inbox: somebody(parseGrants(["read,write,delete"], ["inbox/"])),
  two: somebody(parseGrants(["read,write,delete"], ["a/b", "c"])),
  dropper: somebody(parseGrants(["write"], ["inbox"])),
  mirror: somebody(parseGrants(["read:pub/,write:pub/in/,delete:tmp/"], [])),
};

type Who = keyof typeof PRINCIPALS;
type Row = readonly [Who, AccessRequest["op"], string, string?];

const name = (op: AccessRequest["op"], filename: string, to?: string): AccessRequest => ({
  op,
  filename,
  ...(to === undefined ? {} : { to }),
});

/** What comes to pass. Names that do not exist are refused like those that do: nobody looks. */
const ALLOWED: readonly Row[] = [
  ["nobody", "hello", ""],
  ["nobody", "ping", ""],
  ["stranger", "hello", ""],
  ["stranger", "auth", ""],
  ["all", "list", ""],
  ["all", "stat", ""],
  ["all", "put", "x"],
  ["all", "remove", "x"],
  ["all", "move", "x", "y"],
  ["reader", "get", "a/b/c"],
  ["reader", "list", ""],
  ["inbox", "put", "inbox/x"],
  ["inbox", "put", "inbox/deep/er/x"],
  ["inbox", "get", "inbox/x"],
  ["inbox", "stat", "inbox/x"],
  ["inbox", "list", "inbox/deep"],
  ["inbox", "remove", "inbox/deep"],
  ["inbox", "mkdir", "inbox/new"],
  ["inbox", "move", "inbox/x", "inbox/deep/y"],
  ["inbox", "compare", "inbox/x"],
  // The directory itself: that it is there, what is in it, and that it comes to be.
  ["inbox", "list", "inbox"],
  ["inbox", "stat", "inbox"],
  ["inbox", "mkdir", "inbox"],
  ["two", "get", "a/b/x"],
  ["two", "get", "c/x"],
  ["two", "move", "a/b/x", "c/x"],
  ["two", "list", "a/b"],
  ["dropper", "put", "inbox/x"],
  ["dropper", "mkdir", "inbox/d"],
  ["mirror", "get", "pub/x"],
  ["mirror", "put", "pub/in/x"],
  ["mirror", "remove", "tmp/x"],
  ["mirror", "compare", "pub/in/x"],
];

const DENIED: readonly Row[] = [
  ["nobody", "get", "x"],
  ["nobody", "list", ""],
  ["reader", "put", "x"],
  ["reader", "remove", "x"],
  ["reader", "mkdir", "x"],
  ["reader", "compare", "x"],
  ["inbox", "put", "x"],
  ["inbox", "put", "outbox/x"],
  ["inbox", "get", "secret"],
  ["inbox", "stat", "secret"],
  ["inbox", "stat", ""],
  ["inbox", "list", ""],
  ["inbox", "list", "other"],
  ["inbox", "mkdir", "other"],
  ["inbox", "remove", "other/x"],
  ["inbox", "compare", "other/x"],
  // Neither what begins with the same letters, nor another case, nor what is above.
  ["inbox", "get", "inbox2/x"],
  ["inbox", "get", "inbo/x"],
  ["inbox", "get", "Inbox/x"],
  ["inbox", "get", "INBOX/x"],
  ["inbox", "get", "a/inbox/x"],
  ["inbox", "get", "inbox\\x"],
  // The directory itself may not go, become a file or be read as one.
  ["inbox", "remove", "inbox"],
  ["inbox", "put", "inbox"],
  ["inbox", "get", "inbox"],
  ["inbox", "move", "inbox", "inbox/x"],
  // Both ends of a move.
  ["inbox", "move", "inbox/x", "x"],
  ["inbox", "move", "x", "inbox/x"],
  ["inbox", "move", "inbox/x", "inbox"],
  ["two", "get", "a/x"],
  ["two", "list", "a"],
  ["two", "remove", "a"],
  ["two", "move", "a/b/x", "a/x"],
  ["dropper", "get", "inbox/x"],
  ["dropper", "list", "inbox"],
  ["dropper", "stat", "inbox/x"],
  ["dropper", "remove", "inbox/x"],
  ["dropper", "compare", "inbox/x"],
  ["mirror", "get", "tmp/x"],
  ["mirror", "put", "pub/x"],
  ["mirror", "remove", "pub/in/x"],
  ["mirror", "compare", "pub/x"],
  // To move into what may be read is to read.
  ["mirror", "move", "tmp/x", "pub/in/x"],
];

for (const [rows, expected] of [[ALLOWED, "ok"], [DENIED, "denied"]] as const) {
  for (const [who, op, filename, to] of rows) {
    const names = [filename, ...(to === undefined ? [] : [to])].map((text) => `"${text}"`);
    Deno.test(`assertAllowed() ${expected}: ${who} may ${op} ${names.join(" to ")}`, () => {
      assertEquals(decide(PRINCIPALS[who], name(op, filename, to)), expected);
    });
  }
}

Deno.test("assertAllowed() asks who it is only where somebody may show a token", () => {
  for (const op of ["get", "put", "list", "stat", "remove", "mkdir", "move", "compare"] as const) {
    assertEquals(decide(PRINCIPALS.stranger, name(op, "x", "y")), "auth_required", op);
    assertEquals(decide(PRINCIPALS.nobody, name(op, "x", "y")), "denied", op);
  }
});

Deno.test("assertAllowed() lets a compare and a list of parts begin where a scope holds anywhere", () => {
  for (const [who, expected] of [["inbox", "ok"], ["dropper", "denied"], ["all", "ok"]] as const) {
    assertEquals(decide(PRINCIPALS[who], { op: "compare" }), expected, who);
    assertEquals(decide(PRINCIPALS[who], { op: "list", filename: "", parts: true }), expected, who);
  }
  // A directory that it names is looked at.
  const elsewhere = { op: "list", filename: "other", parts: true } as const;
  assertEquals(decide(PRINCIPALS.inbox, elsewhere), "denied");
});

Deno.test("assertAllowed() refuses a move to where more could be read afterwards", () => {
  const grants = parseGrants(["delete:safe/,write:desk/,read:desk/open/"], []);
  const decideMove = (from: string, to: string) => decide(somebody(grants), name("move", from, to));
  assertEquals(decideMove("safe/x", "desk/x"), "ok");
  assertEquals(decideMove("safe/x", "desk/open/x"), "denied");
  // What is in the directory "safe/d/sub" would be readable as "desk/open/sub".
  assertEquals(decideMove("safe/d", "desk/open"), "denied");
});

Deno.test("boundsOf() lets links lead to what could be asked for itself", () => {
  const question = (op: AccessRequest["op"]) => name(op, "inbox/x", "inbox/y");
  for (const op of Object.keys(NEEDED) as AccessRequest["op"][]) {
    assertEquals(boundsOf(PRINCIPALS.all, question(op)), undefined, op);
    for (const who of ["inbox", "two", "mirror"] as const) {
      const bounds = boundsOf(PRINCIPALS[who], question(op));
      // Who has a scope nowhere was refused before.
      assertEquals(bounds !== undefined, NEEDED[op].some((scope) => scope !== "exec"), op);
      for (const path of ["inbox", "inbox/x", "inbox2/x", "a/b", "a/b/x", "a", "c/x", "pub/in/x"]) {
        if (!bounds || op === "move") continue;
        assertEquals(bounds.reaches(path), decide(PRINCIPALS[who], name(op, path)) === "ok", path);
      }
    }
  }
  const bounds = boundsOf(PRINCIPALS.inbox, question("get"))!;
  assertEquals(bounds.reaches(""), false);
  assertEquals(bounds.reaches("inbox"), false);
  assertEquals(boundsOf(PRINCIPALS.inbox, question("list"))!.reaches("inbox"), true);
});

Deno.test("boundsOf() a move holds for both names, and for what could be read", () => {
  const grants = parseGrants(["delete:safe/,write:desk/,read:desk/open/"], []);
  const bounds = boundsOf(somebody(grants), name("move", "safe/x", "desk/x"))!;
  assertEquals(["safe/y", "desk/y", ""].map(bounds.reaches), [true, false, false]);
  const takes = (from: string, to: string) => bounds.takes(to, from);
  assertEquals(takes("safe/x", "desk/y"), true);
  assertEquals(takes("safe/x", "safe/y"), false);
  assertEquals(takes("safe/x", "desk/open/y"), false);
  assertEquals(takes("desk/open/x", "desk/open/y"), true);
  // Where all may be deleted and written, what may be read is still a bound.
  const reader = somebody(parseGrants(["delete,write,read:open/"], []));
  assertEquals(boundsOf(reader, name("move", "x", "y"))!.takes("open/y", "x"), false);
  assertEquals(boundsOf(reader, name("put", "x")), undefined);
});

Deno.test("assertAllowed() never lets a name that climbs out pass as one below a prefix", () => {
  const tricks = [
    "inbox/../secret",
    "inbox/./../secret",
    "inbox//x",
    "inbox/",
    "inbox/x/",
    "/inbox/x",
    "./inbox/x",
    "inbox/..",
    "inbox/\0",
    "inbox/\ud800",
  ];
  for (const filename of tricks) {
    for (const op of ["get", "put", "stat", "list", "remove", "mkdir", "compare"] as const) {
      assertEquals(decide(PRINCIPALS.inbox, name(op, filename)), "bad_name", `${op} ${filename}`);
    }
    const both = [name("move", filename, "inbox/x"), name("move", "inbox/x", filename)];
    for (const question of both) assertEquals(decide(PRINCIPALS.inbox, question), "bad_name");
  }
});

Deno.test("assertAllowed() with a prefix allows nothing that the whole scope would not", () => {
  const part = fc.constantFrom("a", "b", "..", "", "A", "a b");
  const path = fc.array(part, { maxLength: 4 }).map((parts) => parts.join("/"));
  const ops = Object.keys(NEEDED) as Request["op"][];
  fc.assert(fc.property(fc.constantFrom(...ops), path, path, (op, filename, to) => {
    const confined = somebody(parseGrants(["read,write,delete"], ["a/b"]));
    if (decide(confined, { op, filename, to }) !== "ok" || NEEDED[op].length === 0) return;
    for (const touched of op === "move" ? [filename, to] : [filename]) {
      assertEquals(touched === "a/b" || touched.startsWith("a/b/"), true, `${op} ${touched}`);
      assertEquals(touched.split("/").includes(".."), false);
    }
  }));
});

Deno.test("the refusal says where the scope holds, and nothing of the name", () => {
  const error = assertThrows(
    () => assertAllowed(PRINCIPALS.two, name("get", "secret")),
    FerryError,
  );
  assertEquals(error.message, 'the scope "read" is granted only below "a/b/", "c/"');
});
