/**
 * How many cases are tried of tests that would take too long in each run of all tests.
 *
 * @module
 */

/**
 * The number in an environment variable, or else in the first argument, as tasks pass it; undefined where both are
 * missing, as in a run of all tests.
 */
export function extentOf(variable: string): number | undefined {
  const given = Deno.env.get(variable) ?? Deno.args[0];
  if (given === undefined) return undefined;
  const extent = Number(given);
  if (Number.isInteger(extent) && extent > 0) return extent;
  throw new Error(`${variable} is a number from 1 on, not ${JSON.stringify(given)}`);
}
