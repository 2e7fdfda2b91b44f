// @ts-check
// Several downloads at once: how many run, in which order, how fast, under which names.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
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
import { oddNames } from "./hosts.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/**
 * Two hosts with a link between them and these files on the first, their list known to the second.
 * @param {import("node:test").TestContext} t
 * @param {Record<string, number>} files sizes by path
 * @param {{ rate?: number, seed?: number }} [options]
 */
async function pair(t, files, { rate = 0, seed = 200 } = {}) {
    const a = await startHostpair({ t, name: "a" });
    for (const [i, [path, size]] of Object.entries(files).entries())
        await makeFile(join(a.shareDir, path), size, seed + i);
    const count = Object.keys(files).length;
    await waitFor(
        async () => {
            const { share } = (await a.api("/status")).json;
            return share.files === count && share.hashed_bytes === share.bytes;
        },
        { what: "the share being hashed", timeout: 60_000 },
    );
    const link = await startLink({ t, to: a.peerPort, rate });
    const b = await startHostpair({ t, name: "b" });
    const host = await addHost(b, link.port);
    await waitFor(
        async () => {
            const { json } = await b.api(`/hosts/${host.id}/files?limit=1000`);
            const inFolders = json.folders.reduce(
                (/** @type {number} */ sum, /** @type {any} */ f) => sum + f.files,
                0,
            );
            return json.files.length + inFolders === count;
        },
        { what: "the list" },
    );
    return { a, b, link, host };
}

/** @param {Hostpair} a @param {Hostpair} b @param {any} d @param {string} path */
async function assertSame(a, b, d, path) {
    assert.equal(d.state, "done");
    assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, path)), path);
}

