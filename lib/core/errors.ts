/**
 * Errors with stable codes, which are the same on the wire, in the library, in `--json` and in the exit statuses of the
 * programs.
 *
 * @module
 */

const EXIT_STATUS = {
  internal: 1,
  io: 1,
  usage: 2,
  auth_required: 3,
  denied: 3,
  not_found: 4,
  exists: 5,
  bad_name: 5,
  too_large: 5,
  quota: 5,
  no_space: 5,
  not_a_file: 5,
  unreachable: 6,
  timeout: 6,
  busy: 6,
  closed: 6,
  checksum_mismatch: 7,
  bad_header: 8,
  bad_version: 8,
} as const;

/** A stable code for what went wrong; docs/protocol/core.md says what each one means. */
export type ErrorCode =
  | "internal"
  | "io"
  | "usage"
  | "auth_required"
  | "denied"
  | "not_found"
  | "exists"
  | "bad_name"
  | "too_large"
  | "quota"
  | "no_space"
  | "not_a_file"
  | "unreachable"
  | "timeout"
  | "busy"
  | "closed"
  | "checksum_mismatch"
  | "bad_header"
  | "bad_version";

/** Where something failed. */
export interface Place {
  /** Which side: this one (`here`) or the other one, a `server` or unknown (`peer`). */
  side: "here" | "server" | "peer";
  /** The path on this side, or the name on the other side, if it is known. */
  path?: string | undefined;
}

const SIDES: Readonly<Record<Place["side"], string>> = {
  here: "on this machine",
  server: "on the server",
  peer: "on the other side",
};

/** Options of {@linkcode FerryError}. */
export interface FerryErrorOptions {
  /** The action that failed, as a verb and its object: `put "a/b.bin"`. */
  action?: string;
  /** The underlying error, for logs. Its text is never sent to a peer. */
  cause?: unknown;
  /** Whether a retry is useless even if it may help with other errors of this code. Default: false. */
  lasting?: boolean;
  /** Where it failed. The message mentions it after the reason. */
  place?: Place | undefined;
}

/**
 * Every failure that ferry reports.
 *
 * Code close to the cause throws the bare reason (`no such file`). Code that knows the action adds it once with
 * {@linkcode FerryError.during}: `Cannot get "a/b.bin": no such file`. Code that knows the side adds it with
 * {@linkcode FerryError.at}: `Cannot get "a/b.bin": no such file (on the server)`.
 *
 * @example Telling failures apart by their code
 * ```ts
 * import { FerryError, FsStorage } from "@ferry/ferry";
 *
 * try {
 *   FsStorage.open("/no/such/directory");
 * } catch (error) {
 *   if (!(error instanceof FerryError && error.code === "not_found")) throw error;
 *   console.log(error.message);
 * }
 * ```
 */
export class FerryError extends Error {
  /** Always `FerryError`. */
  override readonly name = "FerryError";
  /** The stable code. */
  readonly code: ErrorCode;
  /** Why it failed, without the action. */
  readonly reason: string;
  readonly #action: string | undefined;
  /** Whether a retry is useless, whatever the code. */
  readonly lasting: boolean;
  /** Where it failed; undefined if that is not known. */
  readonly place: Place | undefined;

  /** Creates an error. `reason` begins in lower case and has no full stop; its control characters are escaped. */
  constructor(code: ErrorCode, reason: string, options: FerryErrorOptions = {}) {
    const { action, cause, lasting = false, place } = options;
    // The reason may contain text from a peer, and is shown on a terminal or in a log.
    const safe = escapeControls(reason);
    const said = action ? `Cannot ${escapeControls(action)}: ${safe}` : safe;
    super(said + placeText(said, place), cause === undefined ? {} : { cause });
    this.code = code;
    this.reason = safe;
    this.place = place;
    this.lasting = lasting;
    this.#action = action;
  }

