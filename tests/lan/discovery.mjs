// @ts-check
// Options, networks and a wait that the tests of discovery share.

import { whyNot } from "./lan.mjs";

export const skip = whyNot() || false;
export const BEACON_ONLY = ["--no-scan"];
export const SCAN_ONLY = ["--no-beacon"];
export const QUIET = ["--no-scan", "--no-beacon"];

/** @param {import("./lan.mjs").Lan} lan @param {string[]} names */
export function oneNetwork(lan, names) {
    lan.network("home");
    names.forEach((name, i) => lan.host(name, { home: `10.77.0.${i + 1}/24` }));
}

/** Waits until each of these sees all the others; the time since the last one was up. @param {import("./lan.mjs").LanHost[]} hosts @param {number} timeout */
export async function waitForAll(hosts, timeout) {
    const start = Math.max(...hosts.map((h) => h.upAt));
    await Promise.all(
        hosts.map((h) =>
            h.waitForHosts(
                hosts.filter((other) => other !== h).map((other) => other.host),
                timeout,
            ),
        ),
    );
    return performance.now() - start;
}
