/**
 * Why a file was not sent.
 *
 * @module
 */

/** The codes that this page adds to those of the server's problems. */
export type OwnCode =
  /** No response arrived. */
  | "offline"
  /** The file cannot be read, or was changed after it was chosen. */
  | "unreadable"
  /** The server has stored other bytes than those of the file. */
  | "differs"
  /** It had arrived, and is missing or different in what the server lists at the end. */
  | "lost";

/** What is known of a failure besides its code. */
export interface FailureDetails {
  /** The status of the response; 0 if there was none. */
  readonly status?: number;
  /** What the server says. */
  readonly title?: string;
  /** In how many milliseconds it may be tried again, as the server says. */
  readonly retryAfter?: number | undefined;
}

/** Why a request, or the upload of a file, failed. */
export class UploadFailure extends Error {
  /** A code of the server's, or one of {@linkcode OwnCode}. */
  readonly code: string;
  /** The status of the response; 0 if there was none. */
  readonly status: number;
  /** In how many milliseconds it may be tried again, as the server says. */
  readonly retryAfter: number | undefined;

  /** Creates a failure. */
  constructor(code: string, { status = 0, title = "", retryAfter }: FailureDetails = {}) {
    super(title);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether waiting helps: the network or the server is not there, or another request is in the way. */
  get passes(): boolean {
    return this.code === "offline" || [408, 423, 429, 500, 502, 503, 504].includes(this.status);
  }

  /** Whether the upload that was addressed is not there any more. */
  get isGone(): boolean {
    return this.status === 404 || this.status === 410;
  }
}
