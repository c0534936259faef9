/**
 * Sends a mutated conversation to a server, and checks the replies.
 *
 * @module
 */

import { isErrorCode } from "../../lib/core/errors.ts";
import { contentOf } from "../support/pieces.ts";
import { type RawResponse, someResponsesIn } from "../support/raw_http.ts";
import { isChecked, type RawAddress, reach } from "../support/raw_peer.ts";
import type { Conversation } from "./conversations.ts";
import type { Random } from "./mutations.ts";
import { PATIENCE, SECRET } from "./target.ts";

/** How a client behaves after it has sent everything. */
type Ending = "ends its direction" | "falls silent" | "leaves" | "does not read";
const ENDINGS: readonly Ending[] = [
  "ends its direction",
  "falls silent",
  "leaves",
  "does not read",
];

/** The outcome of a conversation. */
export interface Result {
  /** What is wrong; none where all is well. */
  problems: string[];
  /** The replies, by status and code. */
  replies: string[];
}

/** Sends bytes to a server, in segments, and reads its replies until the server closes the connection. */
export async function converse(
  { place, cuttable = true }: Pick<Conversation, "place" | "cuttable">,
  { bytes, address, random }: {
    bytes: Uint8Array;
    address: RawAddress;
    random: Random;
  },
): Promise<Result> {
  if (place === "udp-echo") return await sendDatagram(bytes, address);
  // Most clients half-close; the others wait for the server's timeouts, which takes long.
  const ending = random(8) ? ENDINGS[0]! : ENDINGS[random(ENDINGS.length)]!;
  let conn: Awaited<ReturnType<typeof reach>>;
  try {
    conn = await reach(address);
  } catch (error) {
    // A busy server may abort a handshake. Whether it accepts the next one is checked between batches.
    if (address.caCerts) return { problems: [], replies: ["no handshake"] };
    throw error;
  }
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    conn.close();
  }, PATIENCE);
  const received: Uint8Array[] = [];
  const reading = ending === "does not read" ? Promise.resolve() : read(conn, received);
  try {
    await send(conn, bytes, cuttable && random(3) > 0 ? 1 + random(20) : 0, random);
    if (ending === "ends its direction") await conn.closeWrite();
    else if (ending === "leaves") conn.close();
  } catch {
    // The server has closed the connection, which is allowed.
  }
  // A client that does not read finds out about the end of the connection only when it reads.
  if (ending === "does not read") await read(conn, received);
  await reading;
  clearTimeout(timer);
  if (!late) close(conn);
  const said = concatenate(received);
  const problems = late ? [`the server has not ended the connection after ${PATIENCE} ms`] : [];
  const { problem, replies } = LOOKS[place](said, bytes);
  if (problem !== undefined) problems.push(problem);
  if (contains(said, SECRET)) problems.push("the server has told a secret");
  return { problems: problems.map((what) => `${what} (the client ${ending})`), replies };
}

async function read(conn: Deno.Conn, into: Uint8Array[]): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  try {
    for (let count; (count = await conn.read(buffer)) !== null;) into.push(buffer.slice(0, count));
  } catch {
    // A reset also counts as an end.
  }
}

/** The most bytes that are written at once: Deno's TLS buffer has 64 KiB, some of which it uses itself. */
const MAX_SEGMENT = 32 * 1024;

/** Sends bytes in so many pieces more than one, sometimes with a pause after a piece. */
async function send(
  conn: Deno.Conn,
  bytes: Uint8Array,
  cuts: number,
  random: Random,
): Promise<void> {
  const wanted = cuts === 0 ? bytes.length : Math.ceil(bytes.length / (cuts + 1)) || 1;
  const segment = Math.min(wanted, MAX_SEGMENT);
  for (let done = 0; done < bytes.length;) {
    done += await conn.write(bytes.subarray(done, done + segment));
    if (cuts > 0 && random(4) === 0) await new Promise((resolve) => setTimeout(resolve, random(5)));
  }
}

/** A check of everything that a server has sent. */
type Look = (said: Uint8Array, sent: Uint8Array) => { problem?: string; replies: string[] };

