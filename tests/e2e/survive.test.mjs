// @ts-check
// What is left of a download when something dies: the process that downloads, the one that serves, the network between them,
// the machine. Downloads go on by themselves, end with the right bytes, and fetch next to nothing twice.
//
// HP_E2E_BIG sets the size of the big file in MiB (default 1024).

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { copyFile, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    getDownload,
    makeFile,
    pathOf,
    sha256,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const quick = Boolean(process.env.HP_E2E_QUICK);
const BIG = Number(process.env.HP_E2E_BIG || (quick ? 192 : 1024)) * MiB;
const MIDDLE = 160 * MiB;
const boots = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];

/** Waits until `h` has hashed all that it shares. @param {Hostpair} h */
const hashed = (h) =>
    waitFor(
        async () => {
            const { share } = (await h.api("/status")).json;
            return share.files > 0 && share.bytes > 0 && share.hashed_bytes === share.bytes;
        },
        { timeout: 120_000, what: "the share being hashed" },
    );

/**
 * Two hosts with a slow link between them, and a file on the first.
 * @param {import("node:test").TestContext} t
 * @param {{ size: number, rate: number, seed: number, env?: Record<string, string | undefined> }} options
 */
async function pair(t, { size, rate, seed, env }) {
    const a = await startHostpair({ t, name: "a" });
    const file = await makeFile(join(a.shareDir, "big.bin"), size, seed);
    const sum = await sha256(file);
    await hashed(a);
    const link = await startLink({ t, to: a.peerPort, rate });
    const b = await startHostpair({ t, name: "b", env });
    const host = await addHost(b, link.port);
    await waitFor(async () => (await b.api(`/hosts/${host.id}/files`)).json.files[0]?.root, {
        what: "the list",
    });
    return { a, b, link, host, sum, file };
}

/** @param {Hostpair} b @param {number} id @param {number} bytes */
const until = (b, id, bytes) => waitState(b, id, (d) => d.done_bytes >= bytes, { timeout: 120_000 });

/** Path of the file as it stands in the requests of this download. @param {import("./link.mjs").Link} link */
const filePath = (link) =>
    link.requests.find((r) => /^\/(files\/)?big\.bin$/.test(r.path) && r.method === "GET")?.path ?? "none";

/**
 * How many bytes one interruption may cost: the chunks in flight (being received, and received but not yet written), and
 * what was finished in the last 250 ms.
 * @param {Hostpair} b @param {any} d @param {number} rate
 */
async function costOfOne(b, d, rate) {
    const { json } = await b.api("/settings");
    return 2 * json.connections_per_source * d.chunk_size + rate / 4;
}

