/**
 * Mutations by a seed: of the values of headers, the order of messages, and bytes.
 *
 * @module
 */

import { checkedFrame, frame } from "../support/raw_peer.ts";
import type { Part } from "./parts.ts";

/** Returns random numbers from 0 up to a limit, exclusive. */
export type Random = (limit: number) => number;

/** Values that programs often mishandle. */
const VALUES: readonly unknown[] = [
  ...[null, true, false, "", 0, -1, 1, 0.5, 1e21, -0, 2 ** 31, 2 ** 53, [], {}, [[]], "\ud800"],
  ...[
    "never",
    "always",
    "md5",
    "sha256",
    "xxh128",
    "0".repeat(32),
    "d41d8cd98f00b204e9800998ecf8427e",
  ],
];

/** JSON numbers that no JavaScript number can hold. */
const RAW_NUMBERS: readonly string[] = [
  ...["9223372036854775807", "9223372036854775808", "9007199254740993", "-9223372036854775808"],
  ...["1e400", "1.0", "00", "0x10", "1048577", "65536"],
];

/** Names that lead outside of the root, or might. */
const NAMES: readonly string[] = [
  ...[
    "..",
    ".",
    "/",
    "../outside/secret",
    "/etc/hostname",
    "fuzz/../../outside/secret",
    "link/secret",
  ],
  ...["link", "dangling", ".ferry", ".ferry/lock", ".FERRY/index.db", ".ferry/staging", "fuzz//a"],
  ...[
    "fuzz/",
    "fuzz/a/b",
    "fuzz\\..\\..",
    "fuzz/\u0000",
    "fuzz/\n\u001b[2J",
    "fuzz/%2e%2e",
    "kept",
  ],
  ...[
    "a".repeat(256),
    "fuzz/" + "é".repeat(127),
    "fuzz/".repeat(700) + "a",
    "fuzz/\u202e",
    "CON",
    "a:b",
  ],
];

/** Keys whose values are names of files. */
const NAME_KEYS: ReadonlySet<string> = new Set(["filename", "to"]);

/** Operations that remove names: their names are not mutated. */
const DESTRUCTIVE: ReadonlySet<unknown> = new Set(["remove", "move"]);

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random(from.length)]!;
}

/**
 * The bytes of a mutated conversation.
 *
 * @param others conversations whose messages may be inserted
 * @param checksums whether headers have checksums of their own
 * @param isText whether bytes are lines of text
 */
export function mutate(
  parts: readonly Part[],
  random: Random,
  { others, checksums = false, isText = false }: {
    others: readonly (readonly Part[])[];
    checksums?: boolean | undefined;
    isText?: boolean;
  },
): Uint8Array {
  let messages = [...parts];
  for (let turn = random(4); turn > 0; turn--) messages = shuffle(messages, random, others);
  const keys = random(3);
  const encoded = messages.map((part) => {
    if (part instanceof Uint8Array) {
      return isText && random(3) < keys ? damageLines(part, random) : part;
    }
    const header = random(3) < keys ? damageHeader(part, random) : part;
    if (!checksums) return encode(jsonOf(header), random);
    // The checksum usually does not match the damaged header; sometimes it does, as from a faulty program.
    return checkedFrame(jsonOf(header), jsonOf(random(8) ? header : part));
  });
  let bytes = concatenate(encoded);
  // Half of the conversations have only errors of a wrong program, the others also damaged bytes.
  for (let turn = random(2) && random(5); turn > 0; turn--) bytes = damageBytes(bytes, random);
  return bytes;
}

/** Removes, repeats, moves and inserts messages. */
function shuffle(
  parts: readonly Part[],
  random: Random,
  others: readonly (readonly Part[])[],
): Part[] {
  const changed = [...parts];
  const at = random(changed.length + 1);
  switch (random(5)) {
    case 0:
      changed.splice(at, 1 + random(2));
      break;
    case 1:
      changed.splice(at, 0, ...changed.slice(at, at + 1 + random(3)));
      break;
    case 2:
      changed.splice(random(changed.length + 1), 0, ...changed.splice(at, 1));
      break;
    case 3:
      changed.splice(at, 0, ...pick(random, others));
      break;
    case 4:
      changed.splice(at, 0, ...Array(random(300)).fill({ op: "ping" }));
      break;
  }
  return changed;
}

