// The words of the doctor's view, which are fetched with it: texts of the view, and what the server's findings mean in
// other languages. English findings are the server's own sentences.

import { language } from "../i18n";
import type { Finding } from "../types";

const en = {
  again: "Look again",
  findOut: "Find out why",
  fine: "Nothing is wrong as far as can be seen from here.",
  found: "What was found",
  intro:
    "Why is a host not here, or why does it not see this one? hostpair looks at this machine's networks and its packet filter, and at the way to another host and back. It changes nothing.",
  look: "Look",
  looking: "Looking…",
  many: "{n} things need attention.",
  note: "Note",
  notReached: "Other hosts answer, but cannot connect here: they do not see what this host offers.",
  ok: "Fine",
  one: "One thing needs attention.",
  problem: "Problem",
  which: "Which host is missing?",
  whichHelp: "Its address or name. Empty: this machine alone.",
} as const;

type Word = keyof typeof en;

const zh: Record<Word, string> = {
  again: "重新检查",
  findOut: "查看原因",
  fine: "从本机看来一切正常。",
  found: "检查结果",
  intro:
    "某台主机为什么没有出现，或者为什么看不到本机？hostpair 会检查本机的网络和防火墙，以及与另一台主机之间的往返通路，不做任何更改。",
  look: "检查",
  looking: "正在检查…",
  many: "有 {n} 个问题需要处理。",
  note: "提示",
  notReached: "其他主机有应答，但无法连接到本机，因此看不到本机共享的内容。",
  ok: "正常",
  one: "有 1 个问题需要处理。",
  problem: "问题",
  which: "找不到哪台主机？",
  whichHelp: "它的地址或名称；留空则只检查本机。",
};

const KEY = "其中一个数据文件夹是副本。请在副本所在的主机上为它生成新的密钥：";
const CLOCK = "其中一台的时钟不对，请在该主机上启用网络校时：";
const NETWORK = "请把本机接入其他主机所在的网络。";
const MTU = "稍后再试。若短的应答能收到而长的不能，可能是 VPN 或路由器的 MTU 较小。";
const SLOW =
  "传输可以进行，只是需要时间。Wi-Fi 信号弱、VPN、对方设置的限速或同时进行的其他传输都会使它变慢。";

