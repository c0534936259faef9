/// <reference lib="dom" />
/**
 * The list of a directory.
 *
 * @module
 */

import type { VNode } from "preact";
import { useEffect } from "preact/hooks";
import type { Entry } from "../door/door.ts";
import { downloadPath } from "../door/download.ts";
import { directoryPath, filePath, nameIn } from "../door/place.ts";
import { nextOrder, type SortKey } from "../listing/order.ts";
import { choose, chooseAll, extend, toggle } from "../listing/selection.ts";
import type { PageState } from "../state/page_state.ts";
import { shownName, sizeText, timeText } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import { Icon, iconOf } from "../widgets/icons.tsx";
import { open, pressInList } from "./keyboard.ts";
import { narrow } from "./narrow.ts";
import { VirtualList } from "../widgets/virtual_list.tsx";

/** The heights in pixels of a row and of the row with the columns' names, which the styles have, too. */
const HEIGHTS = { wide: { row: 46, head: 40 }, narrow: { row: 60, head: 38 } };

/** The list, with the names of its columns. */
export function FileList({ state }: { state: PageState }): VNode {
  const { shown, selection, directory } = state;
  useEffect(() => {
    // Whoever opened a directory by keyboard goes on in its list.
    const isFree = document.activeElement === document.body;
    if (state.hasMoved && isFree) document.querySelector<HTMLElement>("#list")?.focus();
  }, [directory.value]);
  const items = shown.value;
  const names = () => items.map(({ name }) => name);
  const { at, chosen } = selection.value;
  const index = at === undefined ? -1 : items.findIndex(({ name }) => name === at);
  const all = items.length > 0 && state.chosen.value.length === items.length;
  const height = HEIGHTS[narrow.value ? "narrow" : "wide"];
  const head = (
    <div class="row columns" role="row" aria-rowindex={1}>
      <span class="cell-choose" role="columnheader">
        <input
          type="checkbox"
          aria-label={texts.value.chooseAll}
          checked={all}
          indeterminate={!all && chosen.size > 0}
          onChange={() => selection.value = chooseAll(selection.value, names())}
        />
      </span>
      <Column state={state} by="name" title={texts.value.name} />
      <Column state={state} by="size" title={texts.value.size} />
      <Column state={state} by="mtime" title={texts.value.modified} />
    </div>
  );
  return (
    <VirtualList
      id="list"
      class="list"
      data-test="list"
      key={directory.value}
      items={items}
      head={head}
      headHeight={height.head}
      rowHeight={height.row}
      keepInView={index}
      role="grid"
      tabIndex={0}
      aria-label={shownName(directory.value) || texts.value.root}
      aria-rowcount={items.length + 1}
      aria-multiselectable="true"
      {...index < 0 ? {} : { "aria-activedescendant": `row-${index}` }}
      onKeyDown={(event: KeyboardEvent) => pressInList(event, state)}
    >
      {(entry, i) => (
        <Row
          key={entry.name}
          state={state}
          entry={entry}
          index={i}
          isChosen={chosen.has(entry.name)}
          isAt={i === index}
        />
      )}
    </VirtualList>
  );
}

/** The name of a column, which sorts by it. */
function Column({ state, by, title }: { state: PageState; by: SortKey; title: string }): VNode {
  const { order } = state;
  const isSorted = order.value.by === by;
  const direction = order.value.descending ? "down" : "up";
  return (
    <span
      class={`cell-${by}`}
      role="columnheader"
      aria-sort={isSorted ? order.value.descending ? "descending" : "ascending" : "none"}
    >
      <button
        type="button"
        class={`column${isSorted ? " sorted" : ""}`}
        title={texts.value.sortBy(title)}
        onClick={() => order.value = nextOrder(order.value, by)}
      >
        {title}
        {isSorted && <Icon name={direction} />}
      </button>
    </span>
  );
}

interface RowProps {
  state: PageState;
  entry: Entry;
  index: number;
  isChosen: boolean;
  isAt: boolean;
}

