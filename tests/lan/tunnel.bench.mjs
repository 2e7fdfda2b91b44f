// Figures of the tunnel: how soon it is up, what a fast, a far and a bad line give, and what it costs. Wants a program
// without sanitizers and a machine with nothing else to do.
//
//   HP_LAB_BIN=build/lab HOSTPAIR_BIN=build/hostpair node tests/lan/tunnel.bench.mjs [fast|far|files|lossy]...
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../e2e/harness.mjs";
import { Homes, offer, reaches } from "./homes.mjs";
import { ip } from "./lan.mjs";
import { NatLab, whyNoNat } from "./nat.mjs";

const reason = whyNoNat();
if (reason) {
    console.log(`skipped: ${reason}`);
    process.exit(0);
}
const wanted = process.argv.slice(2);
const quiet = { env: { HP_LAB_DEBUG: "" } };

/**
 * @typedef {Awaited<ReturnType<NatLab["startBoth"]>>} Both
 */

/** @param {Both} both @param {number} bytes @param {boolean} [verify] */
async function measure({ a, b }, bytes, verify = true) {
    const before = [await a.usage(), await b.usage()];
    const got = await a.fetch(b, bytes, { verify, timeout: 120_000 });
    const after = [await a.usage(), await b.usage()];
    if (!got.ok) throw new Error(got.error);
    const perGb = (/** @type {number} */ i) => (((after[i].cpu - before[i].cpu) / bytes) * 1e9).toFixed(2);
    return `${(bytes / 1e3 / got.ms).toFixed(1)} MB/s ${got.ways}, CPU s/GB ${perGb(0)} receiver ${perGb(1)} sender, memory ${Math.round(after[0].rss_kb / 1024)} and ${Math.round(after[1].rss_kb / 1024)} MiB`;
}

/** @param {string} name @param {(t: { after(fn: () => unknown): void }) => Promise<void>} fn */
async function bench(name, fn) {
    if (wanted.length > 0 && !wanted.includes(name)) return;
    /** @type {(() => unknown)[]} */
    const ends = [];
    try {
        await fn({ after: (end) => void ends.push(end) });
    } finally {
        for (const end of ends) await end();
    }
}

await bench("fast", async (t) => {
    const lab = new NatLab(t);
    await lab.up({ a: "preserving", b: "preserving" });
    // A cable between both machines.
    ip(
        "-n",
        lab.ns("a"),
        "link",
        "add",
        "cable",
        "type",
        "veth",
        "peer",
        "name",
        "cable",
        "netns",
        lab.ns("b"),
    );
    for (const [name, address] of [
        ["a", "10.9.9.1/24"],
        ["b", "10.9.9.2/24"],
    ]) {
        ip("-n", lab.ns(name), "addr", "add", address, "dev", "cable");
        ip("-n", lab.ns(name), "link", "set", "cable", "up");
    }
    const both = await lab.startBoth(quiet);
    await both.a.fetch(both.b, 1000);
    await both.a.waitForPath("lan");
    for (let run = 0; run < 4; run++) console.log(`fast link: ${await measure(both, 2 ** 30, false)}`);
});

await bench("far", async (t) => {
    const lab = new NatLab(t, {
        a: { delay: 15, rate: 200, queue: 600 },
        b: { delay: 20, rate: 200, queue: 600 },
    });
    await lab.up({ a: "preserving", b: "preserving" });
    for (let run = 0; run < 3; run++) {
        const both = await lab.startBoth(quiet);
        const first = await both.a.fetch(both.b, 1);
        console.log(
            `70 ms, two routers: first byte after ${first.first_ms.toFixed(0)} ms, ${first.ways} (up one round trip before)`,
        );
        console.log(`70 ms, 200 Mbit/s: ${await measure(both, 100 * 2 ** 20)}`);
        await lab.stopHosts();
    }
});

await bench("files", async (t) => {
    const lab = new Homes(t, {
        a: { delay: 15, rate: 200, queue: 600 },
        b: { delay: 20, rate: 200, queue: 600 },
    });
    await lab.up({ a: "preserving", b: "preserving" });
    const { a, b } = await lab.pair();
    for (let run = 1; run <= 5; run++) {
        const folder = `many ${run}`;
        mkdirSync(join(a.folder, "share", folder));
        for (let i = 0; i < 300; i++) offer(a, `${folder}/${i}.bin`, 4096);
        const host = `/hosts/${a.id}/files?folder=${encodeURIComponent(folder)}`;
        await waitFor(() => b.api(host).files?.filter((/** @type {any} */ file) => file.root).length >= 100, {
            timeout: 60_000,
            what: "the list with its roots",
        });
        await reaches(b, a, "direct");
        const begun = Date.now();
        const { id } = b.api("/downloads", { host: a.id, folder });
        const d = await waitFor(
            () => {
                const now = b.api(`/downloads/${id}`);
                return ["done", "failed"].includes(now.state) ? now : undefined;
            },
            { timeout: 60_000, interval: 10, what: "the folder" },
        );
        console.log(`70 ms: 300 files of 4 KiB ${d.state} after ${Date.now() - begun} ms`);
    }
});

await bench("lossy", async (t) => {
    const lab = new NatLab(t, {
        a: { delay: 12.5, rate: 100, queue: 300 },
        b: { delay: 12.5, rate: 100, queue: 300 },
    });
    await lab.up({ a: "preserving", b: "preserving" });
    const both = await lab.startBoth(quiet);
    await both.a.fetch(both.b, 1000);
    await both.a.waitForPath("direct");
    for (const loss of [0, 0.001, 0.01]) {
        await lab.setLine?.("a", { loss });
        for (let run = 0; run < 3; run++)
            console.log(`50 ms, 100 Mbit/s, ${loss * 100} % loss: ${await measure(both, 60e6)}`);
    }
});
