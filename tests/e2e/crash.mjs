// @ts-check
// Kills a hostpair with kill -9 again and again, at random moments, while it downloads a folder from three hosts, and looks
// at what is left: every tree must be equal to the source's in the end, with nothing beside it.
//
//   node crash.mjs --kills 100 --seed 7
//
// A source is killed as well now and then, and a link is cut. When a tree is complete it is compared, its download is
// removed, and it is ordered again, until there were enough kills. HOSTPAIR_BIN names the program.

import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { MiB, download, getDownload, pathOf, sleep, startHostpair, waitState } from "./harness.mjs";
import { assertSameTree, fileBytes, linked, sharing, wholeFiles } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */

const RATE = 20 * MiB; // of each link, bytes a second
const LONGEST_MS = 800; // between a start and the next kill
const SOURCE_DIES = 0.1; // of the rounds
const LINK_IS_CUT = 0.2;

/** Two sizes mixed, edges of chunks, names of which one is the beginning of the other, and empty files. */
function tree() {
    /** @type {import("./hosts.mjs").Files} */
    const files = {};
    for (let i = 0; i < 300; i++) files[`tree/small/${i % 12}/${i}.dat`] = { size: 4096, seed: 100 + i };
    for (let i = 0; i < 6; i++) files[`tree/big ${i}.bin`] = { size: 5 * MiB + 4321 * i, seed: 500 + i };
    for (const [i, size] of [MiB - 1, MiB, MiB + 1, 2 * MiB, 2 * MiB + 1].entries())
        files[`tree/edges/${size}.bin`] = { size, seed: 600 + i };
    for (let i = 0; i < 3; i++)
        files[`tree/${"long name".repeat(24)}${i}`] = { size: 2 * MiB + i, seed: 700 + i };
    files["tree/copy of 1.dat"] = { size: 4096, seed: 101 };
    files["tree/copy of big.bin"] = { size: 5 * MiB, seed: 500 };
    files["tree/small/1 (1).dat"] = { size: 4096, seed: 103 };
    files["tree/empty"] = { size: 0, seed: 0 };
    return files;
}

/** Numbers in [0, 1), the same for the same seed. @param {number} seed */
export function randomOf(seed) {
    let x = seed >>> 0;
    return () => {
        x = (x + 0x6d2b79f5) >>> 0;
        let y = Math.imul(x ^ (x >>> 15), x | 1);
        y ^= y + Math.imul(y ^ (y >>> 7), y | 61);
        return ((y ^ (y >>> 14)) >>> 0) / 2 ** 32;
    };
}

/**
 * @param {TestContext} t
 * @param {{ kills: number, seed: number, say?: (text: string) => void }} options
 */
export async function crash(t, { kills, seed, say = () => {} }) {
    const random = randomOf(seed);
    const files = tree();
    const count = Object.keys(files).length;
    const total = Object.values(files).reduce((n, f) => n + (Buffer.isBuffer(f) ? f.length : f.size), 0);
    const sources = [];
    for (const name of ["a", "c", "e"]) sources.push(await sharing(t, name, files));
    const b = await startHostpair({ t, name: "b" });
    /** @type {Array<{ link: import("./link.mjs").Link, id: string }>} */
    const hosts = [];
    for (const { peerPort } of sources)
        hosts.push(await linked(t, b, peerPort, { rate: RATE, files: count }));
    const wanted = join(sources[0].shareDir, "tree");
    const order = () => download(b, { host: hosts[0].id, folder: "tree" });

    let trees = 0;
    let { id } = await order();
    /** Waits for the end, compares, and clears away. */
    async function complete() {
        const d = await waitState(b, id, "done", { timeout: 120_000 });
        assert.deepEqual([d.files_done, d.verified], [count, true]);
        assert.equal(d.done_bytes, total);
        await assertSameTree(pathOf(b, d), wanted);
        assert.deepEqual(readdirSync(b.downloadsDir), [d.name], "nothing is beside it");
        trees++;
    }

    for (let kill = 1; kill <= kills; kill++) {
        if (random() < LINK_IS_CUT) hosts[Math.floor(random() * hosts.length)].link.breakAll();
        const source = random() < SOURCE_DIES ? sources[Math.floor(random() * sources.length)] : undefined;
        await source?.kill9();
        // Half of the kills come soon after the start, where files are opened and looked at.
        await sleep(random() * (random() < 0.5 ? LONGEST_MS / 5 : LONGEST_MS));
        await b.kill9();
        await source?.start();
        const whole = await wholeFiles(join(b.downloadsDir, "tree"), wanted);
        await b.start();
        const d = await getDownload(b, id);
        assert.ok(
            d.files_done <= whole || d.state === "done",
            `${d.files_done} on record, ${whole} on the disk`,
        );
        assert.ok(!["failed", "cancelled"].includes(d.state), `after kill ${kill}: ${JSON.stringify(d)}`);
        assert.ok(d.done_bytes <= total, `${d.done_bytes} of ${total} bytes`);
        say(`kill ${kill}: ${d.state}, ${d.files_done} files, ${(d.done_bytes / MiB).toFixed(1)} MiB`);
        if (d.state === "done" && kill < kills) {
            await complete();
            assert.equal((await b.api(`/downloads/${id}`, { method: "DELETE" })).status, 204);
            rmSync(pathOf(b, d), { recursive: true });
            ({ id } = await order());
        }
    }
    await complete();
    const carried = hosts.reduce((n, { link }) => n + fileBytes(link), 0);
    const shares = hosts.map(({ link }) => (fileBytes(link) / MiB).toFixed(0)).join(" + ");
    const again = (carried - trees * total) / MiB;
    return `${kills} kills, seed ${seed}, ${trees} trees of ${count} files and ${(total / MiB).toFixed(0)} MiB equal; carried ${shares} MiB, ${again.toFixed(0)} MiB of it more than once`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
    const option = (/** @type {string} */ name, /** @type {number} */ otherwise) => {
        const at = process.argv.indexOf(`--${name}`);
        return at > 0 ? Number(process.argv[at + 1]) : otherwise;
    };
    /** @type {Array<() => unknown>} */
    const ends = [];
    try {
        const options = { kills: option("kills", 100), seed: option("seed", 1), say: console.log };
        console.log(await crash({ after: (fn) => ends.push(fn) }, options));
    } finally {
        for (const end of ends.reverse()) await end();
    }
}
