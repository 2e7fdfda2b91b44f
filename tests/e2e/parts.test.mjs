// @ts-check
// Part files: none is left behind, and what somebody did to one never ends as a finished file.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, readdirSync, statSync, statfsSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir, rename, rm, symlink } from "node:fs/promises";
import http from "node:http";
import { basename, dirname, join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    getDownload,
    makeBytes,
    makeFile,
    pathOf,
    sha256,
    sha256Of,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";

/** @param {string} dir */
const partsIn = (dir) =>
    readdirSync(dir, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".hostpair-part"));

/**
 * @param {import("node:test").TestContext} t
 * @param {http.RequestListener} onRequest
 */
async function listen(t, onRequest) {
    const server = http.createServer(onRequest);
    await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    return address.port;
}

/**
 * Two hosts with a slow link between them.
 * @param {import("node:test").TestContext} t
 */
async function pair(t, { size = 24 * MiB, rate = 8 * MiB, path = "big.bin" } = {}) {
    const a = await startHostpair({ t, name: "a" });
    await mkdir(dirname(join(a.shareDir, path)), { recursive: true });
    await makeFile(join(a.shareDir, path), size, 5);
    const sum = await sha256(join(a.shareDir, path));
    // What is hashed is verified; what is not yet may be told too late for that.
    await waitFor(async () => (await a.api("/status")).json.share.hashed_bytes === size, { timeout: 30_000 });
    const b = await startHostpair({ t, name: "b" });
    const link = await startLink({ t, to: a.peerPort, rate });
    const host = await addHost(b, link.port);
    return { a, b, link, host, sum };
}

/**
 * Leaves the process so many descriptors besides those it has; returns what undoes it. With 0 it gets none, whatever
 * it closes.
 * @param {import("./harness.mjs").Hostpair} h
 * @param {number} free
 */
function limitDescriptors(h, free) {
    const set = (/** @type {number} */ n) =>
        execFileSync("prlimit", ["--pid", String(h.pid), `--nofile=${n}:`]);
    const limits = readFileSync(`/proc/${h.pid}/limits`, "utf8");
    const before = Number(/Max open files\s+(\d+)/.exec(limits)?.[1] ?? assert.fail(limits));
    const used = new Set(readdirSync(`/proc/${h.pid}/fd`).map(Number));
    // A new descriptor is the lowest number that is free, and has to be below the limit.
    let limit = 3;
    for (let left = free; left > 0; limit++) if (!used.has(limit)) left--;
    set(limit);
    return () => set(before);
}

describe("no part file is left", () => {
    test("by a download that is removed as it begins", { timeout: 120_000 }, async (t) => {
        const { b, host } = await pair(t, { size: 24 * MiB, rate: 0 });
        for (let i = 0; i < 24; i++) {
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            await sleep(i % 12);
            if (i % 3 === 0) await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
            const gone = await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" });
            assert.equal(gone.status, 204, gone.text);
            assert.deepEqual(partsIn(b.downloadsDir), [], `after removal ${i}`);
        }
    });

    test("by bodies without a length that break off", { timeout: 120_000 }, async (t) => {
        const bytes = makeBytes(9 * MiB + 5, 8);
        let requests = 0;
        let honest = false;
        const port = await listen(t, (req, res) => {
            requests++;
            res.writeHead(200, { ETag: '"1"' });
            if (honest) return void res.end(bytes);
            // Longer than the whole: what is past the end must not be there in the end.
            res.write(makeBytes(12 * MiB, 9), () => setTimeout(() => res.destroy(), 50));
        });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/a.bin` });
        await waitFor(() => requests >= 3, { timeout: 30_000, what: "three broken bodies" });
        assert.ok(partsIn(h.downloadsDir).length <= 1, partsIn(h.downloadsDir).join());
        await h.kill9();
        await h.restart();
        const before = requests;
        await waitFor(() => requests >= before + 2, { timeout: 30_000, what: "two more" });
        assert.ok(partsIn(h.downloadsDir).length <= 1, partsIn(h.downloadsDir).join());
        honest = true;
        const d = await waitState(h, id, "done", { timeout: 40_000 });
        assert.equal(await sha256(pathOf(h, d)), sha256Of(bytes));
        assert.deepEqual(readdirSync(h.downloadsDir), ["a.bin"]);

        honest = false;
        const again = requests;
        const second = await download(h, { url: `http://127.0.0.1:${port}/b.bin` });
        await waitFor(() => requests >= again + 2, { timeout: 30_000, what: "two broken bodies" });
        await h.api(`/downloads/${second.id}?data=remove`, { method: "DELETE" });
        assert.deepEqual(readdirSync(h.downloadsDir), ["a.bin"]);
    });
});

