import { assert, assertEquals, assertThrows } from "@std/assert";
import { emptyChecksum } from "../../../../lib/core/checksum.ts";
import { FerryError } from "../../../../lib/core/errors.ts";
import { MAX_TIMEOUT_MS } from "../../../../lib/core/number_options.ts";
import { parseClosing } from "../../../../lib/wire/closing_header.ts";
import { decodeListLine } from "../../../../lib/wire/list_lines.ts";
import type { Operation } from "../../../../lib/wire/operations/operation.ts";
import {
  OPERATIONS,
  parseReply,
  parseRequest,
} from "../../../../lib/wire/operations/operations.ts";
import { check, MAX_WIRE_SIZE, type Schema } from "../../../../lib/wire/schema.ts";
import { assertRefuses, decode, header } from "../../../support/headers.ts";
import fc from "../../../support/properties.ts";

const EMPTY_MD5 = emptyChecksum("md5");
const EMPTY_SHA256 = emptyChecksum("sha256");

Deno.test("OPERATIONS has each operation under the name that its request has", () => {
  const operations: Readonly<Record<string, Operation<unknown, unknown>>> = OPERATIONS;
  for (const [name, operation] of Object.entries(operations)) {
    assertEquals(operation.name, name);
    assert(/^[A-Z].*\.$/.test(operation.description), name);
    const other = name === "ping" ? "auth" : "ping";
    assertRefuses(() => check(operation.request, header({ op: other })), "bad_header", "op ");
  }
});

Deno.test("parseRequest(), parseReply(), decodeListLine() give what there is or an error of the wire, whatever the JSON", () => {
  const ops = ["hello", "auth", "put", "get", "list", "stat", "remove", "move", "mkdir"];
  const hostile = fc.oneof(
    fc.jsonValue(),
    fc.constantFrom<unknown>(
      "ok",
      "error",
      "always",
      0,
      -1,
      1.5,
      2 ** 53,
      "",
      "\ud800",
      "..",
      "md5",
    ),
  );
  const keys = fc.record({
    op: fc.constantFrom<unknown>(...ops, "compare", "exec", "ping", "__proto__", "toString", 1),
    ...Object.fromEntries(
      [
        ...["filename", "to", "overwrite", "mtime", "mode", "offer", "offset", "size", "restart"],
        ...["recursive", "parts", "content", "argv", "command", "timeout_ms", "versions", "scram"],
        ...["status", "code", "message", "decision", "prefix_md5", "features", "type", "end"],
        ...["total_size", "md5", "checksum", "if_md5", "__proto__", "exit_code", "scopes", "auth"],
        ...["start", "count"],
      ].map((key) => [key, hostile]),
    ),
  }, { requiredKeys: ["op"], noNullPrototype: true });
  const { hello, auth, put, get, stat, exec } = OPERATIONS;
  const replies = [hello, auth, put, get, stat, exec].map(({ reply }): Schema<unknown> => reply);
  const property = fc.property(keys, fc.constantFrom(put.offer, ...replies), (keys, reply) => {
    const json = JSON.stringify(keys);
    for (
      const parse of [
        () => parseRequest(decode(json)),
        () => parseReply<unknown>(reply, decode(json)),
        () => parseClosing(decode(json)),
        () => check(exec.closing, decode(json)),
        () => decodeListLine("entry", json),
        () => decodeListLine("listed", json),
        () => decodeListLine("part", json),
      ]
    ) {
      try {
        parse();
      } catch (error) {
        assert(error instanceof FerryError, `${error}`);
        // A reply may report any error that there is.
        assert(
          error.code === "bad_header" || (keys as Record<string, unknown>).status === "error",
          error.message,
        );
      }
    }
  });
  fc.assert(property, { seed: 4, numRuns: 300 });
});

