// @ts-check
// Hosts at the other end of links that have no network of their own: VPNs, and cables between two machines.

import assert from "node:assert/strict";
import { test } from "node:test";

import { SCAN_ONLY, skip } from "./discovery.mjs";
import { Lan, ip } from "./lan.mjs";

/**
 * Two machines with a cable between them, and what is done at each end of it.
 * @param {import("./lan.mjs").TestContext} t
 * @param {string[][]} a arguments of ip(8) at the one
 * @param {string[][]} b at the other
 */
function cable(t, a, b) {
    const lan = new Lan(t);
    lan.host("a");
    lan.host("b");
    const [one, other] = ["a", "b"].map((name) => lan.namespaceOf(name));
    ip("link", "add", "vpn0", "netns", one, "type", "veth", "peer", "name", "vpn0", "netns", other);
    for (const [ns, commands] of /** @type {[string, string[][]][]} */ ([
        [one, a],
        [other, b],
    ])) {
        ip("-n", ns, "link", "set", "vpn0", "up");
        for (const command of commands) ip("-n", ns, ...command);
    }
    return lan;
}

/** @type {Record<string, [string[][], string[][]]>} */
const links = {
    "peer addresses (/32)": [
        [["address", "add", "10.9.0.1", "peer", "10.9.0.2", "dev", "vpn0"]],
        [["address", "add", "10.9.0.2", "peer", "10.9.0.1", "dev", "vpn0"]],
    ],
    "a network of two (/31)": [
        [["address", "add", "10.9.0.2/31", "dev", "vpn0"]],
        [["address", "add", "10.9.0.3/31", "dev", "vpn0"]],
    ],
    "routes alone": [
        [
            ["address", "add", "10.9.0.1/32", "dev", "vpn0"],
            ["route", "add", "10.9.0.0/28", "dev", "vpn0"],
        ],
        [
            ["address", "add", "10.9.0.5/32", "dev", "vpn0"],
            ["route", "add", "10.9.0.1/32", "dev", "vpn0"],
        ],
    ],
};
for (const [what, [a, b]] of Object.entries(links))
    for (const first of ["a", "b"])
        test(`a scan finds the other end of a link with ${what}, from ${first}`, { skip }, async (t) => {
            const lan = cable(t, a, b);
            const other = first === "a" ? "b" : "a";
            await lan.start(other, { args: ["--no-scan", "--no-beacon"] });
            const here = await lan.start(first, { args: SCAN_ONLY });
            await here.waitForHosts([other], 10_000);
            const { total } = (await here.api("/status")).json.scan;
            assert.ok(total <= 64, `${total} addresses were scanned`);
        });
