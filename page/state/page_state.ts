/// <reference lib="dom" />
/**
 * What the page shows, and what a user does with it.
 *
 * @module
 */

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { Door, type Entry, isGranted, type LinkInfo, type Session } from "../door/door.ts";
import { directoryOf, directoryPath, nameIn, type Place, placeOf } from "../door/place.ts";
import { Problem } from "../door/request.ts";
import { found, type Order, sorted } from "../listing/order.ts";
import { among, besides, choose, NOTHING, type Selection } from "../listing/selection.ts";
import { shownName } from "../text/format.ts";
import { locale, texts } from "../text/language.ts";
import type { Dialog, Message } from "./dialog.ts";
import { problemText } from "./problem_text.ts";

/** How long a message is shown, in milliseconds: longer if something failed. */
const SHOWN_MS = { done: 4000, failed: 10_000 };

/** How many entries are deleted at the same time. */
const DELETED_AT_ONCE = 4;

/** How old a list may be when the user comes back to the page, in milliseconds. */
const FRESH_MS = 5000;

/** How long the page waits before it asks again a server that was away, in milliseconds. */
const AWAY_MS = 3000;

/** The codes of failures of which each further request would have the same. */
const STOPPING: ReadonlySet<string> = new Set(["unreachable", "auth_required"]);

/** The codes of failures that may pass by themselves. */
const PASSING: ReadonlySet<string> = new Set(["unreachable", "busy", "timeout", "closed"]);