/** By slug: the sentence, and what to do. */
const zhFindings: Record<string, [text: string, todo?: string]> = {
  answers: ["{address} 通过 TLS 应答：它是 {host}（ID {id}）。"],
  "answers-plain": [
    "{address} 以明文 HTTP 应答，未证明身份，自称 {host}。",
    "hostpair 0.1 和只支持明文 HTTP 的程序会这样应答：可以下载文件，但收发消息和配对需要对方升级 hostpair。",
  ],
  "back-blocked": [
    "回程不通：{host} 无法连接到本机的 {own}。",
    "只有单向受阻：本机看得到 {host}，对方看不到本机。若下方有命令，请在本机运行它来开放端口；否则请检查两者之间的路由器、无线接入点或容器网络。",
  ],
  "back-other": [
    "{host} 看到的本机地址 {own} 由另一个程序应答。",
    "路由器或容器网络把该端口转到了别处。请在那里发布 hostpair 的端口，并用 --advertise ADDR:PORT 指明。",
  ],
  "back-too-old": ["无法判断 {host} 能否连接本机：它运行的 hostpair 版本较旧。", "请升级对方的 hostpair。"],
  "back-unknown": ["无法判断 {host} 能否连接本机：{detail}。"],
  "back-works": ["回程正常：{host} 已连接到本机的 {own}。"],
  "beacon-off": [
    "信标已关闭：本机不通告自己，也听不到其他主机。",
    "请在设置中打开，或启动时不要使用 --no-beacon。",
  ],
  "clock-ahead": ["{name} 的时钟比本机快 {seconds} 秒。", CLOCK],
  "clock-behind": ["{name} 的时钟比本机慢 {seconds} 秒。", CLOCK],
  "connect-failed": [
    "无法到达 {address}：{detail}。",
    "那台机器是否已开机、在同一网络上，地址是否仍属于它？",
  ],
  "connect-refused": [
    "{address} 拒绝连接：机器在线，但该端口没有程序监听。",
    "请在那里启动 hostpair，或按 地址:端口 添加它监听的端口。",
  ],
  "connect-timeout": [
    "{address} 没有应答：数据包在途中被丢弃。",
    "那台机器可能已关机，或其防火墙挡住了本机（此时双向都不通）。请在那台机器上运行：",
  ],
  connects: ["已连接到 {address}，用时 {ms} 毫秒。"],
  "container-hidden": [
    "hostpair 运行在使用独立网络的容器中，通告给其他主机的地址无法访问。",
    "请发布容器的端口，并用 --advertise ADDR:PORT（HOSTPAIR_ADVERTISE）指明本机的地址；或让容器使用本机网络。",
  ],
  "file-fails": ["列表已收到，但文件传不过来：{detail}。", MTU],
  "filter-closed": [
    "本机防火墙（{tool}，{where}）挡住了其他主机：{interface} 上的 TCP 端口 {port} 已关闭。",
    "用这条命令开放端口：",
  ],
  "filter-closed-udp": [
    "本机防火墙（{tool}，{where}）关闭了 {interface} 上的 UDP 端口 {port}，听不到其他主机的信标。",
    "扫描稍后仍会找到它们。用这条命令开放端口：",
  ],
  "filter-closed-ipv6": [
    "本机防火墙（{tool}，{where}）挡住了经 IPv6 而来的其他主机：{interface} 上的 TCP 端口 {port} 已关闭。",
    "在该网络上没有 IPv4 的主机无法连接。用这条命令开放端口：",
  ],
  "filter-no-tool": ["无法判断本机是否有防火墙：没有可以查看它的程序（nft、iptables、ufw、firewall-cmd）。"],
  "filter-none": ["本机没有阻挡他人的防火墙。"],
  "filter-open": ["本机防火墙（{tool}）允许其他主机访问端口 {port}。"],
  "filter-some": [
    "本机防火墙（{tool}，{where}）只放行部分发往 {interface} 的 TCP 端口 {port} 的数据包。",
    "用“{look}”查看规则。这条命令放行整个网络：",
  ],
  "filter-some-ipv6": [
    "本机防火墙（{tool}，{where}）只放行部分经 IPv6 发往 {interface} 的 TCP 端口 {port} 的数据包。",
    "用“{look}”查看规则。这条命令放行整个网络：",
  ],
  "filter-some-udp": [
    "本机防火墙（{tool}，{where}）只放行部分发往 {interface} 的 UDP 端口 {port} 的数据包。",
    "用“{look}”查看规则。这条命令放行整个网络：",
  ],
  "filter-unreadable": [
    "只有 root 能读取本机防火墙（{tool}），因此无法判断端口 {port} 是否开放。",
    "用“{look}”查看，或运行“sudo hostpair doctor”。如果端口已关闭，用这条命令开放：",
  ],
  "host-problem": ["{name}：{problem}。"],
  hosts: ["主机：{online} 台在线，共知道 {known} 台。"],
  interface: [
    "{interface}（{network}）：已发送信标 {beacons_sent} 个，收到 {beacons_heard} 个，扫描应答 {scan_answers} 个。",
  ],
  "interface-silent": [
    "{interface}（{network}）：已发送信标 {beacons_sent} 个，没有收到任何应答。",
    "这个网络上没有听到其他主机。如果应该有：那里是否运行着 hostpair，是否在同一网络（访客 Wi-Fi 会隔离设备），端口是否开放？输入它的地址可以进一步检查。",
  ],
  "interface-there": ["{interface}（{network}）已启用。"],
  itself: ["{address} 就是本机。"],
  list: ["已收到文件列表：{files} 个文件。"],
  "list-fails": ["收不到文件列表：{detail}", MTU],
  "list-refused": [
    "对方不向本机显示文件列表：它只允许已配对的主机，或屏蔽了本机。",
    "请让对方与本机配对、解除屏蔽，或更改其“access”设置。",
  ],
  "list-slow": ["文件列表在一分钟内没有收完：已收到 {files} 个文件，约为每秒 {bps} 字节。", SLOW],
  "listens-loopback": [
    "hostpair 只在 {address} 监听：其他机器无法连接。",
    "启动时不要使用 --peer-listen，或指定所服务网络的地址。",
  ],
  "member-only": ["{name} 只能通过群组访问，不在本网络。", "“hostpair hosts”会显示所用的通路及原因。"],
  "name-found": ["{name} 的地址是 {addresses}。"],
  "name-unknown": [
    "本机不认识名称 {name}：{detail}",
    "名称写对了吗？局域网名称常需加“.local”或路由器的后缀；直接用地址总是可行。",
  ],
  "network-large": [
    "{interface} 的网络太大，无法全部扫描，只尝试 {first} 到 {last}。",
    "其他地址的主机靠信标发现，也可以按地址添加。",
  ],
  "no-hostpair": [
    "端口已开放，但应答的不是 hostpair：{detail}。",
    "该端口被其他程序占用，或 hostpair 监听另一个端口：它启动时会显示。请按 地址:端口 添加。",
  ],
  "no-network": ["本机没有接入任何网络。", NETWORK],
  "no-route": ["本机没有通往 {address} 的路由。", "该地址属于本机未接入的网络，也没有路由器通往那里。"],
  "nobody-connects": [
    "{name} 有应答，但按请求回连时无法连接到本机。",
    "其他主机看不到本机。若下方有命令，用它开放端口；否则请检查路由器、无线接入点的设备隔离或途中的防火墙。",
  ],
  "not-running": ["本机没有运行 hostpair：{detail}。", "请先启动它："],
  "other-host": [
    "{address} 由另一台主机应答：{name}（ID {id}）。",
    "该地址现在属于另一台机器，或那台主机换了密钥。请按当前地址或名称重新添加。",
  ],
  "own-key": ["{address} 处的主机与本机使用同一个密钥。", KEY],
  route: ["到 {address} 的通路经由 {interface}，源地址 {own}。"],
  "same-key": ["两台主机使用同一个密钥（{name}）：{problem}。", KEY],
  "scan-off": [
    "扫描已关闭：不会自动寻找主机。",
    "请在设置中打开，或启动时不要使用 --no-scan。“立即扫描”仍然可用。",
  ],
  speed: ["文件传输速度为每秒 {bps} 字节。"],
  "speed-none": ["无法测速：对方没有共享 64 KiB 以上的文件。"],
  "speed-slow": ["文件传输很慢：约为每秒 {bps} 字节。", SLOW],
  "speed-rough": ["文件传输速度约为每秒 {bps} 字节（对方没有更大的文件，仅供参考）。"],
};

export const words = (key: Word): string => (language.value.startsWith("zh") ? zh : en)[key];

const fill = (text: string, finding: Finding): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = (finding.data as Record<string, unknown>)[name];
    return typeof value === "number"
      ? value.toLocaleString(language.value)
      : typeof value === "string"
        ? value
        : whole;
  });

const translated = (finding: Finding) =>
  language.value.startsWith("zh") ? zhFindings[finding.slug] : undefined;

/** The sentence in the person's language; the server's own where there is none. */
export function textOf(finding: Finding): string {
  const other = translated(finding);
  return other ? fill(other[0], finding) : finding.text;
}

export function todoOf(finding: Finding): string | null {
  const other = translated(finding);
  return other ? (finding.todo && other[1] ? fill(other[1], finding) : null) : finding.todo;
}
