/**
 * A peer that shares no code with ferry and so can send what ferry never would: frames built by hand,
 * cut short, too long, wrong.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** Where to connect to, and whom to trust for TLS, where there is some. */
export interface RawAddress {
  /** The address. */
  hostname: string;
  /** The port. */
  port: number;
  /** Certificates in PEM. */
  caCerts?: string[] | undefined;
}

/** A connection, encrypted or not. */
export async function reach(address: RawAddress): Promise<Deno.TcpConn | Deno.TlsConn> {
  const { caCerts, ...plain } = address;
  if (caCerts) {
    const conn = await Deno.connectTls({ ...plain, caCerts });
    // What is written before the handshake's last message has left may be more than the runtime has room for.
    await conn.handshake();
    return conn;
  }
  const conn = await Deno.connect(plain);
  conn.setNoDelay(true);
  return conn;
}

/** A message as it came: the header and, where it has one, the body. */
export interface RawMessage {
  /** The header. */
  header: Record<string, unknown>;
  /** As many bytes as the header's `total_size` says. */
  body: Uint8Array;
}

/** The bytes of a header, its length in front. */
export function frame(header: Record<string, unknown> | string): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(4 + json.length);
  new DataView(bytes.buffer).setInt32(0, json.length, true);
  bytes.set(json, 4);
  return bytes;
}

/** The last bytes of a header with the checksum of what stands in front of them, its length included. */
function checksumBehind(front: Uint8Array): Uint8Array {
  const digits = crc32(front).toString(16).padStart(8, "0");
  return new TextEncoder().encode(`"crc32":"${digits}"}`);
}

const CHECKSUM_BYTES = checksumBehind(new Uint8Array()).length;

/**
 * The bytes of a header, its length in front, with a checksum of its own.
 *
 * @param of the header whose checksum it gets; itself, unless told otherwise
 */
export function checkedFrame(json: string, of = json): Uint8Array {
  const front = (json: string) => {
    const bytes = frame(json.replace(/}$/, json === "{}" ? "" : ","));
    new DataView(bytes.buffer).setInt32(0, bytes.length - 4 + CHECKSUM_BYTES, true);
    return bytes;
  };
  return new Uint8Array([...front(json), ...checksumBehind(front(of))]);
}

/** Whether a header, its length in front, ends with its own checksum. */
export function isChecked(bytes: Uint8Array): boolean {
  const front = bytes.subarray(0, -CHECKSUM_BYTES);
  const behind = bytes.subarray(-CHECKSUM_BYTES);
  return checksumBehind(front).every((byte, i) => byte === behind[i]);
}

/** A bare connection. */
export class RawPeer implements Disposable {
  readonly #conn: Deno.TcpConn | Deno.TlsConn;

  private constructor(conn: Deno.TcpConn | Deno.TlsConn) {
    this.#conn = conn;
  }

  /**
   * Connects to a port on this machine.
   *
   * @param caCerts whom to trust for TLS; there is none unless told otherwise
   */
  static async connect(port: number, caCerts?: string[]): Promise<RawPeer> {
    return new RawPeer(await reach({ hostname: "127.0.0.1", port, caCerts }));
  }

  /** Sends bytes, headers and texts one after the other. */
  async send(...parts: (Uint8Array | Record<string, unknown> | string)[]): Promise<void> {
    for (const part of parts) {
      const bytes = part instanceof Uint8Array
        ? part
        : typeof part === "string"
        ? new TextEncoder().encode(part)
        : frame(part);
      for (let done = 0; done < bytes.length;) {
        done += await this.#conn.write(bytes.subarray(done));
      }
    }
  }

  /** Reads exactly that many bytes, or null where the connection ends in front of them. */
  async read(count: number): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const read = await this.#conn.read(bytes.subarray(filled));
      if (read === null) {
        if (filled > 0) throw new Error(`the connection ended after ${filled} of ${count} bytes`);
        return null;
      }
      filled += read;
    }
    return bytes;
  }

  /** Reads to the end of the connection. */
  async readAll(): Promise<Uint8Array> {
    const pieces: BlobPart[] = [];
    const piece = new Uint8Array(65536);
    for (let count; (count = await this.#conn.read(piece)) !== null;) {
      pieces.push(piece.slice(0, count));
    }
    return await new Blob(pieces).bytes();
  }

  /** Reads a message, or null where the connection ended. */
  async receive(): Promise<RawMessage | null> {
    const length = await this.read(4);
    if (!length) return null;
    const json = await this.read(new DataView(length.buffer).getInt32(0, true));
    const header = JSON.parse(new TextDecoder().decode(json!));
    const size = header.total_size ?? 0;
    return { header, body: size > 0 ? (await this.read(size))! : new Uint8Array() };
  }

  /** Reads a reply and gives its code, or "ok"; "ended" where there was none. */
  async code(): Promise<string> {
    const message = await this.receive();
    if (!message) return "ended";
    return String(message.header.status === "ok" ? "ok" : message.header.code);
  }

  /** Sends a request and gives the code of its reply. */
  async ask(header: Record<string, unknown>, ...body: (Uint8Array | string)[]): Promise<string> {
    await this.send(header, ...body);
    return await this.code();
  }

  /** Ends the outgoing direction. */
  async end(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // It has ended already.
    }
  }
}
