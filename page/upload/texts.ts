/**
 * What the panel of uploads says, in both languages.
 *
 * @module
 */

import type { Flaw } from "./collect.ts";

/** A language of the page. */
export type Language = "en" | "zh";

/** How many files: `1 file`, `2 files`. */
function files(count: number): string {
  return count === 1 ? "1 file" : `${count} files`;
}

const EN = {
  title: "Uploads",
  /** The name of the area that a screen reader announces. */
  dropHere: (directory: string) =>
    directory === "" ? "Drop to upload" : `Drop to upload to “${directory}”`,
  sending: (arrived: number, all: number) => `${arrived} of ${files(all)} arrived`,
  nothing: "There was no file in it",
  noneSent: "Nothing was sent",
  allArrived: (all: number) =>
    all === 1 ? "The file has arrived" : `All ${files(all)} have arrived`,
  someArrived: (arrived: number, all: number) => `${arrived} of ${files(all)} arrived`,
  looking: "Looking at what is to be sent…",
  amount: (sent: string, all: string) => `${sent} of ${all}`,
  perSecond: (size: string) => `${size}/s`,
  left: (time: string) => `${time} left`,
  paused: "Waiting for the connection. It goes on by itself.",
  loginNeeded: "Waiting for you to log in. Then it goes on by itself.",
  pausedForLogin: "waits for a login",
  seconds: (count: number) => `${count} s`,
  minutes: (count: number) => `${count} min`,
  hours: (hours: number, minutes: number) => `${hours} h ${minutes} min`,
  states: {
    waiting: "waits",
    reading: "compares with the server",
    sending: "is sent",
    paused: "waits for the connection",
    checking: "is checked",
    arrived: "arrived, MD5 equal",
    wasThere: "was there already, MD5 equal",
    exists: "another file has this name",
    skipped: "not sent",
    failed: "failed",
  },
  replace: "Replace",
  replaceAll: "Replace all",
  skip: "Skip",
  skipAll: "Skip all",
  retry: "Try again",
  retryAll: "Try all again",
  cancel: "Cancel",
  cancelAll: "Cancel all",
  cancelFile: (name: string) => `Cancel ${name}`,
  clear: "Close",
  fold: "Show less",
  unfold: "Show more",
  undecided: (count: number) =>
    count === 1
      ? "A file on the server has the name of one of yours, and another content."
      : `${count} files on the server have names of yours, and another content.`,
  failed: (count: number) => `${files(count)} did not arrive.`,
  /** A reason, and for how many files it is one. */
  reason: (text: string, count: number) => count === 1 ? text : `${text} (${files(count)})`,
  unfinished: (names: string, arrived: number, all: number) =>
    all === 1
      ? `${names} was not sent completely.`
      : `${names}: ${arrived} of ${files(all)} have arrived.`,
  chooseAgain:
    "A page cannot keep files. Choose the same again, and the upload goes on where it ended.",
  choose: "Choose",
  forget: "Forget",
  andMore: (count: number) => `and ${count} more`,
  counted: (here: number, there: number) =>
    `Counted on both sides: ${here} here, ${there} on the server with the same size and MD5.`,
  missing: "On the server they are missing or different:",
  confirmed: (count: number) => `The server has confirmed the MD5 of ${files(count)}.`,
  notCounted: "Not everything could be compared at the end:",
  unsendable: "A browser cannot send these:",
  mayMiss: "What browsers leave out of folders",
  flaws: {
    unreadable: "it cannot be read: check its permissions",
    "same-path":
      "several files have this path in the browser, since one name contains a backslash: " +
      "drop the folder on the page instead of choosing it, or rename the file",
    renamed: "its name contains a backslash, which the dialog changes: drop the folder on the page",
    nameless: "a name in there is not Unicode: rename it",
    links: "a page is not shown links in a folder: send what they lead to by itself",
    dialog: "a dialog passes over empty folders, links, and folders that links lead to: " +
      "drop the folder on the page to send these folders, too",
  } satisfies Record<Flaw, string>,
  codes: {
    offline: "There is no connection.",
    unreadable: "The file has changed or cannot be read: choose it again.",
    lost:
      "It arrived, but somebody has moved, deleted or changed it since: try again to send it once more.",
    differs:
      "The server has stored something else than was sent: try again, and tell whoever runs the server.",
    auth_required: "Log in, then try again.",
    denied: "You may not write here: choose another folder, or ask for a token that may.",
    exists: "A file with this name is there.",
    not_a_file:
      "There is a folder where a file is needed, or the other way round: rename one of them.",
    bad_name: "The server cannot store this name: rename the file.",
    too_large:
      "The file is larger than the server takes: ask whoever runs it, or send it in parts.",
    quota: "The server's quota is used up: delete something there, then try again.",
    no_space: "The server's disk is full: delete something there, then try again.",
    busy: "Somebody else is sending this file: try again later.",
    checksum_mismatch: "The bytes were damaged on the way: try again.",
    not_found: "This place is not there any more: choose another folder.",
    gone: "This link has ended: ask for another one.",
    other: "The server could not do it: try again.",
  },
  /** What the server says about a failure, in its language. */
  server: (title: string) => `The server says: ${title}.`,
};

/** The texts in one language. */
export type UploadTexts = typeof EN;

