/**
 * Whether files survive a power failure.
 *
 * @module
 */

/**
 * `full`: a file survives a power failure once it is acknowledged. `none`: nothing is flushed; when data reaches the
 * disk is left to the system.
 */
export type Durability = "full" | "none";

/** The values of {@linkcode Durability}, the default first. */
export const DURABILITIES: readonly Durability[] = ["full", "none"];
