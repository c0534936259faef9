/**
 * An HTTP proxy in front of a real server that fails on purpose, request by request, and counts what it forwards.
 *
 * It forwards requests and answers byte for byte, so that signatures of requests stay valid.
 *
 * @module
 */

/** A request as the proxy sees it. */
export interface ProxiedRequest {
  /** How many requests came before it, over all connections. */
  readonly index: number;
  /** Its method. */
  readonly method: string;
  /** Its path with the query, as it was sent. */
  readonly path: string;
  /** Its headers. */
  readonly headers: Headers;
}

/** What happens to a request. Each fault is for itself; several may be combined. */
export interface HttpFault {
  /** Answers instead of the server, which never sees the request. */
  answer?: { status: number; headers?: Record<string, string>; body?: string };
  /** Waits so many milliseconds before the request is forwarded or answered. */
  delay?: number;
  /** Forwards so many bytes of the request's body, and then closes both connections. */
  cutRequest?: number;
  /** Lets the server do all of it, and closes the connection without an answer. */
  loseAnswer?: boolean;
  /** Forwards so many bytes of the answer's body, and then closes both connections. */
  cutAnswer?: number;
  /** Pauses so many milliseconds in the middle of the answer's body: after its first piece. */
  stall?: number;
  /** Changes headers of the answer that are present; the names are in lower case. */
  change?: Record<string, (value: string) => string>;
}

/** Decides what happens to a request; undefined where it is forwarded as it is. */
export type FaultRule = (
  request: ProxiedRequest,
) => HttpFault | undefined | Promise<HttpFault | undefined>;

/** A request that was forwarded or answered. */
export interface LoggedRequest extends ProxiedRequest {
  /** The status of the answer; undefined while there is none. */
  status?: number;
}

/** The proxy. */
export class FaultProxy implements AsyncDisposable {
  readonly #target: Deno.ConnectOptions;
  readonly #listener: Deno.TcpListener;
  readonly #accepting: Promise<void>;
  readonly #open = new Set<Deno.TcpConn>();
  readonly #connections = new Set<Promise<void>>();
  /** Its URL: `http://127.0.0.1:PORT`. */
  readonly url: string;
  /** The requests so far, in their order. */
  readonly requests: LoggedRequest[] = [];
  /** What happens to the requests that follow. */
  rule: FaultRule;

  private constructor(target: URL, rule: FaultRule) {
    this.#target = { hostname: target.hostname, port: Number(target.port) };
    this.rule = rule;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#accepting = this.#accept();
  }

