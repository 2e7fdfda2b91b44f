// The tunnel between two home networks: every kind of router against every other, one side late, routers that forget,
// lines that lose, reorder and cut, and the ways around. The programs are lab/lab.c and lab/wan.c.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test from "node:test";
import { tempDir, waitFor } from "../e2e/harness.mjs";
import { ip } from "./lan.mjs";
import { NatLab, pause, whyNoNat } from "./nat.mjs";
import { KINDS } from "./routers.mjs";

const skip = whyNoNat() || undefined;
const noMiniupnpd = existsSync("/usr/sbin/miniupnpd") ? undefined : "miniupnpd is not installed";
const quick = Boolean(process.env.HP_E2E_QUICK);
const soak = process.env.HP_LAB_SOAK; // how many runs
const BOTH_VARY = "both networks change ports on every connection";

const varying = (/** @type {string} */ kind) => kind === "random" || kind === "fully-random";
const strict = (/** @type {string} */ kind) => varying(kind) || kind.startsWith("preserving");
/** Whether UDP gets through between two kinds of routers at all. @param {string} a @param {string} b */
const passes = (a, b) => !((varying(a) && strict(b)) || (varying(b) && strict(a)));

const kinds = Object.keys(KINDS).filter((kind) => kind !== "blocked");
const pairs = quick
    ? [
          ["dmz", "fully-random"],
          ["fullcone", "random"],
          ["preserving", "preserving-reject"],
          ["preserving-accept", "preserving"],
          ["random", "preserving"],
          ["random", "fully-random"],
      ]
    : kinds.flatMap((a) => kinds.map((b) => [a, b]));

test("routers of all kinds", { skip, timeout: 600_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "dmz", b: "dmz" });
    for (const [kindA, kindB] of pairs)
        await t.test(`${kindA} and ${kindB}`, async (sub) => {
            lab.nat("a", kindA);
            lab.nat("b", kindB);
            const { a, b } = await lab.startBoth();
            const got = await a.fetch(b, 300_000);
            assert.ok(got.ok, got.error);
            if (passes(kindA, kindB)) {
                await a.waitForPath("direct");
                await b.waitForPath("direct");
                const again = await b.fetch(a, 300_000);
                assert.ok(again.ok, again.error);
                assert.equal(again.ways, "direct");
                sub.diagnostic(`first byte after ${got.first_ms.toFixed(0)} ms, ${got.ways}`);
            } else {
                assert.equal(got.ways, "relayed");
                await waitFor(() => a.path().path === "relayed" && !a.path().reason.includes("looked for"), {
                    timeout: 20_000,
                    what: "the reason",
                    detail: () => a.path(),
                });
                if (varying(kindA) && varying(kindB)) assert.equal(a.path().reason, BOTH_VARY);
                else
                    assert.match(
                        a.path().reason,
                        /(this|the other) network changes ports on every connection/,
                    );
            }
            await lab.stopHosts();
        });
});

for (const kind of ["preserving", "preserving-reject", "preserving-accept"])
    for (const late of quick ? [0, 60] : [0, 20, 60, 200])
        test(`${kind}: one side begins ${late} ms late`, { skip, timeout: 90_000 }, async (t) => {
            const lab = new NatLab(t);
            await lab.up({ a: kind, b: kind });
            lab.late.b = late;
            const { a, b } = await lab.startBoth();
            const got = await a.fetch(b, 300_000);
            assert.ok(got.ok, got.error);
            // A packet that arrives first spoils the port at a router whose own ports are open; there the relay serves.
            if (kind === "preserving-accept" && late > 35) return;
            await a.waitForPath("direct", 20_000);
            await b.waitForPath("direct", 20_000);
        });

for (const side of /** @type {const} */ (["a", "b"]))
    test(
        `the router of ${side} forgets its connections in the middle of a download`,
        { skip, timeout: 120_000 },
        async (t) => {
            const lab = new NatLab(t, { a: { rate: 40 }, b: { rate: 40 } });
            await lab.up({ a: "preserving", b: "preserving" });
            const { a, b } = await lab.startBoth();
            await a.fetch(b, 1000);
            await a.waitForPath("direct");
            const download = a.fetch(b, 20_000_000, { timeout: 90_000 });
            await pause(1500);
            lab.flush(side);
            const got = await download;
            assert.ok(got.ok, got.error);
            t.diagnostic(`${(got.ms / 1000).toFixed(1)} s, ${got.tries} connections: ${got.ways}`);
        },
    );

