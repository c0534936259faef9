/**
 * Closes what may be closed already.
 *
 * @module
 */

/** Closes a resource. It is no error if that is closed already: by its peer, by a timeout or by whoever gave it up. */
export function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // It is closed already.
  }
}