describe("the queue", () => {
    test("runs as many as the setting says, the most urgent first", { timeout: 120_000 }, async (t) => {
        const files = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`${i}.bin`, 6 * MiB]));
        const { a, b, link, host } = await pair(t, files, { rate: 2 * MiB });
        await b.api("/settings", { method: "PATCH", json: { running_downloads: 2 } });
        const ids = [];
        for (const path of Object.keys(files))
            ids.push((await download(b, { host: host.id, path, priority: path === "5.bin" ? 1 : 0 })).id);
        await waitFor(
            async () => {
                const { downloads } = (await b.api("/downloads")).json;
                return downloads.filter((/** @type {any} */ d) => d.state === "running").length === 2;
            },
            { what: "two that run" },
        );
        await waitState(b, ids[0], (d) => d.chunks_done >= 1);
        let urgentStarted = false;
        for (let i = 0; i < 20; i++) {
            const { downloads } = (await b.api("/downloads")).json;
            const running = downloads.filter((/** @type {any} */ d) => d.state === "running");
            assert.ok(running.length <= 2, `${running.length} run`);
            if (i === 10) link.rate = 24 * MiB;
            const state = (/** @type {number} */ id) =>
                downloads.find((/** @type {any} */ d) => d.id === id).state;
            if (state(ids[5]) !== "queued") urgentStarted = true;
            if (!urgentStarted) assert.equal(state(ids[4]), "queued", "one that is less urgent waits");
            await sleep(100);
        }
        link.rate = 0;
        for (const [i, id] of ids.entries())
            await assertSame(a, b, await waitState(b, id, "done"), `${i}.bin`);
    });

    test(
        "starts more when the setting is raised, and pauses and resumes all",
        { timeout: 120_000 },
        async (t) => {
            const files = Object.fromEntries(Array.from({ length: 4 }, (_, i) => [`${i}.bin`, 6 * MiB]));
            const { a, b, link, host } = await pair(t, files, { rate: MiB, seed: 220 });
            await b.api("/settings", { method: "PATCH", json: { running_downloads: 1 } });
            const ids = [];
            for (const path of Object.keys(files)) ids.push((await download(b, { host: host.id, path })).id);
            /** @param {string} state */
            const count = async (state) =>
                (await b.api("/downloads")).json.downloads.filter((/** @type {any} */ d) => d.state === state)
                    .length;
            await waitFor(async () => (await count("running")) === 1, { what: "one that runs" });
            await b.api("/settings", { method: "PATCH", json: { running_downloads: 4 } });
            await waitFor(async () => (await count("running")) === 4, { what: "four that run" });
            assert.ok((await b.api("/downloads/pause", { method: "POST" })).status < 300);
            await waitFor(async () => (await count("paused")) === 4, { what: "four that are paused" });
            const carried = link.carried();
            await sleep(700);
            assert.ok(link.carried() - carried < 2 * MiB, "nothing more is fetched");
            link.rate = 0;
            assert.ok((await b.api("/downloads/resume", { method: "POST" })).status < 300);
            for (const [i, id] of ids.entries())
                await assertSame(a, b, await waitState(b, id, "done"), `${i}.bin`);
        },
    );

    test("lets one that waits for a source take no place", { timeout: 120_000 }, async (t) => {
        const { a, b, host } = await pair(t, { "f.bin": 2 * MiB }, { seed: 230 });
        const c = await startHostpair({ t, name: "c" });
        await makeFile(join(c.shareDir, "lost.bin"), 8 * MiB, 240);
        const slow = await startLink({ t, to: c.peerPort, rate: MiB });
        const other = await addHost(b, slow.port);
        await b.api("/settings", { method: "PATCH", json: { running_downloads: 1 } });
        const lost = await download(b, { host: other.id, path: "lost.bin" });
        await waitState(b, lost.id, (d) => d.chunks_done >= 1);
        slow.goDown();
        const waiting = await waitState(b, lost.id, (d) => /waiting for a source/i.test(d.reason ?? ""));
        assert.equal(waiting.state, "running");
        const { id } = await download(b, { host: host.id, path: "f.bin" });
        await assertSame(a, b, await waitState(b, id, "done"), "f.bin");
        slow.rate = 0;
        slow.comeUp();
        await assertSame(c, b, await waitState(b, lost.id, "done"), "lost.bin");
    });

    test("keeps the speed limits, one download's and that of all", { timeout: 120_000 }, async (t) => {
        const { b, host } = await pair(
            t,
            { "one.bin": 6 * MiB, "two.bin": 3 * MiB, "three.bin": 3 * MiB },
            { seed: 250 },
        );
        /** @param {number[]} ids */
        const all = async (ids) => {
            const start = performance.now();
            for (const id of ids) await waitState(b, id, "done");
            return (performance.now() - start) / 1000;
        };
        const one = await download(b, { host: host.id, path: "one.bin", limit_bps: 2 * MiB });
        const alone = await all([one.id]);
        assert.ok(alone > 1.8 && alone < 8, `6 MiB at 2 MiB/s took ${alone} s`);
        await b.api("/settings", { method: "PATCH", json: { down_limit_bps: 2 * MiB } });
        const ids = [];
        for (const path of ["two.bin", "three.bin"])
            ids.push((await download(b, { host: host.id, path })).id);
        const both = await all(ids);
        assert.ok(both > 1.8 && both < 8, `2 times 3 MiB at 2 MiB/s took ${both} s`);
    });

    test("keeps the upload limit", { timeout: 60_000 }, async (t) => {
        const { a, b, host } = await pair(t, { "one.bin": 6 * MiB }, { seed: 260 });
        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 2 * MiB } });
        const start = performance.now();
        const { id } = await download(b, { host: host.id, path: "one.bin" });
        await waitState(b, id, "done");
        const took = (performance.now() - start) / 1000;
        assert.ok(took > 1.8 && took < 8, `6 MiB at 2 MiB/s took ${took} s`);
    });

    test(
        "finishes a download that is ordered in the middle of a hundred others",
        { timeout: 120_000 },
        async (t) => {
            const files = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}.txt`, 100 + i]));
            const { a, b, host } = await pair(t, files, { seed: 300 });
            const replies = await Promise.all(
                Object.keys(files).map((path) => b.api("/downloads", { json: { host: host.id, path } })),
            );
            for (const reply of replies) assert.equal(reply.status, 201, reply.text);
            for (const [i, path] of Object.keys(files).entries())
                await assertSame(a, b, await waitState(b, replies[i].json.id, "done"), path);
            assert.equal(new Set(replies.map((r) => r.json.id)).size, 100);
        },
    );
});

describe("names", () => {
    test("that are taken get a number, whoever took them", { timeout: 60_000 }, async (t) => {
        const { a, b, host } = await pair(
            t,
            { "f.tar.gz": 2 * MiB, "x/f.tar.gz": MiB, noext: 10 },
            { seed: 400 },
        );
        writeFileSync(join(b.downloadsDir, "noext"), "mine");
        const one = await download(b, { host: host.id, path: "f.tar.gz" });
        const two = await download(b, { host: host.id, path: "x/f.tar.gz" });
        const three = await download(b, { host: host.id, path: "noext" });
        const names = [];
        for (const [d, path] of [
            [one, "f.tar.gz"],
            [two, "x/f.tar.gz"],
            [three, "noext"],
        ]) {
            const done = await waitState(b, d.id, "done");
            await assertSame(a, b, done, path);
            names.push(done.name);
        }
        assert.equal(names[0], "f.tar.gz");
        assert.match(names[1], /^f(\.tar)? \(1\)(\.tar)?\.gz$/);
        assert.equal(names[2], "noext (1)");
        assert.equal(readFileSync(join(b.downloadsDir, "noext"), "utf8"), "mine");
    });

    const odd = [...oddNames, "files/inside", "message/in here"];

    test("that are odd are kept to the byte, one by one", { timeout: 120_000 }, async (t) => {
        const files = Object.fromEntries(odd.map((name, i) => [name, 1000 + i]));
        const { a, b, host } = await pair(t, files, { seed: 500 });
        for (const path of odd) {
            const { id } = await download(b, { host: host.id, path });
            const d = await waitState(b, id, "done");
            await assertSame(a, b, d, path);
            assert.equal(d.name, path.split("/").at(-1));
        }
    });

    test("that are odd are kept to the byte, as a folder", { timeout: 120_000 }, async (t) => {
        const files = Object.fromEntries(odd.map((name, i) => [`odd folder % #/${name}`, 1000 + i]));
        const { a, b, host } = await pair(t, files, { seed: 600 });
        const { id } = await download(b, { host: host.id, folder: "odd folder % #" });
        const d = await waitState(b, id, "done");
        assert.equal(d.files_done, odd.length);
        for (const name of odd)
            assert.equal(
                await sha256(join(b.downloadsDir, "odd folder % #", name)),
                await sha256(join(a.shareDir, "odd folder % #", name)),
                name,
            );
    });

    test("of two folders with one name land beside each other", { timeout: 60_000 }, async (t) => {
        const { a, b, host } = await pair(t, { "f/1.txt": 10, "x/f/2.txt": 20 }, { seed: 650 });
        const one = await download(b, { host: host.id, folder: "f" });
        await waitState(b, one.id, "done");
        const two = await download(b, { host: host.id, folder: "x/f" });
        const d = await waitState(b, two.id, "done");
        assert.equal(d.name, "f (1)");
        assert.equal(
            await sha256(join(b.downloadsDir, "f (1)/2.txt")),
            await sha256(join(a.shareDir, "x/f/2.txt")),
        );
        assert.deepEqual(readdirSync(join(b.downloadsDir, "f")), ["1.txt"]);
    });
});

