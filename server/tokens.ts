/**
 * The tokens that a server takes: what is kept of them, and the file it is kept in.
 *
 * A line of the file is a JSON object. It has nothing that lets anybody in: of the secret it keeps what
 * SCRAM needs to check it (RFC 5802, section 2.2).
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import * as v from "valibot";
import { FerryError, quote, toFerryError } from "../lib/errors.ts";
import { sameBytes } from "../lib/same_bytes.ts";
import { createVerifier, SCRAM_ITERATIONS, type ScramVerifier } from "../lib/scram.ts";
import { createToken, formatToken } from "../lib/token.ts";
import {
  formatGrants,
  type Grants,
  parsePrefix,
  type Prefix,
  type Scope,
  SCOPES,
} from "./access.ts";
import { writeSecretFile } from "./secret_file.ts";

const SALT_BYTES = 16;
const DECOY_BYTES = 32;
const KEY_BYTES = 32;

/** What a server keeps of a token. */
export interface TokenRecord {
  /** What it is called by; no secret. */
  readonly id: string;
  /** What people call it. */
  readonly name: string;
  /** When it was made, in milliseconds since 1970. */
  readonly created: number;
  /** When it ends, in milliseconds since 1970; null for never. */
  readonly expires: number | null;
  /** What whoever shows it may do. */
  readonly grants: Grants;
  /** What checks the secret. */
  readonly verifier: ScramVerifier;
}

/** All the tokens of a server. */
export interface TokenTable {
  /** By their ids. */
  readonly records: ReadonlyMap<string, TokenRecord>;
  /** Random, and kept: makes what is answered to an id that is not there, the same each time. */
  readonly decoyKey: Uint8Array;
}

/** Whether a token has the same secret as another one of that id, so that whoever knows the one knows the other. */
export function sameSecret(a: TokenRecord, b: TokenRecord): boolean {
  return sameBytes(a.verifier.storedKey, b.verifier.storedKey);
}

/** Whether a token lets the same clients do the same until the same time as another one of that id. */
export function sameRights(a: TokenRecord, b: TokenRecord): boolean {
  return sameSecret(a, b) && a.expires === b.expires &&
    formatGrants(a.grants) === formatGrants(b.grants);
}

/** What {@linkcode newToken} is told. */
export interface NewTokenOptions {
  /** What people call it. */
  name: string;
  /** What whoever shows it may do. */
  grants: Grants;
  /** When it ends, in milliseconds since 1970; null for never. */
  expires: number | null;
}

/** A token that was just made. */
export interface NewToken {
  /** The token as a line of text: for whoever is to show it, and for nobody else. */
  token: string;
  /** What the server keeps of it. */
  record: TokenRecord;
}

/** Makes a token. */
export async function newToken({ name, grants, expires }: NewTokenOptions): Promise<NewToken> {
  const token = createToken();
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const verifier = await createVerifier(token.secret, { salt, iterations: SCRAM_ITERATIONS });
  return {
    token: formatToken(token),
    record: { id: token.id, name, created: Date.now(), expires, grants, verifier },
  };
}

/** A table of tokens. */
export function tokenTable(
  records: Iterable<TokenRecord>,
  decoyKey: Uint8Array = crypto.getRandomValues(new Uint8Array(DECOY_BYTES)),
): TokenTable {
  return { records: new Map([...records].map((record) => [record.id, record])), decoyKey };
}

/** A file of tokens. */
export class TokenFile {
  readonly #path: string;

  /** The file of that path, which need not be there yet to be written. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reads the tokens.
   *
   * @throws {FerryError} `usage` where it is damaged, or where others can write to it; `not_found`, …
   */
  read(): TokenTable {
    try {
      using file = Deno.openSync(this.#path);
      return readTable(file);
    } catch (error) {
      throw toFerryError(error).during(`read the tokens ${quote(this.#path)}`);
    }
  }

  /** Puts a token into the file, and makes the file where it is not there. */
  add(record: TokenRecord): Promise<void> {
    return this.#change((records) => {
      if (records.has(record.id)) throw new FerryError("exists", "another token has that id");
      return [...records.values(), record];
    });
  }

  /**
   * Takes tokens out of the file.
   *
   * @param wanted an id, or a name that only one token has
   * @throws {FerryError} `not_found`; `usage` where several have the name
   */
  async revoke(wanted: string): Promise<TokenRecord> {
    let revoked: TokenRecord | undefined;
    await this.#change((records) => {
      const all = [...records.values()];
      const found = all.filter(({ id, name }) => id === wanted || name === wanted);
      if (found.length > 1 && !records.has(wanted)) {
        const ids = found.map(({ id }) => id).join(", ");
        throw new FerryError("usage", `several tokens have that name; say which: ${ids}`);
      }
      revoked = records.get(wanted) ?? found[0];
      if (!revoked) throw new FerryError("not_found", "there is no such token");
      return all.filter((record) => record !== revoked);
    }, { create: false });
    return revoked!;
  }

  /** Replaces the file in one step, while nobody else does. */
  async #change(
    change: (records: ReadonlyMap<string, TokenRecord>) => TokenRecord[],
    { create = true } = {},
  ): Promise<void> {
    try {
      using file = await this.#lock(create);
      const { records, decoyKey } = readTable(file);
      const text = encodeTable(tokenTable(change(records), decoyKey));
      // Where the path is a link, it stays one.
      await writeSecretFile(Deno.realPathSync(this.#path), text, { replace: true });
    } catch (error) {
      throw toFerryError(error).during(`change the tokens ${quote(this.#path)}`);
    }
  }

  /** Opens the file when nobody else is changing it. */
  async #lock(create: boolean): Promise<Deno.FsFile> {
    for (;;) {
      const file = Deno.openSync(this.#path, {
        read: true,
        write: true,
        ...(create ? { create, mode: 0o600 } : {}),
      });
      try {
        await file.lock(true);
        // Whoever had the lock before has put another file there meanwhile.
        const [mine, there] = [file.statSync(), statOf(this.#path)];
        if (there && mine.ino === there.ino && mine.dev === there.dev) return file;
      } catch (error) {
        file.close();
        throw error;
      }
      file.close();
    }
  }
}

function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

/** Who can write to the file can let himself in; so nobody but its owner may. */
const WRITABLE_BY_OTHERS = 0o022;

function readTable(file: Deno.FsFile): TokenTable {
  const { mode, size } = file.statSync();
  if (mode !== null && (mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new FerryError("usage", "others than its owner can write to it; chmod 600 it");
  }
  const bytes = new Uint8Array(size);
  for (let filled = 0; filled < size;) {
    const count = file.readSync(bytes.subarray(filled));
    if (count === null) throw new FerryError("io", "it was changed while it was read");
    filled += count;
  }
  return decodeTable(new TextDecoder().decode(bytes));
}

const FORMAT = "ferry tokens";

function base64(bytes: number) {
  return v.pipe(
    v.string("is not a string"),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        const decoded = decodeBase64(dataset.value);
        if (decoded.length === bytes) return decoded as Uint8Array;
      } catch {
        // Said below.
      }
      addIssue({ message: `is not base64 of ${bytes} bytes` });
      return NEVER;
    }),
  );
}