describe("a part file that somebody", () => {
    /** @type {[string, (part: string) => Promise<void>][]} */
    const deeds = [
        [
            "replaced by another file",
            async (part) => {
                await rename(part, `${part}.away`);
                writeFileSync(part, makeBytes(24 * MiB, 77));
            },
        ],
        [
            "replaced by a link",
            async (part) => {
                await rename(part, join(dirname(part), "victim"));
                await symlink("victim", part);
            },
        ],
        ["shortened", async (part) => truncateSync(part, 1000)],
        ["removed", async (part) => rm(part)],
        ["renamed", async (part) => rename(part, join(dirname(part), "mine"))],
    ];
    for (const [deed, act] of deeds)
        test(`${deed} is fetched again, right to the byte`, { timeout: 120_000 }, async (t) => {
            const { b, host, sum } = await pair(t);
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            await waitState(b, id, (d) => d.done_bytes >= 6 * MiB);
            const part = join(b.downloadsDir, partsIn(b.downloadsDir)[0]);
            await act(part);
            const said = waitState(b, id, (d) => /part file.*starts over/i.test(d.reason));
            const d = await waitState(b, id, "done");
            await said.catch(() => assert.fail("nothing was said of it"));
            assert.equal(d.verified, true);
            assert.equal(await sha256(pathOf(b, d)), sum);
            assert.equal(statSync(pathOf(b, d)).size, 24 * MiB);
        });

    test("has no folder any more is noticed while it runs", { timeout: 120_000 }, async (t) => {
        const { b, host, sum } = await pair(t, { path: "in/big.bin", size: 48 * MiB });
        const { id } = await download(b, { host: host.id, folder: "in" });
        await waitState(b, id, (d) => d.done_bytes >= 6 * MiB);
        await rename(join(b.downloadsDir, "in"), join(b.downloadsDir, "elsewhere"));
        const told = await waitState(b, id, (d) => /folder.*starts over/i.test(d.reason), { timeout: 4000 });
        assert.equal(told.state, "running");
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(join(pathOf(b, d), "big.bin")), sum);
    });
});

describe("a size that a source claims", () => {
    for (const total of [
        "4611686018427387904",
        "9223372036854775807",
        "2305843009213693952",
        "1125899906842624",
    ])
        test(`of ${total} bytes fails the download, and nothing else`, { timeout: 60_000 }, async (t) => {
            const port = await listen(t, (req, res) => {
                res.writeHead(206, {
                    "Content-Range": `bytes 0-4194303/${total}`,
                    "Content-Length": 4194304,
                    ETag: '"1"',
                });
                res.write(Buffer.alloc(100_000));
            });
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/x.bin` });
            const d = await waitState(h, id, "failed");
            assert.match(d.reason, /longer than 64 TiB/);
            assert.equal((await h.api("/status")).status, 200);
        });

    test("does not reserve the disk before bytes have come", { timeout: 60_000 }, async (t) => {
        const h = await startHostpair({ t });
        const fs = statfsSync(h.downloadsDir);
        const free = fs.bavail * fs.bsize;
        const size = Math.floor(free * 0.9);
        const port = await listen(t, (req, res) => {
            res.writeHead(206, {
                "Content-Range": `bytes 0-4194303/${size}`,
                "Content-Length": 4194304,
                ETag: '"1"',
            });
            res.write(Buffer.alloc(100_000));
        });
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/x.bin` });
        await waitFor(() =>
            partsIn(h.downloadsDir).some((p) => statSync(join(h.downloadsDir, p)).size === size),
        );
        const used = statSync(join(h.downloadsDir, partsIn(h.downloadsDir)[0])).blocks * 512;
        assert.ok(used <= free / 8 + 64 * MiB, `${used} of ${free} free bytes are reserved`);
        await h.api(`/downloads/${id}?data=remove`, { method: "DELETE" });
    });
});

