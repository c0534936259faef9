/**
 * Looks for everything that would keep `ferryd` from starting, without listening, and leaves all files as they are.
 *
 * @module
 */

import { type Address, formatAddress, isLoopback } from "../../lib/core/address.ts";
import { FerryError, fileError, quote, toFerryError } from "../../lib/core/errors.ts";
import { resolve } from "../../lib/core/paths.ts";
import { PLATFORM } from "../../lib/core/platform.ts";
import { RESERVED_DIRECTORY } from "../../lib/core/remote_name.ts";
import { readRegularFile } from "../../lib/cli/input_file.ts";
import { infoAt, isDirectory } from "../../lib/files/path_lookup.ts";
import { socketError, whatIsAt } from "../admin/admin_socket.ts";
import { limitByTokens } from "../auth/token_quotas.ts";
import { type TokenTable, tokenTable } from "../auth/token_table.ts";
import { type BucketRoot, bucketRoot, isBucketUrl } from "../cli/bucket_root.ts";
import { readKeyPair, readTokens, type Validity, validityOf } from "../cli/credentials.ts";
import type { ServeValues } from "../cli/serve_spec.ts";
import { AllowedCommands, type ExecPolicy } from "../exec/allowed_commands.ts";
import { leadsThrough } from "../exec/program_search.ts";
import { openToAppend } from "../observe/appended_file.ts";
import { assertFilesApart } from "../observe/log_files.ts";
import { assertKnownFormat, VERSION_FILE } from "../storage/state_version.ts";
import { ferryAddress, httpTerms, SETTINGS_CHECKS } from "./listening.ts";
import type { ServerSettings } from "./settings.ts";
import { settingsFrom } from "./settings_from.ts";

/** What was found in a configuration. */
export interface Findings {
  /** What keeps `ferryd` from starting, or its clients from connecting. */
  readonly problems: readonly FerryError[];
  /** What it starts with all the same, as sentences for people. */
  readonly warnings: readonly string[];
}

/** Permission bits by which others than the owner of a file can read it. */
const READABLE_BY_OTHERS = 0o044;

/**
 * Checks the options of `ferryd`, and the files that they name.
 *
 * @param env reads a variable of the environment
 */
export async function checkConfiguration(
  options: ServeValues,
  env: (name: string) => string | undefined,
): Promise<Findings> {
  const check = new Check(options, env);
  await check.run();
  return check;
}

class Check implements Findings {
  readonly #options: ServeValues;
  readonly #env: (name: string) => string | undefined;
  readonly #problems = new Map<string, FerryError>();
  readonly warnings: string[] = [];

  constructor(options: ServeValues, env: (name: string) => string | undefined) {
    this.#options = options;
    this.#env = env;
  }

  get problems(): FerryError[] {
    return [...this.#problems.values()];
  }

  async run(): Promise<void> {
    const options = this.#options;
    await this.#attempt(() => this.#checkRoot());
    await this.#attempt(() => assertFilesApart(options));
    for (const file of [options["log-file"], options.audit]) {
      if (file !== undefined) await this.#attempt(() => assertAppendable(file));
    }
    const socket = options["admin-socket"];
    if (socket !== undefined) await this.#attempt(() => assertSocketPath(socket));
    const tokens = await this.#attempt(() => this.#tokens());
    await this.#attempt(() => this.#checkQuotas(tokens));
    await this.#attempt(() => this.#checkCertificate());
    const settings = await this.#attempt(() => settingsFrom(options)) ??
      // Scopes that cannot be read are said by now; what depends on them is not.
      settingsFrom({ ...options, anonymous: "read,write,delete,exec,echo" });
    const all = { ...settings, tokens: tokens ?? this.#unreadTokens() };
    for (const check of SETTINGS_CHECKS) await this.#attempt(() => check(all));
    if (settings.exec) await this.#checkCommands(settings.exec);
    await this.#attempt(() => this.#checkHooks());
    if (this.problems.length === 0) this.#lookAtEncryption(all);
    this.#lookIntoRoot();
  }

  /** Remembers what fails. What fails for the same reason as something before is not said again. */
  async #attempt<T>(run: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      const problem = toFerryError(error);
      this.#problems.set(problem.message, problem);
      return undefined;
    }
  }

