import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { encodeHex } from "@std/encoding/hex";
import { algorithmOf, emptyChecksum } from "../../../lib/core/checksum.ts";
import { type ErrorCode, FerryError } from "../../../lib/core/errors.ts";
import {
  checksumKeys,
  decodeHeader,
  decodeLine,
  encodeHeader,
  encodeLine,
  errorReply,
  type Header,
  isClosing,
  MAX_HEADER_BYTES,
  MAX_WIRE_SIZE,
  parseClosing,
  parseExecEnd,
  parseOutputStream,
  parseReply,
  parseRequest,
  throwReported,
} from "../../../lib/wire/header.ts";
import type { Entry, PartEntry } from "../../../lib/core/entry.ts";
import { MAX_TIMEOUT_MS } from "../../../lib/core/number_options.ts";
import fc from "../../support/properties.ts";
import { BAD, bytesOf, firstHeader, GOOD, meaningOf } from "../../support/vectors.ts";
import { text, utf8 } from "../../support/bytes.ts";

const decode = (json: string) => decodeHeader(utf8.encode(json));

/** A header in memory, as `decodeHeader` would give it. */
const header = (keys: Record<string, unknown>): Header => ({
  total_size: 0n,
  algorithm: "md5",
  checksum: (keys.md5 ?? null) as string | null,
  ...keys,
});

const EMPTY_MD5 = emptyChecksum("md5");
const EMPTY_SHA256 = emptyChecksum("sha256");

function assertFails(run: () => unknown, code: ErrorCode, words: string): void {
  const error = assertThrows(run, FerryError, words);
  assertEquals(error.code, code, `${error.message}: the code is wrong`);
}

Deno.test("decodeHeader() reads the first header of every good vector", () => {
  for (const { name, hex, messages } of GOOD) {
    const decoded = decodeHeader(firstHeader(bytesOf(hex)));
    assertEquals({ ...decoded }, meaningOf(messages[0]!.header), name);
  }
});

Deno.test("decodeHeader() refuses the header of every vector that is bad by its header alone", () => {
  const kinds = /^(not-|utf-|byte-order|json-|filename-|total-size-|md5-(?!in-front))/;
  const vectors = BAD.filter(({ name }) => kinds.test(name));
  assert(vectors.length > 30, `only ${vectors.length} vectors were found`);
  for (const { name, hex, code } of vectors) {
    const error = assertThrows(() => decodeHeader(firstHeader(bytesOf(hex))), FerryError);
    assertEquals(error.code as string, code, name);
  }
});

Deno.test("decodeHeader() supplies the framing keys that are absent", () => {
  assertEquals({ ...decode("{}") }, { total_size: 0n, algorithm: "md5", checksum: null });
  assertEquals(decode('{"total_size":null}').total_size, null);
  assertEquals(decode('{"total_size":0}').total_size, 0n);
});

Deno.test("decodeHeader() reads which checksum a body has, and what it is where that is known", () => {
  const read = (keys: Record<string, unknown>) => {
    const { algorithm, checksum } = decode(JSON.stringify(keys));
    return [algorithm, checksum];
  };
  assertEquals(read({ md5: EMPTY_MD5 }), ["md5", EMPTY_MD5]);
  assertEquals(read({ md5: EMPTY_MD5, checksum: "md5" }), ["md5", EMPTY_MD5]);
  assertEquals(read({ checksum: "sha256" }), ["sha256", null]);
  assertEquals(read({ checksum: EMPTY_SHA256, md5: EMPTY_MD5 }), ["sha256", EMPTY_SHA256]);
  assertEquals(read({ checksum: emptyChecksum("xxh128") }), ["xxh128", emptyChecksum("xxh128")]);
  for (const checksum of ["sha512", "sha256:", `md5:${EMPTY_MD5}`, "", EMPTY_SHA256.slice(1)]) {
    const words = "checksum is none of md5, sha256, xxh128, nor a checksum of theirs";
    assertFails(() => read({ checksum }), "bad_header", words);
  }
  assertFails(() => read({ checksum: null }), "bad_header", "checksum is not a string");
});

