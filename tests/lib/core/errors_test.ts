import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type ErrorCode,
  FerryError,
  fileError,
  isErrorCode,
  mayPass,
  quote,
  toFerryError,
} from "../../../lib/core/errors.ts";
import fc from "../../support/properties.ts";

fc.configureGlobal({ seed: 19 });

const STATUS: Record<ErrorCode, number> = {
  internal: 1,
  io: 1,
  usage: 2,
  auth_required: 3,
  denied: 3,
  not_found: 4,
  exists: 5,
  bad_name: 5,
  too_large: 5,
  quota: 5,
  no_space: 5,
  not_a_file: 5,
  unreachable: 6,
  timeout: 6,
  busy: 6,
  closed: 6,
  checksum_mismatch: 7,
  bad_header: 8,
  bad_version: 8,
};

Deno.test("FerryError has the exit status of its code", () => {
  for (const [code, status] of Object.entries(STATUS)) {
    assert(isErrorCode(code), `${code} is no code`);
    assertEquals(new FerryError(code, "reason").exitStatus, status, code);
  }
});

Deno.test("FerryError says what could not be done, and why", () => {
  const bare = new FerryError("not_found", "no such file");
  assertEquals([bare.name, bare.code, bare.reason, bare.message], [
    "FerryError",
    "not_found",
    "no such file",
    "no such file",
  ]);
  assert(!("cause" in bare), "a cause where there is none");
  const cause = new Error("underneath");
  const full = new FerryError("exists", "it exists", { action: 'put "a"', cause });
  assertEquals(full.message, 'Cannot put "a": it exists');
  assertEquals(full.reason, "it exists");
  assertEquals(full.cause, cause);
  assert(full instanceof Error);
});

Deno.test("FerryError.during() names the action once", () => {
  const bare = new FerryError("io", "broken");
  const named = bare.during('get "a"');
  assertEquals([named.code, named.message, named.reason], [
    "io",
    'Cannot get "a": broken',
    "broken",
  ]);
  assertEquals(named.cause, bare);
  assertEquals(named.during("do something else"), named);
  assertEquals(bare.message, "broken");
  const cause = new Error("underneath");
  assertEquals(new FerryError("io", "broken", { cause }).during("x").cause, cause);
});

Deno.test("FerryError.at() says where it failed, once, and names what is not named already", () => {
  const bare = new FerryError("denied", "not yours");
  const named = bare.at({ side: "here", path: "a/b" });
  assertEquals([named.message, named.reason, named.place?.side], [
    'not yours (on this machine, "a/b")',
    "not yours",
    "here",
  ]);
  assertEquals(named.at({ side: "server" }), named);
  assertEquals(
    named.during('get "x"').message,
    'Cannot get "x": not yours (on this machine, "a/b")',
  );
  assertEquals(named.during('put "a/b"').message, 'Cannot put "a/b": not yours (on this machine)');
  assertEquals(
    bare.during('put "a/b"').at({ side: "server", path: "c" }).message,
    'Cannot put "a/b": not yours (on the server, "c")',
  );
});

Deno.test("FerryError.reported() keeps a peer's reason and name, and says whose they are", () => {
  const error = FerryError.reported("quota", 'Cannot put "a": disk quota reached', "server");
  assertEquals([error.message, error.reason], [
    'disk quota reached (on the server, "a")',
    "disk quota reached",
  ]);
  assertEquals(
    error.during('put "a"').message,
    'Cannot put "a": disk quota reached (on the server)',
  );
  assertEquals(
    error.during('put "b"').message,
    'Cannot put "b": disk quota reached (on the server, "a")',
  );
  assertEquals(error.exitStatus, 5);
  const full = FerryError.reported("busy", "Cannot connect: too many", "server");
  assertEquals(
    full.during("connect to a:1").message,
    "Cannot connect to a:1: too many (on the server)",
  );
  assertEquals(
    full.during("ping").message,
    "Cannot ping: cannot connect: too many (on the server)",
  );
  const table: Record<string, string> = {
    'Cannot move "a: b" to "c": it exists': 'it exists (on the other side, "a: b")',
    "Cannot authenticate: no": "cannot authenticate: no (on the other side)",
    "too many connections": "too many connections (on the other side)",
    'Cannot put "a': 'cannot put "a (on the other side)',
    'Cannot put "\\q": why': 'cannot put "\\q": why (on the other side)',
    "Cannot : x": "cannot : x (on the other side)",
    "Cannot ": "cannot  (on the other side)",
  };
  for (const [message, shown] of Object.entries(table)) {
    assertEquals(FerryError.reported("io", message).message, shown);
  }
});