for (const side of /** @type {const} */ (["a", "b"]))
    test(
        `the router of ${side} gives another port in the middle of a download`,
        { skip, timeout: 120_000 },
        async (t) => {
            const lab = new NatLab(t, { a: { rate: 40 }, b: { rate: 40 } });
            await lab.up(side === "a" ? { a: "random", b: "dmz" } : { a: "dmz", b: "random" });
            const { a, b } = await lab.startBoth();
            await a.fetch(b, 1000);
            await a.waitForPath("direct");
            const download = a.fetch(b, 20_000_000, { timeout: 90_000 });
            await pause(1500);
            lab.flush(side);
            const got = await download;
            assert.ok(got.ok, got.error);
            t.diagnostic(`${(got.ms / 1000).toFixed(1)} s, ${got.tries} connections: ${got.ways}`);
        },
    );

test(
    "the other host's program dies and comes back in the middle of a download",
    { skip, timeout: 120_000 },
    async (t) => {
        const lab = new NatLab(t, { a: { rate: 40 }, b: { rate: 40 } });
        await lab.up({ a: "preserving", b: "preserving" });
        const data = tempDir();
        const a = await lab.start("a");
        const b = await lab.start("b", { data });
        a.know(b);
        b.know(a);
        await a.fetch(b, 1000);
        await a.waitForPath("direct");
        const download = a.fetch(b, 20_000_000, { timeout: 90_000 });
        await pause(1500);
        await b.kill9();
        const again = await lab.start("b", { data });
        assert.equal(again.id, b.id);
        again.know(a);
        const got = await download;
        assert.ok(got.ok, got.error);
        t.diagnostic(`${(got.ms / 1000).toFixed(1)} s, ${got.tries} connections: ${got.ways}`);
    },
);

test("the address changes in the middle of a download", { skip, timeout: 120_000 }, async (t) => {
    const lab = new NatLab(t, { a: { rate: 40 }, b: { rate: 40 } });
    await lab.up({ a: "preserving", b: "preserving" });
    const { a, b } = await lab.startBoth();
    await a.fetch(b, 1000);
    await a.waitForPath("direct");
    const download = a.fetch(b, 20_000_000, { timeout: 90_000 });
    await pause(1500);
    ip("-n", lab.ns("a"), "addr", "del", `${lab.address("a")}/24`, "dev", "eth0");
    ip("-n", lab.ns("a"), "addr", "add", "192.168.1.77/24", "dev", "eth0");
    ip("-n", lab.ns("a"), "route", "replace", "default", "via", "192.168.1.1");
    a.say({ do: "network" });
    const got = await download;
    assert.ok(got.ok, got.error);
    t.diagnostic(`${(got.ms / 1000).toFixed(1)} s, ${got.tries} connections: ${got.ways}`);
});

/** @type {[string, import("./nat.mjs").Line][]} */
const lines = [
    ["1 % of packets lost", { loss: 0.01 }],
    ["5 % of packets lost", { loss: 0.05 }],
    ["5 % of packets late by 5 ms", { reorder: 0.05, reorder_ms: 5 }],
    ["2 % of packets twice", { dup: 0.02 }],
    ["an MTU of 1280", { mtu: 1280 }],
    ["an MTU of 1400", { mtu: 1400 }],
    ["an MTU of 1280 that nobody tells", { mtu: 1280, blackhole: 1 }],
];
for (const [what, line] of lines)
    test(`a line with ${what}`, { skip, timeout: 120_000 }, async (t) => {
        const lab = new NatLab(t, {
            a: { rate: 100, ...line },
            b: { rate: 100, ...line },
        });
        await lab.up({ a: "preserving", b: "preserving" });
        const { a, b } = await lab.startBoth();
        const first = await a.fetch(b, 1000);
        assert.ok(first.ok, first.error);
        await a.waitForPath("direct", 20_000);
        const down = await a.fetch(b, 4_000_000, { timeout: 60_000 });
        assert.ok(down.ok, down.error);
        const up = await b.fetch(a, 4_000_000, { timeout: 60_000 });
        assert.ok(up.ok, up.error);
        t.diagnostic(`${(4000 / down.ms).toFixed(2)} and ${(4000 / up.ms).toFixed(2)} MB/s`);
    });

test("UDP blocked on one side is relayed, and said", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "blocked", b: "preserving" });
    const { a, b } = await lab.startBoth();
    const got = await a.fetch(b, 500_000);
    assert.ok(got.ok, got.error);
    assert.equal(got.ways, "relayed");
    await waitFor(() => a.path().reason === "this network lets no UDP through", {
        timeout: 10_000,
        what: "the reason",
        detail: () => a.path(),
    });
    await waitFor(() => b.path().reason === "the other network lets no UDP through", {
        timeout: 10_000,
        what: "the reason",
        detail: () => b.path(),
    });
});

