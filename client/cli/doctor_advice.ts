/**
 * What to do about the failures that `ferry doctor` finds.
 *
 * @module
 */

import { type Address, formatAddress } from "../../lib/core/address.ts";
import type { ErrorCode, FerryError } from "../../lib/core/errors.ts";

/** The phases of an examination, in their order. */
export type Phase =
  | "resolve"
  | "connect"
  | "tls"
  | "hello"
  | "ping"
  | "login"
  | "list"
  | "put"
  | "clock"
  | "get"
  | "remove"
  | "udp"
  | "mtu";

/** What is known of the other side when advice is given. */
interface Circumstances {
  address: Address;
}

/** Advice about one failure: what it takes to apply, and the sentence. */
interface Advice {
  codes?: readonly ErrorCode[];
  /** What the reason of the failure has to match. */
  reason?: RegExp;
  text: string;
}

const UNENCRYPTED =
  "leave out --tls, --ca and --pin if the server is not to encrypt; else start ferryd with --tls-cert";

const NOT_ALLOWED = "--dir names a directory that the token may use, if it is confined to one; " +
  "ferryd token list shows what it may do";

const WAY_CUT =
  "small packets pass and large ones do not: the way takes smaller packets than the " +
  "network says. Lower the MTU of the interface or of the tunnel: try 1280";

/** For each phase, what applies first. */
const ADVICE: Readonly<Record<Phase, readonly Advice[]>> = {
  resolve: [{ text: "check the name, and what this machine's resolver says: getent hosts NAME" }],
  connect: [
    {
      reason: /refused/,
      text:
        "nothing listens there: see whether ferryd runs, and at which address it says that it " +
        "is listening; 127.0.0.1 is for its own machine alone",
    },
    {
      codes: ["timeout"],
      text: "packets to that port are dropped: look for a firewall, and whether the machine is up",
    },
    { codes: ["unreachable"], text: "check the network of this machine, and the address" },
  ],
  tls: [
    { codes: ["bad_header"], text: UNENCRYPTED },
    {
      reason: /not the pinned one/,
      text: "if the server has a new certificate, give its fingerprint by --pin as ferryd cert " +
        "printed it there; if it has not, somebody stands between",
    },
    {
      reason: /has expired/,
      text:
        "make a new certificate on the server (ferryd cert --replace) and send ferryd SIGHUP; " +
        "if it is none of last year's, compare the clocks",
    },
    {
      reason: /not valid yet|NotValidYet/i,
      text: "compare the clocks of both machines: it begins later than now",
    },
    {
      reason: /it is not for/,
      text: "call the server by a name of its certificate, or make one for this name: " +
        "ferryd cert --host NAME; --pin trusts it whatever its name",
    },
    {
      codes: ["denied"],
      text: "copy the server's certificate here and name it with --ca, or give its fingerprint, " +
        "which ferryd cert printed, with --pin",
    },
  ],
  hello: [
    {
      reason: /\bTLS\b/,
      text:
        "the server encrypts: give --tls, or --ca or --pin for a certificate that is signed by " +
        "itself",
    },
    {
      codes: ["bad_header", "closed"],
      text: "it is the port of another service: take the one that ferryd prints behind " +
        '"listening tcp" or "listening tls"',
    },
    { codes: ["bad_version"], text: "upgrade the older of ferry and ferryd" },
    {
      codes: ["busy"],
      text: "close connections, or raise --max-connections and --max-connections-per-source",
    },
    {
      codes: ["timeout"],
      text: "the server takes connections and says nothing: see its log, and whether it encrypts",
    },
  ],
  ping: [{ codes: ["io"], text: "see the log of ferryd, and whether its directory is mounted" }],
  login: [
    {
      codes: ["auth_required"],
      text: "give a token by --token-file or in FERRY_TOKEN; ferryd token new makes one",
    },
    {
      reason: /asks nobody for a token/,
      text: "leave the token out, or see whether this is the server that it is for",
    },
    {
      codes: ["denied"],
      text:
        "it was revoked, has expired, or is for another server: ferryd token list shows those " +
        "that are known there",
    },
    { codes: ["busy"], text: "wait some seconds: too many logins have failed" },
  ],
  list: [
    { codes: ["denied", "auth_required"], text: NOT_ALLOWED },
    { codes: ["not_found", "not_a_file"], text: "--dir has to name a directory of the server" },
  ],
  put: [
    { codes: ["denied", "auth_required"], text: NOT_ALLOWED },
    { codes: ["no_space", "quota"], text: "make room on the server, or raise --quota" },
    { codes: ["too_large"], text: "raise --max-file-size of ferryd" },
    { codes: ["timeout", "closed"], text: WAY_CUT },
  ],
  clock: [
    {
      codes: ["io"],
      text: "set both clocks by NTP: --overwrite newer compares times, and tokens and " +
        "certificates end by them",
    },
  ],
  get: [
    { codes: ["timeout", "closed"], text: WAY_CUT },
    { codes: ["checksum_mismatch"], text: "look for bad memory, a bad disk, or a device between" },
  ],
  remove: [{ text: "remove the file that was put by hand: ferry rm, with another token" }],
  udp: [
    {
      codes: ["timeout", "unreachable", "closed"],
      text: "see whether ferryd has --udp-echo at that address, and whether a firewall drops UDP",
    },
    { codes: ["checksum_mismatch"], text: "another service answers there: check the port" },
  ],
  mtu: [{ codes: ["timeout"], text: WAY_CUT }],
};

/** What to do about a failure of a phase. */
export function adviceFor(
  phase: Phase,
  { code, reason }: FerryError,
  { address }: Circumstances,
): string {
  const found = ADVICE[phase].find((advice) =>
    (advice.codes?.includes(code) ?? true) && (advice.reason?.test(reason) ?? true)
  );
  return found?.text ?? `see the log of ferryd at ${formatAddress(address)}`;
}
