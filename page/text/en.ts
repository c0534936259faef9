/**
 * The texts of the page in English.
 *
 * @module
 */

const { format: number } = new Intl.NumberFormat("en");

const things = (count: number) => count === 1 ? "1 item" : `${number(count)} items`;

/** The texts of the page in English; the other languages have the same keys. */
export const EN = {
  /** The name of the other language, in itself. */
  otherLanguage: "中文",
  title: "Files",
  root: "Files",
  skip: "Skip to the list",
  path: "Path",

  name: "Name",
  size: "Size",
  modified: "Modified",
  choose: (name: string) => `Choose ${name}`,
  chooseAll: "Choose all",
  special: "Neither a file nor a folder",
  sortBy: (column: string) => `Sort by ${column}`,
  counted: (directories: number, files: number) =>
    [
      directories > 0 ? `${number(directories)} folder${directories === 1 ? "" : "s"}` : "",
      files > 0 || directories === 0 ? `${number(files)} file${files === 1 ? "" : "s"}` : "",
    ].filter((part) => part !== "").join(", "),
  foundOf: (found: number, all: number) => `${number(found)} of ${things(all)}`,
  chosen: (count: number) => `${things(count)} chosen`,
  loading: "Loading…",

  uploadFiles: "Upload files",
  uploadFolder: "Upload folder",
  newFolder: "New folder",
  download: "Download",
  downloadAll: "Download all",
  open: "Open",
  rename: "Rename",
  remove: "Delete",
  share: "Share",
  details: "Details",
  more: (name: string) => `Actions for ${name}`,
  search: "Search this folder",
  searchBelow: "Search the folders in it, too",
  clearSearch: "Clear the search",
  clearChoice: "Choose nothing",
  reload: "Reload",

  empty: "This folder is empty",
  emptyHint: "Drop files or folders here, or choose some to upload.",
  emptyReadOnly: "There is nothing to download here yet.",
  nothingFound: "Nothing here has that name",
  nothingFoundHint: "All words that are searched for have to be in a name.",

  cancel: "Cancel",
  close: "Close",
  create: "Create",
  save: "Save",
  copy: "Copy",
  copied: "Copied",
  folderName: "Name of the folder",
  newName: "New name",
  badName: "A name cannot be empty, “.” or “..”, or contain a slash.",
  removeOne: (name: string) => `Delete “${name}”?`,
  removeMany: (count: number) => `Delete ${things(count)}?`,
  removeHint: "This cannot be undone.",
  removeFolderHint: "Everything in it is deleted as well. This cannot be undone.",
  removeFoldersHint: "Everything in the folders is deleted as well. This cannot be undone.",
  removed: (count: number) => `${things(count)} deleted`,
  removing: (done: number, all: number) => `Deleting ${number(done)} of ${number(all)}…`,
  created: (name: string) => `Folder “${name}” created`,
  renamed: (name: string) => `Renamed to “${name}”`,
  mayNotUpload:
    "You may not upload here: go to another folder, or log in with a token that may write.",
  tooManyForOne: "These cannot be one download: choose fewer of them, or the whole folder.",

  logIn: "Log in",
  logOut: "Log out",
  loggedInAs: (name: string) => `Logged in as ${name}`,
  token: "Token",
  tokenHint: "Whoever runs this server makes tokens with “ferryd token new”.",
  welcome: "Log in to see the files",
  loggingIn: "Logging in…",
  wrongToken: "This token is not valid. Copy all of it, and ask for a new one if it has expired.",
  sessionEnded: "Your session has ended: the token was revoked or has expired. Log in again.",

  shareTitle: (name: string) => `Share “${name}”`,
  shareFor: "People with the link may",
  shareDownload: "Download",
  shareUpload: "Upload into the folder, and see nothing",
  shareExpires: "The link ends after",
  shareNever: "never",
  shareHours: (hours: number) =>
    hours < 24
      ? `${hours} hour${hours === 1 ? "" : "s"}`
      : `${hours / 24} day${hours === 24 ? "" : "s"}`,
  shareLimit: "Downloads at most",
  shareAny: "any number",
  shareCreate: "Create a link",
  shareLink: "The link",
  shareAnother: "Another link",
  shares: "Share links",
  noShares: "You have no share links.",
  revoke: "Revoke",
  revoked: "The link no longer works",
  sharedFolder: "Upload link",
  endsOn: (date: string) => `until ${date}`,
  linkEnds: (date: string) => `The link works until ${date}.`,
  endsNever: "without an end",
  taken: (taken: number, most: number) => `${taken} of ${most} downloads`,

  dropTitle: (name: string) => name === "" ? "Upload files" : `Upload files to “${name}”`,
  dropHint:
    "Drop files or folders anywhere on this page, or choose them. What is in the folder is not shown here.",

  theme: "Colours",
  themes: { auto: "as the system", light: "light", dark: "dark" },
  keys: "Keyboard",
  keyList: [
    ["↑ ↓", "go through the list"],
    ["Enter", "open"],
    ["Backspace", "to the folder above"],
    ["Space", "choose"],
    ["Shift ↑ ↓", "choose several"],
    ["Ctrl A", "choose all"],
    ["Delete", "delete"],
    ["F2", "rename"],
    ["/", "search"],
    ["N", "new folder"],
    ["U", "upload files"],
    ["?", "this list"],
  ],
  menu: "Menu",
  md5Hint: "Computed by the server from the content it has.",
  computing: "computing…",

  failed: "That did not work",
  tryAgain: "Try again",
  elsewhere: "You may go to",
  back: "Back to all files",
  problems: {
    auth_required: "Log in first.",
    denied: "You may not do this. Ask whoever runs the server for a token with more rights.",
    not_found:
      "It is not there any more, or never was: somebody may have moved or deleted it. Look in the folder above.",
    exists: "Something has that name already: choose another name.",
    bad_name: "The server cannot store that name: choose another one.",
    too_large: "It is larger than the server takes.",
    quota: "The server's quota is used up: delete something, or ask whoever runs the server.",
    no_space: "The server's disk is full: delete something, or ask whoever runs the server.",
    not_a_file: "That is a folder where a file is expected, or the other way round.",
    unreachable: "The server does not answer. Check the network, and try again when it is back.",
    timeout: "The server took too long to answer: try again.",
    busy: "The server is busy, or something is in use: try again in a moment.",
    closed: "The connection was interrupted: try again.",
    io: "The server could not read or write its files: try again, and tell whoever runs it.",
    internal: "Something in the server has failed: try again, and tell whoever runs it.",
    otherName:
      "The server does not go by the name in the address. Open it by its address in numbers, or ask whoever runs it to give it that name (ferryd --http-host).",
    gone: "This link has ended: it has expired, was used up, or was revoked. Ask for a new one.",
    link: "There is no such link. Check that all of it was copied, or ask for a new one.",
    other: (reason: string) => `The server says: ${reason}.`,
  },
};

/** The texts of the page in one language. */
export type Texts = typeof EN;
