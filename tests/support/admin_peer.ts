/**
 * The socket by which the operator of a server reaches it, as a program sees it that is not `ferryd`.
 *
 * @module
 */

import type { Status } from "../../server/admin/status.ts";
import type { Ferryd } from "./programs.ts";

/** The paths of the sockets of the servers of a root. */
export function socketsIn(root: string): string[] {
  const directory = `${root}/.ferry/sockets`;
  return [...Deno.readDirSync(directory)].map(({ name }) => `${directory}/${name}`).sort();
}

/** Sends bytes to a socket, ends this direction, and returns all that comes back. */
export async function exchangeAt(path: string, sent: string): Promise<string> {
  // The path of a socket must not be long.
  await using directory = await openLink(path);
  using conn = await Deno.connect({ transport: "unix", path: directory.short });
  const received = new Response(conn.readable).text();
  const writer = conn.writable.getWriter();
  // The server may have heard enough before all is sent.
  await writer.write(new TextEncoder().encode(sent)).catch(() => {});
  return await received.catch(() => "");
}

async function openLink(path: string): Promise<{ short: string } & AsyncDisposable> {
  const dir = await Deno.makeTempDir({ prefix: "ferry-" });
  const slash = path.lastIndexOf("/");
  await Deno.symlink(path.slice(0, slash), `${dir}/l`);
  return {
    short: `${dir}/l/${path.slice(slash + 1)}`,
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

/** The body of a request, with what makes it one. */
export function posted(target: string, body: string): string {
  const { length } = new TextEncoder().encode(body);
  return `POST ${target} HTTP/1.1\r\nHost: ferryd\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\n${body}`;
}

/** The state of a server. */
export async function statusOf({ root }: Pick<Ferryd, "root">, at = 0): Promise<Status> {
  const path = socketsIn(root)[at]!;
  const request = "GET /v1/status HTTP/1.1\r\nHost: ferryd\r\nConnection: close\r\n\r\n";
  return JSON.parse((await exchangeAt(path, request)).split("\r\n\r\n")[1]!);
}

/** The state of a server once it is as wanted. */
export async function statusWhen(
  server: Pick<Ferryd, "root">,
  isWanted: (status: Status) => boolean,
): Promise<Status> {
  for (;;) {
    const status = await statusOf(server);
    if (isWanted(status)) return status;
  }
}
