// Downloads of hostpair in one home from hostpair in another, in all kinds of trouble on the way: routers that forget, an address
// that changes, bad lines, a hub that is away, starts anew or has no relay left. Every one ends with the right bytes, and next to
// nothing comes twice.
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { waitFor } from "../e2e/harness.mjs";
import { Homes, MiB, fetchFile, offer, reaches } from "./homes.mjs";
import { ip } from "./lan.mjs";
import { whyNoNat } from "./nat.mjs";

const skip = whyNoNat() || undefined;
/** How long the hub is away, s; HP_LAB_HUB_AWAY=60 for the whole minute. */
const AWAY_S = Number(process.env.HP_LAB_HUB_AWAY || 15);
const RATE = 40; // Mbit/s

/** @param {Homes} lab @param {"a" | "b"} side @param {number} last of its new address */
function readdress(lab, side, last) {
    const old = lab.on(side, "ip", "-4", "-o", "addr", "show", "dev", "eth0").match(/inet (\S+)/)?.[1] ?? "";
    ip("-n", lab.ns(side), "addr", "del", old, "dev", "eth0");
    ip("-n", lab.ns(side), "addr", "add", `${lab.lan[side]}.${last}/24`, "dev", "eth0");
    ip("-n", lab.ns(side), "route", "replace", "default", "via", `${lab.lan[side]}.1`);
}

test("direct downloads in trouble", { skip, timeout: 600_000 }, async (t) => {
    const good = { rate: RATE, queue: 300 };
    const lab = new Homes(t, { a: { ...good }, b: { ...good } });
    await lab.up({ a: "preserving", b: "preserving" });
    const { a, b } = await lab.pair();
    await reaches(b, a, "direct");
    let number = 0;
    /**
     * @param {string} what @param {(done: () => number) => unknown} [midway]
     * @param {{ breaks?: number, mib?: number, line?: import("./nat.mjs").Line, timeout?: number }} [options] line: how b's is meanwhile
     */
    const trouble = (what, midway, { breaks = midway ? 1 : 0, mib = 12, line, timeout } = {}) =>
        t.test(what, async (sub) => {
            const name = `${++number}.bin`;
            offer(a, name, mib * MiB);
            if (line) await lab.setLine?.("b", line);
            sub.diagnostic(await fetchFile(b, a, name, midway, { rate: RATE, breaks, timeout }));
            if (line) await lab.setLine?.("b", { delay: 20, loss: 0, reorder: 0 });
            await reaches(b, a, "direct");
        });
    await trouble("nothing happens");
    await trouble("the other router forgets", () => lab.flush("a"));
    await trouble("the own router forgets", () => lab.flush("b"));
    await trouble("both forget", () => (lab.flush("a"), lab.flush("b")));
    // The routers have also forgotten the connections to the hub: that is found out before TCP does, after 35 s and more.
    const soon = { timeout: 60_000 }; // a second try of the ways comes after 35 s
    await trouble("the address changes here", () => readdress(lab, "b", 77), soon);
    await trouble("the address changes there", () => readdress(lab, "a", 77), soon);
    await trouble("1 % is lost", undefined, { line: { loss: 0.01 }, mib: 8 });
    await trouble("5 % is lost", undefined, { line: { loss: 0.05 }, mib: 6 });
    await trouble("5 % comes late", undefined, { line: { reorder: 0.05, reorder_ms: 5 }, mib: 8 });
    await trouble("200 ms there and back", undefined, { line: { delay: 85 }, mib: 8 });
    /** Nothing passes for a while. @param {number} seconds */
    const nothing = async (seconds) => {
        await lab.setLine?.("b", { loss: 1 });
        await pause(seconds * 1000);
        await lab.setLine?.("b", { loss: 0 });
    };
    const flap = async () => {
        for (let i = 0; i < 4; i++) {
            await nothing(2);
            await pause(2000);
        }
    };
    await trouble("the line comes and goes every 2 s", flap, { breaks: 4, mib: 24, timeout: 60_000 });
    await trouble("the other is gone for 20 s without a word", () => nothing(20), soon);
    // QUIC needs 1200 bytes (RFC 9000, section 14): the relay takes over, and the direct way comes back.
    await trouble(
        "the MTU falls to 576 for a while",
        async (done) => {
            await lab.setLine?.("b", { mtu: 576 });
            const before = done();
            await waitFor(() => done() > before + 2 * MiB, {
                timeout: 60_000,
                what: "bytes in small packets",
            });
            await lab.setLine?.("b", { mtu: 1500 });
        },
        { breaks: 2, timeout: 90_000 },
    );
    for (const mtu of [1400, 1280])
        for (const blackhole of [0, 1]) {
            const what = `the MTU falls to ${mtu}${blackhole ? ", and nobody tells" : ""}`;
            await trouble(what, () => lab.setLine?.("b", { mtu, blackhole }));
            await lab.setLine?.("b", { mtu: 1500, blackhole: 0 });
        }
});

