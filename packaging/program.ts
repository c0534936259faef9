/**
 * The two programs and what they may do, as deno.json says it in `permissions` and `unstable`: for those
 * who cannot point to deno.json, which are programs that are compiled or installed, and Deno before 2.5.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";
import config from "../deno.json" with { type: "json" };

/** The project's directory, with a slash at its end. */
export const PROJECT = fromFileUrl(new URL("..", import.meta.url));

/** A program that is made of the sources. */
export interface Program {
  /** As it is called. */
  readonly name: "ferry" | "ferryd";
  /** Its entry file, from the project's directory. */
  readonly entry: string;
  /** The set of permissions in deno.json that its job may take; it gives up itself what it turns out not to need. */
  readonly permissions: keyof typeof config.permissions;
  /** Flags of V8. */
  readonly v8Flags?: readonly string[];
}

/** Many connections make many short-lived objects: these keep what is there for them small. */
const SERVER_HEAP = ["--max-semi-space-size=2", "--memory-saver-mode"];

/** Both of them. */
export const PROGRAMS: readonly Program[] = [
  { name: "ferry", entry: "client/main.ts", permissions: "ferry" },
  { name: "ferryd", entry: "server/main.ts", permissions: "ferryd", v8Flags: SERVER_HEAP },
];

/** What flags are made of; deno.json has more. */
export interface RuntimeConfig {
  /** Sets of permissions: `true` for all of a kind, or a list of what is allowed. */
  permissions: Readonly<Record<string, Readonly<Record<string, boolean | readonly string[]>>>>;
  /** Features of Deno that have to be asked for. */
  unstable?: readonly string[];
}

/**
 * The flags of `deno run`, `deno compile` and `deno install` that let a program do its job and nothing else:
 * what it was not given is denied without a question, and no code is loaded from elsewhere.
 */
export function runtimeFlags(
  { permissions, v8Flags = [] }: Pick<Program, "permissions" | "v8Flags">,
  { permissions: sets, unstable = [] }: RuntimeConfig = config,
): string[] {
  const allowed = Object.entries(sets[permissions] ?? {}).flatMap(([kind, what]) => {
    if (what === true) return [`--allow-${kind}`];
    return what === false || what.length === 0 ? [] : [`--allow-${kind}=${what.join(",")}`];
  });
  return [
    "--no-prompt",
    "--deny-import",
    ...(v8Flags.length === 0 ? [] : [`--v8-flags=${v8Flags.join(",")}`]),
    ...unstable.map((name) => `--unstable-${name}`),
    ...allowed,
  ];
}
