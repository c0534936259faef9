/**
 * What a client asks of a server, without damage: every operation, with every form of its messages.
 *
 * @module
 */

import type { Client } from "../../client/api/client.ts";
import { Authority } from "../../server/auth/authority.ts";
import { grantEverywhere } from "../../server/auth/grants.ts";
import { newToken, tokenTable } from "../../server/auth/token_table.ts";
import { parseToken, type Token } from "../../lib/security/token.ts";
import type { Tree } from "./lane.ts";
import { discarding, linking, Part, running, type Served, TIME_LIMIT } from "./served.ts";

/** An operation of a client. */
export interface Operation {
  /** Its name. */
  readonly name: string;
  /** The files of the server. */
  readonly root?: Tree;
  /** The files of the client. */
  readonly local?: Tree;
  /** Whether damage to the handshake is tried, too; it is the same for all operations without a token. */
  readonly greets?: boolean;
  /** What the server has beside its files. */
  readonly served?: () => Promise<Served> | Served;
  /** The client's token. */
  readonly token?: Token;
  /** The level at which the connection is compressed. Default: it is not. */
  readonly level?: number;
  /** Whether a result, as JSON, is the one that it has from then on. Default: the first one is. */
  readonly isSettled?: (result: string) => boolean;
  /** Runs it, and returns what the user would see. */
  run(client: Client, cwd: string): Promise<unknown>;
}

const SMALL = new TextEncoder().encode("hello, flips\n");
/** So large that it is offered first. */
const OFFERED = Uint8Array.from({ length: 1024 * 1024 + 64 }, (_, i) => (i * 31) >>> 3);
/** So large that its checksum is not sent in advance where it is not known. */
const LARGE = OFFERED.subarray(0, 70_000);

const TREE: Tree = { "t/one": SMALL, "t/sub/two": "22", "t/empty/": "" };

/** The results of a transfer of a directory; the failure of a file is thrown. */
export async function ofTree(
  move: (
    options: {
      onFile(result: { filename: string }): void;
      onError(name: string, error: unknown): void;
    },
  ) => Promise<void>,
): Promise<unknown[]> {
  const results: { filename: string }[] = [];
  const errors: unknown[] = [];
  await move({
    onFile: (result) => results.push(result),
    onError: (_, error) => errors.push(error),
  });
  if (errors.length > 0) throw errors[0];
  // Retried files come last, so the results are sorted.
  return results.sort((a, b) => a.filename < b.filename ? -1 : 1);
}

async function* piecesOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    yield new TextEncoder().encode(text);
    await Promise.resolve();
  }
}

/** Operations on the content of files, and those about clients and commands. The stack disposes of what they share. */
export async function fileOperations(stack: AsyncDisposableStack): Promise<readonly Operation[]> {
  const part = stack.use(new Part());
  const grants = grantEverywhere(["read"]);
  const { token: text, record } = await newToken({ name: "flips", grants, expires: null });
  const token = parseToken(text);
  const kept = { preserve: true } as const;
  return [
    { name: "ping", greets: true, run: (client) => client.ping().then(() => client.hello) },
    {
      name: "auth",
      greets: true,
      token,
      root: { "a": SMALL },
      served: () => ({ authority: new Authority({ anonymous: {}, tokens: tokenTable([record]) }) }),
      run: async (client) => [client.hello.scopes, await client.stat("a")],
    },
    {
      name: "put of a small file",
      local: { "f": SMALL },
      run: (client, cwd) => client.put(`${cwd}/f`, { as: "a/f", ...kept }),
    },
    {
      name: "put over another file",
      root: { "f": "old" },
      local: { "f": SMALL },
      run: (client, cwd) => client.put(`${cwd}/f`, { overwrite: "newer", ...kept }),
    },
    {
      name: "put of a stream",
      run: (client) => client.put(piecesOf("hello, ", "flips"), { as: "s" }),
    },
    {
      name: "put of a large file",
      run: (client) => client.put(OFFERED, { as: "l", algorithm: "xxh128" }),
    },
    {
      name: "put of what is there",
      root: { "l": OFFERED },
      run: (client) => client.put(OFFERED, { as: "l", algorithm: "xxh128" }),
    },
    {
      name: "put and get, compressed",
      level: 3,
      greets: true,
      run: async (client) => {
        const put = await client.put(LARGE, { as: "l" });
        return [client.compresses, put, (await client.get("l").bytes()).length];
      },
    },
    {
      name: "put of the rest of a file",
      served: () => part.served(),
      run: (client) => client.put(part.path, { as: "r", ...kept }),
    },
    {
      name: "get of a small file",
      root: { "a/f": SMALL },
      run: (client, cwd) => client.get("a/f", { out: `${cwd}/f`, ...kept }),
    },
    {
      name: "get over another file",
      root: { "f": SMALL },
      local: { "f": "other" },
      run: (client, cwd) => {
        return client.get("f", { out: `${cwd}/f`, overwrite: "different", algorithm: "sha256" });
      },
    },
    {
      name: "get with a closing header",
      root: { "f": LARGE },
      run: (client, cwd) => client.get("f", { out: `${cwd}/f`, algorithm: "xxh128" }),
    },
    {
      name: "get of a range",
      root: { "f": LARGE },
      async run(client) {
        let sum = 0;
        const out = {
          write: (bytes: Uint8Array) => {
            for (const byte of bytes) sum = (sum * 31 + byte) >>> 0;
            return Promise.resolve();
          },
        };
        return { ...await client.get("f", { out, offset: 1000, length: 300 }), sum };
      },
    },
    {
      name: "exec",
      served: running,
      run: (client) => client.exec(["echo", "x"], { timeout: TIME_LIMIT }),
    },
    {
      name: "exec with an input",
      served: running,
      run: (client) => client.exec({ shell: "cat" }, { stdin: SMALL }),
    },
  ];
}