const ZH: UploadTexts = {
  title: "上传",
  dropHere: (directory) => directory === "" ? "松开即可上传" : `松开即可上传到“${directory}”`,
  sending: (arrived, all) => `已送达 ${arrived}/${all} 个文件`,
  nothing: "其中没有文件",
  noneSent: "未发送任何文件",
  allArrived: (all) => all === 1 ? "文件已送达" : `全部 ${all} 个文件均已送达`,
  someArrived: (arrived, all) => `已送达 ${arrived}/${all} 个文件`,
  looking: "正在查看要发送的内容…",
  amount: (sent, all) => `${sent} / ${all}`,
  perSecond: (size) => `${size}/秒`,
  left: (time) => `剩余 ${time}`,
  paused: "正在等待网络连接，恢复后会自动继续。",
  loginNeeded: "正在等待您登录，登录后会自动继续。",
  pausedForLogin: "等待登录",
  seconds: (count) => `${count} 秒`,
  minutes: (count) => `${count} 分钟`,
  hours: (hours, minutes) => `${hours} 小时 ${minutes} 分钟`,
  states: {
    waiting: "等待中",
    reading: "正在与服务器比对",
    sending: "正在发送",
    paused: "等待网络连接",
    checking: "正在校验",
    arrived: "已送达，MD5 一致",
    wasThere: "服务器上已有，MD5 一致",
    exists: "已有同名的其他文件",
    skipped: "未发送",
    failed: "失败",
  },
  replace: "替换",
  replaceAll: "全部替换",
  skip: "跳过",
  skipAll: "全部跳过",
  retry: "重试",
  retryAll: "全部重试",
  cancel: "取消",
  cancelAll: "全部取消",
  cancelFile: (name) => `取消 ${name}`,
  clear: "关闭",
  fold: "收起",
  unfold: "展开",
  undecided: (count) => `服务器上有 ${count} 个文件与您的文件同名，但内容不同。`,
  failed: (count) => `${count} 个文件未送达。`,
  reason: (text, count) => count === 1 ? text : `${text}（${count} 个文件）`,
  unfinished: (names, arrived, all) =>
    all === 1 ? `${names} 尚未发送完毕。` : `${names}：已送达 ${arrived}/${all} 个文件。`,
  chooseAgain: "网页无法保留文件。请重新选择相同的内容，上传将从中断处继续。",
  choose: "选择",
  forget: "不再继续",
  andMore: (count) => `以及另外 ${count} 项`,
  counted: (here, there) => `两端核对：本地 ${here} 个，服务器上大小和 MD5 均一致的 ${there} 个。`,
  missing: "服务器上缺少以下文件，或内容不同：",
  confirmed: (count) => `服务器已确认 ${count} 个文件的 MD5。`,
  notCounted: "最后未能全部核对：",
  unsendable: "浏览器无法发送以下内容：",
  mayMiss: "浏览器会略过的内容",
  flaws: {
    unreadable: "无法读取：请检查权限",
    "same-path":
      "名称中含有反斜杠，导致浏览器中有多个文件路径相同：请将文件夹拖放到页面上，或重命名该文件",
    renamed: "名称中含有反斜杠，会被对话框更改：请将文件夹拖放到页面上",
    nameless: "其中有名称不是 Unicode：请重命名",
    links: "网页看不到文件夹中的链接：请单独发送链接所指的内容",
    dialog: "对话框会略过空文件夹、链接以及链接所指的文件夹：请将文件夹拖放到页面上，以便一并发送",
  },
  codes: {
    offline: "没有网络连接。",
    unreadable: "文件已更改或无法读取：请重新选择。",
    lost: "文件曾送达，但之后已被移动、删除或更改：请重试以再次发送。",
    differs: "服务器保存的内容与发送的不同：请重试，并告知服务器管理员。",
    auth_required: "请登录后重试。",
    denied: "您无权在此写入：请选择其他文件夹，或索取有写入权限的令牌。",
    exists: "已有同名文件。",
    not_a_file: "需要文件的位置是文件夹，或者相反：请重命名其中之一。",
    bad_name: "服务器无法保存此名称：请重命名文件。",
    too_large: "文件超过了服务器允许的大小：请联系服务器管理员，或将其分成多个部分发送。",
    quota: "服务器配额已用完：请删除一些内容后重试。",
    no_space: "服务器磁盘已满：请删除一些内容后重试。",
    busy: "其他人正在发送此文件：请稍后重试。",
    checksum_mismatch: "数据在传输途中损坏：请重试。",
    not_found: "此位置已不存在：请选择其他文件夹。",
    gone: "此链接已失效：请索取新的链接。",
    other: "服务器未能完成操作：请重试。",
  },
  server: (title) => `服务器的说明：${title}。`,
};

/** The texts by their languages. */
export const UPLOAD_TEXTS: Readonly<Record<Language, UploadTexts>> = { en: EN, zh: ZH };

/** Why files have failed, the commonest reason first. */
export function reasonsText(failures: readonly Failure[], texts: UploadTexts): string[] {
  const counts = new Map<string, number>();
  for (const failure of failures) {
    const text = failureText(failure, texts);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return [...counts].sort(([, one], [, other]) => other - one)
    .map(([text, count]) => texts.reason(text, count));
}

/** What is known of a failure. */
interface Failure {
  readonly code: string;
  readonly status: number;
  readonly message: string;
}

/** How long something takes, coarsely: nobody reads seconds beside hours. */
export function timeText(seconds: number, texts: UploadTexts): string {
  if (seconds < 59.5) return texts.seconds(Math.max(1, Math.round(seconds)));
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return texts.minutes(minutes);
  return texts.hours(Math.floor(minutes / 60), minutes % 60);
}

/** What a failure means, and what to do. */
export function failureText(
  { code, status, message }: Failure,
  texts: UploadTexts,
): string {
  const key = status === 410 ? "gone" : code;
  const known = Object.hasOwn(texts.codes, key);
  const text = texts.codes[known ? key as keyof UploadTexts["codes"] : "other"];
  return known || message === "" ? text : `${text} ${texts.server(message)}`;
}