Deno.test("parseRequest() supplies the defaults of every operation", () => {
  const cases: [keys: Record<string, unknown>, request: Record<string, unknown>][] = [
    [{ op: "hello", versions: [1, 2] }, {
      op: "hello",
      versions: [1, 2],
      features: [],
      idle_ms: 60_000,
    }],
    [{ op: "ping" }, { op: "ping" }],
    [{ op: "put", filename: "f" }, {
      op: "put",
      filename: "f",
      algorithm: "md5",
      checksum: null,
      overwrite: "never",
      offer: false,
      offset: 0n,
      sparse: false,
      restart: false,
    }],
    [{ op: "get", filename: "f" }, {
      op: "get",
      filename: "f",
      algorithm: "md5",
      offset: 0n,
      ifChecksum: null,
      prefix_md5: null,
      prefix_xxh128: null,
    }],
    [{ op: "list" }, {
      op: "list",
      filename: "",
      recursive: false,
      parts: false,
      omitted: false,
      ids: false,
      links: false,
    }],
    [{ op: "link", filename: "l", target: "a" }, {
      op: "link",
      filename: "l",
      target: "a",
      overwrite: "never",
    }],
    [{ op: "stat", filename: "" }, { op: "stat", filename: "", algorithm: "md5" }],
    [{ op: "mkdir", filename: "d" }, { op: "mkdir", filename: "d" }],
    [{ op: "remove", filename: "d" }, { op: "remove", filename: "d", recursive: false }],
    [{ op: "move", filename: "a", to: "b" }, {
      op: "move",
      filename: "a",
      to: "b",
      overwrite: "never",
      keep: false,
    }],
    [{ op: "compare" }, {
      op: "compare",
      overwrite: "never",
      content: false,
      keep: false,
      known: false,
    }],
    [{ op: "exec", argv: ["ls"] }, { op: "exec", argv: ["ls"] }],
    [{ op: "exec", command: "" }, { op: "exec", command: "" }],
  ];
  for (const [keys, request] of cases) {
    assertEquals({ ...parseRequest(header(keys)) } as Record<string, unknown>, request);
  }
});

Deno.test("parseRequest() keeps what a put says", () => {
  const keys = {
    op: "put",
    filename: "f",
    algorithm: "sha256",
    checksum: EMPTY_SHA256,
    overwrite: "different",
    mtime: -8.64e15,
    mode: 0o777,
    offer: true,
    size: MAX_WIRE_SIZE,
    offset: MAX_WIRE_SIZE - 1n,
    sparse: true,
    restart: true,
  };
  assertEquals({ ...parseRequest(header(keys)) } as Record<string, unknown>, keys);
});

Deno.test("parseRequest() keeps what a get, a list, a compare and an exec say", () => {
  const [if_md5, prefix_md5, prefix_xxh128] = [EMPTY_MD5, "0".repeat(32), "1".repeat(32)];
  const get = { op: "get", filename: "f", offset: 2n ** 53n + 1n, prefix_md5, prefix_xxh128 };
  for (const [key, checksum] of [["if_md5", if_md5], ["if_checksum", EMPTY_SHA256]] as const) {
    assertEquals({ ...parseRequest(header({ ...get, [key]: checksum })) } as unknown, {
      ...get,
      algorithm: "md5",
      ifChecksum: checksum,
    });
  }
  for (
    const keys of [
      {
        op: "list",
        filename: "d",
        recursive: true,
        parts: true,
        omitted: true,
        ids: true,
        links: true,
      },
      { op: "compare", overwrite: "newer", content: true, keep: false, known: false },
      { op: "exec", argv: ["a", "", "-x; $(y)"], timeout_ms: MAX_TIMEOUT_MS },
    ]
  ) assertEquals({ ...parseRequest(header(keys)) } as Record<string, unknown>, keys);
});

Deno.test("parseRequest() ignores keys that are not known", () => {
  assertEquals({ ...parseRequest(header({ op: "ping", later: {}, status: "ok" })) }, {
    op: "ping",
  });
});

