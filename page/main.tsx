/// <reference lib="dom" />
/**
 * The page that browsers show of a directory.
 *
 * @module
 */

import { render } from "preact";
import { mountUploads } from "./upload/mount.ts";

/** The build puts the name of the worker's file in the place of this one. */
const WORKER = "md5_worker.js";

const uploads = document.createElement("div");
document.body.append(uploads);
mountUploads(uploads, {
  prefix: "",
  workerUrl: new URL(WORKER, import.meta.url).href,
  language: "en",
  directory: () => decodeURIComponent(location.pathname.slice(1)).replace(/\/$/, ""),
  onChange() {},
  onLoginNeeded() {},
});
render(<main>{location.pathname}</main>, document.querySelector("#app")!);
