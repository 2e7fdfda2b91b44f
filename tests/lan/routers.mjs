// Kinds of routers between a home and the internet, as rules of nftables.

/** What reaches the router itself. `w` is the interface to the internet, `lan` the one to the home network. */
const INPUT = {
    drop: "ct state established,related accept; iifname lo accept; iifname lan accept; drop",
    accept: "accept",
    reject: "ct state established,related accept; iifname lo accept; iifname lan accept; reject",
};
/** @type {Record<string, { masquerade: string, input?: string, forward?: boolean, cone?: boolean, block?: boolean }>} */
export const KINDS = {
    dmz: { masquerade: "masquerade", forward: true }, // everything from outside goes to the host
    fullcone: { masquerade: "masquerade", cone: true },
    preserving: { masquerade: "masquerade" },
    "preserving-accept": { masquerade: "masquerade", input: INPUT.accept },
    "preserving-reject": { masquerade: "masquerade", input: INPUT.reject },
    random: { masquerade: "masquerade random" },
    "fully-random": { masquerade: "masquerade fully-random" },
    blocked: { masquerade: "masquerade", block: true }, // no UDP at all
};

/** The rules that make a router one of a kind. @param {string} kind @param {string} host what lies behind it */
export function rules(kind, host) {
    const { masquerade, input = INPUT.drop, forward, cone, block } = KINDS[kind];
    const map = cone
        ? "map m { type inet_service : ipv4_addr . inet_service; flags dynamic,timeout; timeout 5m; size 65536; }"
        : "";
    const pre = cone
        ? "iifname w meta l4proto udp dnat ip to udp dport map @m;"
        : forward
          ? `iifname w meta l4proto { tcp, udp } dnat to ${host};`
          : "";
    const post = cone
        ? "oifname w meta l4proto udp update @m { udp sport : ip saddr . udp sport } masquerade; oifname w masquerade;"
        : `oifname w ${masquerade};`;
    return `flush ruleset
table ip nat {
  ${map}
  chain pre { type nat hook prerouting priority dstnat; ${pre} }
  chain post { type nat hook postrouting priority srcnat; ${post} }
}
table ip f {
  chain in { type filter hook input priority 0; ${input}; }
  chain fw { type filter hook forward priority 0; ${block ? "meta l4proto udp drop;" : ""} ct state established,related accept; iifname lan accept; ct status dnat accept; drop; }
}
table ip6 f6 {
  chain fw { type filter hook forward priority 0; ${block ? "meta l4proto udp drop;" : ""} ct state established,related accept; iifname lan accept; icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, packet-too-big } accept; drop; }
}
`;
}