  /** Starts a proxy in front of the server at an `http:` URL. Default rule: no faults. */
  static start(target: string, rule: FaultRule = () => undefined): FaultProxy {
    return new FaultProxy(new URL(target), rule);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const connection = this.#serve(client).catch(() => {
        // An end that closes early ends the connection of the other one.
      });
      this.#connections.add(connection);
      void connection.finally(() => this.#connections.delete(connection));
    }
  }

  async #serve(client: Deno.TcpConn): Promise<void> {
    using stack = new DisposableStack();
    const own = (conn: Deno.TcpConn) => {
      this.#open.add(conn);
      stack.defer(() => {
        this.#open.delete(conn);
        close(conn);
      });
      conn.setNoDelay(true);
      return new Messages(conn);
    };
    const from = own(client);
    // The client's connection has one of its own to the server, which is made when it is needed.
    let to: Messages | undefined;
    for (let head; (head = await from.head()) !== undefined;) {
      const [method, path] = head.start.split(" ") as [string, string];
      const request: LoggedRequest = {
        index: this.requests.length,
        method,
        path,
        headers: head.headers,
      };
      this.requests.push(request);
      const fault = await this.rule(request) ?? {};
      if (fault.delay !== undefined) await pause(fault.delay);
      if (fault.answer !== undefined) {
        request.status = fault.answer.status;
        await answer(from, head, fault.answer);
        continue;
      }
      to ??= own(await Deno.connect({ ...this.#target, transport: "tcp" }));
      if (!await forward(from, to, head, fault, request)) return;
    }
  }

  /** Closes all connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const conn of this.#open) close(conn);
    await this.#accepting;
    await Promise.all(this.#connections);
  }
}

/** Forwards a request and its answer; false where the connections have to be closed. */
async function forward(
  from: Messages,
  to: Messages,
  head: Head,
  fault: HttpFault,
  request: LoggedRequest,
): Promise<boolean> {
  await to.write(head.bytes);
  if (fault.cutRequest !== undefined) {
    await copyBody(from.body(framingOf(head)), to, { limit: fault.cutRequest });
    return false;
  }
  // A server may answer before it has seen all of the request.
  const sent = copyBody(from.body(framingOf(head)), to).then(() => true, () => false);
  for (;;) {
    const answered = await to.head();
    if (answered === undefined) return false;
    const status = Number(answered.start.split(" ")[1]);
    const interim = status < 200;
    if (!interim) request.status = status;
    if (fault.loseAnswer && !interim) return false;
    await from.write(changed(answered, fault.change ?? {}));
    if (interim) continue;
    const framing = request.method === "HEAD" || status === 204 || status === 304
      ? NO_BODY
      : framingOf(answered, { untilEnd: true });
    const whole = await copyBody(to.body(framing), from, {
      limit: fault.cutAnswer,
      stall: fault.stall,
    });
    return whole && framing.kind !== "end" && await sent;
  }
}

/** Answers a request in place of the server, once its body has been read. */
async function answer(
  from: Messages,
  head: Head,
  { status, headers = {}, body = "" }: NonNullable<HttpFault["answer"]>,
): Promise<void> {
  // A client that waits for a permission to send its body gets the final answer instead, and sends none.
  if (!head.headers.has("expect")) {
    for await (const _ of from.body(framingOf(head)));
  }
  const bytes = new TextEncoder().encode(body);
  const lines = [
    `HTTP/1.1 ${status} Fault`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `Content-Length: ${bytes.length}`,
  ];
  await from.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  if (head.start.split(" ")[0] !== "HEAD") await from.write(bytes);
}

/** The first lines of a message. */
interface Head {
  /** Its first line. */
  start: string;
  /** Its headers. */
  headers: Headers;
  /** All of it as it was sent. */
  bytes: Uint8Array;
}

/** How the end of a body is found. */
type Framing = { kind: "length"; length: number } | { kind: "chunked" } | { kind: "end" };

const NO_BODY: Framing = { kind: "length", length: 0 };

function framingOf({ headers }: Head, { untilEnd = false } = {}): Framing {
  if (headers.get("transfer-encoding")?.toLowerCase() === "chunked") return { kind: "chunked" };
  const length = headers.get("content-length");
  if (length !== null) return { kind: "length", length: Number(length) };
  return untilEnd ? { kind: "end" } : NO_BODY;
}

/** A head with other values of headers that it has. */
function changed(head: Head, change: NonNullable<HttpFault["change"]>): Uint8Array {
  if (Object.keys(change).length === 0) return head.bytes;
  const lines = LATIN1.decode(head.bytes).split("\r\n").map((line) => {
    const [, name = "", value = ""] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    const changes = change[name.toLowerCase()];
    return changes === undefined ? line : `${name}: ${changes(value)}`;
  });
  return bytesOfLatin1(lines.join("\r\n"));
}

/** Bytes are kept as they are, whatever they mean. */
const LATIN1 = new TextDecoder("latin1");

function bytesOfLatin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

const READ_BYTES = 64 * 1024;

/** The messages that arrive on a connection, as they were sent. */
class Messages {
  readonly #conn: Deno.TcpConn;
  #unread = new Uint8Array();

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  /** Reads further bytes; false at the end of the connection. */
  async #more(): Promise<boolean> {
    const piece = new Uint8Array(READ_BYTES);
    const count = await this.#conn.read(piece);
    if (count === null) return false;
    const joined = new Uint8Array(this.#unread.length + count);
    joined.set(this.#unread);
    joined.set(piece.subarray(0, count), this.#unread.length);
    this.#unread = joined;
    return true;
  }

  #take(count: number): Uint8Array {
    const taken = this.#unread.subarray(0, count);
    this.#unread = this.#unread.subarray(count);
    return taken;
  }

  /** Bytes up to the end of a mark, with it; undefined where the connection ends. */
  async #through(mark: string): Promise<Uint8Array | undefined> {
    for (;;) {
      const at = LATIN1.decode(this.#unread).indexOf(mark);
      if (at >= 0) return this.#take(at + mark.length);
      if (!await this.#more()) return undefined;
    }
  }

  /** The head of the next message; undefined where the connection ends. */
  async head(): Promise<Head | undefined> {
    const bytes = await this.#through("\r\n\r\n");
    if (bytes === undefined) return undefined;
    const [start = "", ...lines] = LATIN1.decode(bytes).trimEnd().split("\r\n");
    const headers = new Headers();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    return { start, headers, bytes };
  }

  /** The body of the message whose head was read, piece by piece. */
  async *body(framing: Framing): AsyncGenerator<Uint8Array> {
    if (framing.kind === "length") yield* this.#exactly(framing.length);
    if (framing.kind === "end") yield* this.#exactly(Infinity);
    while (framing.kind === "chunked") {
      const line = await this.#line();
      yield line;
      const size = parseInt(LATIN1.decode(line), 16);
      if (size > 0) {
        yield* this.#exactly(size + 2);
        continue;
      }
      // After the last chunk: lines up to an empty one.
      for (let trailer; (trailer = await this.#line());) {
        yield trailer;
        if (trailer.length === 2) return;
      }
    }
  }

  async #line(): Promise<Uint8Array> {
    const line = await this.#through("\r\n");
    if (line === undefined) throw new Error("the connection ends within a body");
    return line;
  }

  async *#exactly(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0;) {
      if (this.#unread.length === 0 && !await this.#more()) {
        if (count === Infinity) return;
        throw new Error("the connection ends within a body");
      }
      const piece = this.#take(Math.min(left, this.#unread.length));
      left -= piece.length;
      yield piece;
    }
  }

  /** Sends bytes. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.#conn.write(bytes.subarray(sent));
  }
}

/** Copies a body, or so many bytes of it; false where it was cut. */
async function copyBody(
  body: AsyncIterable<Uint8Array>,
  to: Messages,
  { limit = Infinity, stall }: { limit?: number | undefined; stall?: number | undefined } = {},
): Promise<boolean> {
  let left = limit;
  if (left === 0) return false;
  let pausing = stall;
  for await (const piece of body) {
    await to.write(piece.subarray(0, Math.min(left, piece.length)));
    left -= piece.length;
    if (left <= 0) return false;
    if (pausing !== undefined) await pause(pausing);
    pausing = undefined;
  }
  return limit === Infinity;
}

function close(conn: Deno.TcpConn): void {
  try {
    conn.close();
  } catch {
    // It has been closed already.
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** A rule that answers every `nth` request with an error of S3: 500 and `InternalError`, if not told otherwise. */
export function everyNth(
  nth: number,
  { status = 500, code = "InternalError" } = {},
): FaultRule {
  return ({ index }) => index % nth === nth - 1 ? { answer: errorAnswer(status, code) } : undefined;
}

/** The answer of S3 to a request that failed. */
export function errorAnswer(status: number, code: string): NonNullable<HttpFault["answer"]> {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code></Error>`;
  return { status, headers: { "Content-Type": "application/xml" }, body };
}

/** A change of the header `date`, by so many milliseconds. */
export function shiftedDate(by: number): NonNullable<HttpFault["change"]> {
  return { date: (value) => new Date(Date.parse(value) + by).toUTCString() };
}
