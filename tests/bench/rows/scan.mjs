// @ts-check
import { execFileSync } from "node:child_process";

import { startHostpair, waitFor } from "../../e2e/harness.mjs";

export const title = "scan of a network where nobody answers";
export const goal = "/24 in 1.5 s, /20 in 10 s";

// The network is a pair of virtual interfaces whose both ends lie inside the benchmark's own namespace.
const ip = (/** @type {string[]} */ ...args) =>
    execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });

/** @param {string} address with its prefix length */
async function timeScan(address) {
    ip("link", "add", "here", "type", "veth", "peer", "name", "there");
    try {
        ip("address", "add", address, "dev", "here");
        ip("link", "set", "here", "up");
        ip("link", "set", "there", "up");
        const h = await startHostpair({ name: "scanner" });
        const start = performance.now();
        const reply = await h.api("/scan", { method: "POST" });
        if (reply.status !== 202) throw new Error(`POST /scan: ${reply.status} ${reply.text}`);
        await waitFor(async () => (await h.api("/status")).json.scan.running, {
            interval: 2,
            what: "the scan to start",
        });
        const { total } = await waitFor(
            async () => {
                const { scan } = (await h.api("/status")).json;
                return !scan.running && scan;
            },
            { interval: 10, timeout: 60_000, what: "the scan to end" },
        );
        const seconds = (performance.now() - start) / 1000;
        await h.dispose();
        return { seconds, total };
    } finally {
        ip("link", "delete", "here");
    }
}

/** @param {import("../hostpairs.mjs").Bench} _bench */
export async function run(_bench) {
    const small = await timeScan("10.99.0.1/24");
    const large = await timeScan("10.99.0.1/20");
    return {
        figures: [],
        goals: [
            {
                what: `/24, ${small.total} addresses: ${small.seconds.toFixed(2)} s`,
                ok: small.seconds <= 1.5,
            },
            { what: `/20, ${large.total} addresses: ${large.seconds.toFixed(2)} s`, ok: large.seconds <= 10 },
        ],
    };
}