Deno.test("toFerryError() takes errors of node:fs for the system's, without their paths", () => {
  const errors: [string, string, number, string][] = [
    ["EIO", "EIO: i/o error, open '/srv/secret/a'", -5, "i/o error (os error 5)"],
    ["UNKNOWN", "UNKNOWN: unknown error, read", -121, "unknown error (os error 121)"],
  ];
  for (const [code, message, errno, says] of errors) {
    const error = toFerryError(Object.assign(new Error(message), { code, errno }));
    assertEquals([error.code, error.message], ["io", says]);
  }
});

Deno.test("toFerryError() leaves out the path that the runtime names", () => {
  const error = toFerryError(new Error("Input/output error (os error 5): open '/srv/secret/a'"));
  assertEquals([error.code, error.message], ["io", "Input/output error (os error 5)"]);
});

Deno.test("isErrorCode() is true of the codes alone", () => {
  for (const text of ["", "IO", "io ", "toString", "__proto__", "constructor", "nope"]) {
    assertEquals(isErrorCode(text), false, text);
  }
  for (const other of [undefined, null, 1, ["io"], { io: 1 }]) {
    assertEquals(isErrorCode(other), false);
  }
});

Deno.test("quote() shows a name in quotes, without characters that drive a terminal", () => {
  assertEquals(quote("a/b.bin"), '"a/b.bin"');
  assertEquals(quote('say "hi"\\'), '"say \\"hi\\"\\\\"');
  assertEquals(quote("a\nb\x1b[2J\x7f\x9b31m"), '"a\\nb\\u001b[2J\\u007f\\u009b31m"');
  assertEquals(quote("中文 😀"), '"中文 😀"');
  assertEquals(quote("\ud800"), '"\\ud800"');
  assertEquals(quote("a\u202egpj.exe\u2028\u2066"), '"a\\u202egpj.exe\\u2028\\u2066"');
  assertEquals(quote("x".repeat(255)), `"${"x".repeat(255)}"`);
  assertEquals(quote("x".repeat(256)), `"${"x".repeat(254)}…"`);
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (name) => {
    assert(!/\p{Cc}/u.test(quote(name)), "a control character");
    if (name.length <= 255) assertEquals(JSON.parse(quote(name)), name);
  }));
});

Deno.test("toFerryError() leaves a FerryError alone", () => {
  const error = new FerryError("busy", "later");
  assert(toFerryError(error) === error);
});