/** The row of an entry. */
function Row({ state, entry, index, isChosen, isAt }: RowProps): VNode {
  const { selection, shown } = state;
  const { name, type, size, mtime } = entry;
  const isDirectory = type === "directory";
  const click = (event: MouseEvent) => {
    if ((event.target as Element).closest("a, button, input")) return;
    if (event.shiftKey) {
      const names = shown.value.map(({ name }) => name);
      selection.value = extend(selection.value, names, name);
    } else if (event.ctrlKey || event.metaKey) {
      selection.value = toggle(selection.value, name);
    } else selection.value = choose(name);
  };
  const sizeOf = isDirectory ? "" : sizeText(size, locale.value);
  const time = timeText(mtime, locale.value);
  return (
    <div
      id={`row-${index}`}
      class={`row${isChosen ? " chosen" : ""}${isAt ? " at" : ""}`}
      data-name={name}
      data-type={type}
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isChosen}
      onClick={click}
      onDblClick={(event) => {
        if (!(event.target as Element).closest("a, button, input")) open(state, entry);
      }}
    >
      <span class="cell-choose" role="gridcell">
        <input
          type="checkbox"
          tabIndex={isAt ? 0 : -1}
          aria-label={texts.value.choose(shownName(name))}
          checked={isChosen}
          onChange={() => selection.value = toggle(selection.value, name)}
        />
      </span>
      <span class="cell-name" role="gridcell">
        <span class={`kind ${isDirectory ? "directory" : "file"}`}>
          <Icon name={iconOf(type, name)} />
        </span>
        <Name state={state} entry={entry} isAt={isAt} />
        <span class="under">{isDirectory ? time : `${sizeOf} · ${time}`}</span>
      </span>
      <span class="cell-size" role="gridcell">{sizeOf}</span>
      <span class="cell-mtime" role="gridcell">{time}</span>
      <span class="cell-actions" role="gridcell">
        <RowActions state={state} entry={entry} isAt={isAt} />
      </span>
    </div>
  );
}

/** The name of an entry, which leads to it. */
function Name({ state, entry, isAt }: { state: PageState; entry: Entry; isAt: boolean }): VNode {
  const { name, type } = entry;
  const text = shownName(name);
  const { prefix, directory } = state.place;
  const full = nameIn(directory, name);
  const tabIndex = isAt ? 0 : -1;
  if (type === "directory") {
    const go = (event: MouseEvent) => {
      // With a key held, browsers open another tab.
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      state.goTo(full);
    };
    const href = directoryPath(prefix, full);
    return <a class="name" href={href} title={text} tabIndex={tabIndex} onClick={go}>{text}</a>;
  }
  if (type !== "file") return <span class="name" title={texts.value.special}>{text}</span>;
  const href = filePath(prefix, full);
  return (
    <a class="name" href={href} title={text} tabIndex={tabIndex} target="_blank" rel="noopener">
      {text}
    </a>
  );
}

/** What can be done with an entry. */
function RowActions(
  { state, entry, isAt }: { state: PageState; entry: Entry; isAt: boolean },
): VNode {
  const { dialog, directory } = state;
  const t = texts.value;
  const { name, type } = entry;
  const tabIndex = isAt ? 0 : -1;
  const isDirectory = type === "directory";
  const share = () =>
    dialog.value = { kind: "share", name: nameIn(directory.value, name), isDirectory };
  const button = (test: string, icon: Parameters<typeof Icon>[0]["name"], title: string) => ({
    type: "button" as const,
    class: "icon-button",
    "data-test": test,
    title,
    "aria-label": `${title}: ${shownName(name)}`,
    tabIndex,
    children: <Icon name={icon} />,
  });
  return (
    <>
      <a
        class="icon-button"
        data-test="row-download"
        href={downloadPath(state.place, entry)}
        download=""
        title={t.download}
        aria-label={`${t.download}: ${shownName(name)}`}
        tabIndex={tabIndex}
      >
        <Icon name="download" />
      </a>
      {state.mayShare.value && (
        <button
          {...button("row-share", "share", t.share)}
          onClick={share}
        />
      )}
      {state.mayRename.value && (
        <button
          {...button("row-rename", "rename", t.rename)}
          onClick={() => dialog.value = { kind: "rename", entry }}
        />
      )}
      {state.mayRemove.value && (
        <button
          {...button("row-delete", "remove", t.remove)}
          onClick={() => dialog.value = { kind: "remove", entries: [entry] }}
        />
      )}
      <button
        {...button("row-more", "more", t.more(shownName(name)))}
        class="icon-button row-more"
        aria-label={t.more(shownName(name))}
        onClick={() => dialog.value = { kind: "actions", entry }}
      />
    </>
  );
}
