/**
 * Valid conversations with a server, as data for the fuzzer to mutate. A new operation or listener is fuzzed when it
 * has an entry here.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { md5, utf8 } from "../support/bytes.ts";
import { flushedParts, pieceOf, rawPiece } from "../support/pieces.ts";
import { frame } from "../support/raw_peer.ts";
import { concat } from "../support/vectors.ts";
import { closing, type Part, put, streamed } from "./parts.ts";
import { HTTP_CONVERSATIONS } from "./http_conversations.ts";

/**
 * Where a conversation takes place: the kind of a listener, as ferryd prints it. With `tls`, the bytes are sent in
 * place of a handshake; with `inside-tls`, they are sent over the encrypted connection.
 */
export type Place =
  | "tcp"
  | "tls"
  | "inside-tls"
  | "http"
  | "https"
  | "tcp-echo"
  | "udp-echo"
  | "classic-exec";

/** What a client sends on one connection. */
export interface Conversation {
  /** What it is about. */
  readonly name: string;
  /** The place of the conversation. */
  readonly place: Place;
  /** The pieces to send. Names of files begin with `fuzz/`: nothing else may be changed. */
  readonly parts: readonly Part[];
  /** Whether headers have checksums of their own. */
  readonly checksums?: boolean;
  /** Whether a mutation may be sent. Default: always. */
  readonly allows?: (bytes: Uint8Array) => boolean;
  /** Whether it may be sent in pieces. Default: true. */
  readonly cuttable?: boolean;
}

const sha256 = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

const HELLO = { op: "hello", versions: [1] };
const PING = { op: "ping" };

const SMALL = utf8.encode("hello, fuzzer\n");
const LARGE = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 31) >>> 3);
/** Partial uploads beyond this size are kept. */
const RESUMABLE = 9 * 1024 * 1024;

/** The ranges 3 to 7 and 100 to 300, encoded. */
const RANGES = Uint8Array.of(3, 5, 92, 0xc8, 1);
/** How 300 bytes are made of 5 literal ones and copies of 250 and 45, of which the second begins 10 bytes earlier. */
const RECIPE = Uint8Array.of(5, ...utf8.encode("hello"), 0xfa, 1, 0, 0, 45, 19);

const lines = (...entries: unknown[]) =>
  utf8.encode(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(""));

const MANIFEST = lines(
  { filename: "fuzz/a", size: 14, mtime: 1700000000000 },
  { filename: "fuzz/b/c", size: 3, mtime: 1700000000000, md5: md5(SMALL) },
  { filename: "kept/file", size: 5, mtime: 1700000000000 },
  { filename: "fuzz", size: 0, mtime: 0 },
  { filename: "fuzz/l", size: 0, mtime: 1700000000000, target: "a" },
);

