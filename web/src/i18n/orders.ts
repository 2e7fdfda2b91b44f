// Texts of the parts about orders that are fetched when they are shown: what web servers ask for, second copies, and what
// was kept of cancelled downloads. A dictionary for each language, by its tag in languages.ts.

import { fill, language } from ".";

const en = {
  "certificate.help":
    "Only for https:// and a certificate that this system does not trust: 64 hex digits, with or without colons.",
  "certificate.sha256": "SHA-256 fingerprint of its certificate",
  "certificate.shown":
    "The server shows a certificate with this SHA-256 fingerprint. Somebody in between could show another one: compare it with the server's own before you trust it.",
  "certificate.trust": "Trust this certificate",
  "copy.make": "Make a second copy",
  "copy.make.many": "Make second copies",
  "copy.more": "{names} and {n} more",
  "copy.text": "In the downloads folder: {path}. A second copy gets another name.",
  "copy.text.many": "Second copies of {names} get other names.",
  "copy.title": "{name} is already here",
  "copy.title.many": "{n} of them are already here",
  "headers.help": "One on each line, as Name: value.",
  "headers.line": "Line {n} is not of the form Name: value.",
  "headers.title": "Header lines",
  "headers.twice": "{name} is there twice.",
  "kept.age": "cancelled {when}",
  "kept.line": "Kept of {n} cancelled download: {size}|Kept of {n} cancelled downloads: {size}",
  "kept.none": "Nothing is kept",
  "kept.none.text": "When a download is cancelled and its data is kept, it is listed here.",
  "kept.of": "{done} of {size}",
  "kept.remove.all": "Remove all",
  "kept.remove.all.text": "{size} are deleted from the disk. A new order begins from the start.",
  "kept.remove.all.title": "Remove what was kept of {n} download?|Remove what was kept of all {n} downloads?",
  "kept.remove.of": "Remove {name}",
  "kept.remove.text": "{size} are deleted from the disk. A new order begins from the start.",
  "kept.remove.title": "Remove what was kept of {name}?",
  "kept.removed": "Removed what was kept of {name}",
  "kept.removed.many": "Removed what was kept of {n} download|Removed what was kept of {n} downloads",
  "kept.text":
    "The unfinished files of downloads that were cancelled. The next order of the same content goes on with them.",
  "kept.title": "Kept data",
  password: "Password",
  "password.alone": "A password needs a user name.",
  "server.asks": "What the server asks for",
  "server.asks.help": "It is sent to this server alone, and not shown again.",
  url: "URL",
  "url.help": "Any file on an HTTP or HTTPS server.",
  "url.scheme": "Only http:// and https:// can be downloaded.",
  user: "User name",
};

type Texts = Record<keyof typeof en, string>;

const zh: Texts = {
  "certificate.help": "仅用于 https:// 且本系统不信任的证书：64 个十六进制数字，可带冒号。",
  "certificate.sha256": "证书的 SHA-256 指纹",
  "certificate.shown":
    "服务器出示的证书的 SHA-256 指纹如下。中间的人可能出示另一份证书：信任之前请与服务器自己的指纹核对。",
  "certificate.trust": "信任此证书",
  "copy.make": "再下载一份",
  "copy.make.many": "各再下载一份",
  "copy.more": "{names} 等，另有 {n} 个",
  "copy.text": "它在下载文件夹中：{path}。第二份会使用另一个名称。",
  "copy.text.many": "{names} 的第二份会使用另外的名称。",
  "copy.title": "{name} 已经在本机",
  "copy.title.many": "其中 {n} 个已经在本机",
  "headers.help": "每行一个“名称: 值”。",
  "headers.line": "第 {n} 行不是“名称: 值”的形式。",
  "headers.title": "标头行",
  "headers.twice": "{name} 出现了两次。",
  "kept.age": "取消于{when}",
  "kept.line": "已取消的 {n} 个下载保留了 {size}",
  "kept.none": "没有保留的数据",
  "kept.none.text": "取消下载并保留数据后，会列在这里。",
  "kept.of": "{done}，共 {size}",
  "kept.remove.all": "全部移除",
  "kept.remove.all.text": "将从磁盘删除 {size}。再次下载会从头开始。",
  "kept.remove.all.title": "移除全部 {n} 个下载保留的数据？",
  "kept.remove.of": "移除 {name}",
  "kept.remove.text": "将从磁盘删除 {size}。再次下载会从头开始。",
  "kept.remove.title": "移除 {name} 保留的数据？",
  "kept.removed": "已移除 {name} 保留的数据",
  "kept.removed.many": "已移除 {n} 个下载保留的数据",
  "kept.text": "已取消的下载的未完成文件。下次下载相同内容时会从这里继续。",
  "kept.title": "保留的数据",
  password: "密码",
  "password.alone": "有密码就需要用户名。",
  "server.asks": "服务器的要求",
  "server.asks.help": "只发送给这台服务器，之后不再显示。",
  url: "网址",
  "url.help": "HTTP 或 HTTPS 服务器上的任意文件。",
  "url.scheme": "只能下载 http:// 和 https://。",
  user: "用户名",
};

const dictionaries: Record<string, Texts> = { en, "zh-CN": zh };

export type OrdersKey = keyof Texts;

export function to(key: OrdersKey, values: Record<string, string | number> = {}): string {
  return fill((dictionaries[language.value] ?? en)[key], values);
}
