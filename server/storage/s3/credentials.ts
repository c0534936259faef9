/**
 * The keys for an object store, from where its other programs have them: the environment, or a shared file of profiles.
 *
 * @module
 */

import { FerryError, fileError } from "../../../lib/core/errors.ts";

/** The keys that requests are signed with. */
export interface Credentials {
  /** Names the account. */
  readonly accessKeyId: string;
  /** Signs for the account. */
  readonly secretAccessKey: string;
  /** Goes with keys that are valid for some time only. Default: undefined, none. */
  readonly sessionToken?: string | undefined;
}

/**
 * Provides the keys, for each request anew, so that they can be replaced while a server runs.
 *
 * With `refresh` the store has refused the present ones.
 */
export type CredentialSource = (options?: { refresh?: boolean }) => Promise<Credentials>;

/** Reads the value of an environment variable. */
export type Environment = (name: string) => string | undefined;

/** How long a file of credentials is taken for unchanged, in milliseconds. */
const FRESH_MS = 1000;

/**
 * The credentials that an environment names: those of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
 * `AWS_SESSION_TOKEN`, else those of the profile `AWS_PROFILE` (`default`) in `AWS_SHARED_CREDENTIALS_FILE`
 * (`~/.aws/credentials`). The environment is read at once, the file when credentials are needed and again when it has
 * changed.
 *
 * @throws {FerryError} `usage` if the environment names none, or such that cannot be sent
 */
export function credentialsFrom(env: Environment): CredentialSource {
  const set = (name: string) => env(name) || undefined;
  const [id, secret] = [set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")];
  const sessionToken = set("AWS_SESSION_TOKEN");
  if (id !== undefined && secret !== undefined) {
    assertSendable("AWS_ACCESS_KEY_ID", id);
    assertSendable("AWS_SESSION_TOKEN", sessionToken);
    const credentials = { accessKeyId: id, secretAccessKey: secret, sessionToken };
    return () => Promise.resolve(credentials);
  }
  if (id !== undefined || secret !== undefined) {
    const [there, missing] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
      .toSorted((name) => set(name) === undefined ? 1 : -1);
    throw new FerryError("usage", `${there} is set, but not ${missing}`);
  }
  const home = set("HOME") ?? set("USERPROFILE");
  const path = set("AWS_SHARED_CREDENTIALS_FILE") ?? (home && `${home}/.aws/credentials`);
  if (path === undefined) {
    throw new FerryError(
      "usage",
      "no credentials for the object store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE",
    );
  }
  const file = new CredentialsFile(path, set("AWS_PROFILE") ?? "default");
  return ({ refresh = false } = {}) => file.read(refresh);
}

/**
 * Fails if a value cannot be in a header, where a name of a key and a token are.
 *
 * @throws {FerryError} `usage`; the value is not shown
 */
function assertSendable(what: string, value: string | undefined): void {
  if (value === undefined || /^[!-~]+$/.test(value)) return;
  const reason = "contains a space, a line break or another character that no key has";
  throw new FerryError("usage", `${what} ${reason}`);
}

/** A file of credentials, which is read again when it has changed. */
class CredentialsFile {
  readonly #path: string;
  readonly #profile: string;
  #known: { credentials: Credentials; version: string } | undefined;
  #looked = -Infinity;

  constructor(path: string, profile: string) {
    this.#path = path;
    this.#profile = profile;
  }

  async read(refresh: boolean): Promise<Credentials> {
    const now = performance.now();
    if (this.#known && !refresh && now - this.#looked < FRESH_MS) return this.#known.credentials;
    this.#looked = now;
    try {
      const { mtime, size, ino } = await Deno.stat(this.#path);
      const version = `${mtime?.getTime()} ${size} ${ino}`;
      if (this.#known?.version !== version) {
        const text = await Deno.readTextFile(this.#path);
        this.#known = { credentials: this.#parse(text), version };
      }
      return this.#known.credentials;
    } catch (error) {
      // While an editor replaces the file, or has it half written, the keys that were read before serve on.
      if (this.#known) return this.#known.credentials;
      throw this.#unreadable(error);
    }
  }

  #parse(text: string): Credentials {
    const profile = parseProfiles(text).get(this.#profile);
    if (!profile) throw new FerryError("usage", `it has no profile ${this.#profile}`);
    const id = profile.get("aws_access_key_id");
    const secret = profile.get("aws_secret_access_key");
    if (!id || !secret) {
      const missing = id ? "aws_secret_access_key" : "aws_access_key_id";
      throw new FerryError("usage", `the profile ${this.#profile} has no ${missing}`);
    }
    const sessionToken = profile.get("aws_session_token");
    assertSendable("its aws_access_key_id", id);
    assertSendable("its aws_session_token", sessionToken);
    return { accessKeyId: id, secretAccessKey: secret, sessionToken };
  }

  #unreadable(error: unknown): FerryError {
    const { code, reason } = fileError(error);
    const why = code === "not_found"
      ? "it does not exist, and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"
      : reason;
    return new FerryError("usage", `no credentials in ${this.#path}: ${why}`, { cause: error });
  }
}

/**
 * The sections of a file of profiles and their settings. A comment is a line of its own: keys may contain `#` and `;`.
 */
export function parseProfiles(text: string): Map<string, Map<string, string>> {
  const profiles = new Map<string, Map<string, string>>();
  let profile = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, section] = /^\s*\[\s*(?:profile\s+)?(.+?)\s*\]/.exec(line) ?? [];
    if (section !== undefined) {
      const name = section.replace(/^(["'])(.*)\1$/, "$2");
      profiles.set(name, profile = profiles.get(name) ?? new Map());
    } else if (/^[^\s#;=][^=]*=/.test(line)) {
      const at = line.indexOf("=");
      profile.set(line.slice(0, at).trim().toLowerCase(), line.slice(at + 1).trim());
    }
  }
  return profiles;
}

/**
 * The region that an environment names: `AWS_REGION`, `AWS_DEFAULT_REGION`, or that of the profile in
 * `AWS_CONFIG_FILE` (`~/.aws/config`); undefined if it names none.
 */
export async function regionFrom(env: Environment): Promise<string | undefined> {
  const set = (name: string) => env(name) || undefined;
  const named = set("AWS_REGION") ?? set("AWS_DEFAULT_REGION");
  if (named !== undefined) return named;
  const home = set("HOME") ?? set("USERPROFILE");
  const path = set("AWS_CONFIG_FILE") ?? (home && `${home}/.aws/config`);
  if (path === undefined) return undefined;
  try {
    const profiles = parseProfiles(await Deno.readTextFile(path));
    return profiles.get(set("AWS_PROFILE") ?? "default")?.get("region");
  } catch {
    // The file is optional.
    return undefined;
  }
}