Deno.test("parseRequest() says which key is missing or wrong", () => {
  const put = { op: "put", filename: "f" };
  const get = { op: "get", filename: "f" };
  const cases: [keys: Record<string, unknown>, words: string][] = [
    [{}, "op is missing or not a string"],
    [{ op: 1 }, "op is missing or not a string"],
    [{ op: "steal" }, 'op "steal" is not known here'],
    [{ op: "toString" }, 'op "toString" is not known here'],
    [{ op: "hello" }, "versions is missing"],
    [{ op: "hello", versions: 1 }, "versions is not an array"],
    [{ op: "hello", versions: ["1"] }, "versions.0 is not a number"],
    [{ op: "hello", versions: [1, 1.5] }, "versions.1 is not an integer"],
    [{ op: "hello", versions: [2 ** 31] }, "versions.0 is more than 2147483647"],
    [{ op: "hello", versions: Array(65).fill(1) }, "versions"],
    [{ op: "hello", versions: [1], features: "resume" }, "features"],
    [{ op: "hello", versions: [1], idle_ms: 0 }, "idle_ms is less than 1"],
    [{ op: "hello", versions: [1], features: [1] }, "features.0 is not a string"],
    [{ op: "get" }, "filename is missing"],
    [{ op: "stat" }, "filename is missing"],
    [{ op: "mkdir" }, "filename is missing"],
    [{ op: "remove" }, "filename is missing"],
    [{ op: "remove", filename: "f", recursive: 1 }, "recursive is not a boolean"],
    [{ op: "list", recursive: null }, "recursive is not a boolean"],
    [{ op: "move", filename: "f" }, "to is missing"],
    [
      { op: "move", filename: "f", to: "g", overwrite: "newer" },
      "overwrite is none of never, always",
    ],
    [{ ...put, overwrite: "maybe" }, "overwrite is none of never, always, newer, different"],
    [{ ...put, mode: 0o1000 }, "mode is more than 511"],
    [{ ...put, mode: -1 }, "mode is less than 0"],
    [{ ...put, mtime: 1.5 }, "mtime is not an integer"],
    [{ ...put, mtime: 8.64e15 + 2 }, "mtime is more than"],
    [{ ...put, mtime: null }, "mtime is not a number"],
    [{ ...put, offer: "yes" }, "offer is not a boolean"],
    [{ ...put, size: -1n }, "size is negative"],
    [{ ...put, size: 1.5 }, "size is not an integer"],
    [{ ...put, size: "1" }, "size is not an integer"],
    [{ ...put, offset: -1n }, "offset is negative"],
    [{ op: "get", filename: "f", start: -1n }, "start is negative"],
    [{ op: "get", filename: "f", count: null }, "count is not an integer"],
    [
      { op: "get", filename: "f", offset: 1n, start: 1n },
      "the header has both an offset and a range",
    ],
    [{ ...put, offset: 64.5 }, "offset is not an integer"],
    [{ ...put, offset: 2n ** 63n }, "offset is more than 2^63-1"],
    [{ ...put, offset: null }, "offset is not an integer"],
    [{ ...put, restart: 1 }, "restart is not a boolean"],
    [{ ...get, offset: "64" }, "offset is not an integer"],
    [{ ...get, if_md5: "?" }, "if_md5 is not 32 lower-case hexadecimal digits"],
    [{ ...get, prefix_md5: 1 }, "prefix_md5 is not a string"],
    [{ op: "list", parts: "yes" }, "parts is not a boolean"],
    [{ ...get, prefix_xxh128: "" }, "prefix_xxh128 is not 32 lower-case hexadecimal digits"],
    [{ ...get, if_checksum: "sha1" }, "if_checksum is none of md5, sha256, xxh128"],
    [{ ...put, basis: "f" }, "the header has only one of basis and basis_version"],
    [{ ...put, basis_version: "1" }, "the header has only one of basis and basis_version"],
    [{ ...put, basis: "f", basis_version: "1" }, "the header has a basis and no size"],
    [{ ...put, basis: 1, basis_version: "1" }, "basis is not a string"],
    [{ ...get, version: 1 }, "version is not a string"],
    [{ ...get, version: "1".repeat(129) }, "version is longer than 128 characters"],
    [{ ...get, version: "1", offset: 1n }, "the header has both a version and an offset"],
    [{ op: "assemble", filename: "f" }, "size is missing"],
    [{ op: "piece", filename: "f", id: "0", offset: 0n }, "id is not 32 lower-case hexadecimal"],
    [{ op: "piece", filename: "f", id: "0".repeat(32) }, "offset is missing"],
    [
      { op: "signature", filename: "f", block: 65 },
      "block is no power of two from 64 to 67108864",
    ],
    [{ op: "signature", filename: "f", block: 64, rolling: 1 }, "rolling is not a boolean"],
    [{ op: "compare", content: 1 }, "content is not a boolean"],
    [{ op: "compare", overwrite: "new" }, "overwrite is none of never, always, newer, different"],
  ];
  for (const [keys, words] of cases) {
    assertRefuses(() => parseRequest(header(keys)), "bad_header", words);
  }
});

