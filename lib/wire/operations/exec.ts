/**
 * The operation `exec`.
 *
 * @module
 */

import * as v from "valibot";
import { MAX_TIMEOUT_MS } from "../../core/number_options.ts";
import { boolean, integer, key, ok, string, timeout } from "../schema.ts";
import type { Operation } from "./operation.ts";

/** What can be passed to a program as an argument: C strings end at U+0000, and UTF-8 has no lone surrogates. */
const argument = v.pipe(
  string,
  v.regex(/^[^\0]*$/, "has the character U+0000"),
  v.check((text) => text.isWellFormed(), "is not well-formed Unicode"),
);

const request = v.pipe(
  v.object({
    op: v.literal("exec"),
    argv: key(
      v.optional(v.pipe(
        v.array(argument, "is not an array"),
        v.minLength(1, "names no command"),
        v.check(([name]) => name !== "", "names no command"),
      )),
      "The command's name and its arguments, as they are.",
    ),
    command: key(v.optional(argument), "Instead of `argv`: a line for the server's shell."),
    timeout_ms: key(
      v.optional(timeout),
      "Milliseconds after which the server is to kill the command; it may do so earlier.",
    ),
  }),
  v.check(
    ({ argv, command }) => (argv === undefined) !== (command === undefined),
    "has to have either argv or command",
  ),
);

/** The header of an `exec`. */
export type ExecRequest = v.InferOutput<typeof request>;

const reply = v.object({
  status: ok,
  timeout_ms: key(
    v.optional(timeout, MAX_TIMEOUT_MS),
    "Milliseconds after which the server kills the command.",
  ),
});

/** The header of the reply to an `exec`, before the command's output. */
export type ExecReply = v.InferOutput<typeof reply>;

const chunk = v.object({
  stream: key(
    v.picklist(["stdout", "stderr"], "is neither stdout nor stderr"),
    "The stream that the command wrote the chunk to.",
  ),
});

/** A stream that a command writes to. */
export type OutputStream = v.InferOutput<typeof chunk>["stream"];

const closing = v.object({
  exit_code: key(
    integer(0, 255),
    "The exit status: 128 and the signal's number where one ended it, 124 where the time was up.",
  ),
  signal: key(
    v.nullish(string, null),
    "The signal that ended the command, as `SIGKILL`; null where it ended by itself.",
  ),
  timed_out: key(
    v.optional(boolean, false),
    "Whether the command was killed because the time was up.",
  ),
});

/** How a command ended, from the closing header after its output. */
export type ExecEnd = v.InferOutput<typeof closing>;

/** Runs a command. */
export const exec = {
  name: "exec",
  description:
    "Runs a command: a body of the request is its standard input, the reply's body its " +
    "output as it comes, and the closing header tells how it ended.",
  // A command is not at a path that could be granted. Which commands may be run is decided for the whole server.
  needs: () => [{ scope: "exec", reach: "somewhere" }],
  request,
  reply,
  chunk,
  closing,
} satisfies Operation<ExecRequest, ExecReply>;
