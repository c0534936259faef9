/// <reference lib="dom" />
/**
 * The list of files on their way.
 *
 * @module
 */

import { shownName, sizeText } from "../text/format.ts";
import { Icon } from "../widgets/icons.tsx";
import { VirtualList } from "../widgets/virtual_list.tsx";
import type { Item } from "./item.ts";
import { failureText, type Language, timeText, type UploadTexts } from "./texts.ts";
import type { Uploads } from "./uploads.ts";

/** The height of a row in pixels, as the style sheet has it. */
const ROW = 56;

/** How many rows the list is high at most. */
const SHOWN = 5.5;

interface RowsProps {
  readonly uploads: Uploads;
  readonly items: readonly Item[];
  /** Whether a login is waited for. */
  readonly needsLogin: boolean;
  /** Another number whenever an item is different. */
  readonly tick: number;
  readonly language: Language;
  readonly texts: UploadTexts;
}

/** In which order states are listed: what somebody has to decide first, what is done last. */
const ORDER: Readonly<Record<Item["state"], number>> = {
  exists: 0,
  failed: 0,
  paused: 1,
  sending: 1,
  checking: 1,
  reading: 1,
  waiting: 2,
  arrived: 3,
  skipped: 3,
};

/** The list of files on their way. */
export function Rows({ uploads, items, needsLogin, tick, language, texts }: RowsProps) {
  return (
    <VirtualList
      class="uploads-list"
      tabIndex={0}
      role="list"
      aria-label={texts.title}
      style={{ height: `min(${Math.min(items.length, SHOWN) * ROW}px, 45vh)` }}
      items={ordered(items)}
      rowHeight={ROW}
    >
      {(item, index) => (
        <Row
          key={item.id}
          {...{ item, uploads, needsLogin, tick, language, texts }}
          position={index + 1}
          all={items.length}
        />
      )}
    </VirtualList>
  );
}

/** Sorted by state, and in the order in which they were added. */
function ordered(items: readonly Item[]): Item[] {
  const ranks: Item[][] = [[], [], [], []];
  for (const item of items) ranks[ORDER[item.state]]!.push(item);
  return ranks.flat();
}

interface RowProps {
  readonly item: Item;
  readonly uploads: Uploads;
  readonly needsLogin: boolean;
  readonly tick: number;
  readonly language: Language;
  readonly texts: UploadTexts;
  readonly position: number;
  readonly all: number;
}

function Row({ item, uploads, needsLogin, language, texts, position, all }: RowProps) {
  const { name, state, file: { size }, sent, failure, md5 } = item;
  const shown = shownName(name);
  const isGoing = state === "sending" || state === "paused";
  return (
    <div
      class="uploads-row"
      role="listitem"
      data-upload={name}
      data-state={state}
      aria-posinset={position}
      aria-setsize={all}
    >
      <span class="uploads-name" title={shown}>{shown}</span>
      <span class="uploads-state" title={md5 === undefined ? undefined : `MD5 ${md5}`}>
        {state === "paused" && needsLogin ? texts.pausedForLogin : stateText(item, language, texts)}
      </span>
      {isGoing && (
        <progress class="uploads-bar" aria-label={shown} max={Math.max(size, 1)} value={sent} />
      )}
      {state === "failed" && failure !== undefined && (
        <span class="uploads-failure" title={failureText(failure, texts)}>
          {failureText(failure, texts)}
        </span>
      )}
      <span class="uploads-actions">
        {state === "exists" && (
          <>
            <button
              type="button"
              class="button quiet"
              onClick={() => uploads.decide("replace", item)}
            >
              {texts.replace}
            </button>
            <button type="button" class="button quiet" onClick={() => uploads.decide("skip", item)}>
              {texts.skip}
            </button>
          </>
        )}
        {state === "failed" && (
          <button
            type="button"
            class="button quiet"
            onClick={() => uploads.retry(item)}
          >
            {texts.retry}
          </button>
        )}
        {(item.isActive || state === "waiting" || state === "failed") && (
          <button
            type="button"
            class="icon-button"
            title={texts.cancel}
            aria-label={texts.cancelFile(shown)}
            onClick={() => uploads.cancel(item)}
          >
            <Icon name="close" />
          </button>
        )}
      </span>
    </div>
  );
}

function stateText(item: Item, language: Language, texts: UploadTexts): string {
  const { state, sent, rate, wasThere, file: { size } } = item;
  const total = sizeText(size, language);
  if (state === "arrived") return `${texts.states[wasThere ? "wasThere" : "arrived"]} · ${total}`;
  if (state !== "sending") return `${texts.states[state]} · ${total}`;
  const { perSecond } = rate;
  const left = rate.secondsFor(size - sent);
  return [
    texts.amount(sizeText(sent, language), total),
    ...perSecond === undefined ? [] : [texts.perSecond(sizeText(perSecond, language))],
    ...left === undefined ? [] : [texts.left(timeText(left, texts))],
  ].join(" · ");
}