Deno.test("parseRequest() shows no more than the beginning of an unknown operation", () => {
  const error = assertThrows(() => parseRequest(header({ op: "x".repeat(60000) })), FerryError);
  assert(error.message.length < 100, error.message);
});

Deno.test("parseReply() supplies what a server may leave out", () => {
  const hello = parseReply(OPERATIONS.hello.reply, header({ status: "ok", version: 1 }));
  assertEquals([hello.features, hello.auth, hello.idle_ms], [[], "none", 60_000]);
  const put = header({ status: "ok", filename: "f", md5: EMPTY_MD5, size: 0n });
  assertEquals(parseReply(OPERATIONS.put.reply, put).unchanged, false);
  const offer = parseReply(OPERATIONS.put.offer, header({ status: "ok", decision: "send" }));
  assertEquals({ ...offer } as Record<string, unknown>, {
    status: "ok",
    decision: "send",
    checksum: null,
    offset: 0,
    prefix_md5: null,
    prefix_xxh128: null,
    replaces: false,
    prefix_state: null,
  });
  const get = header({ status: "ok", filename: "f", size: 0n, mtime: 0, mode: 0 });
  assertEquals(parseReply(OPERATIONS.get.reply, get).offset, 0);
});

Deno.test("parseReply() takes the time of a command that the server does not tell for the longest", () => {
  const reply = (keys: object) =>
    parseReply(OPERATIONS.exec.reply, header({ status: "ok", ...keys })).timeout_ms;
  assertEquals([reply({ timeout_ms: 5 }), reply({})], [5, MAX_TIMEOUT_MS]);
  assertRefuses(() => reply({ timeout_ms: 0 }), "bad_header", "timeout_ms is less than 1");
  assertRefuses(() => reply({ timeout_ms: 2 ** 31 }), "bad_header", "timeout_ms is more than");
});

Deno.test("parseReply() refuses a signature that says what none can say", () => {
  const file = { status: "ok", filename: "f", mtime: 0, mode: 0, version: "v" };
  const reply = (keys: object) =>
    parseReply(OPERATIONS.signature.reply, header({ ...file, size: 0n, strong: 4, ...keys }))
      .strong;
  assertEquals([reply({}), reply({ strong: 8 })], [4, 8]);
  for (const keys of [{ strong: 3 }, { strong: 9 }, { strong: 4.5 }]) {
    assertRefuses(() => reply(keys), "bad_header", "strong ");
  }
  for (const size of [-1, 0.5]) assertRefuses(() => reply({ size }), "bad_header", "size ");
});

Deno.test("a chunk of output names one of the two streams", () => {
  const streamOf = (keys: Record<string, unknown>) =>
    check(OPERATIONS.exec.chunk, header(keys)).stream;
  assertEquals(streamOf({ stream: "stdout" }), "stdout");
  assertEquals(streamOf({ stream: "stderr", total_size: 1n }), "stderr");
  const words = "stream is neither stdout nor stderr";
  for (const stream of ["stdin", "STDOUT", "", 1, null]) {
    assertRefuses(() => streamOf({ stream }), "bad_header", words);
  }
  assertRefuses(() => streamOf({}), "bad_header", "stream is missing");
});

Deno.test("the closing header of an exec says how the command ended", () => {
  const end = (keys: object) => check(OPERATIONS.exec.closing, header({ end: true, ...keys }));
  assertEquals({ ...end({ exit_code: 3 }) }, { exit_code: 3, signal: null, timed_out: false });
  assertEquals({ ...end({ exit_code: 124, signal: "SIGKILL", timed_out: true, new: 1 }) }, {
    exit_code: 124,
    signal: "SIGKILL",
    timed_out: true,
  });
  const table: [object, string][] = [
    [{}, "exit_code is missing"],
    [{ exit_code: null }, "exit_code is not a number"],
    [{ exit_code: -1 }, "exit_code is less than 0"],
    [{ exit_code: 256 }, "exit_code is more than 255"],
    [{ exit_code: 1.5 }, "exit_code is not an integer"],
    [{ exit_code: 0, signal: 9 }, "signal is not a string"],
    [{ exit_code: 0, timed_out: 1 }, "timed_out is not a boolean"],
  ];
  for (const [keys, words] of table) assertRefuses(() => end(keys), "bad_header", words);
});

