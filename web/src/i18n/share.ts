// Texts of the parts about shared folders, which are fetched when they are shown: a dictionary for each language, by its
// tag in languages.ts. A language that is not here shows English.

import { fill, language } from ".";

const en = {
  "folders.title": "Shared folders",
  "folders.add": "Share another folder",
  "folders.path": "Folder on this host",
  "folders.path.help":
    "An absolute path. Its files are shared where they are: nothing is copied, and nothing in it is deleted.",
  "folders.name": "Name that others see",
  "folders.name.help": "Leave it empty to take the folder's own name.",
  "folders.share": "Share it",
  "folders.added": "{name} is shared",
  "folders.remove": "Stop sharing",
  "folders.remove.of": "Stop sharing {name}",
  "folders.remove.title": "Stop sharing {name}?",
  "folders.remove.text": "Other hosts do not see it any more. Its files stay where they are, at {folder}.",
  "folders.removed": "{name} is not shared any more",
  "folders.missing": "not there",
  "left.count": "{n} file or folder is not offered|{n} files or folders are not offered",
  "left.name": "{n} with a name that other hosts cannot use (not UTF-8, control characters, or too long)",
  "left.unreadable": "{n} that hostpair may not read",
  "left.link":
    "{n} link that leads out of the folder, to a folder or to nothing|{n} links that lead out of the folder, to a folder or to nothing",
  "left.special": "{n} socket, pipe or device|{n} sockets, pipes or devices",
  "left.deep": "{n} in too many folders inside one another",
  "left.taken": "{n} with the name of another shared folder",
  "ignore.title": "What is not offered",
  "ignore.patterns": "Ignored names",
  "ignore.patterns.help":
    "Files and folders with these names are not offered. * stands for any characters, ? for one; blanks separate the names.",
  "ignore.dotfiles": "Offer hidden files",
  "ignore.dotfiles.help": "Files and folders whose names begin with a dot.",
};

type Texts = Record<keyof typeof en, string>;

const zh: Texts = {
  "folders.title": "共享的文件夹",
  "folders.add": "共享另一个文件夹",
  "folders.path": "本机上的文件夹",
  "folders.path.help": "绝对路径。文件在原处共享：不复制，也不会删除其中的任何内容。",
  "folders.name": "其他主机看到的名称",
  "folders.name.help": "留空则使用文件夹自己的名称。",
  "folders.share": "共享",
  "folders.added": "已共享 {name}",
  "folders.remove": "停止共享",
  "folders.remove.of": "停止共享 {name}",
  "folders.remove.title": "停止共享 {name}？",
  "folders.remove.text": "其他主机将不再看到它。文件仍留在原处：{folder}。",
  "folders.removed": "已停止共享 {name}",
  "folders.missing": "不在",
  "left.count": "有 {n} 个文件或文件夹未提供",
  "left.name": "{n} 个的名称其他主机无法使用（不是 UTF-8、含控制字符或过长）",
  "left.unreadable": "{n} 个 hostpair 无权读取",
  "left.link": "{n} 个链接指向文件夹之外、指向文件夹或无目标",
  "left.special": "{n} 个套接字、管道或设备",
  "left.deep": "{n} 个所在的文件夹层级过深",
  "left.taken": "{n} 个与另一个共享文件夹同名",
  "ignore.title": "不提供的内容",
  "ignore.patterns": "忽略的名称",
  "ignore.patterns.help":
    "具有这些名称的文件和文件夹不提供。* 代表任意字符，? 代表一个字符；名称之间用空格分隔。",
  "ignore.dotfiles": "提供隐藏文件",
  "ignore.dotfiles.help": "名称以点开头的文件和文件夹。",
};

const dictionaries: Record<string, Texts> = { en, "zh-CN": zh };

export type ShareKey = keyof Texts;

export function ts(key: ShareKey, values: Record<string, string | number> = {}): string {
  return fill((dictionaries[language.value] ?? en)[key], values);
}
