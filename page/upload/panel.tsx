/// <reference lib="dom" />
/**
 * The panel that shows uploads.
 *
 * @module
 */

import { useState } from "preact/hooks";
import { shownName, sizeText } from "../text/format.ts";
import { Icon } from "../widgets/icons.tsx";
import type { Item } from "./item.ts";
import { Notes } from "./notes.tsx";
import type { Unfinished } from "./remembered.ts";
import { Rows } from "./rows.tsx";
import { type Language, reasonsText, timeText, UPLOAD_TEXTS, type UploadTexts } from "./texts.ts";
import type { Summary, Uploads } from "./uploads.ts";

/** What the panel shows and does. */
export interface PanelProps {
  readonly uploads: Uploads;
  /** Another number whenever something is different: uploads change in place, and equal properties draw nothing. */
  readonly tick: number;
  readonly language: Language;
  /** The directory that a drop would be sent into, while something is dragged over the page. */
  readonly dragged: string | undefined;
  /** Whether what was dropped is still being listed. */
  readonly isLooking: boolean;
  /** Has somebody choose the files of an unfinished group again. */
  onChoose(left: Unfinished): void;
}

/** The panel that shows uploads. */
export function Panel(props: PanelProps) {
  const { uploads, language, dragged, isLooking } = props;
  const texts = UPLOAD_TEXTS[language];
  const { unfinished, groups } = uploads;
  const isEmpty = groups.length === 0 && unfinished.length === 0 && !isLooking;
  return (
    <>
      {dragged !== undefined && (
        <div class="uploads-drop">
          <p>{texts.dropHere(shownName(dragged))}</p>
        </div>
      )}
      {!isEmpty && (
        <section class="uploads" data-test="uploads" aria-label={texts.title}>
          {groups.length > 0 && <Going {...props} texts={texts} />}
          {isLooking && <p class="uploads-note" role="status">{texts.looking}</p>}
          {unfinished.length > 0 && <Left {...props} unfinished={unfinished} texts={texts} />}
        </section>
      )}
    </>
  );
}

/** Uploads of this page. */
function Going({ uploads, tick, language, texts }: PanelProps & { texts: UploadTexts }) {
  const [isFolded, fold] = useState(false);
  const { summary, groups, items } = uploads;
  const { needsLogin } = summary;
  return (
    <>
      <Head {...{ uploads, summary, language, texts, isFolded }} onFold={() => fold(!isFolded)} />
      {!isFolded && (
        <>
          <Decisions {...{ uploads, summary, items, texts }} />
          <Notes groups={groups} tick={tick} texts={texts} />
          <Rows {...{ uploads, items, needsLogin, tick, language, texts }} />
        </>
      )}
    </>
  );
}

interface HeadProps {
  readonly uploads: Uploads;
  readonly summary: Summary;
  readonly language: Language;
  readonly texts: UploadTexts;
  readonly isFolded: boolean;
  onFold(): void;
}

/** How far everything is. */
function Head({ uploads, summary, language, texts, isFolded, onFold }: HeadProps) {
  const { files, arrived, bytes, sent, rate, left, isActive, isPaused, needsLogin } = summary;
  const said = isActive
    ? texts.sending(arrived, files)
    : files === 0
    ? uploads.items.length === 0 ? texts.nothing : texts.noneSent
    : arrived === files
    ? texts.allArrived(files)
    : texts.someArrived(arrived, files);
  const size = (value: number) => sizeText(value, language);
  const details = isPaused ? [needsLogin ? texts.loginNeeded : texts.paused] : [
    isActive ? texts.amount(size(sent), size(bytes)) : size(bytes),
    ...isActive && rate !== undefined ? [texts.perSecond(size(rate))] : [],
    ...isActive && left !== undefined ? [texts.left(timeText(left, texts))] : [],
  ];
  return (
    <header class="uploads-head" data-test="uploads-summary" data-active={isActive}>
      <div class="uploads-said">
        {/* A screen reader announces the number of files that have arrived, and not each byte. */}
        <strong role="status">{said}</strong>
        <span class="uploads-details">{details.join(" · ")}</span>
      </div>
      <button
        type="button"
        class="icon-button uploads-fold"
        data-test="uploads-fold"
        title={isFolded ? texts.unfold : texts.fold}
        aria-label={isFolded ? texts.unfold : texts.fold}
        aria-expanded={!isFolded}
        onClick={onFold}
      >
        <Icon name="chevron" />
      </button>
      {isActive
        ? (
          <button
            type="button"
            class="button quiet"
            data-test="uploads-cancel"
            onClick={() => uploads.cancel(...uploads.items.filter(({ isSettled }) => !isSettled))}
          >
            {texts.cancelAll}
          </button>
        )
        : (
          <button
            type="button"
            class="button quiet"
            data-test="uploads-clear"
            onClick={() => uploads.clear()}
          >
            {texts.clear}
          </button>
        )}
      <progress
        class="uploads-bar"
        aria-label={texts.title}
        max={Math.max(bytes, 1)}
        value={bytes === 0 && files > 0 && files === arrived ? 1 : sent}
      />
    </header>
  );
}