  async #checkRoot(): Promise<void> {
    const options = this.#options;
    const bucket = bucketRoot(options);
    if (bucket) return await this.#checkBucket(bucket);
    const { assertServable } = await import("../storage/fs/served_root.ts");
    try {
      assertServable(options.root, options);
      const version = `${options.root}/${RESERVED_DIRECTORY}/${VERSION_FILE}`;
      if (infoAt(version)?.isFile) {
        assertKnownFormat(readRegularFile(version), RESERVED_DIRECTORY);
      }
    } catch (error) {
      throw fileError(error).during(`serve ${quote(options.root)}`);
    }
  }

  async #checkBucket(root: BucketRoot): Promise<void> {
    const { credentialsFrom, regionFrom } = await import("../storage/s3/credentials.ts");
    const { S3Location } = await import("../storage/s3/s3_location.ts");
    await this.#attempt(async () => {
      await credentialsFrom(this.#env)();
    });
    new S3Location({ ...root, region: root.region ?? await regionFrom(this.#env) });
  }

  #tokens(): TokenTable | undefined {
    const tokens = readTokens(this.#options);
    if (!tokens) return undefined;
    const valid = [...tokens.records.values()]
      .filter(({ expires }) => expires === null || expires > Date.now());
    if (valid.length === 0) {
      const path = quote(this.#options["token-file"]!);
      this.warnings.push(`no token in ${path} is valid: make one with ferryd token new`);
    }
    return tokens;
  }

  #checkQuotas(tokens: TokenTable | undefined): void {
    const { root, together } = this.#options;
    if (together || isBucketUrl(root)) limitByTokens({ quotas: undefined }, tokens);
  }

  /** In place of tokens that cannot be read: that is said by now, and not also that there are none. */
  #unreadTokens(): TokenTable | undefined {
    return this.#options["token-file"] === undefined ? undefined : tokenTable([], new Uint8Array());
  }

  async #checkCertificate(): Promise<void> {
    const { "tls-cert": certPath, "tls-key": keyPath } = this.#options;
    const pair = await readKeyPair(this.#options);
    if (!pair) return;
    const { assertKeyPair, assertServesTls } = await import("../net/tls_listener.ts");
    assertServesTls(Deno.version.deno);
    assertKeyPair(pair);
    const validity = await validityOf(pair.cert);
    if (validity) this.#checkValidity(certPath!, validity);
    const { mode } = Deno.statSync(keyPath!);
    if (PLATFORM.permissionBits && (mode! & READABLE_BY_OTHERS) !== 0) {
      this.warnings.push(`others can read the key ${quote(keyPath!)}: chmod 600 it`);
    }
  }

  #checkValidity(path: string, { validFrom, validTo, state }: Validity): void {
    if (state === "good") return;
    const until = `the certificate ${quote(path)} is valid until ${validTo} only`;
    if (state === "soon") return void this.warnings.push(`${until}: make or fetch a new one`);
    throw new FerryError(
      "usage",
      state === "expired"
        ? `it has expired (${validTo}): make a new one with ferryd cert --replace`
        : `it is valid from ${validFrom} on: set the clock of this machine, or wait until then`,
      { action: `use the certificate ${quote(path)}` },
    );
  }

  async #checkCommands(policy: ExecPolicy): Promise<void> {
    const { allow = [], shell = false } = policy;
    const root = isDirectory(policy.cwd) ? policy.cwd : undefined;
    const parts = [
      ...allow.map((name) => ({ allow: [name], shell: false })),
      ...shell ? [{ allow: [], shell }] : [],
    ];
    for (const part of parts) {
      await this.#attempt(() => void AllowedCommands.find({ ...policy, ...part }, { root }));
    }
  }

  async #checkHooks(): Promise<void> {
    const options = this.#options;
    if (options["on-stored"] === undefined && options["before-store"] === undefined) return;
    const { findHooks } = await import("../hooks/upload_hooks.ts");
    const { onStored } = findHooks(options, isDirectory(options.root) ? options.root : undefined);
    const queue = options["hook-queue"];
    if (onStored && queue !== undefined) assertQueuePlace(queue);
  }

  #lookIntoRoot(): void {
    const options = this.#options;
    // Paths of Windows cannot be followed part by part like others.
    if (!PLATFORM.processGroups || !isDirectory(options.root)) return;
    const root = Deno.statSync(options.root);
    for (const name of ["config", "token-file", "tls-key", "log-file", "audit"] as const) {
      const path = options[name];
      if (path === undefined || !leadsThrough(resolve(path), root)) continue;
      this.warnings.push(
        `${
          quote(path)
        } is in the directory that is served: give --${name} a place that clients do ` +
          "not reach",
      );
    }
  }

  #lookAtEncryption(settings: ServerSettings): void {
    if (this.#options["tls-cert"] !== undefined) return;
    const addresses: Address[] = [
      ferryAddress(settings),
      ...[httpTerms(settings)?.address ?? []].flat(),
    ];
    for (const address of addresses.filter((address) => !isLoopback(address))) {
      this.warnings.push(
        `others can connect to ${formatAddress(address)}, and nothing is encrypted: see ferryd ` +
          "cert --help",
      );
    }
  }
}

/**
 * Checks that a file can be appended to, or could be created, and changes nothing.
 *
 * @throws {FerryError} why it cannot
 */
function assertAppendable(path: string): void {
  try {
    openToAppend(path, { create: false }).close();
  } catch (error) {
    const failure = toFerryError(error);
    if (failure.code !== "not_found") throw failure;
    assertPlace(path, `write to ${quote(path)}`);
  }
}

/**
 * Checks that a process can listen with a socket at a path, apart from whether one does so now.
 *
 * @throws {FerryError} why it cannot
 */
async function assertSocketPath(path: string): Promise<void> {
  const action = `listen on the socket ${quote(path)}`;
  try {
    if (await whatIsAt(path) === "nothing") assertPlace(path, action);
  } catch (error) {
    throw socketError(error).during(action);
  }
}

/**
 * Checks that a directory for the queue of a hook is there, or could be made.
 *
 * @throws {FerryError} why it could not
 */
function assertQueuePlace(path: string): void {
  const action = `keep the queue of --on-stored in ${quote(path)}`;
  const info = infoAt(path);
  if (!info) assertPlace(path, action);
  else if (!isDirectory(path)) throw new FerryError("not_a_file", "it is no directory", { action });
}

/**
 * Checks that something can be made at a path where nothing is: by a file beside it, which is removed at once, since no
 * system tells that for certain.
 *
 * @throws {FerryError} why it cannot
 */
function assertPlace(path: string, action: string): void {
  const { dirname, join } = PLATFORM.path;
  const directory = dirname(path);
  if (!isDirectory(directory)) {
    throw new FerryError("not_found", `there is no directory ${quote(directory)}`, { action });
  }
  const trial = join(directory, `.ferryd-check-${crypto.randomUUID()}`);
  try {
    Deno.openSync(trial, { write: true, createNew: true, mode: 0o600 }).close();
    Deno.removeSync(trial);
  } catch (error) {
    throw fileError(error).during(action);
  }
}
