/// <reference lib="dom" />
/**
 * Requests to the server, and what they fail with.
 *
 * @module
 */

/** A request that failed. */
export class Problem extends Error {
  /** The stable code of the error: `denied`, `exists`; `unreachable` if there was no response. */
  readonly code: string;
  /** The status of the response; 0 if there was none. */
  readonly status: number;

  /** @param reason what the server says about it */
  constructor(code: string, status: number, reason: string) {
    super(reason);
    this.code = code;
    this.status = status;
  }
}

/**
 * Makes a request to the server that the page comes from.
 *
 * @throws {Problem} for every response that is not a success, and if there is none
 */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { accept: "application/json", ...init.headers as Record<string, string> };
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers, cache: "no-store" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem("unreachable", 0, "the server did not respond");
  }
  if (response.ok) return response;
  throw await problemIn(response);
}

/** What a response that is not a success says. */
export async function problemIn(response: Response): Promise<Problem> {
  const { status } = response;
  const { code, detail } = await response.json().catch(() => ({})) as Record<string, unknown>;
  return new Problem(
    typeof code === "string" ? code : codeOf(status),
    status,
    typeof detail === "string" ? detail : `the server responded with status ${status}`,
  );
}

/** The code for a response of another program, such as a proxy before the server. */
function codeOf(status: number): string {
  if (status === 401) return "auth_required";
  if (status === 403) return "denied";
  if (status === 404) return "not_found";
  if (status === 413) return "too_large";
  if (status === 502 || status === 503 || status === 504) return "busy";
  return "internal";
}