interface DecisionsProps {
  readonly uploads: Uploads;
  readonly summary: Summary;
  readonly items: readonly Item[];
  readonly texts: UploadTexts;
}

/** What somebody has to decide. */
function Decisions({ uploads, summary: { undecided, failed }, items, texts }: DecisionsProps) {
  return (
    <>
      {undecided > 0 && (
        <div class="uploads-decision" role="alert" data-test="uploads-undecided">
          <p>{texts.undecided(undecided)}</p>
          <button
            type="button"
            class="button"
            data-test="uploads-replace-all"
            onClick={() => uploads.decide("replace", ...items)}
          >
            {texts.replaceAll}
          </button>
          <button
            type="button"
            class="button"
            data-test="uploads-skip-all"
            onClick={() => uploads.decide("skip", ...items)}
          >
            {texts.skipAll}
          </button>
        </div>
      )}
      {failed > 0 && (
        <div class="uploads-decision" role="alert" data-test="uploads-failed">
          <p>{texts.failed(failed)}</p>
          <button
            type="button"
            class="button"
            data-test="uploads-retry-all"
            onClick={() => uploads.retry(...items)}
          >
            {texts.retryAll}
          </button>
          <ul class="uploads-reasons">
            {reasonsOf(items, texts).map((reason) => <li key={reason}>{reason}</li>)}
          </ul>
        </div>
      )}
    </>
  );
}

/** How many reasons are shown: the rows tell the others. */
const REASONS = 3;

/** Why files have failed: in a row there is no room for all of a sentence. */
function reasonsOf(items: readonly Item[], texts: UploadTexts): string[] {
  const failures = items.flatMap(({ state, failure }) => state === "failed" ? failure ?? [] : []);
  return reasonsText(failures, texts).slice(0, REASONS);
}

interface LeftProps extends PanelProps {
  readonly unfinished: readonly Unfinished[];
  readonly texts: UploadTexts;
}

/** Uploads of pages that were closed. */
function Left({ uploads, unfinished, texts, onChoose }: LeftProps) {
  return (
    <div class="uploads-left" data-test="uploads-unfinished">
      <p class="uploads-note">{texts.chooseAgain}</p>
      <ul>
        {unfinished.map((left) => (
          <li key={left.id}>
            <span>{texts.unfinished(namesOf(left.tops, texts), left.arrived, left.files)}</span>
            <button
              type="button"
              class="button primary"
              data-test="uploads-choose"
              onClick={() => onChoose(left)}
            >
              {texts.choose}
            </button>
            <button
              type="button"
              class="button quiet"
              data-test="uploads-forget"
              onClick={() => uploads.forget(left)}
            >
              {texts.forget}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

/** How many names are shown of a list. */
const SHOWN = 3;

/** Some names of a list. */
export function namesOf(names: readonly string[], texts: UploadTexts): string {
  const rest = names.length - SHOWN;
  return names.slice(0, SHOWN).map(shownName).join(", ") +
    (rest > 0 ? ` ${texts.andMore(rest)}` : "");
}