describe("a download goes on", () => {
    test(
        `after kill -9 of the downloader, three times, ${BIG / MiB} MiB`,
        { timeout: 400_000 },
        async (t) => {
            const rate = 96 * MiB;
            const { b, link, host, sum } = await pair(t, { size: BIG, rate, seed: 11 });
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            for (const part of [0.2, 0.45, 0.7]) {
                await until(b, id, part * BIG);
                // A process takes its time to die, and its sockets go on taking what comes: that is no loss of its own.
                link.stall();
                await b.kill9();
                link.go();
                await b.restart();
                const now = await getDownload(b, id);
                assert.ok(now.done_bytes >= part * BIG - rate, `${now.done_bytes} are left of ${part * BIG}`);
            }
            const d = await waitState(b, id, "done", { timeout: 180_000 });
            assert.equal(await sha256(pathOf(b, d)), sum);
            assert.equal(d.verified, true);
            const { bytes, distinct, twice } = link.twice(filePath(link));
            const bound = 3 * (await costOfOne(b, d, rate)) + 16 * d.chunk_size;
            t.diagnostic(
                `carried ${bytes}, twice ${twice} (${(twice / MiB).toFixed(1)} MiB), bound ${bound}`,
            );
            assert.equal(distinct, BIG, "all of the file passed the link");
            assert.ok(twice <= bound, `${twice} bytes were fetched twice, more than ${bound}`);
        },
    );

    test("after kill -9 of the server, twice", { timeout: 240_000 }, async (t) => {
        const rate = 48 * MiB;
        const { a, b, link, host, sum } = await pair(t, { size: MIDDLE, rate, seed: 12 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        for (const part of [0.3, 0.6]) {
            await until(b, id, part * MIDDLE);
            await a.kill9();
            const waiting = await waitState(b, id, (d) => d.reason || d.sources[0]?.error);
            assert.equal(waiting.state, "running", JSON.stringify(waiting));
            await a.restart();
        }
        const d = await waitState(b, id, "done", { timeout: 120_000 });
        assert.equal(await sha256(pathOf(b, d)), sum);
        assert.equal(d.verified, true);
        const { twice } = link.twice(filePath(link));
        const bound = 2 * (await costOfOne(b, d, rate)) + 16 * d.chunk_size;
        t.diagnostic(`twice ${(twice / MiB).toFixed(1)} MiB, bound ${(bound / MiB).toFixed(1)}`);
        assert.ok(twice <= bound, `${twice} bytes were fetched twice, more than ${bound}`);
    });

    test(
        "after the machine was started anew, and damaged chunks only are fetched again",
        {
            timeout: 240_000,
        },
        async (t) => {
            const rate = 48 * MiB;
            /** @type {Record<string, string>} */
            const env = { HOSTPAIR_BOOT_ID: boots[0] };
            const { b, link, host, sum } = await pair(t, { size: MIDDLE, rate, seed: 13, env });
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            await until(b, id, 0.4 * MIDDLE);
            const { json: map } = await b.api(`/downloads/${id}/chunks`);
            /** @type {number[]} */
            const finished = [];
            for (const [first, count, state] of map.runs)
                for (let i = 0; i < count; i++) if (state === "done") finished.push(first + i);
            await until(b, id, 0.6 * MIDDLE); // much longer than a commit takes
            await b.kill9();
            const carriedBefore = link.twice(filePath(link));

            // Three damaged chunks: a byte in the middle, the first byte, the last byte.
            const damaged = [finished[2], finished[finished.length >> 1], finished[finished.length - 3]];
            const offsets = [map.chunk_size >> 1, 0, map.chunk_size - 1];
            const part = readdirSync(b.downloadsDir).find((name) => name.endsWith(".hostpair-part"));
            assert.ok(part, "there is a part file");
            const file = await open(join(b.downloadsDir, part), "r+");
            for (const [i, chunk] of damaged.entries()) {
                const byte = Buffer.alloc(1);
                const at = chunk * map.chunk_size + offsets[i];
                await file.read(byte, 0, 1, at);
                byte[0] ^= 0xff;
                await file.write(byte, 0, 1, at);
            }
            await file.close();

            const asked = link.requests.length;
            env.HOSTPAIR_BOOT_ID = boots[1];
            await b.restart();
            const d = await waitState(b, id, "done", { timeout: 120_000 });
            assert.equal(await sha256(pathOf(b, d)), sum, "no damaged byte is left");
            assert.equal(d.verified, true);
            const again = link.requests.slice(asked).filter((r) => r.path === filePath(link) && r.bytes > 0);
            for (const chunk of damaged) {
                const at = chunk * map.chunk_size;
                assert.ok(
                    again.some((r) => r.first <= at && r.first + r.bytes >= at + map.chunk_size),
                    `damaged chunk ${chunk} was fetched again`,
                );
            }
            const { twice } = link.twice(filePath(link));
            const bound = (await costOfOne(b, d, rate)) + (damaged.length + 16) * d.chunk_size;
            t.diagnostic(`before ${carriedBefore.bytes / MiB} MiB, twice ${(twice / MiB).toFixed(1)} MiB`);
            assert.ok(twice <= bound, `${twice} bytes were fetched twice, more than ${bound}`);
        },
    );

    test(
        "after the machine was started anew with all chunks whole, without fetching one twice",
        {
            timeout: 240_000,
        },
        async (t) => {
            const rate = 48 * MiB;
            /** @type {Record<string, string>} */
            const env = { HOSTPAIR_BOOT_ID: boots[0] };
            const { b, link, host, sum } = await pair(t, { size: MIDDLE, rate, seed: 14, env });
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            await until(b, id, 0.5 * MIDDLE);
            await b.stop(); // everything is committed
            env.HOSTPAIR_BOOT_ID = boots[1];
            await b.restart();
            const d = await waitState(b, id, "done", { timeout: 120_000 });
            assert.equal(await sha256(pathOf(b, d)), sum);
            const { twice } = link.twice(filePath(link));
            const { json } = await b.api("/settings");
            const bound = (2 * json.connections_per_source + 16) * d.chunk_size;
            t.diagnostic(`twice ${(twice / MiB).toFixed(1)} MiB, bound ${(bound / MiB).toFixed(1)}`);
            assert.ok(twice <= bound, `${twice} bytes were fetched twice, more than ${bound}`);
        },
    );

    test("after the network was away, from another connection", { timeout: 120_000 }, async (t) => {
        const { b, link, host, sum } = await pair(t, { size: 64 * MiB, rate: 24 * MiB, seed: 15 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await until(b, id, 16 * MiB);
        link.goDown();
        const waiting = await waitState(b, id, (d) => /waiting for a source/i.test(d.reason ?? ""));
        assert.equal(waiting.state, "running");
        const before = waiting.done_bytes;
        link.comeUp();
        const d = await waitState(b, id, "done", { timeout: 90_000 });
        assert.ok(before > 0);
        assert.equal(d.reason ?? "", "", "a finished download has no reason left");
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test("after a restart without the server, once it is back", { timeout: 120_000 }, async (t) => {
        const { a, b, host, sum } = await pair(t, { size: 64 * MiB, rate: 24 * MiB, seed: 16 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await waitState(b, id, (d) => d.chunks_done >= 16);
        await b.kill9();
        await a.stop();
        await b.restart();
        const waiting = await waitState(b, id, (d) => /waiting for a source/i.test(d.reason ?? ""));
        assert.ok(waiting.done_bytes >= 8 * MiB, `${waiting.done_bytes} bytes are left`);
        await a.restart();
        const d = await waitState(b, id, "done", { timeout: 60_000 });
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test("from a second host when the first one dies", { timeout: 120_000 }, async (t) => {
        const { a, b, link, host, sum, file } = await pair(t, { size: 96 * MiB, rate: 16 * MiB, seed: 17 });
        const c = await startHostpair({ t, name: "c" });
        await copyFile(file, join(c.shareDir, "the same.bin"));
        await hashed(c);
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await until(b, id, 8 * MiB);
        const third = await addHost(b, c.peerPort);
        await waitState(
            b,
            id,
            (d) => d.sources.some((/** @type {any} */ s) => s.host === third.id && s.bytes > 0),
            { timeout: 60_000 },
        );
        if ((await getDownload(b, id)).state !== "done") await a.kill9();
        link.goDown();
        const d = await waitState(b, id, "done", { timeout: 60_000 });
        assert.equal(await sha256(pathOf(b, d)), sum);
        assert.equal(d.verified, true);
    });

    test("paused, and stays so over kill -9, until it is resumed", { timeout: 120_000 }, async (t) => {
        const { b, host, sum, link } = await pair(t, { size: 64 * MiB, rate: 24 * MiB, seed: 18 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await until(b, id, 16 * MiB);
        const paused = await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
        assert.equal(paused.status, 200);
        assert.equal(paused.json.state, "paused");
        await b.kill9();
        await b.restart();
        const asked = link.requests.filter((r) => r.path === filePath(link)).length;
        await sleep(1000);
        assert.equal((await getDownload(b, id)).state, "paused");
        assert.equal(
            link.requests.filter((r) => r.path === filePath(link)).length,
            asked,
            "nothing is fetched",
        );
        const on = await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
        assert.equal(on.status, 200);
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test("from the start when somebody replaced the part file", { timeout: 120_000 }, async (t) => {
        const { b, host, sum } = await pair(t, { size: 32 * MiB, rate: 16 * MiB, seed: 19 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await until(b, id, 12 * MiB);
        await b.kill9();
        const part = readdirSync(b.downloadsDir).find((name) => name.endsWith(".hostpair-part"));
        assert.ok(part);
        const path = join(b.downloadsDir, part);
        await rename(path, `${path}.old`);
        await makeFile(path, 32 * MiB, 99);
        await rm(`${path}.old`);
        await b.restart();
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test("after the part file was removed by hand while it ran", { timeout: 120_000 }, async (t) => {
        const { b, host, sum } = await pair(t, { size: 48 * MiB, rate: 16 * MiB, seed: 20 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await until(b, id, 12 * MiB);
        const part = readdirSync(b.downloadsDir).find((name) => name.endsWith(".hostpair-part"));
        assert.ok(part);
        await rm(join(b.downloadsDir, part));
        const seen = await waitState(b, id, ["done", "failed", "paused"]).catch(() => getDownload(b, id));
        if (seen.state !== "done") {
            assert.ok(seen.reason || seen.error?.detail, JSON.stringify(seen));
            const retried = await b.api(`/downloads/${id}/retry`, { method: "POST" });
            assert.ok(retried.status < 300, retried.text);
        }
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test(
        "that was complete when the process died in the last step is done",
        { timeout: 60_000 },
        async (t) => {
            const { a, b, host, sum } = await pair(t, { size: 3 * MiB + 5, rate: 0, seed: 21 });
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            const done = await waitState(b, id, "done");
            await b.stop();
            await a.stop();
            // As after a crash between the renaming and the commit that says so.
            const sql =
                `UPDATE download SET state = 'verifying', finished_at = 0 WHERE id = ${id};` +
                `UPDATE download_file SET state = 'finishing', part = '.big.bin.${id}.hostpair-part' WHERE download = ${id};`;
            execFileSync("sqlite3", [join(b.dataDir, "hostpair.db"), sql]);
            await b.restart();
            const d = await waitState(b, id, "done", { timeout: 20_000 });
            assert.equal(d.path, done.path, "the same file, not a second one");
            assert.equal(await sha256(pathOf(b, d)), sum);
            assert.deepEqual(readdirSync(dirname(pathOf(b, d))), ["big.bin"]);
        },
    );

    test("to a free name when somebody took the reserved one", { timeout: 60_000 }, async (t) => {
        const { b, host, sum } = await pair(t, { size: 24 * MiB, rate: 12 * MiB, seed: 22 });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await until(b, id, 4 * MiB);
        const mine = await makeFile(join(b.downloadsDir, "big.bin"), 1000, 5);
        const before = await sha256(mine);
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(mine), before, "the file of somebody else is untouched");
        assert.notEqual(pathOf(b, d), mine);
        assert.ok(existsSync(pathOf(b, d)));
        assert.equal(await sha256(pathOf(b, d)), sum);
    });
});
