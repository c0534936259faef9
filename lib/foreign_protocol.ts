/**
 * What a peer speaks that does not speak ferry's protocol, by the first bytes of what it says.
 *
 * @module
 */

const TEXTS: readonly (readonly [protocol: string, beginnings: readonly string[]])[] = [
  ["HTTP", ["HTTP", "GET ", "HEAD", "POST", "PUT ", "DELE", "OPTI", "CONN", "PRI "]],
  ["SSH", ["SSH-"]],
];

/** The protocol that four bytes begin, where it is one that people often reach by mistake. */
export function foreignProtocol(bytes: Uint8Array): string | undefined {
  const [type, major] = bytes;
  // A record of TLS, of an alert or of a handshake (RFC 8446, section 5.1).
  if ((type === 0x15 || type === 0x16) && major === 3) return "TLS";
  const text = String.fromCharCode(...bytes.subarray(0, 4));
  return TEXTS.find(([, beginnings]) => beginnings.includes(text))?.[0];
}
