/**
 * The one error vocabulary: stable codes that are the same on the wire, in the library, in `--json`
 * and behind the exit status of the programs.
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

/** A stable name for what went wrong; docs/protocol/core.md says what each one means. */
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
  /** On which side: this one, or the other one, which is a server's or may be either. */
  side: "here" | "server" | "peer";
  /** The path on this side, or the name on the other, where it is known. */
  path?: string | undefined;
}

const SIDES: Readonly<Record<Place["side"], string>> = {
  here: "on this machine",
  server: "on the server",
  peer: "on the other side",
};

/** Options of {@linkcode FerryError}. */
export interface FerryErrorOptions {
  /** What could not be done, as a verb and its object: `put "a/b.bin"`. */
  action?: string;
  /** The error underneath, for logs; its text is never shown to a peer. */
  cause?: unknown;
  /** Whether trying again is of no use, though it may be for other errors of that code. */
  lasting?: boolean;
  /** Where it failed; a message says so behind the reason, with what it does not name already. */
  place?: Place | undefined;
}

/**
 * Every failure that ferry reports.
 *
 * Code close to a cause throws the bare reason (`no such file`); whoever knows what was being done
 * names it once with {@linkcode FerryError.during}, so that the message reads
 * `Cannot get "a/b.bin": no such file`. Whoever knows which side it was says so with
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
  /** Why, without what was being done. */
  readonly reason: string;
  readonly #action: string | undefined;
  /** Whether trying again is of no use, whatever the code. */
  readonly lasting: boolean;
  /** Where it failed, if that is known. */
  readonly place: Place | undefined;

  /** An error of the given code; `reason` is lower case, has no full stop, and is made safe for a terminal. */
  constructor(code: ErrorCode, reason: string, options: FerryErrorOptions = {}) {
    const { action, cause, lasting = false, place } = options;
    // Some of it may be a peer's words, and a message ends on a terminal or in a log.
    const safe = escapeControls(reason);
    const said = action ? `Cannot ${escapeControls(action)}: ${safe}` : safe;
    super(said + placeText(said, place), cause === undefined ? {} : { cause });
    this.code = code;
    this.reason = safe;
    this.place = place;
    this.lasting = lasting;
    this.#action = action;
  }

  /** The same error, saying what could not be done, unless it says so already. */
  during(action: string): FerryError {
    if (this.#action !== undefined) return this;
    // A peer that says what it could not do need not be heard twice.
    const [begun = "", told = ""] = /^cannot ([a-z ]+): /.exec(this.reason) ?? [];
    const twice = begun !== "" && action.startsWith(told);
    return this.#with({ action }, twice ? this.reason.slice(begun.length) : this.reason);
  }

  /** The same error, saying where it failed, unless it says so already. */
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
   * An error that a peer reported. Of a message such as {@linkcode FerryError.during} makes about something that
   * it names, the reason is kept, and the name: what was being done is said by whoever asked for it, once.
   */
  static reported(code: ErrorCode, message: string, side: Place["side"] = "peer"): FerryError {
    const [, action = "", reason] = REPORTED.exec(message) ?? [];
    const path = nameIn(action);
    // Without a name it may be another action than that of whoever asked: the greeting, the token.
    const why = path === undefined ? message.replace(/^C(?=annot )/, "c") : reason!;
    return new FerryError(code, why, { place: { side, path } });
  }

  /** The exit status that stands for this code. */
  get exitStatus(): number {
    return EXIT_STATUS[this.code];
  }
}

