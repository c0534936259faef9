/// <reference lib="dom" />
/**
 * Computes the MD5 of files in a worker.
 *
 * @module
 */

import { Md5, Md5Engine } from "../../lib/digest/md5.ts";

addEventListener("message", () => postMessage(new Md5(new Md5Engine()).hex()));
