/**
 * Examines what `ferryd` would be started with, part by part.
 *
 * @module
 */

import { escapeControls, FerryError, toFerryError } from "../../lib/core/errors.ts";
import { bucketRoot } from "../cli/bucket_root.ts";
import type { ServeValues } from "../cli/serve_spec.ts";
import { checkConfiguration } from "../configuration/check.ts";
import { settingsFrom } from "../configuration/settings_from.ts";
import { examineBucket } from "./bucket.ts";
import { examineDirectory, isServed } from "./directory.ts";
import { type Finding, ok, problem, warning } from "./findings.ts";
import { examineMachine, examinePorts } from "./machine.ts";

/** The options of `ferryd doctor`. */
export type DoctorValues = Omit<ServeValues, "version" | "check-config"> & { json: boolean };

/** One run of `ferryd doctor`. */
export class Doctor {
  readonly #options: ServeValues;
  readonly #json: boolean;
  readonly #env: (name: string) => string | undefined;
  readonly #print: (line: string) => void;
  #problems = 0;

  /** An examination that has not begun. `env` reads a variable of the environment, `print` prints a line. */
  constructor(
    options: DoctorValues,
    env: (name: string) => string | undefined,
    print: (line: string) => void,
  ) {
    const { json, ...rest } = options;
    this.#options = { ...rest, version: false, "check-config": false };
    this.#json = json;
    this.#env = env;
    this.#print = print;
  }

  /**
   * Prints what is found.
   *
   * @throws {FerryError} `usage` if the configuration is wrong, `io` if something else keeps `ferryd` from serving
   */
  async examine(): Promise<void> {
    const { problems, warnings } = await checkConfiguration(this.#options, this.#env);
    const part = "configuration";
    for (const { message } of problems) this.#say(problem(part, message));
    for (const sentence of warnings) this.#say(warning(part, sentence));
    if (problems.length === 0) this.#say(ok(part, "it is good"));
    await this.#examineRoot();
    for (const finding of examineMachine(this.#options)) this.#say(finding);
    const found = this.#problems;
    if (found === 0) return;
    const reason = `${found === 1 ? "one problem was" : `${found} problems were`} found`;
    throw new FerryError(problems.length > 0 ? "usage" : "io", reason);
  }

  async #examineRoot(): Promise<void> {
    const options = this.#options;
    let served = false;
    try {
      const bucket = bucketRoot(options);
      if (bucket) {
        for await (const finding of examineBucket(bucket, this.#env)) this.#say(finding);
      } else {
        served = isServed(options.root);
        for (const finding of examineDirectory(options, { served })) this.#say(finding);
      }
    } catch (error) {
      // What is wrong with the options is among the problems of the configuration.
      const { code, message } = toFerryError(error);
      if (code !== "usage") this.#say(problem("root", message));
    }
    try {
      const settings = settingsFrom(options);
      for await (const finding of examinePorts(settings, { served })) this.#say(finding);
    } catch {
      // So it is with the addresses.
    }
  }

  #say({ part, state, detail }: Finding): void {
    if (state === "problem") this.#problems++;
    const shown = state === "ok" ? "ok" : state.toUpperCase();
    this.#print(
      this.#json
        ? escapeControls(JSON.stringify({ event: "finding", part, state, detail }))
        : `${part.padEnd(15)}${shown.padEnd(9)}${escapeControls(detail)}`,
    );
  }
}
