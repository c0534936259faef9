/**
 * What servers have beside their files: stand-ins for commands, partial uploads and share links that always do the same,
 * and tell what was asked of them.
 *
 * @module
 */

import { FerryError } from "../../lib/core/errors.ts";
import { parseFileName } from "../../lib/core/remote_name.ts";
import { PrefixDigest, type SavedPrefix } from "../../lib/digest/prefix_digest.ts";
import type { Authority } from "../../server/auth/authority.ts";
import type { AllowedCommands } from "../../server/exec/allowed_commands.ts";
import type { OutputChunk } from "../../server/exec/running_command.ts";
import type { SessionLinks } from "../../server/protocols/ferry/exchange/served_connection.ts";
import type { Share } from "../../server/shares/share.ts";
import type { Shares } from "../../server/shares/shares.ts";
import type { PartialUploads, ResumableWrite, Storage } from "../../server/storage/storage.ts";
import { TempDir } from "../support/programs.ts";

/** What a server has besides its files, for one conversation. */
export interface Served {
  /** A storage in place of the one for the files. */
  storage?: Storage;
  /** The commands that it runs. */
  commands?: AllowedCommands;
  /** The share links. Default: none. */
  links?: SessionLinks;
  /** The permissions. Default: everybody may do everything. */
  authority?: Authority;
  /** State that is not in files, to be compared afterwards. */
  state?: () => string;
}

/** How long a command may run, in milliseconds; both sides wait that long. */
export const TIME_LIMIT = 100;

/** A server with one command, which prints its input and exits with a status of its own. */
export function running(): Served {
  const started: string[] = [];
  const commands = {
    start(request: unknown, { stdin }: { stdin: boolean }) {
      let input = "";
      const ended = Promise.withResolvers<void>();
      if (!stdin) ended.resolve();
      const late = () => ended.reject(new FerryError("timeout", "its input has no end"));
      const timer = setTimeout(late, TIME_LIMIT);
      return {
        timeout: TIME_LIMIT,
        write: (bytes: Uint8Array) =>
          Promise.resolve(void (input += new TextDecoder().decode(bytes))),
        closeInput: () => Promise.resolve(ended.resolve()),
        abort: (error: unknown) => ended.reject(error),
        async *output(): AsyncGenerator<OutputChunk, unknown, void> {
          await ended.promise;
          started.push(JSON.stringify({ ...request as object, input }));
          const bytes = new TextEncoder().encode(`it was ${input}`);
          yield { stream: "stdout", bytes, more: true };
          yield { stream: "stderr", bytes: bytes.subarray(0, 6), more: false };
          return { exit_code: 3, signal: null, timed_out: false };
        },
        [Symbol.asyncDispose]: () => Promise.resolve(clearTimeout(timer)),
      };
    },
  };
  return { commands: commands as unknown as AllowedCommands, state: () => started.join("\n") };
}

/** A file of which a server has most in a partial upload. */
export class Part implements AsyncDisposable {
  static readonly #SIZE = 8 * 1024 * 1024;
  readonly #dir = new TempDir();
  readonly path: string;
  readonly #saved: Promise<SavedPrefix>;

  constructor() {
    const bytes = new Uint8Array(Part.#SIZE + 100).map((_, i) => i * 7 >> 2);
    this.path = this.#dir.write("large", bytes);
    Deno.utimeSync(this.path, 1_700_000_000, 1_700_000_000);
    const all = { algorithm: "md5", proof: true } as const;
    this.#saved = PrefixDigest.create(all).then((digest) => {
      digest.update(bytes.subarray(0, Part.#SIZE));
      return digest.save()!;
    });
  }

  /** A server that has only that partial upload. */
  async served(): Promise<Served> {
    const saved = await this.#saved;
    let state = "";
    let name: string;
    const partialUploads: Pick<PartialUploads, "find" | "resume"> = {
      find: (filename, { size }) => {
        name = filename;
        const entry = { filename, size, received: Part.#SIZE, mtime: 0, active: false };
        return Promise.resolve([{ id: "part", owner: "", entry }]);
      },
      async resume(id, options): Promise<ResumableWrite> {
        const prefix = await PrefixDigest.resume(saved, { ...options, proof: true });
        let rest = "";
        return {
          id,
          prefix,
          checkpoint: () => Promise.resolve(),
          keep() {},
          write(bytes) {
            rest += bytes.join();
            return Promise.resolve();
          },
          commit({ checksum, mtime, mode, replace }) {
            state = JSON.stringify({ name, rest, checksum, mtime, mode, replace });
            return Promise.resolve({ checksum, size: Part.#SIZE + 100, unchanged: false });
          },
          [Symbol.asyncDispose]: () => Promise.resolve(),
        };
      },
    };
    const storage: Pick<Storage, "find" | "assertFits" | "partialUploads"> = {
      find: () => Promise.resolve(undefined),
      assertFits: () => Promise.resolve(),
      partialUploads: partialUploads as PartialUploads,
    };
    return { storage: storage as Storage, state: () => state };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dir[Symbol.asyncDispose]();
  }
}

/** A storage that knows no checksum before it has read a file. */
export function forgetful(storage: Storage): Storage {
  return new Proxy(storage, {
    get(target, key) {
      const value = Reflect.get(target, key);
      if (key !== "open") return typeof value === "function" ? value.bind(target) : value;
      return async (...args: Parameters<Storage["open"]>) => {
        const file = await target.open(...args);
        return {
          entry: { ...file.entry, checksum: null },
          read: (into: Uint8Array) => file.read(into),
          seek: (offset: number) => file.seek(offset),
          remember: () => Promise.resolve(),
          [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
        };
      };
    },
  });
}

/** A server with a partial upload of `d/e`, which reports what was to be removed. */
export function discarding(): Served {
  const discarded: string[] = [];
  const partialUploads: Pick<PartialUploads, "list" | "discard"> = {
    list: () => {
      const entry = { filename: "d/e", size: 10, received: 5, mtime: 0, active: false };
      return Promise.resolve([{ id: "part", owner: "", entry }]);
    },
    discard: (id) => Promise.resolve(void discarded.push(id)),
  };
  const storage = { partialUploads: partialUploads as PartialUploads };
  return { storage: storage as unknown as Storage, state: () => discarded.join("\n") };
}

/** A server whose links are always the same, and which reports what was wanted. */
export function linking(): Served {
  const wanted: string[] = [];
  const share: Share = {
    id: "6JDwsPLZd8k",
    path: "/.ferry/s/link/",
    filename: parseFileName("d"),
    type: "directory",
    upload: true,
    created: 1_700_000_000_000,
    expires: 1_700_000_001_000,
    downloads: null,
  };
  const shares: Pick<Shares, "create" | "list" | "revoke"> = {
    create(_permit, request) {
      wanted.push(JSON.stringify(request));
      const filename = parseFileName(request.filename);
      return Promise.resolve({ ...share, filename, upload: request.upload ?? false });
    },
    list: () => Promise.resolve([share, { ...share, downloads: { most: 3, taken: 1 } }]),
    revoke: (_permit, id) => Promise.resolve(void wanted.push(id)),
  };
  const urlOf = (path: string) => `http://127.0.0.1:8080${path}`;
  return { links: { shares: shares as Shares, urlOf }, state: () => wanted.join("\n") };
}
