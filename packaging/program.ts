/**
 * The two programs and the flags by which Deno runs them, made from `permissions` and `unstable` in deno.json. Compiled
 * and installed programs need them as flags, and so does Deno before 2.5.
 *
 * @module
 */

import { fromFileUrl } from "@std/path/from-file-url";
import config from "../deno.json" with { type: "json" };

/** The directory of the project, with a slash at its end. */
export const PROJECT = fromFileUrl(new URL("..", import.meta.url));

/** One of the programs. */
export interface Program {
  /** Its name. */
  readonly name: "ferry" | "ferryd";
  /** Its entry file, relative to the directory of the project. */
  readonly entry: string;
  /** The set of permissions in deno.json for all that it can do. It gives up those that it turns out not to need. */
  readonly permissions: keyof typeof config.permissions;
  /** Flags of V8. */
  readonly v8Flags?: readonly string[];
}

/** Keeps the heap small: many connections make many short-lived objects. */
const SERVER_HEAP = ["--max-semi-space-size=2", "--memory-saver-mode"];

/** Both programs. */
export const PROGRAMS: readonly Program[] = [
  { name: "ferry", entry: "client/main.ts", permissions: "ferry" },
  { name: "ferryd", entry: "server/main.ts", permissions: "ferryd", v8Flags: SERVER_HEAP },
];

/** The part of deno.json that flags are made from. */
export interface RuntimeConfig {
  /** Sets of permissions: `true` allows all of a kind, a list only some. */
  permissions: Readonly<Record<string, Readonly<Record<string, boolean | readonly string[]>>>>;
  /** Unstable features of Deno. */
  unstable?: readonly string[];
}

/**
 * The flags of `deno run`, `deno compile` and `deno install` for a program. They allow what it needs, deny everything
 * else without a prompt, and let it load no code from other hosts.
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

/** The arguments with which Deno runs the bundle of a program, up to the path of its entry. */
export function runArguments(program: Program): string[] {
  return ["run", "--quiet", "--no-config", "--no-remote", "--no-npm", ...runtimeFlags(program)];
}