test("UDP blocked on both sides is relayed, and said", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "blocked", b: "blocked" });
    const { a, b } = await lab.startBoth();
    const got = await a.fetch(b, 500_000);
    assert.ok(got.ok, got.error);
    assert.equal(got.ways, "relayed");
    await waitFor(() => a.path().reason === "neither network lets UDP through", {
        timeout: 10_000,
        what: "the reason",
        detail: () => a.path(),
    });
});

test("no way at all is said, too", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "random", b: "random" });
    lab.relays = false;
    const { a, b } = await lab.startBoth();
    const got = await a.fetch(b, 1000, { timeout: 50_000 });
    assert.equal(got.ok, false);
    assert.equal(a.path().path, "none");
    assert.equal(a.path().reason, "the hub relays nothing at present");
});

test("two machines behind one router meet in their own network", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "random", b: "preserving" });
    lab.addNamespace("c"); // on a's network, by a second cable of its router
    ip("-n", lab.ns("ra"), "link", "add", "bridge0", "type", "bridge");
    ip("-n", lab.ns("ra"), "addr", "del", "192.168.1.1/24", "dev", "lan");
    ip("-n", lab.ns("ra"), "link", "set", "lan", "name", "cable0", "master", "bridge0");
    ip(
        "-n",
        lab.ns("ra"),
        "link",
        "add",
        "cable1",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        lab.ns("c"),
    );
    ip("-n", lab.ns("ra"), "link", "set", "cable1", "master", "bridge0", "up");
    ip("-n", lab.ns("ra"), "link", "set", "bridge0", "name", "lan", "up");
    ip("-n", lab.ns("ra"), "addr", "add", "192.168.1.1/24", "dev", "lan");
    ip("-n", lab.ns("c"), "addr", "add", "192.168.1.30/24", "dev", "eth0");
    ip("-n", lab.ns("c"), "link", "set", "eth0", "up");
    ip("-n", lab.ns("c"), "route", "add", "default", "via", "192.168.1.1");
    const a = await lab.start("a");
    const c = await lab.start("a", { name: "c", ns: "c" });
    a.know(c);
    c.know(a);
    const got = await a.fetch(c, 500_000);
    assert.ok(got.ok, got.error);
    assert.equal(got.ways, "lan");
    await a.waitForPath("lan");
    await c.waitForPath("lan");
});

test("a router behind a router", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "preserving", b: "preserving" });
    lab.addNamespace("inner");
    lab.addNamespace("d");
    // a's place is taken by a second router, and d sits behind it.
    ip("-n", lab.ns("a"), "link", "set", "eth0", "netns", lab.ns("inner"));
    ip("-n", lab.ns("inner"), "addr", "add", "192.168.1.10/24", "dev", "eth0");
    ip("-n", lab.ns("inner"), "link", "set", "eth0", "up");
    ip("-n", lab.ns("inner"), "route", "add", "default", "via", "192.168.1.1");
    ip(
        "-n",
        lab.ns("inner"),
        "link",
        "add",
        "lan",
        "type",
        "veth",
        "peer",
        "name",
        "eth0",
        "netns",
        lab.ns("d"),
    );
    ip("-n", lab.ns("inner"), "addr", "add", "10.7.7.1/24", "dev", "lan");
    ip("-n", lab.ns("inner"), "link", "set", "lan", "up");
    ip("-n", lab.ns("d"), "addr", "add", "10.7.7.10/24", "dev", "eth0");
    ip("-n", lab.ns("d"), "link", "set", "eth0", "up");
    ip("-n", lab.ns("d"), "route", "add", "default", "via", "10.7.7.1");
    lab.on("inner", "sysctl", "-qw", "net.ipv4.ip_forward=1");
    lab.on(
        "inner",
        "nft",
        "add table ip nat; add chain ip nat post { type nat hook postrouting priority srcnat; }; add rule ip nat post oifname eth0 masquerade",
    );
    const a = await lab.start("a", { name: "d", ns: "d" });
    const b = await lab.start("b");
    a.know(b);
    b.know(a);
    const got = await a.fetch(b, 500_000);
    assert.ok(got.ok, got.error);
    await a.waitForPath("direct");
});

test("IPv6 with a firewall on each side, where IPv4 has no way", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t, { v6: true });
    await lab.up({ a: "random", b: "random" });
    const { a, b } = await lab.startBoth();
    const got = await a.fetch(b, 500_000);
    assert.ok(got.ok, got.error);
    await a.waitForPath("direct");
    assert.match(a.log(), /reached directly at 2001:db8:/);
});

