/**
 * What of a file survives a loss of power.
 *
 * @module
 */

/** `full`: a file survives a loss of power once it is acknowledged. `none` leaves that to the system. */
export type Durability = "full" | "none";

/** The values of {@linkcode Durability}, the default first. */
export const DURABILITIES: readonly Durability[] = ["full", "none"];
