/**
 * Clients of HTTP that send what no client should, and read what is sent to them to the byte.
 *
 * @module
 */

import { RawPeer } from "./raw_peer.ts";

/** A response as it was received. */
export interface RawResponse {
  /** The status. */
  readonly status: number;
  /** The header fields, by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body; of one in chunks, what they hold. */
  readonly body: Uint8Array;
  /** The body as text. */
  readonly text: string;
}

/** The time after which a conversation that has not ended is given up, in milliseconds. */
const PATIENCE_MS = 120_000;

/** Options of {@linkcode conversation}. */
export interface ConversationOptions {
  /** The certificates to trust for TLS. Default: no TLS. */
  readonly caCerts?: string[];
  /** Whether the client ends its direction when it has sent everything. Default: true. */
  readonly end?: boolean;
  /** The methods of the requests that are answered, as far as they matter: a HEAD has no body. Default: none is one. */
  readonly methods?: readonly string[];
}

/**
 * Sends bytes on a connection of their own, and reads until the server ends the connection.
 *
 * @returns the responses, the interim ones included
 * @throws if what was received is not a number of whole responses
 */
export async function conversation(
  port: number,
  sent: string | Uint8Array,
  { caCerts, end = true, methods = [] }: ConversationOptions = {},
): Promise<RawResponse[]> {
  using peer = await RawPeer.connect(port, caCerts);
  const timer = setTimeout(() => peer[Symbol.dispose](), PATIENCE_MS);
  try {
    await peer.send(sent);
    if (end) await peer.end();
    return responsesIn(await peer.readAll(), methods);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The responses that bytes consist of.
 *
 * @param methods the methods of the requests
 * @throws if they are something else
 */
export function responsesIn(bytes: Uint8Array, methods: readonly string[] = []): RawResponse[] {
  const reader = new ResponseReader(bytes);
  const responses: RawResponse[] = [];
  let answered = 0;
  while (!reader.ended) {
    const response = reader.next(methods[answered]);
    if (response.status >= 200) answered++;
    responses.push(response);
  }
  return responses;
}

/**
 * The responses that bytes begin with, but for one that is cut at the end.
 *
 * @throws if they are something else
 */
export function* someResponsesIn(bytes: Uint8Array): Generator<RawResponse> {
  const reader = new ResponseReader(bytes);
  while (!reader.ended) {
    try {
      yield reader.next();
    } catch (error) {
      if (error instanceof Cut) return;
      throw error;
    }
  }
}

/** Bytes end in the middle of a response. */
class Cut extends Error {}

/** Reads responses from bytes. */
class ResponseReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get ended(): boolean {
    return this.#at === this.#bytes.length;
  }

  next(method?: string): RawResponse {
    const [, version, status] = /^HTTP\/(\d\.\d) (\d{3})(?: .*)?$/.exec(this.#line()) ?? [];
    if (version !== "1.1") throw new Error("no response begins there");
    const headers = this.#fields();
    const code = Number(status);
    const hasBody = code >= 200 && code !== 204 && code !== 304 && method !== "HEAD";
    const body = hasBody ? this.#body(headers) : new Uint8Array();
    return { status: code, headers, body, text: new TextDecoder().decode(body) };
  }

  #fields(): Record<string, string> {
    const fields: Record<string, string> = {};
    for (let line; (line = this.#line()) !== "";) {
      const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+): ?(.*)$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`this is no header field: ${line}`);
      const key = name.toLowerCase();
      fields[key] = key in fields ? `${fields[key]}, ${value}` : value!;
    }
    return fields;
  }

  #body(fields: Readonly<Record<string, string>>): Uint8Array {
    const { "transfer-encoding": coding, "content-length": length } = fields;
    if (coding === undefined) return this.#take(Number(length));
    if (coding !== "chunked" || length !== undefined) throw new Error(`the coding is ${coding}`);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    for (;;) {
      const size = Number.parseInt(this.#line(), 16);
      if (size === 0) break;
      chunks.push(this.#take(size));
      if (this.#line() !== "") throw new Error("a chunk does not end where it should");
    }
    this.#fields();
    return new Uint8Array(chunks.flatMap((chunk) => [...chunk]));
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const end = this.#at + count;
    if (!(end <= this.#bytes.length)) throw new Cut(`a body of ${count} bytes is cut`);
    const taken = this.#bytes.slice(this.#at, end);
    this.#at = end;
    return taken;
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw new Cut("a header is cut");
    if (this.#bytes[end - 1] !== 0x0d) throw new Error("a line ends with a bare line feed");
    const line = this.#bytes.subarray(this.#at, end - 1);
    this.#at = end + 1;
    return new TextDecoder("latin1").decode(line);
  }
}