for (const [how, speaks] of /** @type {const} */ ([
    ["PCP", { natpmp: true, upnp: false }],
    ["UPnP", { natpmp: false, upnp: true }],
]))
    test(`a router opens a port by ${how}`, { skip: skip ?? noMiniupnpd, timeout: 60_000 }, async (t) => {
        const lab = new NatLab(t, { outside: "44.128.7" });
        await lab.up({ a: "random", b: "fully-random" });
        const router = await lab.openPorts("a", speaks);
        const a = await lab.start("a", { args: ["--map", "--port", "9002"] });
        const b = await lab.start("b");
        a.know(b);
        b.know(a);
        const got = await b.fetch(a, 300_000);
        assert.ok(got.ok, got.error);
        await a.waitForPath("direct", 20_000);
        await b.waitForPath("direct", 20_000);
        assert.match(a.log(), new RegExp(`the router opened 44.128.7.1 port 9002 \\(${how}\\)`));
        assert.match(router.rules(), /th dport 9002 dnat/);
        assert.equal((await b.fetch(a, 300_000)).ways, "direct");
        await lab.stopHosts();
        assert.doesNotMatch(router.rules(), /th dport 9002 dnat/); // given back
    });

test("a relayed download goes on when the direct way comes", { skip, timeout: 90_000 }, async (t) => {
    const lab = new NatLab(t, { a: { rate: 40 }, b: { rate: 40 } });
    await lab.up({ a: "random", b: "random" });
    const { a, b } = await lab.startBoth();
    const relayed = a.fetch(b, 8_000_000, { timeout: 60_000 });
    await a.waitForPath("relayed");
    lab.nat("a", "dmz");
    lab.nat("b", "dmz");
    a.say({ do: "network" });
    const got = await relayed;
    assert.ok(got.ok, got.error);
    await a.waitForPath("direct", 20_000);
    const next = await a.fetch(b, 100_000);
    assert.equal(next.ways, "direct");
});

test("a hub that goes away leaves what stands", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t, { a: { rate: 40 }, b: { rate: 40 } });
    await lab.up({ a: "preserving", b: "preserving" });
    const { a, b } = await lab.startBoth();
    await a.fetch(b, 1000);
    await a.waitForPath("direct");
    lab.down = true;
    for (const host of [a, b]) host.say({ do: "online", online: false });
    const got = await a.fetch(b, 8_000_000);
    assert.ok(got.ok, got.error);
    assert.equal(got.ways, "direct");
});

test("nobody wants it: no UDP at all, until somebody does", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "preserving", b: "preserving" });
    const { a, b } = await lab.startBoth({ args: ["--idle", "2500"] });
    const sockets = (/** @type {string} */ name) => lab.on(name, "ss", "-uanH").trim();
    assert.equal(sockets("a"), "");
    const first = await a.fetch(b, 100_000);
    assert.ok(first.ok, first.error);
    await a.waitForPath("direct");
    assert.notEqual(sockets("a"), "");
    for (const [name, host] of /** @type {const} */ ([
        ["a", a],
        ["b", b],
    ])) {
        await waitFor(() => sockets(name) === "", { timeout: 10_000, what: "the sockets to close" });
        await host.waitForPath("none", 2000); // told over a socket: a moment later
    }
    const again = await b.fetch(a, 100_000);
    assert.ok(again.ok, again.error);
    await b.waitForPath("direct");
});

test(
    "a hundred downloads through a bad line, one after the other",
    { skip: skip ?? (soak ? undefined : "HP_LAB_SOAK is not set"), timeout: 1_800_000 },
    async (t) => {
        const bad = { rate: 100, loss: 0.02, reorder: 0.02, dup: 0.01 };
        const lab = new NatLab(t, { a: bad, b: bad });
        await lab.up({ a: "preserving", b: "preserving" });
        for (let run = 1; run <= Number(soak); run++) {
            const { a, b } = await lab.startBoth();
            const got = await a.fetch(b, 3_000_000, { timeout: 60_000 });
            assert.ok(got.ok, `run ${run}: ${got.error}`);
            await lab.stopHosts();
            if (run % 10 === 0) t.diagnostic(`${run}: ${(3000 / got.ms).toFixed(2)} MB/s, ${got.ways}`);
        }
    },
);

test("a host with another key is refused, and the reason is said", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "preserving", b: "preserving" });
    lab.relays = false;
    const a = await lab.start("a");
    const b = await lab.start("b");
    // An id is half of a fingerprint; somebody whose other half differs answers under the same id.
    const last = b.fingerprint.endsWith("0") ? "1" : "0";
    a.know({ fingerprint: b.fingerprint.slice(0, -1) + last });
    b.know(a);
    const got = await a.fetch(b, 1000, { timeout: 50_000 });
    assert.equal(got.ok, false);
    assert.equal(got.bytes, 0);
    assert.match(a.log(), /what answers there is another host: it showed another key/);
    assert.match(b.log(), /another key|refuses this host's key/);
    assert.doesNotMatch(a.log() + b.log(), /is reached directly/);
});
