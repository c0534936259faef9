/**
 * The file in which a server keeps its tokens: a header line, then a line of JSON for each token.
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from "@std/encoding/base64";
import * as v from "valibot";
import { FerryError, quote, toFerryError } from "../../lib/core/errors.ts";
import { openRegularFile, readText } from "../../lib/cli/input_file.ts";
import { sameBytes } from "../../lib/core/constant_time.ts";
import { type Scope, SCOPES } from "../../lib/core/scope.ts";
import { type GrantedDirectory, parseGrantedDirectory } from "./grants.ts";
import { writeSecretFile } from "./secret_file.ts";
import {
  DECOY_KEY_BYTES,
  decoyChallenge,
  newDecoyKey,
  type NewToken,
  newToken,
  type NewTokenOptions,
  SALT_BYTES,
  type TokenRecord,
  type TokenTable,
  tokenTable,
} from "./token_table.ts";

/** Size of the two keys of a verifier in bytes. */
const KEY_BYTES = 32;

/** A token file. */
export class TokenFile {
  readonly #path: string;

  /** Creates an object for the file at a path. The file need not exist before it is first written. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Reads the tokens.
   *
   * @param options.mayBeEmpty whether an empty file, such as one that was just created, counts as a file without
   * tokens. Default: true.
   * @throws {FerryError} `usage` if it is damaged, is not a file, or is writable by others than its owner; `not_found`,
   * `denied`, `io`
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

  /** Generates a token and adds it to the file, which is created if it does not exist. */
  async create(options: Omit<NewTokenOptions, "decoyKey">): Promise<NewToken> {
    let made: NewToken | undefined;
    await this.#change(async (table) => {
      const { decoyKey } = table;
      made = await newToken({ ...options, decoyKey });
      return withToken(table, made.record);
    });
    return made!;
  }

  /** Adds a token to the file, which is created if it does not exist. */
  add(record: TokenRecord): Promise<void> {
    return this.#change((table) => withToken(table, record));
  }

  /**
   * Removes a token from the file.
   *
   * @param wanted an id, or a name that only one token has
   * @throws {FerryError} `not_found`; `usage` if several tokens have the name
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

  /** Replaces the file atomically, under its lock. */
  async #change(
    change: (table: TokenTable) => TokenTable | Promise<TokenTable>,
    { create = true } = {},
  ): Promise<void> {
    try {
      using file = await this.#lock(create);
      const text = encodeTable(await change(readTable(file)));
      // If the path is a symbolic link, its target is replaced and not the link.
      await writeSecretFile(Deno.realPathSync(this.#path), text, { replace: true });
    } catch (error) {
      throw toFerryError(error).during(`change the tokens ${quote(this.#path)}`);
    }
  }

  /** Opens the file and locks it. */
  async #lock(create: boolean): Promise<Deno.FsFile> {
    for (;;) {
      const file = openRegularFile(this.#path, {
        read: true,
        write: true,
        ...(create ? { create, mode: 0o600 } : {}),
      });
      try {
        await file.lock(true);
        // The previous holder of the lock has replaced the file: lock the new one.
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

/** Whether two tables have the same tokens, with the same names. */
export function sameTokens(a: TokenTable, b: TokenTable): boolean {
  const [some, others] = [a, b].map(({ records }) => encodeRecords(records).join(""));
  return some === others;
}

function withToken({ records, decoyKey, revoked }: TokenTable, record: TokenRecord): TokenTable {
  if (records.has(record.id)) throw new FerryError("exists", "another token has that id");
  return tokenTable([...records.values(), record], decoyKey, revoked);
}

/** The table without a token. The challenge of its id is kept. */
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

/**
 * The permission bits that let others write to the file. Whoever can write to it can add a token, so only its owner
 * may.
 */
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
        // Reported below.
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

const directory = v.pipe(
  v.string("is not a string"),
  v.rawTransform(({ dataset, addIssue, NEVER }): GrantedDirectory => {
    try {
      return parseGrantedDirectory(dataset.value);
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
  decoy_key: base64(DECOY_KEY_BYTES),
  // Older versions ignore this key.
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
    v.array(directory, "is not an array"),
    "is not an object",
  ),
  // Older versions ignore this key.
  quota: v.optional(
    v.pipe(
      v.number("is not a number"),
      v.safeInteger("is not an integer"),
      v.minValue(0, "is negative"),
    ),
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

/** The lines of the tokens, in the order of the table. */
function encodeRecords(records: TokenTable["records"]): string[] {
  const lines = [...records.values()].map(({ verifier, grants, created, expires, ...rest }) => ({
    ...rest,
    created: new Date(created).toISOString(),
    expires: expires === null ? null : new Date(expires).toISOString(),
    grants: Object.fromEntries(
      Object.entries(grants).map(([scope, directories]) => [
        scope,
        (directories as readonly GrantedDirectory[]).map((directory) =>
          directory === "" ? "" : `${directory}/`
        ),
      ]),
    ),
    salt: encodeBase64(verifier.salt),
    iterations: verifier.iterations,
    stored_key: encodeBase64(verifier.storedKey),
    server_key: encodeBase64(verifier.serverKey),
  }));
  return lines.map((line) => JSON.stringify(line) + "\n");
}

/** Decodes the file. An empty file was just created and has no tokens yet. */
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
      grants: grants as Partial<Record<Scope, GrantedDirectory[]>>,
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