const files: readonly Conversation[] = [
  { name: "hello", parts: [HELLO, PING] },
  { name: "ping", parts: [PING, PING, PING] },
  { name: "put with the md5 in front", parts: put("fuzz/a", SMALL) },
  {
    name: "put with a closing header",
    parts: [...put("fuzz/b/c", SMALL, { md5: null, overwrite: "always" }), closing(SMALL)],
  },
  {
    name: "put of a stream",
    parts: [
      { op: "put", filename: "fuzz/s", md5: null, total_size: null, overwrite: "different" },
      ...streamed(SMALL, 5),
    ],
  },
  {
    name: "put of a larger file",
    parts: [...put("fuzz/l", LARGE, { md5: null, overwrite: "always" }), closing(LARGE)],
  },
  {
    name: "put with all keys",
    parts: put("fuzz/k", SMALL, {
      mtime: 1700000000000,
      mode: 0o640,
      overwrite: "newer",
      offset: 0,
      offer: false,
    }),
  },
  {
    name: "put checked with sha256",
    parts: put("fuzz/h", SMALL, { md5: undefined, checksum: sha256(SMALL) }),
  },
  {
    name: "put checked with xxh128",
    parts: [
      { op: "put", filename: "fuzz/x", checksum: "xxh128", total_size: 14, overwrite: "always" },
      SMALL,
      { end: true, checksum: "xxh128:8acdb2f67d8d4efd3a0fcd0a0bb6bd8e", size: 14 },
    ],
  },
  {
    name: "pipelined puts, gets and removes",
    parts: [
      ...put("fuzz/p1", SMALL, { overwrite: "always" }),
      ...put("fuzz/p2", SMALL, { overwrite: "always" }),
      { op: "get", filename: "fuzz/p1" },
      { op: "stat", filename: "fuzz/p2" },
      { op: "remove", filename: "fuzz/p1" },
      ...put("fuzz/p1", SMALL),
      PING,
    ],
  },
  {
    name: "an offer, and what is offered",
    parts: [
      { op: "put", filename: "fuzz/o", md5: md5(SMALL), offer: true, size: SMALL.length },
      ...put("fuzz/o", SMALL),
      { op: "put", filename: "fuzz/o", md5: null, offer: true, size: SMALL.length, restart: true },
    ],
  },
  {
    name: "a part",
    parts: [
      {
        op: "put",
        filename: "fuzz/r",
        md5: null,
        total_size: RESUMABLE,
        size: RESUMABLE,
        mtime: 1700000000000,
      },
      LARGE,
    ],
  },
  {
    name: "going on with a part",
    parts: [
      { op: "put", filename: "fuzz/r", md5: null, offer: true, size: RESUMABLE },
      {
        op: "put",
        filename: "fuzz/r",
        md5: null,
        size: RESUMABLE,
        offset: LARGE.length,
        total_size: RESUMABLE - LARGE.length,
      },
      LARGE,
      { op: "list", parts: true },
      { op: "discard", filename: "fuzz/r" },
    ],
  },
  {
    name: "a directory that is published as one",
    parts: ["stage", "publish"].map((op) => ({ op, filename: "fuzz/p", stage: "absent.tree:0" })),
  },
  {
    name: "a file in pieces",
    parts: [
      { op: "assemble", filename: "fuzz/m", size: RESUMABLE, overwrite: "always" },
      {
        op: "piece",
        filename: "fuzz/m",
        id: "0".repeat(32),
        offset: 5,
        checksum: "xxh128:8acdb2f67d8d4efd3a0fcd0a0bb6bd8e",
        total_size: SMALL.length,
      },
      SMALL,
      { op: "put", filename: "fuzz/m", size: RESUMABLE, offset: RESUMABLE, total_size: 0 },
      { op: "discard", filename: "fuzz/m" },
    ],
  },
  {
    name: "get",
    parts: [
      { op: "get", filename: "kept/file" },
      { op: "get", filename: "kept/large" },
      { op: "get", filename: "kept/file", if_md5: md5(SMALL), checksum: "sha256" },
    ],
  },
  {
    name: "get of the rest",
    parts: [
      { op: "get", filename: "kept/large", offset: 1000, prefix_md5: md5(LARGE.subarray(0, 1000)) },
      { op: "get", filename: "kept/large", offset: 1000, prefix_xxh128: "0".repeat(32) },
      { op: "get", filename: "kept/file", offset: 14, if_md5: md5(SMALL) },
    ],
  },
  {
    name: "get of a range",
    parts: [
      { op: "get", filename: "kept/large", start: 1000, count: 70_000 },
      { op: "get", filename: "kept/large", start: 199_000 },
      { op: "get", filename: "kept/file", count: 3, checksum: "xxh128" },
      { op: "get", filename: "kept/large", start: 1000, count: 70_000, version: "another" },
    ],
  },
  {
    name: "signatures",
    parts: [
      { op: "signature", filename: "kept/large", block: 4096 },
      { op: "signature", filename: "kept/large", block: 64, rolling: true, checksum: "xxh128" },
      {
        op: "signature",
        filename: "kept/large",
        block: 1024,
        md5: md5(RANGES),
        total_size: RANGES.length,
      },
      RANGES,
      { op: "signature", filename: "kept/file", block: 64, version: "another" },
      PING,
    ],
  },
  {
    name: "a put that builds upon a file",
    parts: [
      {
        op: "put",
        filename: "fuzz/delta",
        overwrite: "always",
        basis: "kept/large",
        basis_version: "another",
        size: 300,
        total_size: RECIPE.length,
      },
      RECIPE,
      closing(RECIPE),
      PING,
    ],
  },
  {
    name: "get of ranges",
    parts: [
      {
        op: "get",
        filename: "kept/large",
        version: "another",
        md5: md5(RANGES),
        total_size: RANGES.length,
      },
      RANGES,
      { op: "get", filename: "kept/large", version: "another" },
      PING,
    ],
  },
  {
    name: "list, stat and verify",
    parts: [
      { op: "list", filename: "", recursive: true },
      { op: "list", filename: "", recursive: true, omitted: true },
      { op: "list", filename: "kept" },
      { op: "list", parts: true },
      { op: "stat", filename: "kept/file", checksum: "xxh128" },
      { op: "stat", filename: "" },
      { op: "verify", filename: "kept/file", checksum: "sha256" },
      { op: "receipt", filename: "kept/file", size: 5 },
    ],
  },
  {
    name: "mkdir, move, remove",
    parts: [
      { op: "mkdir", filename: "fuzz/d/e/f" },
      { op: "move", filename: "fuzz/a", to: "fuzz/d/a", overwrite: "always" },
      { op: "move", filename: "fuzz/d", to: "fuzz/g" },
      { op: "remove", filename: "fuzz/g/a", within: "fuzz/g" },
      { op: "move", filename: "fuzz/g/e", to: "fuzz/h", within: "fuzz", keep: true },
      { op: "remove", filename: "fuzz/g", recursive: true },
      { op: "remove", filename: "fuzz/d", recursive: true },
    ],
  },
  {
    name: "links",
    parts: [
      { op: "link", filename: "fuzz/l", target: "a", overwrite: "always", mtime: 1700000000000 },
      { op: "link", filename: "fuzz/b/l", target: "../a" },
      { op: "list", filename: "fuzz", recursive: true, omitted: true, links: true },
      { op: "remove", filename: "fuzz/l" },
      { op: "remove", filename: "fuzz/b/l" },
    ],
  },
  {
    name: "compare",
    parts: [
      { op: "compare", overwrite: "never", content: false, md5: null, total_size: null },
      ...streamed(MANIFEST, 50),
    ],
  },
  {
    name: "compare of contents",
    parts: [
      { op: "compare", content: true, known: true, total_size: MANIFEST.length },
      MANIFEST,
      closing(MANIFEST),
      PING,
    ],
  },
  {
    name: "exec",
    parts: [
      { op: "exec", argv: ["echo", "hello"], timeout_ms: 500 },
      { op: "exec", argv: ["md5sum"], timeout_ms: 500, total_size: null },
      ...streamed(SMALL, 4),
      { op: "exec", command: "echo hello" },
      PING,
    ],
  },
  {
    name: "share links, which nobody may make without a token",
    parts: [
      { op: "share", filename: "kept", upload: true, expires_in: 1000, downloads: null },
      { op: "share", filename: "kept/file", expires_in: null, downloads: 10 },
      { op: "shares" },
      { op: "unshare", id: "6JDwsPLZd8k" },
      PING,
    ],
  },
  {
    name: "auth",
    parts: [
      { op: "hello", versions: [1], scram: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" },
      { op: "auth", scram: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO" },
      { op: "auth", scram: `c=biws,r=rOprNGfwEbeRWgbNEkqO%,p=${"A".repeat(43)}=` },
      PING,
    ],
  },
].map((conversation) => ({ place: "tcp", ...conversation }));

const others: readonly Conversation[] = [
  { name: "TCP echo", place: "tcp-echo", parts: [SMALL, LARGE.subarray(0, 5000)] },
  { name: "UDP echo", place: "udp-echo", parts: [SMALL] },
  {
    name: "classic exec",
    place: "classic-exec",
    parts: [utf8.encode("# nothing but a comment")],
    // If the comment was cut, its rest would be run as a command.
    cuttable: false,
    allows: (bytes: Uint8Array) =>
      bytes[0] === 0x23 && bytes.length < 1000 && !/[\n\r]/.test(latin1(bytes)),
  },
];

/** The bytes of messages. */
const bytesOf = (...parts: Part[]) =>
  concat(parts.map((part) => part instanceof Uint8Array ? part : frame(part)));

const COMPRESSED_HELLO = { ...HELLO, features: ["zstd"], zstd_level: 9 };
const PUT_LARGE = bytesOf(...put("fuzz/z", LARGE, { overwrite: "always" }));
const LISTS = bytesOf(...Array(50).fill({ op: "list", filename: "", recursive: true }), PING);
const [FIRST, NEXT] = await flushedParts(PUT_LARGE, LISTS) as [Uint8Array, Uint8Array];
const ZEROS = new Uint8Array(16 * 1024 * 1024);
const [BOMB] = await flushedParts(
  bytesOf({ op: "put", filename: "fuzz/z", md5: null, total_size: ZEROS.length }, ZEROS),
) as [Uint8Array];

/** Compressed connections: right ones, and pieces that are not what their headers say. */
const compressed: readonly Conversation[] = ([
  ["compressed messages", [
    rawPiece(bytesOf(PING)),
    pieceOf("first", PUT_LARGE.length, FIRST),
    rawPiece(bytesOf({ op: "stat", filename: "fuzz/z" })),
    pieceOf("next", LISTS.length, NEXT),
    pieceOf("forget", 0),
    pieceOf("first", PUT_LARGE.length, FIRST),
  ]],
  ["a piece that expands", [pieceOf("first", 100_000, BOMB)]],
  ["a piece that expands as far as it may", [pieceOf("first", 1024 * 1024, BOMB)]],
  ["a piece with too little content", [pieceOf("first", PUT_LARGE.length + 1, FIRST)]],
  ["a piece with half of its bytes", [
    pieceOf("first", PUT_LARGE.length, FIRST.subarray(0, FIRST.length >> 1)),
    pieceOf("next", LISTS.length, NEXT),
  ]],
  ["a piece that continues nothing", [
    pieceOf("forget", 0),
    pieceOf("next", LISTS.length, NEXT),
  ]],
  ["a piece that is no zstd", [pieceOf("first", 50_000, LARGE.subarray(0, 50_000))]],
  ["pieces beyond the limits", [
    pieceOf("raw", 2 ** 24 - 1, SMALL),
    pieceOf("raw", 0),
  ]],
  ["two hellos", [
    rawPiece(bytesOf(COMPRESSED_HELLO, PING)),
    rawPiece(bytesOf(PING)),
  ]],
] as [string, Uint8Array[]][]).map(([name, pieces]) => ({
  name,
  place: "tcp",
  parts: [COMPRESSED_HELLO, ...pieces],
}));

/** The same conversation, with checksums in all headers. */
export function withChecksums(conversation: Conversation): Conversation {
  const { name, parts } = conversation;
  const hello = { ...HELLO, features: ["header-crc32"] };
  return {
    ...conversation,
    name: `${name}, with checksums of headers`,
    parts: [hello, ...parts],
    checksums: true,
  };
}

/** The same conversation, inside TLS. */
export function insideTls(conversation: Conversation): Conversation {
  const place = conversation.place === "http" ? "https" : "inside-tls";
  return { ...conversation, name: `${conversation.name}, inside TLS`, place };
}

/** A conversation over TLS, which begins with a real ClientHello. */
export function tlsConversation(clientHello: Uint8Array): Conversation {
  return {
    name: "a TLS handshake",
    place: "tls",
    parts: [clientHello],
  };
}

/** All conversations. */
export const CONVERSATIONS: readonly Conversation[] = [
  ...files,
  ...compressed,
  ...HTTP_CONVERSATIONS,
  ...others,
];

/** The files in `kept/`, which must never change. */
export const KEPT: Readonly<Record<string, Uint8Array>> = {
  "kept/file": SMALL,
  "kept/large": LARGE,
  "kept/deep/er/empty": new Uint8Array(),
};

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
