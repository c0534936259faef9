/// <reference lib="dom" />
/**
 * What the page asks of the server.
 *
 * @module
 */

import { directoryPath, filePath } from "./place.ts";
import { ask, Problem } from "./request.ts";

/** An entry of a directory. */
export interface Entry {
  /** Its name in the directory; with slashes if it is in another directory below. */
  readonly name: string;
  /** What it is; of other types than these two only the name is shown. */
  readonly type: "file" | "directory" | string;
  /** Its size in bytes. */
  readonly size: number;
  /** Its modification time in milliseconds since 1970. */
  readonly mtime: number;
  /** The MD5 of its content in hexadecimal, if the server knows it already. */
  readonly md5?: string | null;
}

/** Who the page is for the server. */
export interface Session {
  /** The token that the page is logged in with; null for a visitor. */
  readonly token: { readonly id: string; readonly name: string } | null;
  /** For each scope the directories below which it is granted. */
  readonly grants: Readonly<Record<string, readonly string[]>>;
  /** Whether the server has tokens at all. */
  readonly mayLogIn: boolean;
  /** How this request was logged in: only a `cookie` can be given back. */
  readonly by: string | null;
}

/** What a share link leads to, as its visitors learn it. */
export interface LinkInfo {
  /** The name of the file or directory; "" for the root of the server. */
  readonly name: string;
  /** What it leads to. */
  readonly type: "file" | "directory";
  /** Whether it is for uploads only. */
  readonly upload: boolean;
  /** When it ends, in milliseconds since 1970; null if never. */
  readonly expires: number | null;
  /** How many downloads there may be, and were; null if that is not limited. */
  readonly downloads: { readonly most: number; readonly taken: number } | null;
}

/** A share link of one's own. */
export interface Share extends LinkInfo {
  /** What names it to the server. */
  readonly id: string;
  /** The link. */
  readonly url: string;
}

/** What a share link to be made is for. */
export interface ShareRequest {
  /** The name of the file or directory. */
  readonly name: string;
  /** Whether it is for uploads only. */
  readonly upload: boolean;
  /** After how many milliseconds it ends; null for never. */
  readonly expires_in: number | null;
  /** How many downloads there may be; null for any number. */
  readonly downloads: number | null;
}

const SESSION = "/.ferry/session";
const SHARES = "/.ferry/shares";

/** The server, as it is seen below a prefix: "" or that of a share link. Each method throws a {@linkcode Problem}. */
export class Door {
  /** What precedes each path. */
  readonly prefix: string;

  /** @param prefix see {@linkcode Door.prefix} */
  constructor(prefix: string) {
    this.prefix = prefix;
  }

  /**
   * The entries of a directory.
   *
   * @param deep whether those of the directories below are there, too, with slashes in their names
   */
  async list(directory: string, signal: AbortSignal, deep: boolean): Promise<Entry[]> {
    const query = deep ? "?recursive" : "";
    const response = await ask(directoryPath(this.prefix, directory) + query, { signal });
    const { entries } = await response.json() as { entries: Entry[] };
    return entries;
  }

  /** Why a document was refused: what the address of the page is for is asked for again. */
  async whyRefused(path: string): Promise<Problem | undefined> {
    const stop = new AbortController();
    try {
      await ask(path, { signal: stop.signal, headers: { range: "bytes=0-0" } });
      stop.abort();
      return undefined;
    } catch (error) {
      if (error instanceof Problem) return error;
      throw error;
    }
  }

  /** Finds out whether what an address is for could be downloaded. */
  async look(path: string): Promise<void> {
    await ask(path, { method: "HEAD" });
  }

  /** Makes a directory. */
  async makeDirectory(name: string): Promise<void> {
    const { status } = await ask(directoryPath(this.prefix, name), { method: "POST" });
    if (status !== 201) throw new Problem("exists", status, "a directory has that name already");
  }

  /** Removes a file, or a directory with its content. */
  async remove(name: string, isDirectory: boolean): Promise<void> {
    const path = isDirectory ? directoryPath(this.prefix, name) : filePath(this.prefix, name);
    await ask(path, { method: "DELETE" });
  }

  /** Gives a file or directory another name. */
  async move(from: string, to: string): Promise<void> {
    await ask("/.ferry/api/move", posted({ from, to, overwrite: false }));
  }

  /** The MD5 of a file, which the server computes if it does not know it yet. */
  async md5(name: string): Promise<string | undefined> {
    const response = await ask(filePath(this.prefix, name), {
      method: "HEAD",
      headers: { "want-repr-digest": "md5=10" },
    });
    const [, digest] = /\bmd5=:([^:]+):/.exec(response.headers.get("repr-digest") ?? "") ?? [];
    if (digest === undefined) return undefined;
    return [...atob(digest)].map((c) => c.charCodeAt(0).toString(16).padStart(2, "0")).join("");
  }

  /** Who the page is for the server. */
  async session(): Promise<Session> {
    return await (await ask(SESSION)).json();
  }

  /** Logs in. */
  async logIn(token: string): Promise<Session> {
    return await (await ask(SESSION, posted({ token }))).json();
  }

  /** Ends the session. */
  async logOut(): Promise<void> {
    await ask(SESSION, { method: "DELETE" });
  }

  /** What the share link is that the page was opened with. */
  async linkInfo(): Promise<LinkInfo> {
    return await (await ask(`${this.prefix}/.ferry/share`)).json();
  }

  /** One's own share links, the newest first. */
  async shares(): Promise<Share[]> {
    const { shares } = await (await ask(SHARES)).json() as { shares: Share[] };
    return shares;
  }

  /** Makes a share link. */
  async share(request: ShareRequest): Promise<Share> {
    return await (await ask(SHARES, posted(request))).json();
  }

  /** Ends a share link. */
  async revoke(id: string): Promise<void> {
    await ask(`${SHARES}/${encodeURIComponent(id)}`, { method: "DELETE" });
  }
}

function posted(value: unknown): RequestInit {
  const headers = { "content-type": "application/json" };
  return { method: "POST", headers, body: JSON.stringify(value) };
}

/** Whether a scope is granted in a directory. */
export function isGranted({ grants }: Session, scope: string, directory: string): boolean {
  return (grants[scope] ?? []).some((above) =>
    above === "" || directory === above || directory.startsWith(`${above}/`)
  );
}