/** `Cannot`, what could not be done, perhaps with names in quotes, a colon, and why. */
const REPORTED = /^Cannot ((?:[^":]|"(?:[^"\\]|\\.)*")+): (.+)$/s;

/** The first name in quotes. */
function nameIn(action: string): string | undefined {
  const [quoted] = /"(?:[^"\\]|\\.)*"/.exec(action) ?? [];
  try {
    return quoted === undefined ? undefined : JSON.parse(quoted);
  } catch {
    // A peer quotes as it likes.
    return undefined;
  }
}

/** What a message has behind it; a name that is in it already is not said again. */
function placeText(message: string, place: Place | undefined): string {
  if (!place) return "";
  const { side, path } = place;
  // The root has no name.
  const named = !path || message.includes(quote(path));
  return ` (${SIDES[side]}${named ? "" : `, ${quote(path)}`})`;
}

/** What may be gone when the same is tried again. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "unreachable",
  "timeout",
  "busy",
  "closed",
  "checksum_mismatch",
]);

/** Whether the same may succeed when it is tried again: the network, a busy peer, damaged bytes. */
export function mayPass({ code, lasting }: FerryError): boolean {
  return PASSING.has(code) && !lasting;
}

/** Whether an error says that a connection was cut, or that the other side fell silent. */
export function wasCut(error: unknown): boolean {
  const { code } = toFerryError(error);
  return code === "closed" || code === "timeout";
}

/** A name in a message: in quotes, control characters escaped, shortened where it is absurdly long. */
export function quote(name: string): string {
  return escapeControls(JSON.stringify(name.length > 255 ? `${name.slice(0, 254)}…` : name));
}

/**
 * What a terminal may obey instead of showing it: control characters (C0, DEL, C1), those that change the
 * direction of writing, and the separators of lines and paragraphs.
 */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** A text in which each of {@linkcode CONTROLS} is written as JSON writes it: `\\u001b`. */
export function escapeControls(text: string): string {
  return text.replace(CONTROLS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** A name as it is, or in quotes and escaped where a terminal would not just show it. */
export function printable(name: string): string {
  return escapeControls(name) === name ? name : quote(name);
}

/** Whether a text that came over the wire is one of the codes. */
export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === "string" && Object.hasOwn(EXIT_STATUS, text);
}

/** Waiting does not help: most often it is the directory that a file system is mounted in. */
const IN_USE = "the system needs it: a file system is mounted there, for one";

/** What the operating system and the runtime say, by the name of the error's class or its `code`. */
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
  EAGAIN: ["busy", "the system has too little left of what that takes"],
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
 * What they mean of files, where that is something else than of connections: the file system is another machine's, or a
 * program's that has ended.
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

/** The numbers that Linux has for what the runtime has no name for. */
const NUMBERED: Readonly<Record<number, string>> = {
  27: "EFBIG",
  84: "EILSEQ",
  108: "ESHUTDOWN",
  112: "EHOSTDOWN",
  116: "ESTALE",
  122: "EDQUOT",
};

/** The system's name for an error, such as `ENOENT`; undefined where that is not known. */
export function systemCodeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno, message } = error as Error & { code?: unknown; errno?: unknown };
  // That is what node:fs calls an error that it does not know.
  if (typeof code === "string" && code !== "UNKNOWN") return code;
  const number = typeof errno === "number" ? -errno : /\(os error (\d+)\)/.exec(message)?.[1];
  return NUMBERED[Number(number)];
}

/** Any thrown value as {@linkcode toFerryError} has it, where it was thrown by something that was done with a file. */
export function fileError(error: unknown): FerryError {
  const code = error instanceof FerryError ? undefined : systemCodeOf(error);
  return code !== undefined && Object.hasOwn(FILE_ERRORS, code)
    ? new FerryError(...FILE_ERRORS[code]!, { cause: error })
    : toFerryError(error);
}

/**
 * Any thrown value as a {@linkcode FerryError}: the operating system's errors get their code, what
 * nobody foresaw becomes `internal`, with the original as `cause`.
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
  // "Input/output error (os error 5)" and its like: the text is the system's own, without a stack.
  if (/\(os error \d+\)/.test(error.message)) {
    // The runtime puts the path behind it, which a peer may not know.
    const [reason = error.message] = /^.*?\(os error \d+\)/s.exec(error.message) ?? [];
    return new FerryError("io", reason, { cause: error });
  }
  // "EIO: i/o error, read" of node:fs, which has a path behind it, too.
  const [, text] = /^[A-Z0-9]+: ([^,]+)/.exec(error.message) ?? [];
  const { errno } = error as { errno?: unknown };
  if (text !== undefined && typeof errno === "number") {
    return new FerryError("io", `${text} (os error ${-errno})`, { cause: error });
  }
  return new FerryError("internal", `unexpected ${error.name}: ${error.message}`, { cause: error });
}

/** A name that nobody knows now is most often one that was mistyped. */
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
