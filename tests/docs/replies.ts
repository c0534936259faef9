/**
 * Which reply belongs to which request, for tests that read both.
 *
 * @module
 */

import type { Replies, Request } from "../../lib/wire/header.ts";

/** What kind of reply each operation has. */
export const REPLIES: { readonly [Op in Request["op"]]: keyof Replies } = {
  hello: "hello",
  auth: "auth",
  ping: "done",
  put: "put",
  get: "get",
  list: "done",
  stat: "entry",
  mkdir: "done",
  remove: "done",
  discard: "done",
  move: "done",
  compare: "done",
  exec: "exec",
};
