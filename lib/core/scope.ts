/**
 * The scopes: the kinds of access that a client may have.
 *
 * @module
 */

/** A kind of access that a client may have. No request needs `echo`: it opens the echo listeners to others. */
export type Scope = "read" | "write" | "delete" | "exec" | "echo";

/** All the scopes. */
export const SCOPES: readonly Scope[] = ["read", "write", "delete", "exec", "echo"];
