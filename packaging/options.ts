/**
 * Options that the tasks for releases share.
 *
 * @module
 */

/** The option that says where a task puts what it makes. */
export function outOption<Directory extends string>(directory: Directory) {
  return {
    kind: "text",
    short: "o",
    value: "DIR",
    completes: "directories",
    default: directory,
    help: "where to put them",
  } as const;
}

/** `--help` */
export const HELP = { kind: "flag", short: "h", help: "show this text" } as const;
