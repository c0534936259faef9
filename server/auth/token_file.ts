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
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { openRegularFile, readText } from "../../lib/cli/option_file.ts";
import { sameBytes } from "../../lib/core/constant_time.ts";
import { createVerifier, SCRAM_ITERATIONS, type ScramVerifier } from "../../lib/security/scram.ts";
import { createToken, formatToken } from "../../lib/security/token.ts";
import { formatGrants, type Grants, parsePrefix, type Prefix } from "./authorization.ts";
import { type Scope, SCOPES } from "../../lib/core/scope.ts";
import { writeSecretFile } from "./secret_file.ts";

const DECOY_BYTES = 32;
const SALT_BYTES = 16;
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

/** What the first message of an exchange is answered with. */
export type Challenge = Pick<ScramVerifier, "salt" | "iterations">;

/** All the tokens of a server. */
export interface TokenTable {
  /** By their ids. */
  readonly records: ReadonlyMap<string, TokenRecord>;
  /** Random, and kept: makes what is answered to an id that is not there, the same each time. */
  readonly decoyKey: Uint8Array;
  /** What ids of revoked tokens go on being answered with, where that is not what the key makes. */
  readonly revoked?: ReadonlyMap<string, Challenge> | undefined;
}

/**
 * What an id is answered with that is not there: it looks like the answer for a token, and is always the same.
 * The tokens of a file are made to be answered so too, so that nobody learns which ids there are or were.
 */
export async function decoyChallenge(decoyKey: Uint8Array, id: string): Promise<Challenge> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const secret = new Uint8Array(decoyKey);
  const key = await crypto.subtle.importKey("raw", secret, algorithm, false, ["sign"]);
  const bytes = await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(id));
  return { salt: new Uint8Array(bytes).slice(0, SALT_BYTES), iterations: SCRAM_ITERATIONS };
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

/** Whether two tables have the same tokens, by the same names. */
export function sameTokens(a: TokenTable, b: TokenTable): boolean {
  const [some, others] = [a, b].map(({ records }) => encodeRecords(records).join(""));
  return some === others;
}

/** What {@linkcode newToken} is told. */
export interface NewTokenOptions {
  /** What people call it. */
  name: string;
  /** What whoever shows it may do. */
  grants: Grants;
  /** When it ends, in milliseconds since 1970; null for never. */
  expires: number | null;
  /**
   * The `decoyKey` of the table that it is for, so that its id is answered there as before it was made, and as
   * after it is revoked. Default: that of all tables of this process that are given none.
   */
  decoyKey?: Uint8Array | undefined;
}

/** A token that was just made. */
export interface NewToken {
  /** The token as a line of text: for whoever is to show it, and for nobody else. */
  token: string;
  /** What the server keeps of it. */
  record: TokenRecord;
}

/** Makes a token. */
export async function newToken(
  { name, grants, expires, decoyKey = DECOY_KEY }: NewTokenOptions,
): Promise<NewToken> {
  const token = createToken();
  const verifier = await createVerifier(token.secret, await decoyChallenge(decoyKey, token.id));
  return {
    token: formatToken(token),
    record: { id: token.id, name, created: Date.now(), expires, grants, verifier },
  };
}

/** One for all tables that are in no file: what an id is answered with outlasts each of them. */
const DECOY_KEY = newDecoyKey();

/** A table of tokens. */
export function tokenTable(
  records: Iterable<TokenRecord>,
  decoyKey: Uint8Array = DECOY_KEY,
  revoked: ReadonlyMap<string, Challenge> = new Map(),
): TokenTable {
  return { records: new Map([...records].map((record) => [record.id, record])), decoyKey, revoked };
}

function newDecoyKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(DECOY_BYTES));
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
   * @param options.mayBeEmpty whether a file without a byte, which was just made, is one without tokens.
   * Default: true.
   * @throws {FerryError} `usage` where it is damaged or no file, or where others can write to it; `not_found`, …
   */
  read({ mayBeEmpty = true }: { mayBeEmpty?: boolean } = {}): TokenTable {
    try {
      using file = openRegularFile(this.#path);
      if (!mayBeEmpty && file.statSync().size === 0) {
        throw new FerryError("usage", "it is empty, without even the line that begins it");
      }
      return readTable(file);
    } catch (error) {
      throw toFerryError(error).during(`read the tokens ${quote(this.#path)}`);
    }
  }

  /** Makes a token and puts it into the file, which is made, too, where it is not there. */
  async create(options: Omit<NewTokenOptions, "decoyKey">): Promise<NewToken> {
    let made: NewToken | undefined;
    await this.#change(async (table) => {
      const { decoyKey } = table;
      made = await newToken({ ...options, decoyKey });
      return withToken(table, made.record);
    });
    return made!;
  }

  /** Puts a token into the file, and makes the file where it is not there. */
  add(record: TokenRecord): Promise<void> {
    return this.#change((table) => withToken(table, record));
  }

  /**
   * Takes tokens out of the file.
   *
   * @param wanted an id, or a name that only one token has
   * @throws {FerryError} `not_found`; `usage` where several have the name
   */
  async revoke(wanted: string): Promise<TokenRecord> {
    let revoked: TokenRecord | undefined;
    await this.#change((table) => {
      const { records } = table;
      const all = [...records.values()];
      const found = all.filter(({ id, name }) => id === wanted || name === wanted);
      if (found.length > 1 && !records.has(wanted)) {
        const ids = found.map(({ id }) => id).join(", ");
        throw new FerryError("usage", `several tokens have that name; say which: ${ids}`);
      }
      revoked = records.get(wanted) ?? found[0];
      if (!revoked) throw new FerryError("not_found", "there is no such token");
      return withoutToken(table, revoked);
    }, { create: false });
    return revoked!;
  }

  /** Replaces the file in one step, while nobody else does. */
  async #change(
    change: (table: TokenTable) => TokenTable | Promise<TokenTable>,
    { create = true } = {},
  ): Promise<void> {
    try {
      using file = await this.#lock(create);
      const text = encodeTable(await change(readTable(file)));
      // Where the path is a link, it stays one.
      await writeSecretFile(Deno.realPathSync(this.#path), text, { replace: true });
    } catch (error) {
      throw toFerryError(error).during(`change the tokens ${quote(this.#path)}`);
    }
  }

  /** Opens the file when nobody else is changing it. */
  async #lock(create: boolean): Promise<Deno.FsFile> {
    for (;;) {
      const file = openRegularFile(this.#path, {
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

function withToken({ records, decoyKey, revoked }: TokenTable, record: TokenRecord): TokenTable {
  if (records.has(record.id)) throw new FerryError("exists", "another token has that id");
  return tokenTable([...records.values(), record], decoyKey, revoked);
}

/** The table without a token, whose id is still answered as it was. */
async function withoutToken(
  { records, decoyKey, revoked }: TokenTable,
  { id, verifier: { salt, iterations } }: TokenRecord,
): Promise<TokenTable> {
  const decoy = await decoyChallenge(decoyKey, id);
  const isDecoy = sameBytes(decoy.salt, salt) && decoy.iterations === iterations;
  const answers = new Map(revoked);
  if (!isDecoy) answers.set(id, { salt, iterations });
  return tokenTable([...records.values()].filter((record) => record.id !== id), decoyKey, answers);
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
  const { mode } = file.statSync();
  if (mode !== null && (mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new FerryError("usage", "others than its owner can write to it; chmod 600 it");
  }
  return decodeTable(readText(file));
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

const id = v.pipe(v.string("is not a string"), v.regex(/^[\x21-\x7e]{1,64}$/, "is no id"));
const iterations = v.pipe(v.number("is not a number"), v.integer("is not an integer"));

const headLine = v.object({
  format: v.literal(FORMAT, `is not "${FORMAT}"`),
  version: v.literal(1, "is not 1: a newer ferryd wrote it"),
  decoy_key: base64(DECOY_BYTES),
  // Older versions pass over it.
  revoked: v.optional(
    v.record(id, v.object({ salt: base64(SALT_BYTES), iterations }), "is not an object"),
    {},
  ),
});

const recordLine = v.object({
  id,
  name: v.string("is not a string"),
  created: time,
  expires: v.nullable(time),
  grants: v.record(
    v.picklist(SCOPES, `is none of ${SCOPES.join(", ")}`),
    v.array(prefix, "is not an array"),
    "is not an object",
  ),
  salt: base64(SALT_BYTES),
  iterations,
  stored_key: base64(KEY_BYTES),
  server_key: base64(KEY_BYTES),
});

function encodeTable({ records, decoyKey, revoked = new Map() }: TokenTable): string {
  const answers = [...revoked].map(([id, { salt, iterations }]) => {
    return [id, { salt: encodeBase64(salt), iterations }];
  });
  const head = {
    format: FORMAT,
    version: 1,
    decoy_key: encodeBase64(decoyKey),
    ...(answers.length > 0 ? { revoked: Object.fromEntries(answers) } : {}),
  };
  return [JSON.stringify(head) + "\n", ...encodeRecords(records)].join("");
}

/** The lines of the tokens. */
function encodeRecords(records: TokenTable["records"]): string[] {
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
  return lines.map((line) => JSON.stringify(line) + "\n");
}

/** A file that is empty was just made, and has no tokens yet. */
function decodeTable(text: string): TokenTable {
  if (text === "") return tokenTable([], newDecoyKey());
  const [first = "", ...rest] = text.replace(/\n$/, "").split("\n");
  const { decoy_key, revoked } = decodeLine(headLine, first, 1);
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
  const table = tokenTable(records, decoy_key, new Map(Object.entries(revoked)));
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