describe("sizes", () => {
    test("of every edge are right and verified", { timeout: 120_000 }, async (t) => {
        const sizes = [
            0,
            1,
            2,
            16383,
            16384,
            16385,
            MiB - 1,
            MiB,
            MiB + 1,
            2 * MiB,
            3 * MiB - 16384,
            4 * MiB,
        ];
        const files = Object.fromEntries(sizes.map((size) => [`${size}.bin`, size]));
        const { a, b, host } = await pair(t, files, { seed: 700 });
        for (const size of sizes) {
            const { id } = await download(b, { host: host.id, path: `${size}.bin` });
            const d = await waitState(b, id, "done");
            await assertSame(a, b, d, `${size}.bin`);
            assert.equal(d.size, size);
            assert.equal(d.verified, true, `${size} bytes are verified`);
            assert.equal(d.chunks_total, Math.ceil(size / MiB));
            assert.equal(d.chunks_done, d.chunks_total);
            const { json } = await b.api(`/downloads/${id}/chunks`);
            assert.equal(json.total, d.chunks_total);
        }
    });

    test("of a thousand small files share connections", { timeout: 180_000 }, async (t) => {
        const files = Object.fromEntries(
            Array.from({ length: 1000 }, (_, i) => [`many/${i % 10}/${i}.dat`, 4096]),
        );
        const { a, b, link, host } = await pair(t, files, { seed: 2000 });
        const { id } = await download(b, { host: host.id, folder: "many" });
        const d = await waitState(b, id, "done", { timeout: 120_000 });
        assert.equal(d.files_done, 1000);
        assert.equal(d.verified, true);
        for (const path of Object.keys(files).filter((_, i) => i % 97 === 0))
            assert.equal(
                await sha256(join(b.downloadsDir, path)),
                await sha256(join(a.shareDir, path)),
                path,
            );
        assert.ok(link.connections() < 60, `${link.connections()} connections for 1000 files`);
    });
});

