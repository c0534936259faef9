/// <reference lib="dom" />
/**
 * What is said of groups: what a browser cannot send, and what both sides have counted.
 *
 * @module
 */

import { shownName } from "../text/format.ts";
import { isNote } from "./collect.ts";
import type { Group } from "./group.ts";
import { failureText, type UploadTexts } from "./texts.ts";

/** How many names are shown of a list. */
const SHOWN = 100;

interface NotesProps {
  readonly groups: readonly Group[];
  /** Another number whenever a group is different. */
  readonly tick: number;
  readonly texts: UploadTexts;
}

/** What is said of groups. */
export function Notes({ groups, tick, texts }: NotesProps) {
  const flaws = groups.flatMap(({ flaws }) => flaws);
  const certain = flaws.filter(({ flaw }) => !isNote(flaw));
  const perhaps = flaws.filter(({ flaw }) => isNote(flaw));
  const told = ({ path, flaw }: Group["flaws"][number]) =>
    `${shownName(path)}: ${texts.flaws[flaw]}`;
  return (
    <div class="uploads-notes">
      {certain.length > 0 && (
        <div class="uploads-missing" role="alert" data-test="uploads-missing">
          <p>{texts.unsendable}</p>
          <Names names={certain.map(told)} texts={texts} />
        </div>
      )}
      {groups.map((group) => <Counted key={group.id} group={group} tick={tick} texts={texts} />)}
      {perhaps.length > 0 && (
        <details data-test="uploads-perhaps">
          <summary>{texts.mayMiss}</summary>
          <Names names={perhaps.map(told)} texts={texts} />
        </details>
      )}
    </div>
  );
}

/** What both sides have counted of a group. */
function Counted({ group, texts }: { group: Group; tick: number; texts: UploadTexts }) {
  const { count, failure, isCounted, items } = group;
  if (!isCounted) return null;
  if (failure !== undefined) {
    return (
      <p class="uploads-missing" data-test="uploads-counted">
        {texts.notCounted} {failureText(failure, texts)}
      </p>
    );
  }
  if (count === undefined) {
    const arrived = items.filter(({ state }) => state === "arrived").length;
    return arrived > 0
      ? <p class="uploads-note" data-test="uploads-counted">{texts.confirmed(arrived)}</p>
      : null;
  }
  // Those that have failed are shown with the reason.
  const failed = new Set(items.flatMap(({ name, state }) => state === "failed" ? [name] : []));
  const missing = count.missing.filter((name) => !failed.has(name)).map(shownName);
  return (
    <div data-test="uploads-counted" data-here={count.here} data-there={count.there}>
      <p class="uploads-note">{texts.counted(count.here, count.there)}</p>
      {missing.length > 0 && (
        <div class="uploads-missing">
          <p>{texts.missing}</p>
          <Names names={missing} texts={texts} />
        </div>
      )}
    </div>
  );
}

function Names({ names, texts }: { names: readonly string[]; texts: UploadTexts }) {
  const rest = names.length - SHOWN;
  return (
    <ul>
      {names.slice(0, SHOWN).map((name) => <li key={name}>{name}</li>)}
      {rest > 0 && <li>{texts.andMore(rest)}</li>}
    </ul>
  );
}