describe("a download goes on by itself", () => {
    test("after the database was locked for a while, its sums are right", { timeout: 90_000 }, async (t) => {
        const { b, host, sum } = await pair(t, { size: 48 * MiB, rate: 8 * MiB });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await waitState(b, id, (d) => d.done_bytes >= 3 * MiB);
        const lock = spawn("sqlite3", [join(b.dataDir, "hostpair.db")], {
            stdio: ["pipe", "ignore", "inherit"],
        });
        lock.stdin.write(".timeout 10000\nBEGIN IMMEDIATE;\n");
        await sleep(12_000); // longer than anybody waits for a lock
        assert.notEqual((await getDownload(b, id)).state, "failed");
        lock.stdin.end("ROLLBACK;\n");
        const d = await waitState(b, id, "done", { timeout: 60_000 });
        assert.deepEqual([d.verified, d.chunks_done, d.chunks_total, d.files_done], [true, 48, 48, 1]);
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test("when there are descriptors again", { timeout: 90_000 }, async (t) => {
        const { b, host, sum } = await pair(t, { size: 24 * MiB, rate: 8 * MiB });
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await waitState(b, id, (d) => d.done_bytes > 0);
        // This connection stands, and everything is asked by it.
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        t.after(() => agent.destroy());
        const set = (/** @type {string} */ state) =>
            b.api(`/downloads/${id}`, { agent, method: "PATCH", json: { state } });
        assert.equal((await set("paused")).status, 200);
        const giveBack = limitDescriptors(b, 0);
        try {
            assert.equal((await set("queued")).status, 200);
            await sleep(3000);
            const during = (await b.api(`/downloads/${id}`, { agent })).json;
            assert.notEqual(during.state, "failed", JSON.stringify(during));
            assert.match(during.reason, /too many open files.*tried again by itself/i);
            assert.ok(during.done_bytes < 24 * MiB, JSON.stringify(during));
        } finally {
            giveBack();
        }
        const d = await waitState(b, id, "done", { timeout: 40_000 });
        assert.equal(await sha256(pathOf(b, d)), sum);
    });

    test("lets its owner in with the last descriptor", { timeout: 60_000 }, async (t) => {
        const b = await startHostpair({ t });
        await b.api("/status");
        const giveBack = limitDescriptors(b, 1);
        const reply = await b.api("/status").finally(giveBack);
        assert.equal(reply.status, 200, reply.text);
    });
});

test("why a file failed is known after a restart", { timeout: 60_000 }, async (t) => {
    const { a, b, host } = await pair(t, { path: "in/a.bin", size: 1000 });
    await makeFile(join(a.shareDir, "in/b.bin"), 24 * MiB, 6);
    await waitFor(
        async () => (await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" })).status < 300,
    );
    await waitFor(async () => (await b.api(`/hosts/${host.id}/files?folder=in`)).json.files.length === 2);
    await rm(join(a.shareDir, "in/a.bin"));
    const { id } = await download(b, { host: host.id, folder: "in" });
    await waitState(b, id, (d) => d.error !== null && d.done_bytes > MiB);
    await b.kill9();
    await b.restart();
    const d = await waitState(b, id, "failed");
    assert.match(d.reason, /1 of 2 files failed.*no such file/i);
});

describe("a record that a damaged database", () => {
    /** @type {[string, string, string][]} */
    const damages = [
        ["says is of chunks of one byte", "UPDATE download_file SET chunk_size = 1", "failed"],
        [
            "says is of a chunk of 2^62 bytes",
            "UPDATE download_file SET chunk_size = 4611686018427387904",
            "done",
        ],
        ["says is longer than any file", "UPDATE download_file SET size = 9223372036854775807", "failed"],
    ];
    for (const [damage, sql, end] of damages)
        test(`${damage} does not end hostpair`, { timeout: 60_000 }, async (t) => {
            const { b, host, sum } = await pair(t);
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            await waitState(b, id, (d) => d.done_bytes >= 6 * MiB);
            await b.kill9();
            execFileSync("sqlite3", [join(b.dataDir, "hostpair.db"), sql]);
            await b.restart();
            const d = await waitState(b, id, end, { timeout: 40_000 });
            if (end === "failed") return assert.match(d.reason, /damaged/);
            assert.equal(await sha256(pathOf(b, d)), sum);
            assert.deepEqual(readdirSync(b.downloadsDir), [basename(d.path)]);
        });

    for (const [where, path] of [
        ["leads out of the folder", "../../escaped.bin"],
        ["has no path", ""],
    ])
        test(`${where} is left out, and others go on`, { timeout: 60_000 }, async (t) => {
            const { b, host } = await pair(t);
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            await waitState(b, id, (d) => d.done_bytes >= 3 * MiB);
            await b.kill9();
            const sql = `UPDATE download_file SET path = '${path}', part = '../../escaped.bin'`;
            execFileSync("sqlite3", [join(b.dataDir, "hostpair.db"), sql]);
            await b.restart();
            assert.deepEqual((await b.api("/downloads")).json.downloads, []);
            const asked = await b.api(`/downloads/${id}`);
            assert.match(asked.json.detail, /damaged/);
            assert.equal((await b.api("/status")).status, 200);
        });
});