describe("the hub", { skip, concurrency: true, timeout: 300_000 }, () => {
    for (const [way, kinds] of /** @type {const} */ ([
        ["direct", { a: "preserving", b: "preserving" }],
        ["relayed", { a: "random", b: "fully-random" }],
    ]))
        test(`is away: a ${way} download`, async (t) => {
            const lab = new Homes(t, { a: { rate: 8, queue: 200 }, b: { rate: 8, queue: 200 } });
            await lab.up(kinds);
            const { a, b } = await lab.pair();
            offer(a, "film.bin", (way === "direct" ? AWAY_S + 8 : 8) * MiB);
            await reaches(b, a, way);
            const said = await fetchFile(
                b,
                a,
                "film.bin",
                async (done) => {
                    await lab.hub?.stop();
                    await pause(2000); // what was received already is written
                    const before = done();
                    await pause(AWAY_S * 1000 - 2000);
                    const meanwhile = done() - before;
                    if (way === "direct")
                        assert.ok(meanwhile > MiB / 2, `${meanwhile} bytes without the hub`);
                    else assert.equal(meanwhile, 0, "the relay is the hub's");
                    assert.notEqual(b.api("/groups").groups[0].state, "connected");
                    await lab.startHub();
                },
                { rate: 8, timeout: 60_000 + AWAY_S * 3000 },
            );
            t.diagnostic(said);
            await waitFor(() => b.api("/groups").groups[0].state === "connected", {
                timeout: 90_000,
                what: "the hub to be back",
            });
        });

    test(
        "has a slow relay, and no more of it: a download is delayed, and it is said",
        { timeout: 180_000 },
        async (t) => {
            const lab = new Homes(t);
            lab.hubArgs = ["--relay-limit", "2M"];
            lab.hubWrap = ["prlimit", "--nofile=200"]; // with so few the hub joins eight pairs
            await lab.up({ a: "random", b: "fully-random" });
            const { a, b } = await lab.pair();
            await reaches(b, a, "relayed");
            b.api("/settings", { connections_per_source: 12 }, "PATCH");
            offer(a, "film.bin", 12 * MiB);
            const begun = Date.now();
            t.diagnostic(await fetchFile(b, a, "film.bin"));
            const seconds = (Date.now() - begun) / 1000;
            assert.ok(seconds > 5, `12 MiB at 2 MB/s took ${seconds} s`);
            assert.match(
                b.log(),
                /no relayed connection: this hub relays as many connections as it can \(8\)/,
            );
        },
    );
});

test("the hub starts anew while two hosts look for each other", { skip, timeout: 300_000 }, async (t) => {
    const lab = new Homes(t);
    await lab.up({ a: "preserving", b: "preserving" });
    const { a, b: first } = await lab.pair();
    let b = first;
    for (const ms of [0, 60]) {
        offer(a, `${ms}.bin`, 3 * MiB);
        await b.stop();
        b = await lab.home("b", "ben", first.folder);
        await waitFor(() => b.log().includes("-> connected"), { interval: 2, what: "Ben at the hub" });
        await pause(ms);
        await lab.hub?.stop();
        await lab.startHub();
        const said = await fetchFile(b, a, `${ms}.bin`);
        await reaches(b, a, "direct", 60_000);
        t.diagnostic(`${ms} ms after it came to the hub: ${said}`);
    }
});