Deno.test("parseReply() gives where to go on as a number", () => {
  const facts = { prefix_md5: EMPTY_MD5, prefix_xxh128: EMPTY_MD5, prefix_state: EMPTY_MD5 };
  const offer = header({ status: "ok", decision: "send", offset: 64n, ...facts });
  const { offset, prefix_md5, prefix_xxh128, prefix_state } = parseReply(
    OPERATIONS.put.offer,
    offer,
  );
  assertEquals(offset, 64);
  assertEquals({ prefix_md5, prefix_xxh128, prefix_state }, facts);
  for (const key of Object.keys(facts)) {
    assertRefuses(
      () => parseReply(OPERATIONS.put.offer, header({ ...offer, [key]: EMPTY_MD5.slice(1) })),
      "bad_header",
      `${key} is not 32 lower-case hexadecimal digits`,
    );
  }
  assertRefuses(
    () => parseReply(OPERATIONS.put.offer, header({ ...offer, offset: 2n ** 53n })),
    "bad_header",
    "offset is more than 2^53-1",
  );
  const get = { status: "ok", filename: "f", size: 70n, mtime: 0, mode: 0, offset: 64n };
  assertEquals(parseReply(OPERATIONS.get.reply, header(get)).offset, 64);
  assertRefuses(
    () => parseReply(OPERATIONS.get.reply, header({ ...get, offset: -1n })),
    "bad_header",
    "offset is negative",
  );
});

Deno.test("parseReply() refuses what is not the reply", () => {
  const put = { status: "ok", filename: "f", md5: EMPTY_MD5, size: 0n };
  assertRefuses(
    () => parseReply(OPERATIONS.put.reply, header({ ...put, status: "fine" })),
    "bad_header",
    "status is neither ok nor error",
  );
  assertRefuses(
    () => parseReply(OPERATIONS.put.reply, header({ ...put, md5: null })),
    "bad_header",
    "checksum",
  );
  assertRefuses(
    () => parseReply(OPERATIONS.put.reply, header({ ...put, size: 2n ** 53n })),
    "bad_header",
    "size is more than 2^53-1",
  );
  assertRefuses(
    () => parseReply(OPERATIONS.put.offer, header({ status: "ok", decision: "exists" })),
    "bad_header",
    "decision is none of send, have, hash",
  );
});

Deno.test("parseRequest() takes a proof in a hello and in an auth, as text", () => {
  const scram = "n,,n=user,r=abc";
  assertEquals(parseRequest(header({ op: "auth", scram })), { op: "auth", scram });
  assertEquals(parseRequest(header({ op: "hello", versions: [1], scram })), {
    op: "hello",
    versions: [1],
    features: [],
    idle_ms: 60_000,
    scram,
  });
  assertRefuses(() => parseRequest(header({ op: "auth" })), "bad_header", "scram");
  const wrong = header({ op: "hello", versions: [1], scram: null });
  assertRefuses(() => parseRequest(wrong), "bad_header", "scram");
});

Deno.test("parseReply() takes a hello that says nothing of scopes for one that grants none", () => {
  const hello = parseReply(OPERATIONS.hello.reply, header({ status: "ok", version: 1 }));
  assertEquals([hello.auth, hello.scopes, hello.scram], ["none", [], undefined]);
  const scopes = ["read", "a scope of the future"];
  const auth = parseReply(OPERATIONS.auth.reply, header({ status: "ok", scram: "v=", scopes }));
  assertEquals(auth.scopes, scopes);
  const wrong = header({ status: "ok", scram: "v=", scopes: "read" });
  assertRefuses(() => parseReply(OPERATIONS.auth.reply, wrong), "bad_header", "scopes");
});