describe("content", () => {
    for (const [what, size, spoil] of /** @type {Array<[string, number, (bytes: Buffer) => Buffer]>} */ ([
        [
            "a small file that was changed",
            5000,
            (bytes) => Buffer.concat([bytes.subarray(1), Buffer.from("x")]),
        ],
        ["a small file that was made longer", 5000, (bytes) => Buffer.concat([bytes, Buffer.from("x")])],
        ["a small file that was cut to nothing", 5000, () => Buffer.alloc(0)],
        ["an empty file that was filled", 0, () => Buffer.from("x")],
        ["a large file that was made longer", 3 * MiB, (bytes) => Buffer.concat([bytes, Buffer.from("x")])],
    ]))
        test(`of a finished download are checked: ${what}`, { timeout: 60_000 }, async (t) => {
            const { b, host } = await pair(t, { "f.bin": size }, { seed: 320 });
            const { id } = await download(b, { host: host.id, path: "f.bin" });
            const done = await waitState(b, id, "done");
            await b.restart();
            const d = await getDownload(b, id);
            assert.equal(d.chunks_done, d.chunks_total);
            await recheck();
            assert.equal((await waitState(b, id, ["done", "failed"])).state, "done");
            const path = pathOf(b, done);
            writeFileSync(path, spoil(readFileSync(path)));
            await recheck();
            const seen = await waitState(b, id, ["done", "failed"]);
            assert.equal(seen.state, "failed", JSON.stringify(seen));
            assert.match(seen.reason, /not what was downloaded|bytes long/);

            async function recheck() {
                const reply = await b.api(`/downloads/${id}/recheck`, { method: "POST" });
                assert.ok(reply.status < 300, reply.text);
            }
        });

    test("that was removed by hand is fetched again when ordered again", { timeout: 60_000 }, async (t) => {
        const { a, b, host } = await pair(t, { "f.bin": 2 * MiB }, { seed: 800 });
        const first = await download(b, { host: host.id, path: "f.bin" });
        const d = await waitState(b, first.id, "done");
        await rm(pathOf(b, d));
        const reply = await b.api("/downloads", { json: { host: host.id, path: "f.bin" } });
        assert.equal(reply.status, 201, reply.text);
        await assertSame(a, b, await waitState(b, reply.json.id, "done"), "f.bin");
    });

    test(
        "that changes at the source while it is downloaded is never mixed",
        { timeout: 120_000 },
        async (t) => {
            const { a, b, link, host } = await pair(t, { "f.bin": 24 * MiB }, { rate: 6 * MiB, seed: 810 });
            const { id } = await download(b, { host: host.id, path: "f.bin" });
            const old = await sha256(join(a.shareDir, "f.bin"));
            await waitState(b, id, (d) => d.chunks_done >= 6);
            await makeFile(join(a.shareDir, "f.bin"), 24 * MiB, 811);
            link.rate = 0;
            const seen = await waitState(b, id, (d) => ["done", "failed"].includes(d.state) || d.reason, {
                timeout: 60_000,
            });
            if (seen.state !== "done") {
                assert.ok(seen.reason || seen.error?.detail, JSON.stringify(seen));
                assert.ok(!existsSync(pathOf(b, seen)) || statSync(pathOf(b, seen)).size === 0);
                if (seen.state === "failed") await b.api(`/downloads/${id}/retry`, { method: "POST" });
            }
            const d = await waitState(b, id, "done", { timeout: 60_000 });
            const now = await sha256(join(a.shareDir, "f.bin"));
            assert.notEqual(now, old);
            assert.equal(await sha256(pathOf(b, d)), now, "the version that is there now");
        },
    );

    test(
        "that is shortened at the source while it is downloaded is never taken for whole",
        { timeout: 120_000 },
        async (t) => {
            const { a, b, host } = await pair(t, { "f.bin": 16 * MiB }, { rate: 4 * MiB, seed: 820 });
            const { id } = await download(b, { host: host.id, path: "f.bin" });
            await waitState(b, id, (d) => d.chunks_done >= 3);
            await makeFile(join(a.shareDir, "f.bin"), 5 * MiB + 1, 821);
            const d = await waitState(
                b,
                id,
                (d) => ["done", "failed"].includes(d.state) || /waiting|version|changed/.test(d.reason ?? ""),
                { timeout: 60_000 },
            );
            if (d.state === "done") {
                assert.equal(d.size, 5 * MiB + 1);
                assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, "f.bin")));
            }
            assert.equal((await a.api("/status")).status, 200);
            assert.ok((await getDownload(b, id)).state !== "done" || d.size === 5 * MiB + 1);
        },
    );

    test("of the own share can be downloaded by URL", { timeout: 60_000 }, async (t) => {
        const h = await startHostpair({ t });
        await makeFile(join(h.shareDir, "f.bin"), 100_000, 830);
        await waitFor(async () => (await h.peer("/f.bin", { method: "HEAD" })).status === 200, {
            what: "f.bin",
        });
        const { id } = await download(h, { url: `${h.peerUrl}/f.bin` });
        const d = await waitState(h, id, "done");
        assert.equal(await sha256(pathOf(h, d)), await sha256(join(h.shareDir, "f.bin")));
    });
});
