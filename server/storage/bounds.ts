/**
 * The bounds of a request within a storage.
 *
 * @module
 */

/**
 * Which paths a request may reach if symbolic links lead elsewhere than its names say. Paths have their components
 * separated by `/` and are relative to the root, which is ""; they may contain ".." components.
 */
export interface Bounds {
  /**
   * Whether the request may access that path.
   *
   * @throws {FerryError} if the request may not continue at all; the operation fails with this error
   */
  reaches(path: string): boolean;
  /** Whether a move may bring the entry at the path `from` to this path. `from` contains no links. */
  takes(path: string, from: string): boolean;
}