/** The state of the page. Its methods report failures as messages and do not throw. */
export class PageState {
  /** The server. */
  readonly door: Door;
  /** The path of the address where a document was refused; undefined where the address means a directory. */
  #refusedPath: string | undefined;
  /** The directory that is shown. */
  readonly directory: Signal<string>;
  /** Who the page is for the server; undefined until that is known, and inside a share link. */
  readonly session: Signal<Session | undefined> = signal();
  /** The share link that the page was opened with. */
  readonly link: Signal<LinkInfo | undefined> = signal();
  /** The entries of the directory; undefined until they are known. */
  readonly entries: Signal<readonly Entry[] | undefined> = signal();
  /** Whether what is there may not be seen, though files may be sent into it. */
  readonly blind: Signal<boolean> = signal(false);
  /** Why nothing can be shown. */
  readonly problem: Signal<Problem | undefined> = signal();
  /** Whether the list is being fetched. */
  readonly loading: Signal<boolean> = signal(false);
  /** The order of the list. */
  readonly order: Signal<Order> = signal({ by: "name", descending: false });
  /** What is searched for in the list. */
  readonly query: Signal<string> = signal("");
  /** Whether the list has what is in the directories below, too: for a search. */
  readonly deep: Signal<boolean> = signal(false);
  /** What is chosen in the list. */
  readonly selection: Signal<Selection> = signal(NOTHING);
  /** The dialog that is open. */
  readonly dialog: Signal<Dialog | undefined> = signal();
  /** The message that is shown. */
  readonly message: Signal<Message | undefined> = signal();
  /** The entries in their order. */
  readonly #sorted = computed(() =>
    sorted(this.entries.value ?? [], this.order.value, locale.value)
  );
  /** The entries that the list shows. */
  readonly shown: ReadonlySignal<readonly Entry[]> = computed(() =>
    found(this.#sorted.value, this.query.value)
  );
  /** The entries that are chosen, in the order of the list. */
  readonly chosen: ReadonlySignal<readonly Entry[]> = computed(() => {
    const { chosen } = this.selection.value;
    return chosen.size === 0 ? [] : this.shown.value.filter(({ name }) => chosen.has(name));
  });
  /** Whether there is something to be uploaded into. */
  readonly mayUpload: ReadonlySignal<boolean> = computed(() =>
    this.problem.value === undefined && (this.link.value?.upload ?? this.#may("write"))
  );
  /** Other directories that the page may show or send into, when it may not show this one. */
  readonly elsewhere: ReadonlySignal<readonly string[]> = computed(() => {
    const { read = [], write = [] } = this.session.value?.grants ?? {};
    return [...new Set([...read, ...write])].filter((name) => name !== this.directory.value).sort();
  });
  /** Whether entries of the directory may be deleted. */
  readonly mayRemove: ReadonlySignal<boolean> = computed(() => this.#may("delete"));
  /** Whether entries of the directory may be renamed. */
  readonly mayRename: ReadonlySignal<boolean> = computed(() =>
    this.#may("delete") && this.#may("write")
  );
  /** Whether links to entries of the directory may be made. */
  readonly mayShare: ReadonlySignal<boolean> = computed(() =>
    this.session.value !== undefined && this.#may("read")
  );
  /** Called after a login. */
  onLogIn: () => void = () => {};
  /** Whether the user has gone to another directory since the page was opened. */
  hasMoved = false;
  #fetching: AbortController | undefined;
  #fetched = 0;
  /** Whether something has changed since the present fetch began. */
  #isOutdated = false;
  #hiding: ReturnType<typeof setTimeout> | undefined;
  /** Asks again for a list, as long as the server is away. */
  #asking: ReturnType<typeof setTimeout> | undefined;

  /** @param pathname the path of the address of the page */
  constructor(pathname: string) {
    const { prefix, directory } = placeOf(pathname);
    this.door = new Door(prefix);
    this.#refusedPath = refusedIn(pathname);
    this.directory = signal(directory);
  }

  /** Where the page is. */
  get place(): Place {
    return { prefix: this.door.prefix, directory: this.directory.value };
  }

  #may(scope: string): boolean {
    const session = this.session.value;
    return session !== undefined && isGranted(session, scope, this.directory.value);
  }

  /** Begins: asks who the page is and what is there. */
  async start(): Promise<void> {
    if (this.door.prefix === "") {
      await this.#guarded(async () => {
        this.session.value = await this.door.session();
      });
    }
    await this.reload();
  }

  /** Fetches the list again. */
  async reload(): Promise<void> {
    this.#fetching?.abort();
    clearTimeout(this.#asking);
    const fetching = this.#fetching = new AbortController();
    this.loading.value = true;
    try {
      await this.#fetch(fetching.signal);
    } catch (error) {
      if (fetching.signal.aborted) return;
      await this.#failed(problemOf(error));
    } finally {
      if (this.#fetching === fetching) this.loading.value = false;
    }
    if (this.#isOutdated) await this.changed();
  }

  /** Shows why there is no list; where there is one already, it stays as long as the failure may pass. */
  async #failed(problem: Problem): Promise<void> {
    const wasAway = this.#asking !== undefined;
    const isAway = problem.code === "unreachable";
    this.#asking = isAway ? setTimeout(() => this.reload(), AWAY_MS) : undefined;
    const stays = this.entries.value !== undefined && PASSING.has(problem.code);
    if (stays) {
      // That it is still away need not be said.
      if (!isAway || !wasAway) this.tell(problemText(problem, texts.value), true);
      return;
    }
    this.problem.value = problem;
    if (problem.code === "auth_required") await this.#renewSession();
  }

  /** Fetches the list again because something in it has changed: after the present fetch, if there is one. */
  async changed(): Promise<void> {
    this.#isOutdated = this.loading.value;
    if (!this.#isOutdated) await this.reload();
  }

  async #fetch(signal: AbortSignal): Promise<void> {
    if (this.#refusedPath !== undefined) {
      const problem = await this.door.whyRefused(this.#refusedPath);
      if (problem) throw problem;
      return location.reload();
    }
    if (this.door.prefix !== "") this.link.value = await this.door.linkInfo();
    const entries = await this.#list(signal);
    if (signal.aborted) return;
    this.#fetched = Date.now();
    if (this.#asking !== undefined) {
      this.#asking = undefined;
      this.hideMessage();
    }
    this.blind.value = entries === undefined;
    this.entries.value = entries ?? [];
    this.problem.value = undefined;
    this.selection.value = among(
      this.selection.value,
      new Set(this.shown.value.map(({ name }) => name)),
    );
  }

  /** The entries of the directory; undefined if they may not be seen, but files may be sent. */
  async #list(signal: AbortSignal): Promise<Entry[] | undefined> {
    if (this.link.value?.upload) return undefined;
    try {
      return await this.door.list(this.directory.value, signal, this.deep.value);
    } catch (error) {
      const isRefused = error instanceof Problem && [401, 403].includes(error.status);
      if (isRefused && this.#may("write")) return undefined;
      throw error;
    }
  }

  /** Fetches the list again if it may be out of date. */
  async refresh(): Promise<void> {
    if (!this.loading.value && Date.now() - this.#fetched > FRESH_MS) await this.reload();
  }

  /** Shows another directory, which becomes a new entry of the browser's history. */
  async goTo(directory: string): Promise<void> {
    const path = directoryPath(this.door.prefix, directory);
    history.pushState(null, "", path);
    await this.show(path);
  }

  /** Shows what the path of an address means, as after a step in the browser's history. */
  async show(pathname: string): Promise<void> {
    const { directory } = placeOf(pathname);
    this.#refusedPath = refusedIn(pathname);
    if (directory !== this.directory.value) {
      this.entries.value = undefined;
      this.selection.value = NOTHING;
      this.query.value = "";
      this.deep.value = false;
    }
    this.hasMoved = true;
    this.directory.value = directory;
    await this.reload();
  }

  /** Searches for a text. */
  search(query: string): void {
    this.query.value = query;
    // What cannot be seen is not to be deleted with the rest.
    const names = new Set(this.shown.value.map(({ name }) => name));
    this.selection.value = among(this.selection.value, names);
    if (query === "" && this.deep.value) void this.searchBelow(false);
  }

  /** Searches in the directories below, too, or no longer. */
  async searchBelow(deep: boolean): Promise<void> {
    this.deep.value = deep;
    await this.reload();
  }

  /** Takes away the message that is shown. */
  hideMessage(): void {
    clearTimeout(this.#hiding);
    this.message.value = undefined;
  }

  /** Shows a message for a while. */
  tell(text: string, failed = false): void {
    clearTimeout(this.#hiding);
    this.message.value = { text, failed };
    const shown = failed ? SHOWN_MS.failed : SHOWN_MS.done;
    this.#hiding = setTimeout(() => this.message.value = undefined, shown);
  }

  /** Runs an action; shows a message where it fails. Whether it succeeded. */
  async #guarded(action: () => Promise<void>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      await this.fail(error);
      return false;
    }
  }

  /** Shows why something failed; asks for a login if that was the reason. */
  async fail(error: unknown): Promise<void> {
    this.tell(problemText(error, texts.value), true);
    if (error instanceof Problem && error.code === "auth_required") await this.askForLogin();
  }

  /** Asks the user to log in: the server wanted it for something. */
  async askForLogin(): Promise<void> {
    await this.#renewSession();
    if (this.dialog.value?.kind !== "log-in") this.dialog.value = { kind: "log-in" };
  }

  /** Learns again who the page is, since the server has refused something. */
  async #renewSession(): Promise<void> {
    if (this.door.prefix !== "") return;
    const before = this.session.value;
    const now = await this.door.session().catch(() => before);
    this.session.value = now;
    if (before?.token && !now?.token) this.tell(texts.value.sessionEnded, true);
  }

  /**
   * Logs in.
   *
   * @returns why that failed, for the user; undefined if it did not
   */
  async logIn(token: string): Promise<string | undefined> {
    try {
      this.session.value = await this.door.logIn(token.trim());
    } catch (error) {
      const wrong = error instanceof Problem && [400, 401].includes(error.status);
      return wrong ? texts.value.wrongToken : problemText(error, texts.value);
    }
    this.dialog.value = undefined;
    this.hideMessage();
    this.onLogIn();
    await this.reload();
    return undefined;
  }

  /** Logs out. */
  async logOut(): Promise<void> {
    const done = await this.#guarded(async () => {
      await this.door.logOut();
      this.session.value = await this.door.session();
    });
    if (!done) return;
    this.entries.value = undefined;
    this.selection.value = NOTHING;
    await this.reload();
  }

  /**
   * Makes a directory in the one that is shown.
   *
   * @returns why that failed, for the user; undefined if it did not
   */
  async makeDirectory(name: string): Promise<string | undefined> {
    return await this.#change(name, async () => {
      await this.door.makeDirectory(nameIn(this.directory.value, name));
      this.tell(texts.value.created(shownName(name)));
    });
  }

  /**
   * Gives an entry another name.
   *
   * @returns why that failed, for the user; undefined if it did not
   */
  async rename(entry: Entry, name: string): Promise<string | undefined> {
    const from = nameIn(this.directory.value, entry.name);
    return await this.#change(name, async () => {
      await this.door.move(from, nameIn(directoryOf(from), name));
      this.tell(texts.value.renamed(shownName(name)));
    });
  }

  /** Changes something, and shows the list as it is then, with an entry chosen. */
  async #change(name: string, action: () => Promise<void>): Promise<string | undefined> {
    try {
      await action();
    } catch (error) {
      if (error instanceof Problem && error.code === "auth_required") await this.askForLogin();
      if (error instanceof Problem && error.code === "not_found") void this.reload();
      return problemText(error, texts.value);
    }
    this.query.value = "";
    this.deep.value = false;
    void this.reload().then(() => this.selection.value = choose(name));
    return undefined;
  }

  /**
   * Says why a download that the browser begins now will fail, if it will: browsers say nothing that helps.
   *
   * @param path the path of its address
   */
  async watchDownload(path: string): Promise<void> {
    // What is counted is not asked for twice.
    if (this.link.value?.downloads) return;
    try {
      await this.door.look(path);
    } catch (error) {
      await this.fail(error);
      if (error instanceof Problem && error.code === "not_found") await this.reload();
    }
  }

  /** Deletes entries, and reports the first failure. What would stop all the others, too, ends it. */
  async remove(chosen: readonly Entry[]): Promise<void> {
    const directory = this.directory.value;
    const entries = outermost(chosen);
    const waiting = entries.values();
    let removed = 0;
    let failure: unknown;
    const isStopped = () => failure instanceof Problem && STOPPING.has(failure.code);
    const work = async () => {
      for (const { name, type } of waiting) {
        if (isStopped()) return;
        try {
          await this.door.remove(nameIn(directory, name), type === "directory");
          removed++;
          if (entries.length > DELETED_AT_ONCE) {
            this.tell(texts.value.removing(removed, entries.length));
          }
        } catch (error) {
          failure ??= error;
        }
      }
    };
    await Promise.all(Array.from({ length: DELETED_AT_ONCE }, work));
    if (failure === undefined) this.tell(texts.value.removed(removed));
    else await this.fail(failure);
    if (isStopped()) return;
    if (this.directory.value === directory) {
      const names = this.shown.value.map(({ name }) => name);
      const gone = new Set(chosen.map(({ name }) => name));
      this.selection.value = besides(this.selection.value, names, gone);
    }
    await this.reload();
  }
}

/** The entries that are in no directory among them: those in one are deleted with it. */
function outermost(entries: readonly Entry[]): readonly Entry[] {
  const above = entries.filter(({ type }) => type === "directory").map(({ name }) => `${name}/`);
  return entries.filter(({ name }) => !above.some((start) => name.startsWith(start)));
}

/** The path of a document, which the page is only shown for if it was refused; undefined for that of a directory. */
function refusedIn(pathname: string): string | undefined {
  return pathname.endsWith("/") ? undefined : pathname;
}

function problemOf(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem("internal", 0, String(error));
}