Deno.test("toFerryError() gives the system's errors their codes, with the original as cause", async () => {
  const directory = Deno.makeTempDirSync();
  try {
    Deno.writeTextFileSync(`${directory}/file`, "x");
    const attempts: [ErrorCode, () => unknown][] = [
      ["not_found", () => Deno.statSync(`${directory}/missing`)],
      ["not_a_file", () => Deno.statSync(`${directory}/file/below`)],
      ["exists", () => Deno.mkdirSync(`${directory}/file`)],
      ["exists", () => Deno.removeSync(directory)],
      ["bad_name", () => Deno.mkdirSync(`${directory}/${"x".repeat(256)}`)],
      ["not_a_file", () => Deno.writeTextFileSync(directory, "x")],
      ["unreachable", async () => (await Deno.connect({ hostname: "127.0.0.1", port: 1 })).close()],
    ];
    for (const [code, attempt] of attempts) {
      let cause: unknown;
      try {
        await attempt();
      } catch (error) {
        cause = error;
      }
      assert(cause !== undefined, `${attempt} did not fail`);
      const error = toFerryError(cause);
      assertEquals(error.code, code, `${attempt}: ${cause}`);
      assertEquals(error.cause, cause);
      assert(!error.message.includes(directory), `the path is shown: ${error.message}`);
    }
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
});

Deno.test("toFerryError() knows errors by their class and by their system code", () => {
  const withCode = (code: unknown) => Object.assign(new Error("text"), { code });
  const table: [unknown, ErrorCode][] = [
    [new Deno.errors.ConnectionReset("x"), "closed"],
    [new Deno.errors.BrokenPipe("x"), "closed"],
    [new Deno.errors.TimedOut("x"), "timeout"],
    [new Deno.errors.NotCapable("x"), "denied"],
    [new Deno.errors.AddrInUse("x"), "io"],
    [withCode("ENOSPC"), "no_space"],
    [withCode("EDQUOT"), "quota"],
    [withCode("EROFS"), "denied"],
    [withCode("EFBIG"), "too_large"],
    [withCode("EMFILE"), "busy"],
    [withCode("EXDEV"), "io"],
    // The code says more than the class does.
    [Object.assign(new Deno.errors.NotFound("x"), { code: "ENOTDIR" }), "not_a_file"],
    [new Error("failed to lookup address information: nobody knows"), "unreachable"],
    [new Error("Input/output error (os error 5)"), "io"],
  ];
  for (const [error, code] of table) assertEquals(toFerryError(error).code, code, String(error));
});

/** What the system calls an error and its text; and what it comes to for files and, where that differs, connections. */
const FILE_ERRORS: readonly [
  name: string,
  number: number,
  text: string,
  code: ErrorCode,
  says: string,
  connection?: ErrorCode,
][] = [
  ["EDQUOT", 122, "Disk quota exceeded", "quota", "the disk quota is used up"],
  ["ENOSPC", 28, "No space left on device", "no_space", "no space left on the device"],
  ["EROFS", 30, "Read-only file system", "denied", "the file system is read-only"],
  ["EFBIG", 27, "File too large", "too_large", "no file of that size"],
  ["ENAMETOOLONG", 36, "File name too long", "bad_name", "longer than the file system takes"],
  ["EILSEQ", 84, "Invalid or incomplete multibyte", "bad_name", "takes no such name"],
  ["ESTALE", 116, "Stale file handle", "io", "another machine has replaced or removed it"],
  ["EIO", 5, "Input/output error", "io", "Input/output error (os error 5)"],
  ["ENOTCONN", 107, "Transport endpoint is not connected", "io", "has gone", "closed"],
  ["ECONNABORTED", 103, "Software caused connection abort", "io", "has gone", "closed"],
  ["ESHUTDOWN", 108, "Cannot send after transport endpoint", "io", "has been shut down"],
  ["ETIMEDOUT", 110, "Connection timed out", "io", "did not answer in time", "timeout"],
  ["EHOSTDOWN", 112, "Host is down", "io", "is down"],
  ["EHOSTUNREACH", 113, "No route to host", "io", "cannot be reached", "unreachable"],
  ["ENETUNREACH", 101, "Network is unreachable", "io", "cannot be reached", "unreachable"],
  ["ECONNREFUSED", 111, "Connection refused", "io", "takes no connection", "unreachable"],
  ["ECONNRESET", 104, "Connection reset by peer", "io", "has ended the connection", "closed"],
  ["EPIPE", 32, "Broken pipe", "io", "has ended the connection", "closed"],
];

/** What the runtime has no name for: it tells the number only, in a text or as node:fs does. */
const NAMELESS = ["EDQUOT", "EFBIG", "EILSEQ", "ESTALE", "ESHUTDOWN", "EHOSTDOWN"];

Deno.test("fileError() tells what an error of the system means of a file, on either side", () => {
  for (const [name, number, text, code, says, connection = code] of FILE_ERRORS) {
    const shapes = NAMELESS.includes(name)
      ? [
        new Error(`${text} (os error ${number}): open '/srv/secret'`),
        Object.assign(new Error("UNKNOWN: unknown error, read"), {
          code: "UNKNOWN",
          errno: -number,
        }),
      ]
      : [Object.assign(new Error(`${text} (os error ${number}): open '/x'`), { code: name })];
    for (const error of shapes) {
      const failure = fileError(error);
      assertEquals([failure.code, failure.cause], [code, error], name);
      assertStringIncludes(failure.message, says);
      assert(!failure.message.includes("/srv"), failure.message);
      assertEquals(toFerryError(error).code, connection, name);
    }
  }
  const known = new FerryError("quota", "why");
  assertEquals(fileError(known), known);
  assertEquals(fileError("text").code, "internal");
});

Deno.test("toFerryError() makes what nobody foresaw internal, with the original as cause", () => {
  const bug = new TypeError("x is not a function");
  const error = toFerryError(bug);
  assertEquals([error.code, error.cause], ["internal", bug]);
  assertEquals(error.message, "unexpected TypeError: x is not a function");
  for (const thrown of ["text", 7, null, undefined, 3n, Symbol("s"), {}, []]) {
    const error = toFerryError(thrown);
    assertEquals(error.code, "internal");
    assertEquals(error.reason, String(thrown));
  }
});

Deno.test("toFerryError() never fails, whatever an error calls itself", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (name, code) => {
      const thrown = Object.assign(new Error("text"), { name, code });
      assert(toFerryError(thrown) instanceof FerryError);
    }),
    { examples: [["constructor", ""], ["", "toString"], ["__proto__", "hasOwnProperty"]] },
  );
});

Deno.test("mayPass() tells the network and damaged bytes from what stays wrong", () => {
  const passing = (Object.keys(STATUS) as ErrorCode[]).filter((code) =>
    mayPass(new FerryError(code, "x"))
  );
  assertEquals(passing.sort(), ["busy", "checksum_mismatch", "closed", "timeout", "unreachable"]);
});