/** Operations on names, and on many files. */
export function directoryOperations(): readonly Operation[] {
  return [
    {
      name: "list",
      root: TREE,
      run: (client) => Array.fromAsync(client.list("t", { recursive: true })),
    },
    { name: "list of parts", run: (client) => Array.fromAsync(client.listParts()) },
    {
      name: "stat",
      root: TREE,
      run: async (client) => [
        await client.stat("t/one", { algorithm: "sha256" }),
        await client.stat("t/sub"),
      ],
    },
    {
      name: "compare, and the puts behind it",
      local: { "t/one": SMALL, "t/empty/": "" },
      run: (client, cwd) => {
        const options = { as: "t", overwrite: "different" } as const;
        return ofTree((events) => client.putTree(`${cwd}/t`, { ...options, ...events }));
      },
    },
    {
      name: "compare of what is there",
      root: TREE,
      local: { "t/one": SMALL, "t/sub/two": "22" },
      run: (client, cwd) => {
        const options = { as: "t", checksumCompare: true } as const;
        return ofTree((events) => client.putTree(`${cwd}/t`, { ...options, ...events }));
      },
    },
    {
      name: "mirror with backups",
      root: { "t/one": SMALL, "t/two": "22", "t/old/three": "3" },
      local: { "t/one": "another" },
      run: (client, cwd) => {
        const options = { as: "t", delete: true, backup: "kept" } as const;
        return ofTree((events) => client.putTree(`${cwd}/t`, { ...options, ...events }));
      },
    },
    {
      name: "a directory that is published as one",
      local: { "t/one": SMALL, "t/empty/": "" },
      run: (client, cwd) =>
        ofTree((events) => client.putTree(`${cwd}/t`, { atomic: true, ...events })),
    },
    {
      name: "a directory that is published in place of another one",
      root: TREE,
      local: { "t/one": SMALL, "t/sub/two": "22" },
      run: (client, cwd) => {
        const options = { atomic: true, overwrite: "different" } as const;
        return ofTree((events) => client.putTree(`${cwd}/t`, { ...options, ...events }));
      },
    },
    {
      name: "get of a directory",
      root: { "t/one": SMALL, "t/two": "22" },
      run: (client, cwd) => {
        return ofTree((events) => client.getTree("t", { out: `${cwd}/t`, ...events }));
      },
    },
    { name: "move", root: { "a": SMALL }, run: (client) => client.move("a", "d/a") },
    {
      name: "move over another file",
      root: { "a": SMALL, "b": "b" },
      run: (client) => client.move("a", "b", { overwrite: "always" }),
    },
    {
      name: "remove",
      root: { ...TREE, "a": SMALL },
      run: async (client) => {
        await client.remove("a");
        await client.remove("t", { recursive: true });
      },
    },
    { name: "link", root: TREE, run: (client) => client.link("t/sub/link", "../one") },
    {
      name: "list with links",
      root: TREE,
      run: (client, cwd) => {
        const options = { out: `${cwd}/t`, links: true } as const;
        return ofTree((events) => client.getTree("t", { ...options, ...events }));
      },
    },
    { name: "mkdir", run: (client) => client.mkdir("d/e") },
    { name: "discard", served: discarding, run: (client) => client.discardParts("d/e") },
    {
      name: "share",
      served: linking,
      run: (client) => client.share("d", { upload: true, expiresIn: 1000 }),
    },
    { name: "shares", served: linking, run: (client) => Array.fromAsync(client.listShares()) },
    { name: "unshare", served: linking, run: (client) => client.unshare("6JDwsPLZd8k") },
  ];
}

/** The operation whose checksum follows the bytes. */
export const FORGETFUL = "get with a closing header";