Deno.test("checksumKeys() says what decodeHeader() reads", () => {
  for (const algorithm of ["md5", "sha256", "xxh128"] as const) {
    for (const checksum of [null, emptyChecksum(algorithm)]) {
      const decoded = decodeHeader(encodeHeader(checksumKeys(algorithm, checksum)));
      assertEquals([decoded.algorithm, decoded.checksum], [algorithm, checksum]);
    }
  }
});

Deno.test("decodeHeader() keeps sizes exact up to 2^63-1", () => {
  for (const digits of ["9007199254740991", "9007199254740993", "9223372036854775807"]) {
    for (const key of ["total_size", "size", "offset", "received", "start", "count"]) {
      assertEquals(decode(`{"${key}":${digits}}`)[key], BigInt(digits));
    }
  }
  assertFails(
    () => decode('{"total_size":9223372036854775808}'),
    "bad_header",
    "total_size is more than 2^63-1",
  );
});

Deno.test("decodeHeader() says which key is wrong and how", () => {
  const cases: [json: string, words: string][] = [
    ['{"total_size":-1}', "total_size is negative"],
    ['{"total_size":1.0}', "total_size is not an integer"],
    ['{"total_size":1e3}', "total_size is not an integer"],
    ['{"total_size":"1"}', "total_size is not an integer"],
    ['{"md5":"ABC"}', "md5 is not 32 lower-case hexadecimal digits"],
    ['{"md5":1}', "md5 is not a string"],
    ['{"filename":1}', "filename is not a string"],
    ['{"filename":null}', "filename is not a string"],
    ["[]", "the header is not an object"],
    ["1", "the header is not an object"],
    ["null", "the header is not an object"],
    ["{", "the header is not JSON"],
    ["\ufeff{}", "the header is not JSON"],
  ];
  for (const [json, words] of cases) assertFails(() => decode(json), "bad_header", words);
  const invalid = Uint8Array.of(0x7b, 0xff, 0x7d);
  assertFails(() => decodeHeader(invalid), "bad_header", "the header is not UTF-8");
});

