/// <reference lib="dom" />
/**
 * The head of the page: where one is, the search, and the menu.
 *
 * @module
 */

import { useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { directoryPath, pathTo, shortened } from "../door/place.ts";
import type { PageState } from "../state/page_state.ts";
import { shownName } from "../text/format.ts";
import { language, setLanguage, texts } from "../text/language.ts";
import { Icon } from "../widgets/icons.tsx";
import { narrow } from "./narrow.ts";
import { setTheme, theme, THEMES } from "./theme.ts";

/** The head of the page. */
export function Header({ state, search }: { state: PageState; search: boolean }): VNode {
  const home = directoryPath(state.door.prefix, "");
  const go = (event: MouseEvent) => follow(event, () => state.goTo(""));
  return (
    <header class="page-header">
      <a class="brand" href={home} onClick={go} aria-label={`ferry: ${texts.value.root}`}>
        <Mark />
        <span>ferry</span>
      </a>
      {search ? <Search state={state} /> : <span class="gap" />}
      <Controls state={state} />
    </header>
  );
}

/** Follows a link within the page, unless a key is held with which browsers open another tab. */
function follow(event: MouseEvent, action: () => void): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  action();
}

/** The mark of the program. */
function Mark(): VNode {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" />
      <path d="M6 19h20l-3.2 5.2a1.6 1.6 0 0 1-1.4.8H10.6a1.6 1.6 0 0 1-1.4-.8zM11 17v-5h10v5M16 12V7m0 0 4 2.5" />
    </svg>
  );
}

/** The way to the directory that is shown. */
export function Crumbs({ state }: { state: PageState }): VNode {
  const { directory, link } = state;
  const way = shortened(pathTo(directory.value), narrow.value ? 1 : 3);
  const root = link.value?.name || texts.value.root;
  return (
    <nav class="crumbs" aria-label={texts.value.path}>
      <ol>
        {way.map(({ name, last }, i) => {
          const text = shownName(last || root);
          const isHere = i === way.length - 1;
          return (
            <li key={name}>
              {i > 0 && <Icon name="chevron" />}
              {isHere ? <h1 aria-current="page" title={text}>{text}</h1> : (
                <a
                  href={directoryPath(state.door.prefix, name)}
                  title={shownName(name) || text}
                  onClick={(event) => follow(event, () => state.goTo(name))}
                >
                  {text}
                </a>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

function Search({ state }: { state: PageState }): VNode {
  const field = useRef<HTMLInputElement>(null);
  const { query } = state;
  const t = texts.value;
  const leave = (event: KeyboardEvent) => {
    if (event.key === "Escape") state.search("");
    else if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    document.querySelector<HTMLElement>("#list")?.focus();
  };
  return (
    <div class="search" role="search">
      <Icon name="search" />
      <input
        ref={field}
        id="search"
        data-test="search"
        type="search"
        autocomplete="off"
        spellcheck={false}
        placeholder={t.search}
        aria-label={t.search}
        value={query.value}
        onInput={(event) => state.search(event.currentTarget.value)}
        onKeyDown={leave}
      />
      {query.value === "" ? <kbd aria-hidden="true">/</kbd> : (
        <button
          type="button"
          class="icon-button"
          aria-label={t.clearSearch}
          onClick={() => {
            state.search("");
            field.current!.focus();
          }}
        >
          <Icon name="close" />
        </button>
      )}
    </div>
  );
}

/** The language, and a menu with the rest. */
function Controls({ state }: { state: PageState }): VNode {
  const { session, dialog } = state;
  const other = language.value === "en" ? "zh" : "en";
  const isVisitor = session.value !== undefined && !session.value.token;
  return (
    <div class="controls">
      <button
        type="button"
        class="button quiet"
        data-test="language"
        lang={other === "zh" ? "zh-CN" : "en"}
        onClick={() => setLanguage(other)}
      >
        {texts.value.otherLanguage}
      </button>
      {isVisitor && session.value!.mayLogIn && state.problem.value === undefined && (
        <button
          type="button"
          class="button"
          data-test="login"
          onClick={() => dialog.value = { kind: "log-in" }}
        >
          {texts.value.logIn}
        </button>
      )}
      <Menu state={state} />
    </div>
  );
}

/** The menu. */
function Menu({ state }: { state: PageState }): VNode {
  const isOpen = useSignal(false);
  const frame = useRef<HTMLDivElement>(null);
  const { session, dialog } = state;
  const t = texts.value;
  useEffect(() => {
    const close = (event: Event) => {
      if (!frame.current!.contains(event.target as Node)) isOpen.value = false;
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("focusin", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("focusin", close);
    };
  }, []);
  const leave = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !isOpen.value) return;
    event.stopPropagation();
    isOpen.value = false;
    frame.current!.querySelector("button")!.focus();
  };
  const then = (action: () => void) => () => {
    isOpen.value = false;
    action();
  };
  const token = session.value?.token;
  return (
    <div class="menu" ref={frame} onKeyDown={leave}>
      <button
        type="button"
        class="icon-button"
        data-test="menu"
        aria-label={t.menu}
        title={t.menu}
        aria-expanded={isOpen.value}
        onClick={() => isOpen.value = !isOpen.value}
      >
        <Icon name="more" />
      </button>
      {isOpen.value && (
        <div class="menu-items">
          {token && <p class="menu-who">{t.loggedInAs(token.name)}</p>}
          {state.mayShare.value && (
            <button
              type="button"
              onClick={then(() => dialog.value = { kind: "shares" })}
            >
              <Icon name="share" />
              {t.shares}
            </button>
          )}
          <button type="button" onClick={then(() => dialog.value = { kind: "keys" })}>
            <Icon name="keys" />
            {t.keys}
          </button>
          <fieldset class="themes">
            <legend>{t.theme}</legend>
            {THEMES.map((name) => (
              <label key={name} class={theme.value === name ? "on" : ""}>
                <input
                  type="radio"
                  name="theme"
                  value={name}
                  checked={theme.value === name}
                  onChange={() => setTheme(name)}
                />
                {t.themes[name]}
              </label>
            ))}
          </fieldset>
          {session.value?.by === "cookie" && (
            <button
              type="button"
              data-test="logout"
              onClick={then(() => state.logOut())}
            >
              <Icon name="logOut" />
              {t.logOut}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