  /** The same error with the action in its message, unless that has one already. */
  during(action: string): FerryError {
    if (this.#action !== undefined) return this;
    // If the reason comes from a peer and already names the action, it is not repeated.
    const [begun = "", told = ""] = /^cannot ([a-z ]+): /.exec(this.reason) ?? [];
    const twice = begun !== "" && action.startsWith(told);
    return this.#with({ action }, twice ? this.reason.slice(begun.length) : this.reason);
  }

  /** The same error with the place in its message, unless that has one already. */
  at(place: Place): FerryError {
    return this.place === undefined ? this.#with({ place }) : this;
  }

  #with(options: FerryErrorOptions, reason = this.reason): FerryError {
    const { code, lasting, place } = this;
    const cause = this.cause ?? this;
    const action = this.#action;
    const known = { cause, lasting, place, ...(action === undefined ? {} : { action }) };
    return new FerryError(code, reason, { ...known, ...options });
  }

  /**
   * An error that a peer reported. If the message has the form of {@linkcode FerryError.during} and names something,
   * only the reason and the name are kept: the side that made the request adds the action.
   */
  static reported(code: ErrorCode, message: string, side: Place["side"] = "peer"): FerryError {
    const [, action = "", reason] = REPORTED.exec(message) ?? [];
    const path = nameIn(action);
    // Without a name, the action may differ from the request, for example a greeting or the use of a token.
    const why = path === undefined ? message.replace(/^C(?=annot )/, "c") : reason!;
    return new FerryError(code, why, { place: { side, path } });
  }