const time = v.pipe(
  v.string("is not a string"),
  v.isoTimestamp("is no time"),
  v.transform((text) => Date.parse(text)),
);

const prefix = v.pipe(
  v.string("is not a string"),
  v.rawTransform(({ dataset, addIssue, NEVER }): Prefix => {
    try {
      return parsePrefix(dataset.value);
    } catch {
      addIssue({ message: "is no directory of the server" });
      return NEVER;
    }
  }),
);

const headLine = v.object({
  format: v.literal(FORMAT, `is not "${FORMAT}"`),
  version: v.literal(1, "is not 1: a newer ferryd wrote it"),
  decoy_key: base64(DECOY_BYTES),
});

const recordLine = v.object({
  id: v.pipe(v.string("is not a string"), v.regex(/^[\x21-\x7e]{1,64}$/, "is no id")),
  name: v.string("is not a string"),
  created: time,
  expires: v.nullable(time),
  grants: v.record(
    v.picklist(SCOPES, `is none of ${SCOPES.join(", ")}`),
    v.array(prefix, "is not an array"),
    "is not an object",
  ),
  salt: base64(SALT_BYTES),
  iterations: v.pipe(v.number("is not a number"), v.integer("is not an integer")),
  stored_key: base64(KEY_BYTES),
  server_key: base64(KEY_BYTES),
});

function encodeTable({ records, decoyKey }: TokenTable): string {
  const head = { format: FORMAT, version: 1, decoy_key: encodeBase64(decoyKey) };
  const lines = [...records.values()].map(({ verifier, grants, created, expires, ...rest }) => ({
    ...rest,
    created: new Date(created).toISOString(),
    expires: expires === null ? null : new Date(expires).toISOString(),
    grants: Object.fromEntries(
      Object.entries(grants).map(([scope, prefixes]) => [
        scope,
        (prefixes as readonly Prefix[]).map((prefix) => prefix === "" ? "" : `${prefix}/`),
      ]),
    ),
    salt: encodeBase64(verifier.salt),
    iterations: verifier.iterations,
    stored_key: encodeBase64(verifier.storedKey),
    server_key: encodeBase64(verifier.serverKey),
  }));
  return [head, ...lines].map((line) => JSON.stringify(line) + "\n").join("");
}

/** A file that is empty was just made, and has no tokens yet. */
function decodeTable(text: string): TokenTable {
  if (text === "") return tokenTable([]);
  const [first = "", ...rest] = text.replace(/\n$/, "").split("\n");
  const { decoy_key } = decodeLine(headLine, first, 1);
  const records = rest.map((line, at): TokenRecord => {
    const { salt, iterations, stored_key, server_key, grants, ...known } = decodeLine(
      recordLine,
      line,
      at + 2,
    );
    return {
      ...known,
      grants: grants as Partial<Record<Scope, Prefix[]>>,
      verifier: { salt, iterations, storedKey: stored_key, serverKey: server_key },
    };
  });
  const table = tokenTable(records, decoy_key);
  if (table.records.size < records.length) {
    throw new FerryError("usage", "two tokens in it have the same id");
  }
  return table;
}

function decodeLine<Output>(
  schema: v.GenericSchema<unknown, Output>,
  line: string,
  number: number,
): Output {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new FerryError("usage", `line ${number} is not JSON`);
  }
  const result = v.safeParse(schema, value, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const key = v.getDotPath(issue) ?? "it";
  const missing = issue.received === "undefined" && issue.path !== undefined;
  throw new FerryError(
    "usage",
    `line ${number}: ${key} ${missing ? "is missing" : issue.message}`,
  );
}
