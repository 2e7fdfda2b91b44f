// The texts of what is given to other hosts and to devices, which the first load of the page does without.

import { fill, language } from "./index";

const en = {
  asking: "asks there",
  cancelled: "cancelled",
  connecting: "connecting",
  declined: "declined",
  "device.away": "away",
  "device.desktop": "Computer with LocalSend",
  "device.forget": "Remove from the list",
  "device.headless": "Machine with LocalSend",
  "device.here": "online",
  "device.mobile": "Phone or tablet with LocalSend",
  "device.only": "No other host with hostpair yet",
  "device.send": "Send files",
  "device.server": "Machine with LocalSend",
  "device.title": "Devices with LocalSend",
  "device.web": "Browser with LocalSend",
  done: "has the files",
  drop: "Send to {name}?",
  "drop.go": "Offer",
  "drop.text": "Only {name} can get this. It is not put into the shared folder.",
  failed: "failed",
  later: "{name} is away, and is asked once it is back",
  list: "Sent to hosts",
  nobody: "No other host is known yet that files can be sent to",
  none: "took none of it",
  offered: "Offered to {name}",
  pin: "PIN of {name}",
  "pin.send": "Send with this PIN",
  sending: "gets the files",
  to: "Send to which host?",
  took: "took {n} of the {all} offered",
  waits: "away, is asked once it is back",
};

const zh: typeof en = {
  asking: "等待对方答复",
  cancelled: "已取消",
  connecting: "正在连接",
  declined: "已拒绝",
  "device.away": "已离开",
  "device.desktop": "装有 LocalSend 的电脑",
  "device.forget": "从列表中移除",
  "device.headless": "装有 LocalSend 的设备",
  "device.here": "在线",
  "device.mobile": "装有 LocalSend 的手机或平板",
  "device.only": "还没有其他装有 hostpair 的主机",
  "device.send": "发送文件",
  "device.server": "装有 LocalSend 的设备",
  "device.title": "LocalSend 设备",
  "device.web": "使用 LocalSend 的浏览器",
  done: "已收到",
  drop: "发送给 {name} 吗？",
  "drop.go": "发送",
  "drop.text": "只有 {name} 能获取这些文件，它们不会放入共享文件夹。",
  failed: "失败",
  later: "{name} 已离开，恢复在线后会询问对方",
  list: "发给其他主机的文件",
  nobody: "还没有可以接收文件的其他主机",
  none: "未接收任何文件",
  offered: "已向 {name} 提出发送",
  pin: "{name} 的 PIN",
  "pin.send": "用此 PIN 发送",
  sending: "正在接收",
  to: "发送到哪台主机？",
  took: "接收了 {all} 项中的 {n} 项",
  waits: "已离开，恢复在线后会询问",
};

export type PushKey = keyof typeof en;

/** A text of this file in the person's language, with a name, or other values, filled in. */
export const tp = (key: PushKey, values: string | Record<string, string | number> = {}): string =>
  fill(
    (language.value.startsWith("zh") ? zh : en)[key],
    typeof values === "string" ? { name: values } : values,
  );
