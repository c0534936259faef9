/**
 * Recognises another protocol that a peer speaks by mistake, by its first bytes.
 *
 * @module
 */

/** How many bytes are examined. */
export const FIRST_BYTES = 4;

const TEXTS: readonly (readonly [protocol: string, beginnings: readonly string[]])[] = [
  ["HTTP", [
    "HTTP",
    "GET ",
    "HEAD",
    "POST",
    "PUT ",
    "DELE",
    "OPTI",
    "CONN",
    "PRI ",
    "<!DO",
    "<htm",
  ]],
  ["SSH", ["SSH-"]],
  // The greetings of both begin with a code of three digits (RFC 5321, RFC 959).
  ["SMTP or FTP", ["220 ", "220-", "421 ", "421-", "500 ", "502 ", "530 ", "554 ", "554-"]],
  ["POP3", ["+OK ", "+OK\r"]],
  ["IMAP", ["* OK", "* BY", "* PR"]],
  ["Redis", ["-ERR", "-NOA", "-DEN"]],
];

/**
 * The protocol whose messages begin with these {@linkcode FIRST_BYTES} bytes; undefined if it is not one that people
 * often reach by mistake.
 */
export function foreignProtocol(bytes: Uint8Array): string | undefined {
  const [type, major] = bytes;
  // A TLS record that contains an alert or a handshake (RFC 8446, section 5.1).
  if ((type === 0x15 || type === 0x16) && major === 3) return "TLS";
  const text = String.fromCharCode(...bytes.subarray(0, FIRST_BYTES));
  return TEXTS.find(([, beginnings]) => beginnings.includes(text))?.[0];
}