  /** The exit status for this code. */
  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** Matches `Cannot`, the action, possibly with names in quotes, a colon, and the reason. */
const REPORTED = /^Cannot ((?:[^":]|"(?:[^"\\]|\\.)*")+): (.+)$/s;

/** The first name in quotes. */
function nameIn(action: string): string | undefined {
  const [quoted] = /"(?:[^"\\]|\\.)*"/.exec(action) ?? [];
  try {
    return quoted === undefined ? undefined : JSON.parse(quoted);
  } catch {
    // A peer may quote names differently.
    return undefined;
  }
}

/** The place at the end of a message; a name that the message contains is not repeated. */
function placeText(message: string, place: Place | undefined): string {
  if (!place) return "";
  const { side, path } = place;
  // The root has no name.
  const named = !path || message.includes(quote(path));
  return ` (${SIDES[side]}${named ? "" : `, ${quote(path)}`})`;
}

/** The codes of errors that may be temporary, so that a retry may succeed. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unreachable",
  "timeout",
  "busy",
  "closed",
  "checksum_mismatch",
]);

/** Whether a retry may succeed: the network failed, a peer was busy, bytes were damaged. */
export function mayPass({ code, lasting }: FerryError): boolean {
  return PASSING.has(code) && !lasting;
}

/** Whether an error means that the connection was interrupted or timed out. */
export function wasCut(error: unknown): boolean {
  const { code } = toFerryError(error);
  return code === "closed" || code === "timeout";
}

/** Formats a name for a message: in quotes, with control characters escaped, and shortened if it is very long. */
export function quote(name: string): string {
  return escapeControls(JSON.stringify(name.length > 255 ? `${name.slice(0, 254)}…` : name));
}

/**
 * Characters that a terminal may interpret instead of displaying: control characters (C0, DEL, C1), bidirectional
 * formatting characters, and line and paragraph separators.
 */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Escapes each of {@linkcode CONTROLS} in a text as JSON does: `\\u001b`. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Returns a name unchanged, or in quotes and escaped if a terminal would not just display it. */
export function printable(name: string): string {
  return escapeControls(name) === name ? name : quote(name);
}

/** Whether a text is one of the codes. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(EXIT_STATUS, text);
}

/** The reason for EBUSY. Waiting does not help: most often a file system is mounted in the directory. */
const IN_USE = "the system needs it: a file system is mounted there, for one";

/** Codes and reasons for errors of the operating system and of Deno, by the class name or the `code` of the error. */
const SYSTEM_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOENT: ["not_found", "no such file or directory"],
  EEXIST: ["exists", "it exists already"],
  EACCES: ["denied", "permission denied by the operating system"],
  EPERM: ["denied", "permission denied by the operating system"],
  EISDIR: ["not_a_file", "it is a directory"],
  ENOTDIR: ["not_a_file", "a part of the path is not a directory"],
  ELOOP: ["bad_name", "too many symbolic links"],
  ENOSPC: ["no_space", "no space left on the device"],
  EDQUOT: ["quota", "the disk quota is used up"],
  EROFS: ["denied", "the file system is read-only"],
  EFBIG: ["too_large", "the file system takes no file of that size"],
  ENAMETOOLONG: ["bad_name", "a part of the name is longer than the file system takes"],
  EMFILE: ["busy", "too many open files"],
  ENFILE: ["busy", "too many open files"],
  EAGAIN: ["busy", "the system is short of a resource for it"],
  ENOMEM: ["busy", "the system has too little memory for it"],
  EILSEQ: ["bad_name", "the file system takes no such name"],
  ESTALE: ["io", "another machine has replaced or removed it meanwhile"],
  EXDEV: ["io", "the directory is on another file system than the staging area"],
  ENOTEMPTY: ["exists", "the directory is not empty"],
  EBUSY: ["denied", IN_USE],
  EADDRINUSE: ["io", "the address is in use"],
  ECONNREFUSED: ["unreachable", "connection refused"],
  ENETUNREACH: ["unreachable", "network unreachable"],
  EHOSTUNREACH: ["unreachable", "host unreachable"],
  ETIMEDOUT: ["timeout", "the operation timed out"],
  ECONNRESET: ["closed", "connection reset by the peer"],
  EPIPE: ["closed", "connection closed by the peer"],
  ECONNABORTED: ["closed", "connection aborted"],
  ENOTCONN: ["closed", "connection closed by the peer"],
  EADDRNOTAVAIL: ["unreachable", "the address is not available on this machine"],
  NotFound: ["not_found", "no such file or directory"],
  AlreadyExists: ["exists", "it exists already"],
  PermissionDenied: ["denied", "permission denied by the operating system"],
  NotCapable: ["denied", "Deno was started without the permission for it"],
  AddrInUse: ["io", "the address is in use"],
  AddrNotAvailable: ["unreachable", "the address is not available on this machine"],
  ConnectionRefused: ["unreachable", "connection refused"],
  NetworkUnreachable: ["unreachable", "network unreachable"],
  HostUnreachable: ["unreachable", "host unreachable"],
  TimedOut: ["timeout", "the operation timed out"],
  ConnectionReset: ["closed", "connection reset by the peer"],
  ConnectionAborted: ["closed", "connection aborted"],
  BrokenPipe: ["closed", "connection closed by the peer"],
  NotConnected: ["closed", "connection closed by the peer"],
  Busy: ["denied", IN_USE],
  UnexpectedEof: ["closed", "connection closed by the peer"],
  Interrupted: ["closed", "connection closed"],
  BadResource: ["closed", "connection closed"],
};

/**
 * Like {@linkcode SYSTEM_ERRORS}, for errors of files that mean something else than on connections: the file system is
 * on another machine, or its FUSE program has ended.
 */
const FILE_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  ENOTCONN: ["io", "the file system has gone: the program that serves it has ended"],
  ECONNABORTED: ["io", "the file system has gone: it was cut off from the program that serves it"],
  ESHUTDOWN: ["io", "the file system has been shut down"],
  ECONNREFUSED: ["io", "the server of the file system takes no connection"],
  ECONNRESET: ["io", "the server of the file system has ended the connection"],
  EPIPE: ["io", "the server of the file system has ended the connection"],
  EHOSTDOWN: ["io", "the server of the file system is down"],
  EHOSTUNREACH: ["io", "the server of the file system cannot be reached"],
  ENETUNREACH: ["io", "the server of the file system cannot be reached"],
  ETIMEDOUT: ["io", "the file system did not answer in time"],
};