function damageHeader(header: Readonly<Record<string, unknown>>, random: Random) {
  const changed: Record<string, unknown> = { ...header };
  const keys = Object.keys(changed);
  const key = keys.length > 0 ? pick(random, keys) : "op";
  const harmless = !DESTRUCTIVE.has(header.op);
  switch (random(8)) {
    case 0:
      delete changed[key];
      break;
    case 1:
      changed[pick(random, [...keys, "x", "total_size", "offset", "size"])] = pick(random, VALUES);
      break;
    case 2:
      if (harmless && "filename" in changed) changed.filename = pick(random, NAMES);
      break;
    case 3:
      if (typeof changed[key] === "number") changed[key] = changed[key] as number + random(5) - 2;
      break;
    case 4:
      // Names are not replaced: what is removed stays below `fuzz/`.
      if (!NAME_KEYS.has(key)) changed[key] = { raw: pick(random, RAW_NUMBERS) };
      break;
    case 5:
      changed[key] = nested(random(3) ? 60 : 30_000);
      break;
    case 6:
      changed.pad = "x".repeat(pick(random, [10, 4000, 65_000, 65_536]));
      break;
    case 7:
      if (key !== "op" || harmless) changed[key] = pick(random, VALUES);
      break;
  }
  return changed;
}

/** Values of header fields that programs often mishandle. */
const FIELD_VALUES: readonly string[] = [
  ...["", "0", "-1", "1", "18446744073709551616", "9007199254740993", "1e3", "0x10", "5, 5", "*"],
  ...["chunked", "gzip, chunked", "bytes=0-0,0-0,0-0", `bytes=${"0-1,".repeat(200)}2-3`],
  ...["bytes=9007199254740993-", "bytes=5-1", "bytes=-0", 'W/"a"', '""', "md5=:!:", "md5=1;x"],
  ...[
    "close",
    "100-continue",
    "Tue, 99 Nov 2023 22:13:20 GMT",
    "http://",
    "null",
    "a\tb",
    "\u00e9",
  ],
  "x".repeat(9000),
];

/** Changes, removes, repeats and moves lines of a text. */
function damageLines(bytes: Uint8Array, random: Random): Uint8Array {
  const lines = new TextDecoder("latin1").decode(bytes).split("\r\n");
  const at = random(lines.length);
  const [, name, value] = /^([\w-]+): (.*)$/.exec(lines[at]!) ?? [];
  switch (random(7)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, ...Array(1 + random(random(20) ? 2 : 3000)).fill(lines[at]));
      break;
    case 2:
      lines.splice(random(lines.length), 0, ...lines.splice(at, 1));
      break;
    case 3:
      lines[0] = lines[0]!.replace(/ \S*/, () => ` ${targetFor(pick(random, NAMES), random)}`);
      break;
    case 4:
      lines[0] = lines[0]!.replace(
        /^\S*/,
        () => pick(random, ["GET", "PUT", "OPTIONS", "PATCH", "X"]),
      );
      break;
    default:
      if (name !== undefined) {
        lines[at] = `${name}: ${pick(random, [...FIELD_VALUES, value! + value])}`;
      }
  }
  return Uint8Array.from(lines.join("\r\n"), (c) => c.charCodeAt(0));
}

/** A name as a target, encoded as it should be or not. */
function targetFor(name: string, random: Random): string {
  const path = random(2) ? encodeURI(name.toWellFormed()) : name.replaceAll("/", "%2f");
  return `/${path}${pick(random, ["", "/", "?archive=zip", "?", "#"])}`;
}

function nested(depth: number): { raw: string } {
  return { raw: "[".repeat(depth) + "]".repeat(depth) };
}

/** A header as JSON; `{ raw }` is inserted as it is. */
function jsonOf(header: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(header, (_key, value) => {
    return typeof value?.raw === "string" ? `\u0001${value.raw}\u0001` : value;
  }).replaceAll(/"\\u0001(.*?)\\u0001"/g, "$1");
}

/** A header as bytes, sometimes with a wrong length before it. */
function encode(json: string, random: Random): Uint8Array {
  const bytes = frame(json);
  if (random(40) === 0) {
    // A wrong length.
    const length = pick(random, [
      0,
      1,
      2,
      3,
      65_535,
      65_536,
      65_537,
      0x7fffffff,
      -1,
      json.length - 1,
    ]);
    new DataView(bytes.buffer).setInt32(0, length, true);
  }
  return bytes;
}

function damageBytes(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length === 0) return bytes;
  const at = random(bytes.length);
  const count = 1 + random(random(4) ? 8 : 2000);
  switch (random(6)) {
    case 0: {
      const changed = bytes.slice();
      changed[at]! ^= 1 << random(8);
      return changed;
    }
    case 1: {
      const changed = bytes.slice();
      for (let i = at; i < Math.min(at + count, changed.length); i++) changed[i] = random(256);
      return changed;
    }
    case 2:
      return bytes.slice(0, at);
    case 3:
      return concatenate([bytes.subarray(0, at), bytes.subarray(at + count)]);
    case 4:
      return concatenate([bytes.subarray(0, at + count), bytes.subarray(at)]);
    default: {
      const noise = Uint8Array.from({ length: count }, () => random(256));
      return concatenate([bytes.subarray(0, at), noise, bytes.subarray(at)]);
    }
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let filled = 0;
  for (const part of parts) {
    bytes.set(part, filled);
    filled += part.length;
  }
  return bytes;
}