const LOOKS: Readonly<Record<Conversation["place"], Look>> = {
  tcp: lookAtReplies,
  "inside-tls": lookAtReplies,
  http: lookAtResponses,
  https: lookAtResponses,
  // The content of the encryption is not visible here.
  tls: () => ({ replies: [] }),
  "classic-exec": () => ({ replies: [] }),
  "tcp-echo": (said, sent) => {
    const upper = (byte: number) => byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
    const wrong = said.some((byte, i) => i >= sent.length || byte !== upper(sent[i]!));
    return { replies: [], ...(wrong ? { problem: "the echo is not what was sent" } : {}) };
  },
  "udp-echo": () => ({ replies: [] }),
};

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether replies are messages as docs/protocol specifies; the last one may be truncated. */
function lookAtReplies(said: Uint8Array): { problem?: string; replies: string[] } {
  const replies: string[] = [];
  let at = 0;
  /** Whether headers must have checksums. */
  let checked = false;
  const take = (): Record<string, unknown> | undefined => {
    if (said.length - at < 4) return undefined;
    const length = new DataView(said.buffer, said.byteOffset + at, 4).getInt32(0, true);
    if (length < 2 || length > 65_536) throw new Error(`a header has the length ${length}`);
    if (said.length - at < 4 + length) return undefined;
    const message = said.subarray(at, at + 4 + length);
    const header = JSON.parse(decoder.decode(message.subarray(4)));
    checked ||= header.features?.includes("header-crc32") ?? false;
    if (checked && !isChecked(message)) throw new Error("a header has not its checksum");
    at += message.length;
    return header;
  };
  const skip = (size: unknown): boolean => {
    if (!(Number.isSafeInteger(size) && size as number >= 0)) throw new Error(`a body of ${size}`);
    at += size as number;
    return at <= said.length;
  };
  try {
    for (let header; (header = take());) {
      if ((header.features as string[] | undefined)?.includes("zstd")) {
        said = concatenate([said.subarray(0, at), contentOf(said.subarray(at))]);
      }
      const { status, code, message, total_size = 0 } = header;
      if (status !== "ok" && status !== "error") throw new Error(`the status is ${status}`);
      replies.push(status === "ok" ? "ok" : String(code));
      if (status === "error") {
        if (!isErrorCode(code) || code === "usage" || code === "unreachable") {
          throw new Error(`the code is ${code}`);
        }
        if (typeof message !== "string" || message === "") throw new Error("there is no message");
        if (code === "internal") throw new Error(`internal: ${message}`);
        continue;
      }
      const checksum = header.md5 ?? (String(header.checksum ?? "").includes(":") || null);
      if (total_size === null) {
        for (;;) {
          const piece = take();
          if (!piece) return { replies };
          if (piece.end === true) {
            if (piece.code === "internal") throw new Error(`internal: ${piece.message}`);
            break;
          }
          if (!skip(piece.total_size)) return { replies };
        }
      } else if (total_size !== 0) {
        if (!skip(total_size)) return { replies };
        if (checksum !== null) continue;
        const closing = take();
        if (closing && closing.end !== true) throw new Error("no closing header");
      }
    }
    return { replies };
  } catch (error) {
    return { problem: `a reply is wrong: ${(error as Error).message}`, replies };
  }
}

/** Whether responses are those of HTTP; the last one may be truncated. */
function lookAtResponses(said: Uint8Array): { problem?: string; replies: string[] } {
  const replies: string[] = [];
  try {
    for (const { status, headers, text } of someResponsesIn(said)) {
      replies.push(status < 400 ? `${status}` : `${status} ${codeOf({ status, headers, text })}`);
      if (status >= 500 && ![501, 503, 507].includes(status)) {
        throw new Error(`the status ${status}`);
      }
    }
    return { replies };
  } catch (error) {
    return { problem: `a response is wrong: ${(error as Error).message}`, replies };
  }
}

/** The code of the problem in a response; `page` for browsers, which ask for it by another request. */
function codeOf({ status, headers, text }: Omit<RawResponse, "body">): string {
  const type = headers["content-type"];
  if (type?.startsWith("text/html")) return "page";
  if (type !== "application/problem+json") throw new Error(`the type is ${type}`);
  const problem = JSON.parse(text);
  if (problem.status !== status) throw new Error("the problem has another status");
  const { code } = problem;
  if (!isErrorCode(code) || code === "internal") throw new Error(`the code is ${code}`);
  return code;
}

/** Sends a datagram, which may or may not be answered. */
async function sendDatagram(
  bytes: Uint8Array,
  { hostname, port }: { hostname: string; port: number },
): Promise<Result> {
  const socket = Deno.listenDatagram({ transport: "udp", hostname: "127.0.0.1", port: 0 });
  try {
    await socket.send(bytes.slice(0, 1400), { transport: "udp", hostname, port });
    const timer = setTimeout(() => socket.close(), 50);
    const [echo] = await socket.receive();
    clearTimeout(timer);
    const same = echo.length === Math.min(bytes.length, 1400);
    return { problems: same ? [] : ["the echo has another length"], replies: ["echo"] };
  } catch {
    return { problems: [], replies: ["no echo"] };
  } finally {
    close(socket);
  }
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is already closed.
  }
}

function contains(bytes: Uint8Array, text: string): boolean {
  return new TextDecoder("latin1").decode(bytes).includes(text);
}

function concatenate(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let filled = 0;
  for (const piece of pieces) {
    bytes.set(piece, filled);
    filled += piece.length;
  }
  return bytes;
}