/** The names of errors that Deno reports only by their Linux number. */
const NUMBERED: Readonly<Record<number, string>> = {
  27: "EFBIG",
  84: "EILSEQ",
  108: "ESHUTDOWN",
  112: "EHOSTDOWN",
  116: "ESTALE",
  122: "EDQUOT",
};

/** The name of a system error, such as `ENOENT`; undefined if it is not known. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno, message } = error as Error & { code?: unknown; errno?: unknown };
  // node:fs uses UNKNOWN for errors that it does not know.
  if (typeof code === "string" && code !== "UNKNOWN") return code;
  const number = typeof errno === "number" ? -errno : /\(os error (\d+)\)/.exec(message)?.[1];
  return NUMBERED[Number(number)];
}

/** Converts any value thrown by an operation on a file; see {@linkcode toFerryError}. */
export function fileError(error: unknown): FerryError {
  const code = error instanceof FerryError ? undefined : systemCodeOf(error);
  return code !== undefined && Object.hasOwn(FILE_ERRORS, code)
    ? new FerryError(...FILE_ERRORS[code]!, { cause: error })
    : toFerryError(error);
}

/**
 * Converts any thrown value to a {@linkcode FerryError}. Errors of the operating system get their code; unexpected ones
 * become `internal`. The original is the `cause`.
 */
export function toFerryError(error: unknown): FerryError {
  if (error instanceof FerryError) return error;
  if (!(error instanceof Error)) {
    return new FerryError("internal", String(error), { cause: error });
  }
  if (["ENOTFOUND", "EAI_AGAIN"].includes((error as { code?: string }).code ?? "")) {
    return unresolved(error);
  }
  if (error.name === "NotCapable" && error.message.startsWith("Requires all access")) {
    const reason = "Deno lets only programs with every permission (--allow-all) open what is there";
    return new FerryError("denied", reason, { cause: error });
  }
  const known = systemError(systemCodeOf(error)) ?? systemError(error.name);
  if (known) return new FerryError(...known, { cause: error });
  if (error.message.startsWith("failed to lookup address")) {
    return unresolved(error);
  }
  if (error.message.startsWith("file name contained an unexpected NUL byte")) {
    return new FerryError(...SYSTEM_ERRORS["EILSEQ"]!, { cause: error });
  }
  // Messages such as "Input/output error (os error 5)": the text is that of the system.
  if (/\(os error \d+\)/.test(error.message)) {
    // Deno appends the path, which must not be revealed to a peer.
    const [reason = error.message] = /^.*?\(os error \d+\)/s.exec(error.message) ?? [];
    return new FerryError("io", reason, { cause: error });
  }
  // Messages of node:fs such as "EIO: i/o error, read". It appends the path, too.
  const [, text] = /^[A-Z0-9]+: ([^,]+)/.exec(error.message) ?? [];
  const { errno } = error as { errno?: unknown };
  if (text !== undefined && typeof errno === "number") {
    return new FerryError("io", `${text} (os error ${-errno})`, { cause: error });
  }
  return new FerryError("internal", `unexpected ${error.name}: ${error.message}`, { cause: error });
}

/** The error for a host name without an address. Most often it was mistyped, so a retry is useless. */
function unresolved(cause: Error): FerryError {
  return new FerryError("unreachable", "no address is known for that host", {
    cause,
    lasting: true,
  });
}

function systemError(key: unknown): readonly [ErrorCode, string] | undefined {
  const known = typeof key === "string" && Object.hasOwn(SYSTEM_ERRORS, key);
  return known ? SYSTEM_ERRORS[key] : undefined;
}
