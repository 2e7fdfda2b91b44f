// A hub, or a member, that names somebody else's address: what a host sends there is counted where it arrives.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { waitFor } from "../e2e/harness.mjs";
import { HUB, Homes } from "./homes.mjs";
import { ip } from "./lan.mjs";
import { NatLab, pause, whyNoNat } from "./nat.mjs";

const skip = whyNoNat() || undefined;
const VICTIM = "203.0.113.10";
/** The bounds of server/tunnel/unproven.h. */
const PACKETS = 150;
const CONNECTIONS = 20;

/**
 * Counts what comes in at a machine that matches: how many packets so far.
 * @param {NatLab} lab @param {string} where @param {string} match in nft's words
 */
function count(lab, where, match) {
    const table = `count${randomBytes(3).toString("hex")}`;
    const hook = "type filter hook input priority -200;";
    const rule = `chain in { ${hook} ${match} counter name here; }`;
    lab.on(where, "nft", `table inet ${table} { counter here { }; ${rule}; }`);
    return () =>
        Number(/packets (\d+)/.exec(lab.on(where, "nft", "list", "counter", "inet", table, "here"))?.[1]);
}

/** A machine that has nothing to do with it. @param {NatLab} lab */
const addVictim = (lab) => ip("-n", lab.ns("hub"), "addr", "add", `${VICTIM}/32`, "dev", "w");

test("UDP: twenty members whose addresses are all a victim's", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "dmz", b: "dmz" });
    addVictim(lab);
    const packets = count(lab, "hub", `ip daddr ${VICTIM} udp length > 0`);
    const { a, b } = await lab.startBoth();
    const played = Array.from({ length: 20 }, () => randomBytes(32).toString("hex"));
    const offer = (/** @type {string} */ session) => ({
        session,
        mapping: "fixed",
        candidates: Array.from({ length: 8 }, (_, i) => ({ kind: "mapped", address: VICTIM, port: 53 + i })),
    });
    let begun = 0;
    const asAHub = lab.onOffer.bind(lab);
    lab.onOffer = (from, to, given) => {
        if (to) return asAHub(from, to, given);
        begun++;
        const key = randomBytes(32).toString("hex");
        a.say({ do: "go", from: lab.heard.at(-1).to, peer: offer(given.session), key, wait_ms: 0 });
    };
    for (const fingerprint of played) a.know({ fingerprint });
    const end = Date.now() + 6000;
    while (Date.now() < end) {
        for (const fingerprint of played)
            a.say({
                do: "offered",
                from: fingerprint.slice(0, 32),
                offer: offer(randomBytes(16).toString("hex")),
            });
        await pause(1000);
    }
    t.diagnostic(`${begun} times the hub made it begin; ${packets()} packets came to the victim`);
    assert.ok(begun >= 40, `it began ${begun} times`);
    assert.ok(packets() > 0 && packets() <= PACKETS, `${packets()} packets came to the victim`);
    // Who answers is reached all the same.
    const got = await a.fetch(b, 100_000);
    assert.ok(got.ok, got.error);
    await a.waitForPath("direct");
});

test("TCP: a hub says that its relay is at a victim's", { skip, timeout: 60_000 }, async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "random", b: "fully-random" });
    addVictim(lab);
    const connections = count(lab, "hub", `ip daddr ${VICTIM} tcp flags & (syn | ack) == syn`);
    const { a, b } = await lab.startBoth();
    for (let i = 0; i < 300; i++) {
        const token = randomBytes(16).toString("hex");
        a.say({ do: "relay_asked", from: b.id, address: VICTIM, port: 25 + (i % 7), token });
        if (i % 50 === 49) await pause(200); // those before are over
    }
    await waitFor(() => a.log().includes("leads to relays that do not answer"), { what: "it to be said" });
    t.diagnostic(`${connections()} connections came to the victim`);
    assert.ok(connections() > 0 && connections() <= CONNECTIONS, `${connections()} connections`);
    const lines = a
        .log()
        .split("\n")
        .filter((line) => line.includes("relayed connection")).length;
    assert.ok(lines <= 31, `${lines} lines in the log`);
    // The hub's own relay serves all the same.
    const got = await a.fetch(b, 100_000);
    assert.ok(got.ok, got.error);
    assert.equal(got.ways, "relayed");
});

test("TCP: a hub says that its relay is in the home network", { skip, timeout: 120_000 }, async (t) => {
    const lab = new Homes(t);
    lab.hubArgs = ["--advertise", "192.168.1.1:22"];
    await lab.up({ a: "random", b: "fully-random" });
    const connections = count(lab, "ra", "tcp dport 22");
    const [a, b] = [await lab.home("a", "anna"), await lab.home("b", "ben")];
    b.run("group", "join", a.run("group", "create", "--hub", HUB, "friends").trim());
    for (const home of [a, b])
        await waitFor(
            () => /leads to 192\.168\.1\.1 port 22, into a network that is none of its own/.test(home.log()),
            { timeout: 60_000, what: "it to be said", detail: home.log },
        );
    assert.equal(connections(), 0, "nothing is sent there");
});
