/**
 * A peer that shares no code with ferry, and so can send what ferry never would: hand-made frames, truncated, too long
 * or invalid.
 *
 * @module
 */

import { crc32 } from "node:zlib";

/** An address to connect to, and the certificates to trust for TLS. */
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
    // Data that is written before the last handshake message is sent may exceed the runtime's buffer.
    try {
      await conn.handshake();
    } catch (error) {
      conn.close();
      throw error;
    }
    return conn;
  }
  const conn = await Deno.connect(plain);
  conn.setNoDelay(true);
  return conn;
}

/** A received message: the header and, where it has one, the body. */
export interface RawMessage {
  /** The header. */
  header: Record<string, unknown>;
  /** The bytes of the body, as many as `total_size` says. */
  body: Uint8Array;
}

/** The bytes of a header, preceded by its length. */
export function frame(header: Record<string, unknown> | string): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(4 + json.length);
  new DataView(bytes.buffer).setInt32(0, json.length, true);
  bytes.set(json, 4);
  return bytes;
}

/** The last bytes of a header, with the checksum of the bytes before them, including the length. */
function checksumBehind(front: Uint8Array): Uint8Array {
  const digits = crc32(front).toString(16).padStart(8, "0");
  return new TextEncoder().encode(`"crc32":"${digits}"}`);
}

const CHECKSUM_BYTES = checksumBehind(new Uint8Array()).length;

/**
 * The bytes of a header, preceded by its length, with a checksum of its own.
 *
 * @param of the header whose checksum it gets. Default: its own.
 */
export function checkedFrame(json: string, of = json): Uint8Array {
  const front = (json: string) => {
    const bytes = frame(json.replace(/}$/, json === "{}" ? "" : ","));
    new DataView(bytes.buffer).setInt32(0, bytes.length - 4 + CHECKSUM_BYTES, true);
    return bytes;
  };
  return new Uint8Array([...front(json), ...checksumBehind(front(of))]);
}

/** Whether a header, preceded by its length, ends with its own checksum. */
export function isChecked(bytes: Uint8Array): boolean {
  const front = bytes.subarray(0, -CHECKSUM_BYTES);
  const behind = bytes.subarray(-CHECKSUM_BYTES);
  return checksumBehind(front).every((byte, i) => byte === behind[i]);
}

/** A raw connection. */
export class RawPeer implements Disposable {
  readonly #conn: Deno.TcpConn | Deno.TlsConn;

  private constructor(conn: Deno.TcpConn | Deno.TlsConn) {
    this.#conn = conn;
  }

  /**
   * Connects to a port on this machine.
   *
   * @param caCerts the certificates to trust for TLS. Default: no TLS.
   */
  static async connect(port: number, caCerts?: string[]): Promise<RawPeer> {
    return new RawPeer(await reach({ hostname: "127.0.0.1", port, caCerts }));
  }

  /** Sends bytes, headers and texts, one after the other. */
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

  /** Reads exactly that many bytes; null where the connection ends before them. */
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

  /** Reads a message; null where the connection ended. */
  async receive(): Promise<RawMessage | null> {
    const length = await this.read(4);
    if (!length) return null;
    const json = await this.read(new DataView(length.buffer).getInt32(0, true));
    const header = JSON.parse(new TextDecoder().decode(json!));
    const size = header.total_size ?? 0;
    return { header, body: size > 0 ? (await this.read(size))! : new Uint8Array() };
  }

  /** Reads a reply and returns its error code, or "ok"; "ended" where there was none. */
  async code(): Promise<string> {
    const message = await this.receive();
    if (!message) return "ended";
    return String(message.header.status === "ok" ? "ok" : message.header.code);
  }

  /** Sends a request and returns the error code of its reply, or "ok". */
  async ask(header: Record<string, unknown>, ...body: (Uint8Array | string)[]): Promise<string> {
    await this.send(header, ...body);
    return await this.code();
  }

  /** Half-closes the connection: nothing more is sent. */
  async end(): Promise<void> {
    await this.#conn.closeWrite();
  }

  /** Closes the connection. */
  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch {
      // It is already closed.
    }
  }
}