Deno.test("decodeHeader() gives a header or bad_header, whatever the bytes", () => {
  const jsonLike = fc.json().map((json) => utf8.encode(json));
  const framing = fc.record({
    total_size: fc.jsonValue(),
    md5: fc.jsonValue(),
    checksum: fc.jsonValue(),
    filename: fc.jsonValue(),
  }, { requiredKeys: [] }).map((keys) => utf8.encode(JSON.stringify(keys)));
  const property = fc.property(fc.oneof(fc.uint8Array(), jsonLike, framing), (bytes) => {
    let decoded: Header;
    try {
      decoded = decodeHeader(bytes);
    } catch (error) {
      assert(error instanceof FerryError);
      assertEquals(error.code, "bad_header");
      return;
    }
    const { total_size, checksum, filename } = decoded;
    assert(total_size === null || (total_size >= 0n && total_size <= MAX_WIRE_SIZE));
    assert(checksum === null || algorithmOf(checksum) === decoded.algorithm);
    assert(filename === undefined || typeof filename === "string");
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
});

Deno.test("parseRequest(), parseReply(), decodeLine() give what there is or an error of the wire, whatever the JSON", () => {
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
  const kinds = ["hello", "auth", "put", "offer", "get", "entry", "part", "exec"] as const;
  const property = fc.property(keys, fc.constantFrom(...kinds), (keys, kind) => {
    const json = JSON.stringify(keys);
    for (
      const parse of [
        () => parseRequest(decode(json)),
        () => parseReply(kind, decode(json)),
        () => parseClosing(decode(json)),
        () => parseExecEnd(decode(json)),
        () => decodeLine(kind === "part" ? "part" : "entry", json),
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

Deno.test("encodeHeader() writes JSON without white space, in the order of the keys", () => {
  const bytes = encodeHeader({
    op: "put",
    filename: "é",
    md5: null,
    total_size: 3,
    gone: undefined,
  });
  assertEquals(text(bytes), '{"op":"put","filename":"é","md5":null,"total_size":3}');
});

Deno.test("encodeHeader() writes big integers digit by digit", () => {
  assertEquals(
    text(encodeHeader({ size: MAX_WIRE_SIZE, offset: 2n ** 53n + 1n })),
    '{"size":9223372036854775807,"offset":9007199254740993}',
  );
});

Deno.test("encodeHeader() takes exactly as much as a header may be long", () => {
  const overhead = '{"x":""}'.length;
  const longest = encodeHeader({ x: "a".repeat(MAX_HEADER_BYTES - overhead) });
  assertEquals(longest.length, MAX_HEADER_BYTES);
  // It is the bytes that count, not the characters.
  const tooLong = { x: "é".repeat((MAX_HEADER_BYTES - overhead) / 2 + 1) };
  assertFails(() => encodeHeader(tooLong), "bad_header", "longer than 65536 bytes");
});

Deno.test("encodeHeader() and decodeHeader() are inverse", () => {
  const size = fc.bigInt({ min: 0n, max: MAX_WIRE_SIZE });
  const md5 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => encodeHex(bytes));
  const scalar = fc.oneof(fc.string({ unit: "binary" }), fc.boolean(), fc.integer());
  const headers = fc.record({
    filename: fc.string({ unit: "binary" }),
    md5: fc.option(md5),
    total_size: fc.option(size),
    size,
    offset: size,
    "unknown key": fc.array(scalar),
  }, { requiredKeys: [] });
  const property = fc.property(headers, (keys) => {
    assertEquals({ ...decodeHeader(encodeHeader(keys)) }, header(keys));
  });
  fc.assert(property, { seed: 2, numRuns: 200 });
});

Deno.test("encodeHeader() keeps a name with an unpaired surrogate, so that it can be refused as a name", () => {
  assertEquals(decodeHeader(encodeHeader({ filename: "a\ud800" })).filename, "a\ud800");
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
    [{ op: "list" }, { op: "list", filename: "", recursive: false, parts: false, omitted: false }],
    [{ op: "stat", filename: "" }, { op: "stat", filename: "", algorithm: "md5" }],
    [{ op: "mkdir", filename: "d" }, { op: "mkdir", filename: "d" }],
    [{ op: "remove", filename: "d" }, { op: "remove", filename: "d", recursive: false }],
    [{ op: "move", filename: "a", to: "b" }, {
      op: "move",
      filename: "a",
      to: "b",
      overwrite: "never",
    }],
    [{ op: "compare" }, { op: "compare", overwrite: "never", content: false }],
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
      { op: "list", filename: "d", recursive: true, parts: true, omitted: true },
      { op: "compare", overwrite: "newer", content: true },
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
    [{ op: "compare", content: 1 }, "content is not a boolean"],
    [{ op: "compare", overwrite: "new" }, "overwrite is none of never, always, newer, different"],
  ];
  for (const [keys, words] of cases) {
    assertFails(() => parseRequest(header(keys)), "bad_header", words);
  }
});

Deno.test("parseRequest() shows no more than the beginning of an unknown operation", () => {
  const error = assertThrows(() => parseRequest(header({ op: "x".repeat(60000) })), FerryError);
  assert(error.message.length < 100, error.message);
});

Deno.test("isClosing() goes by end and nothing else", () => {
  assert(isClosing(header({ end: true })));
  for (const end of [undefined, false, "true", 1]) assert(!isClosing(header({ end })), String(end));
});

Deno.test("parseClosing() needs a checksum and a size", () => {
  const closing = { end: true, md5: EMPTY_MD5, size: 0n };
  assertEquals(parseClosing(header({ ...closing, filename: "f" })).size, 0n);
  const cases: [keys: Record<string, unknown>, words: string][] = [
    [{ ...closing, md5: null }, "checksum is missing"],
    [{ ...closing, size: undefined }, "size is missing"],
    [{ ...closing, size: "0" }, "size is not an integer"],
    [{ ...closing, size: -1n }, "size is negative"],
  ];
  for (const [keys, words] of cases) {
    assertFails(() => parseClosing(header(keys)), "bad_header", words);
  }
});

Deno.test("parseClosing() throws the error that the sender closes with", () => {
  const closing = header({ end: true, status: "error", code: "io", message: "it changed" });
  assertFails(() => parseClosing(closing), "io", "it changed");
  assertFails(() => parseClosing(closing, "server"), "io", "it changed (on the server)");
});

Deno.test("throwReported() throws what errorReply() reports", () => {
  const error = new FerryError("no_space", "it is full", { action: 'put "f"' });
  const reply = decodeHeader(encodeHeader(errorReply(error)));
  const thrown = assertThrows(() => throwReported(reply), FerryError);
  assertEquals([thrown.code, thrown.message], ["no_space", 'it is full (on the other side, "f")']);
});

Deno.test("throwReported() takes a code that is not known for internal", () => {
  const reply = header({ status: "error", code: "out_of_paper", message: "the tray is empty" });
  assertFails(() => throwReported(reply), "internal", "the tray is empty");
  assertFails(() => throwReported(header({ status: "error" })), "internal", "gave no reason");
});

Deno.test("throwReported() lets everything else pass", () => {
  for (const status of ["ok", undefined, 1]) throwReported(header({ status, code: "io" }));
});

Deno.test("parseReply() supplies what a server may leave out", () => {
  const hello = parseReply("hello", header({ status: "ok", version: 1 }));
  assertEquals([hello.features, hello.auth, hello.idle_ms], [[], "none", 60_000]);
  const put = header({ status: "ok", filename: "f", md5: EMPTY_MD5, size: 0n });
  assertEquals(parseReply("put", put).unchanged, false);
  const offer = parseReply("offer", header({ status: "ok", decision: "send" }));
  assertEquals({ ...offer } as Record<string, unknown>, {
    status: "ok",
    decision: "send",
    checksum: null,
    offset: 0,
    prefix_md5: null,
    prefix_xxh128: null,
    prefix_state: null,
  });
  const get = header({ status: "ok", filename: "f", size: 0n, mtime: 0, mode: 0 });
  assertEquals(parseReply("get", get).offset, 0);
});

Deno.test("parseReply() takes the time of a command that the server does not tell for the longest", () => {
  const reply = (keys: object) => parseReply("exec", header({ status: "ok", ...keys })).timeout_ms;
  assertEquals([reply({ timeout_ms: 5 }), reply({})], [5, MAX_TIMEOUT_MS]);
  assertFails(() => reply({ timeout_ms: 0 }), "bad_header", "timeout_ms is less than 1");
  assertFails(() => reply({ timeout_ms: 2 ** 31 }), "bad_header", "timeout_ms is more than");
});

Deno.test("parseOutputStream() gives one of the two streams", () => {
  assertEquals(parseOutputStream(header({ stream: "stdout" })), "stdout");
  assertEquals(parseOutputStream(header({ stream: "stderr", total_size: 1n })), "stderr");
  const words = "stream is neither stdout nor stderr";
  for (const stream of ["stdin", "STDOUT", "", 1, null]) {
    assertFails(() => parseOutputStream(header({ stream })), "bad_header", words);
  }
  assertFails(() => parseOutputStream(header({})), "bad_header", "stream is missing");
});

Deno.test("parseExecEnd() says how a command ended", () => {
  const end = (keys: object) => parseExecEnd(header({ end: true, ...keys }));
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
  for (const [keys, words] of table) assertFails(() => end(keys), "bad_header", words);
});

Deno.test("parseReply() gives where to go on as a number", () => {
  const facts = { prefix_md5: EMPTY_MD5, prefix_xxh128: EMPTY_MD5, prefix_state: EMPTY_MD5 };
  const offer = header({ status: "ok", decision: "send", offset: 64n, ...facts });
  const { offset, prefix_md5, prefix_xxh128, prefix_state } = parseReply("offer", offer);
  assertEquals(offset, 64);
  assertEquals({ prefix_md5, prefix_xxh128, prefix_state }, facts);
  for (const key of Object.keys(facts)) {
    assertFails(
      () => parseReply("offer", header({ ...offer, [key]: EMPTY_MD5.slice(1) })),
      "bad_header",
      `${key} is not 32 lower-case hexadecimal digits`,
    );
  }
  assertFails(
    () => parseReply("offer", header({ ...offer, offset: 2n ** 53n })),
    "bad_header",
    "offset is more than 2^53-1",
  );
  const get = { status: "ok", filename: "f", size: 70n, mtime: 0, mode: 0, offset: 64n };
  assertEquals(parseReply("get", header(get)).offset, 64);
  assertFails(
    () => parseReply("get", header({ ...get, offset: -1n })),
    "bad_header",
    "offset is negative",
  );
});

Deno.test("parseReply() refuses what is not the reply", () => {
  const put = { status: "ok", filename: "f", md5: EMPTY_MD5, size: 0n };
  assertFails(
    () => parseReply("put", header({ ...put, status: "fine" })),
    "bad_header",
    "status is neither ok nor error",
  );
  assertFails(() => parseReply("put", header({ ...put, md5: null })), "bad_header", "checksum");
  assertFails(
    () => parseReply("put", header({ ...put, size: 2n ** 53n })),
    "bad_header",
    "size is more than 2^53-1",
  );
  assertFails(
    () => parseReply("offer", header({ status: "ok", decision: "exists" })),
    "bad_header",
    "decision is none of send, have, hash",
  );
});

Deno.test("encodeLine() and decodeLine() are inverse", () => {
  const entry: Entry = {
    filename: "line\nfeed/é",
    type: "file",
    size: Number.MAX_SAFE_INTEGER,
    mtime: 1700000000000,
    mode: 0o644,
    checksum: null,
  };
  for (const checksum of [EMPTY_MD5, EMPTY_SHA256]) {
    const known = { ...entry, checksum };
    assertEquals({ ...decodeLine("entry", encodeLine(known)) }, known);
  }
  const line = encodeLine(entry);
  // One line for one entry, whatever is in its name.
  assertMatch(line, /^[^\n]+\n$/);
  assertStringIncludes(line, "line\\nfeed");
  assertEquals({ ...decodeLine("entry", line) }, entry);
  const part: PartEntry = {
    filename: "line\nfeed/é",
    size: Number.MAX_SAFE_INTEGER,
    received: Number.MAX_SAFE_INTEGER - 1,
    mtime: -1,
    active: true,
  };
  assertMatch(encodeLine(part), /^[^\n]+\n$/);
  assertEquals({ ...decodeLine("part", encodeLine(part)) }, part);
});

Deno.test("decodeLine() refuses what is no part", () => {
  const part = { filename: "f", size: 70, received: 64, mtime: 0 };
  const decode = (keys: Record<string, unknown>) =>
    decodeLine("part", JSON.stringify({ ...part, ...keys }));
  assertEquals(decode({}).active, false);
  const cases: [keys: Record<string, unknown>, words: string][] = [
    [{ filename: undefined }, "filename is missing"],
    [{ size: 1.5 }, "size is not an integer"],
    [{ received: undefined }, "received is missing"],
    [{ received: -1 }, "received is negative"],
    [{ received: "64" }, "received is not an integer"],
    [{ mtime: null }, "mtime is not a number"],
    [{ active: "yes" }, "active is not a boolean"],
  ];
  for (const [keys, words] of cases) assertFails(() => decode(keys), "bad_header", words);
  // Not rounded to something that would do.
  const line = '{"filename":"f","size":70,"received":9007199254740993,"mtime":0}';
  assertFails(() => decodeLine("part", line), "bad_header", "received is more than 2^53-1");
  assertFails(() => decodeLine("part", "["), "bad_header", "a line of the list is not JSON");
});

Deno.test("decodeLine() refuses what is no entry", () => {
  assertFails(() => decodeLine("entry", "{"), "bad_header", "a line of the list is not JSON");
  assertFails(() => decodeLine("entry", "{}"), "bad_header", "filename is missing");
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
  assertFails(() => parseRequest(header({ op: "auth" })), "bad_header", "scram");
  const wrong = header({ op: "hello", versions: [1], scram: null });
  assertFails(() => parseRequest(wrong), "bad_header", "scram");
});

Deno.test("parseReply() takes a hello that says nothing of scopes for one that grants none", () => {
  const hello = parseReply("hello", header({ status: "ok", version: 1 }));
  assertEquals([hello.auth, hello.scopes, hello.scram], ["none", [], undefined]);
  const scopes = ["read", "a scope of the future"];
  const auth = parseReply("auth", header({ status: "ok", scram: "v=", scopes }));
  assertEquals(auth.scopes, scopes);
  const wrong = header({ status: "ok", scram: "v=", scopes: "read" });
  assertFails(() => parseReply("auth", wrong), "bad_header", "scopes");
});
