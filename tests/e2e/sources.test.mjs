// @ts-check
// One content, several hosts: how fast it comes, who is trusted, who joins and leaves, what happens when the file changes
// at its source, what is fetched again and what is not.

import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { appendFile, open, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import { hashTree, honest, send, startEvil } from "./evil.mjs";
import {
    MiB,
    download,
    getDownload,
    makeBytes,
    pathOf,
    sha256,
    sha256Of,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, fileBytes, linked, sharing } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./link.mjs").Link} Link */

/** @param {any} d @param {string} host @returns {any} */
const sourceOf = (d, host) => d.sources.find((/** @type {any} */ s) => s.host === host);

/** @param {any} d */
const isWaiting = (d) => /^waiting for a source/i.test(d.reason ?? "");

/** @param {Hostpair} h @param {any} d @param {string} sum */
async function assertContent(h, d, sum) {
    assert.equal(d.state, "done");
    assert.equal(await sha256(pathOf(h, d)), sum, "the finished file has the right bytes");
    assert.deepEqual(
        readdirSync(h.downloadsDir).filter((name) => name.endsWith(".hostpair-part")),
        [],
        "no part file is left",
    );
}

/**
 * The record says that these hosts gave all of it and nobody else anything, the one that gave the most first; after a
 * restart as well.
 * @param {Hostpair} h @param {any} d @param {string[]} hosts
 */
async function assertGave(h, d, hosts) {
    const { json } = await h.api(`/downloads/${d.id}/sources`);
    const given = json.sources.map((/** @type {any} */ one) => one.bytes);
    assert.deepEqual(json.sources.map((/** @type {any} */ one) => one.host).sort(), [...hosts].sort());
    assert.equal(
        given.reduce((/** @type {number} */ x, /** @type {number} */ y) => x + y, 0),
        d.size,
        "every byte once",
    );
    assert.deepEqual(
        given,
        [...given].sort((x, y) => y - x),
    );
    await h.restart();
    assert.deepEqual((await h.api(`/downloads/${d.id}/sources`)).json, json, "it outlives the process");
}

/** Waits until so many body bytes of files have passed a link. @param {Link} link @param {number} bytes */
const carries = (link, bytes) =>
    waitFor(() => fileBytes(link) >= bytes, { timeout: 40_000, what: `${bytes} bytes over a link` });

/** Every MiB of it is wrong in one place. @param {Buffer} bytes */
function spoiled(bytes) {
    const wrong = Buffer.from(bytes);
    for (let at = 12345; at < wrong.length; at += MiB) wrong[at] ^= 0x55;
    return wrong;
}

describe("several hosts with one content", () => {
    test(
        "fourteen of them: no more connections at once than there are buffers for, all downloads have some",
        { timeout: 120_000 },
        async (t) => {
            const files = { "f.bin": makeBytes(40 * MiB, 30), "g.bin": makeBytes(40 * MiB, 31) };
            const open = new Map(Object.keys(files).map((path) => [path, 0]));
            /** @type {Map<string, number>} */
            let most = new Map();
            let mostInAll = 0;
            const b = await startHostpair({ t, name: "b" });
            const hosts = [];
            for (let i = 0; i < 14; i++) {
                const one = await startEvil({
                    t,
                    files,
                    hostpair: { id: i.toString(16).padStart(2, "0").repeat(16), name: `host ${i}` },
                    lie: async (asked) => {
                        if (!asked.ranged) return false;
                        const { path } = asked.request;
                        open.set(path, (open.get(path) ?? 0) + 1);
                        const all = [...open.values()].reduce((sum, count) => sum + count, 0);
                        most.set(path, Math.max(most.get(path) ?? 0, open.get(path) ?? 0));
                        mostInAll = Math.max(mostInAll, all);
                        await sleep(200);
                        open.set(path, (open.get(path) ?? 0) - 1);
                        honest(asked);
                        return true;
                    },
                });
                hosts.push((await linked(t, b, one.port, { files: 2 })).id);
            }
            // Alone: three quarters of the 16 buffers of 1 MiB.
            const first = await download(b, { host: hosts[0], path: "f.bin" });
            const one = await waitState(b, first.id, "done", { timeout: 60_000 });
            await assertContent(b, one, sha256Of(files["f.bin"]));
            assert.equal(one.verified, true);
            assert.ok(mostInAll >= 8 && mostInAll <= 12, `${mostInAll} requests at once`);

            // Two at a time share them.
            await b.api(`/downloads/${first.id}?data=remove`, { method: "DELETE" });
            await rm(pathOf(b, one));
            most = new Map();
            mostInAll = 0;
            const ids = [];
            for (const path of Object.keys(files)) ids.push((await download(b, { host: hosts[0], path })).id);
            for (const id of ids) await waitState(b, id, "done", { timeout: 60_000 });
            for (const [path, count] of most) assert.ok(count >= 3, `${path}: ${count} at once`);
            assert.ok(mostInAll <= 13, `${mostInAll} requests at once`);
        },
    );

    test("give the speed of all links; two that lie are set aside", { timeout: 120_000 }, async (t) => {
        const size = 80 * MiB + 4321;
        const rates = [2 * MiB, 4 * MiB, 6 * MiB];
        const bytes = makeBytes(size, 1);
        const wrong = spoiled(bytes);
        const liar = await startEvil({
            t,
            files: { "liar.bin": bytes },
            hostpair: { id: "11".repeat(16), name: "liar" },
            lie: (asked) => {
                honest({ ...asked, bytes: wrong });
                return true;
            },
        });
        const crooked = await startEvil({
            t,
            files: { "crooked.bin": bytes },
            hostpair: { id: "22".repeat(16), name: "crooked" },
            before: (request, socket) => {
                if (!request.path.startsWith("manifest/")) return false;
                const chunk = Number(/[?&]chunk=(\d+)/.exec(request.target)?.[1]);
                const layer = Buffer.from(hashTree(wrong, chunk).layer);
                socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${layer.length}\r\n\r\n`);
                socket.write(layer);
                return true;
            },
        });
        const hosts = [];
        for (const i of rates.keys())
            hosts.push(await sharing(t, `host ${i}`, { [`${i}.bin`]: { size, seed: 1 } }));
        const b = await startHostpair({ t, name: "b" });
        const links = [];
        for (const [i, host] of hosts.entries())
            links.push(await linked(t, b, host.peerPort, { rate: rates[i] }));
        const wrongs = [];
        for (const { port } of [liar, crooked]) wrongs.push(await linked(t, b, port, { rate: 8 * MiB }));
        const [liarId, crookedId] = wrongs.map(({ id }) => id);

        const { id } = await download(b, { host: crookedId, path: "crooked.bin" });
        const named = await waitState(
            b,
            id,
            (d) =>
                ["banned", "failed"].includes(sourceOf(d, liarId)?.state) &&
                ["banned", "failed"].includes(sourceOf(d, crookedId)?.state) &&
                d.done_bytes > 8 * MiB,
        );
        assert.ok(
            crooked.requests.some((r) => r.path.startsWith("manifest/")),
            "its hash tree was asked for",
        );
        for (const host of [liarId, crookedId]) {
            assertWords(sourceOf(named, host).error);
            assert.match(sourceOf(named, host).error, /hash|digest/i);
        }
        const asked = wrongs.map(({ link }) => link.requests.length);
        const start = performance.now();
        const d = await waitState(b, id, "done");
        const took = (performance.now() - start) / 1000;
        const speed = (size - named.done_bytes) / took;
        const sum = rates.reduce((x, y) => x + y, 0);
        t.diagnostic(`${(speed / MiB).toFixed(2)} MiB/s of ${sum / MiB} MiB/s, ${took.toFixed(1)} s`);
        await assertContent(b, d, sha256Of(bytes));
        assert.equal(d.verified, true);
        for (const { id: host } of links) {
            assert.ok(sourceOf(d, host).bytes > 0, `${host} gave a part`);
            assert.equal(sourceOf(d, host).error, null);
        }
        for (const host of [liarId, crookedId]) {
            assert.match(sourceOf(d, host).state, /banned|failed/, "set aside to the end");
            assertWords(sourceOf(d, host).error);
        }
        assert.ok(speed >= 0.75 * sum, `${speed} bytes a second of ${sum}`);
        await assertGave(
            b,
            d,
            links.map(({ id: host }) => host),
        );
        for (const [i, { link }] of wrongs.entries()) {
            const more = link.requests.slice(asked[i]).filter((r) => r.path.endsWith(".bin"));
            assert.equal(more.length, 0, "nothing more was asked of it");
            t.diagnostic(`liar ${i} sent ${(fileBytes(link) / MiB).toFixed(1)} MiB bytes`);
            assert.ok(fileBytes(link) <= 10 * MiB, `what it was sending was cut: ${fileBytes(link)} bytes`);
        }
    });
});

describe("a source", { concurrency: 3 }, () => {
    for (const by of ["path", "root"])
        test(
            `without a hash tree, ordered by ${by}, that has the file no more: the next one starts over`,
            { timeout: 60_000 },
            async (t) => {
                const bytes = makeBytes(24 * MiB, 40);
                const { root } = hashTree(bytes, MiB);
                const b = await startHostpair({ t, name: "b" });
                const hosts = [];
                for (const digit of ["1", "2"]) {
                    const host = { gone: false, id: "", breakAll: () => {} };
                    const one = await startEvil({
                        t,
                        files: { "f.bin": bytes },
                        hostpair: { id: digit.repeat(32), name: `host ${digit}` },
                        before: (request, socket) => {
                            if (!request.path.startsWith("manifest/")) return false;
                            send(socket, 404, [["Content-Length", 0]]);
                            return true;
                        },
                        lie: async ({ socket }) => {
                            if (host.gone) send(socket, 404, [["Content-Length", 0]]);
                            return host.gone;
                        },
                    });
                    const { link, id } = await linked(t, b, one.port, { rate: 12 * MiB });
                    hosts.push(Object.assign(host, { id, breakAll: link.breakAll }));
                }
                const order = by === "root" ? { root } : { host: hosts[0].id, path: "f.bin" };
                const { id } = await download(b, order);
                const begun = await waitState(b, id, (d) => d.chunks_done >= 4);
                const giver = hosts.find((host) => sourceOf(begun, host.id)?.bytes > 0);
                assert.ok(giver, JSON.stringify(begun));
                giver.gone = true;
                giver.breakAll();
                const d = await waitState(b, id, "done", { timeout: 30_000 });
                await assertContent(b, d, sha256Of(bytes));
                assert.equal(d.root, root);
            },
        );

    test("that is cut midway joins again by itself", { timeout: 120_000 }, async (t) => {
        const files = { "f.bin": { size: 64 * MiB, seed: 10 } };
        const [a, c, b] = [
            await sharing(t, "a", files),
            await sharing(t, "c", files),
            await startHostpair({ t }),
        ];
        const one = await linked(t, b, a.peerPort, { rate: 3 * MiB });
        const two = await linked(t, b, c.peerPort, { rate: 2 * MiB });
        const { id } = await download(b, { host: one.id, path: "f.bin" });
        await carries(one.link, 3 * MiB);
        await carries(two.link, 2 * MiB);
        one.link.goDown();
        const before = fileBytes(one.link);
        const alone = await waitState(b, id, (d) => sourceOf(d, one.id).state === "waiting");
        assert.equal(alone.state, "running");
        assertWords(sourceOf(alone, one.id).error);
        const more = await waitState(b, id, (d) => d.done_bytes > alone.done_bytes + 2 * MiB);
        assert.equal(more.reason ?? "", "", "it goes on with the other, so there is nothing to say");
        one.link.comeUp();
        await carries(one.link, before + MiB);
        one.link.rate = two.link.rate = 0;
        const d = await waitState(b, id, "done");
        await assertContent(b, d, await sha256(join(a.shareDir, "f.bin")));
        assert.equal(d.verified, true);
    });

    test("that comes online later joins what runs, known before or new", { timeout: 120_000 }, async (t) => {
        const [a, c, e] = [
            await sharing(t, "a", { "f.bin": { size: 64 * MiB, seed: 11 } }),
            await sharing(t, "c", { "x/same.bin": { size: 64 * MiB, seed: 11 } }),
            await sharing(t, "e", { "again.bin": { size: 64 * MiB, seed: 11 } }),
        ];
        const b = await startHostpair({ t, name: "b" });
        const one = await linked(t, b, a.peerPort, { rate: 2 * MiB });
        const two = await linked(t, b, c.peerPort, { rate: 2 * MiB });
        two.link.goDown();
        await b.restart(); // known, and not there
        await waitFor(async () => (await b.api(`/hosts/${two.id}`)).json.state === "offline", {
            timeout: 30_000,
            what: "c being offline",
        });
        const { id } = await download(b, { host: one.id, path: "f.bin" });
        await carries(one.link, 2 * MiB);
        two.link.comeUp();
        await carries(two.link, MiB);
        assert.equal((await getDownload(b, id)).state, "running");
        const three = await linked(t, b, e.peerPort, { rate: 2 * MiB });
        await carries(three.link, MiB);
        for (const { link } of [one, two, three]) link.rate = 0;
        const d = await waitState(b, id, "done");
        await assertContent(b, d, await sha256(join(a.shareDir, "f.bin")));
        assert.equal(d.verified, true);
        assert.equal(d.sources.length, 3);
    });

    test(
        "that is the only one and goes away is waited for, also over a restart",
        { timeout: 120_000 },
        async (t) => {
            const a = await sharing(t, "a", { "lost.bin": { size: 24 * MiB, seed: 12 } });
            const c = await sharing(t, "c", {
                "one.bin": { size: 2 * MiB, seed: 13 },
                "two.bin": { size: 2 * MiB, seed: 14 },
            });
            const b = await startHostpair({ t, name: "b" });
            await b.api("/settings", { method: "PATCH", json: { running_downloads: 1 } });
            const { link, id: host } = await linked(t, b, a.peerPort, { rate: 4 * MiB });
            const other = await linked(t, b, c.peerPort, { files: 2 });
            const { id } = await download(b, { host, path: "lost.bin" });
            await waitState(b, id, (d) => d.done_bytes >= 6 * MiB);
            link.goDown();
            const waiting = await waitState(b, id, (d) => isWaiting(d) && d.speed_bps === 0);
            assert.equal(waiting.state, "running");
            assert.equal(waiting.eta_s, null);
            const one = await download(b, { host: other.id, path: "one.bin" });
            await waitState(b, one.id, "done"); // the one place is free
            assert.equal((await getDownload(b, id)).state, "running");

            await b.restart();
            const again = await waitState(b, id, isWaiting);
            assert.equal(again.state, "running");
            assert.ok(again.done_bytes >= 6 * MiB, `${again.done_bytes} bytes are left`);
            const two = await download(b, { host: other.id, path: "two.bin" });
            await waitState(b, two.id, "done");
            assert.ok(isWaiting(await getDownload(b, id)));
            link.rate = 0;
            link.comeUp();
            const d = await waitState(b, id, "done");
            assert.equal(d.reason ?? "", "");
            await assertContent(b, d, await sha256(join(a.shareDir, "lost.bin")));
            assert.ok(fileBytes(link) < 24 * MiB + 18 * MiB, "what was there was not fetched again");
        },
    );

    test("that is away is replaced by any other with the content", { timeout: 60_000 }, async (t) => {
        const files = { "long.bin": { size: 6 * MiB, seed: 16 }, "short.txt": { size: 5000, seed: 17 } };
        const [a, c] = [await sharing(t, "a", files), await sharing(t, "c", files)];
        const b = await startHostpair({ t, name: "b" });
        const one = await linked(t, b, a.peerPort, { files: 2 });
        const two = await linked(t, b, c.peerPort, { files: 2 });
        one.link.goDown();
        for (const path of ["long.bin", "short.txt"]) {
            const { id } = await download(b, { host: one.id, path });
            const d = await waitState(b, id, "done", { timeout: 20_000 });
            assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, path)));
            assert.equal(d.verified, true);
            assert.ok(sourceOf(d, two.id).bytes >= d.size);
        }
    });

    test("are all named for what they gave, however fast it came", { timeout: 60_000 }, async (t) => {
        const size = 96 * MiB + 5;
        const b = await startHostpair({ t, name: "b" });
        /** @type {string[]} */
        const hosts = [];
        for (const name of ["a1", "a2", "a3"]) {
            const a = await sharing(t, name, { "fast.bin": { size, seed: 71 } });
            hosts.push((await linked(t, b, a.peerPort, { files: 1 })).id);
        }
        const { id } = await download(b, { host: hosts[0], path: "fast.bin" });
        const d = await waitState(b, id, "done");
        const { sources } = (await b.api(`/downloads/${id}/sources`)).json;
        assert.ok(
            sources.every((/** @type {any} */ one) => hosts.includes(one.host)),
            JSON.stringify(sources),
        );
        await assertGave(
            b,
            d,
            sources.map((/** @type {any} */ one) => one.host),
        );
    });

    test("that holds the same content twice gives it as one", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", {
            "one.bin": { size: 12 * MiB, seed: 15 },
            "other name.bin": { size: 12 * MiB, seed: 15 },
        });
        const b = await startHostpair({ t, name: "b" });
        const { id: host } = await linked(t, b, a.peerPort, { files: 2 });
        const { id } = await download(b, { host, path: "one.bin" });
        const d = await waitState(b, id, "done");
        await assertContent(b, d, await sha256(join(a.shareDir, "one.bin")));
        assert.equal(d.sources.length, 1, "one host is one source");
    });
});

describe("without hash trees", { concurrency: 3 }, () => {
    const size = 16 * MiB + 99;
    const bytes = makeBytes(size, 20);

    test("a plain server and a hostpair are never mixed in one file", { timeout: 60_000 }, async (t) => {
        const plain = await startEvil({ t, files: { "f.bin": bytes, "g.bin": makeBytes(size, 21) } });
        const a = await sharing(t, "a", { "f.bin": { size, seed: 20 }, "g.bin": { size, seed: 21 } });
        const b = await startHostpair({ t, name: "b" });
        const old = await linked(t, b, plain.port, { rate: 12 * MiB, files: 2, plain: true });
        const good = await linked(t, b, a.peerPort, { rate: 12 * MiB, files: 2 });
        const f = await download(b, { host: old.id, path: "f.bin" });
        const g = await download(b, { host: good.id, path: "g.bin" });
        const [one, two] = [await waitState(b, f.id, "done"), await waitState(b, g.id, "done")];
        await assertContent(b, one, sha256Of(bytes));
        assert.equal(one.verified, false, "there was nothing to compare with");
        await assertContent(b, two, await sha256(join(a.shareDir, "g.bin")));
        assert.equal(two.verified, true);
        /** @param {Link} link @param {string} name */
        const carried = (link, name) => link.carried((r) => r.path.endsWith(name) && r.method === "GET");
        assert.equal(carried(old.link, "g.bin"), 0, "the plain server sent nothing of the hostpair's file");
        assert.equal(carried(good.link, "f.bin"), 0, "the hostpair sent nothing of the plain server's file");
    });

    /** @type {Record<string, { root?: string, etag?: string, state: string, verified: boolean }>} */
    const late = {
        "that is right: it is verified": { root: hashTree(bytes, MiB).root, state: "done", verified: true },
        "that is another: it fails": { root: "ab".repeat(32), state: "failed", verified: false },
        "of another version: it is not": {
            root: "ab".repeat(32),
            etag: '"another"',
            state: "done",
            verified: false,
        },
        "still not: it is done without": { state: "done", verified: false },
    };
    for (const [what, { root, etag, state, verified }] of Object.entries(late))
        test(`a hostpair tells its root only at the end, ${what}`, { timeout: 60_000 }, async (t) => {
            const a = await startEvil({
                t,
                files: { "f.bin": bytes },
                hostpair: { id: "22".repeat(16), name: "busy" },
                listLines: [
                    JSON.stringify({
                        path: "f.bin",
                        size,
                        mtime: "2024-01-02T03:04:05.000Z",
                        type: "application/octet-stream",
                        root: null,
                    }),
                ],
                lie: (asked) => {
                    if (asked.request.method !== "HEAD") return false;
                    send(asked.socket, 200, [
                        ["Content-Length", size],
                        ["ETag", etag ?? asked.etag],
                        ...(root ? /** @type {[string, string][]} */ ([["Hostpair-Root", root]]) : []),
                    ]);
                    return true;
                },
            });
            const b = await startHostpair({ t, name: "b" });
            const { id: host } = await linked(t, b, a.port, { files: 1, plain: true });
            const { id } = await download(b, { host, path: "f.bin" });
            const d = await waitState(b, id, (now) => ["done", "failed"].includes(now.state));
            assert.equal(d.state, state);
            assert.equal(d.verified, verified);
            if (state === "done") await assertContent(b, d, sha256Of(bytes));
            else assertWords(d.error.detail);
        });

    /** Two hosts that name one root for different bytes, and have no hash tree for it. @param {import("node:test").TestContext} t */
    async function twoOld(t) {
        const other = makeBytes(size, 22);
        const line = (/** @type {string} */ path) =>
            JSON.stringify({
                path,
                size,
                mtime: "2024-01-02T03:04:05.000Z",
                type: "application/octet-stream",
                root: hashTree(bytes, MiB).root,
            });
        const hosts = [];
        for (const [i, content] of [bytes, other].entries())
            hosts.push(
                await startEvil({
                    t,
                    files: { [`${i}.bin`]: content },
                    listLines: [line(`${i}.bin`)],
                    hostpair: { id: `${i + 3}`.repeat(32), name: `old ${i}` },
                    before: (request, socket) => {
                        if (!request.path.startsWith("manifest/")) return false;
                        socket.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
                        return true;
                    },
                }),
            );
        const b = await startHostpair({ t, name: "b" });
        const one = await linked(t, b, hosts[0].port, { rate: 6 * MiB });
        const two = await linked(t, b, hosts[1].port, { rate: 6 * MiB });
        return { b, one, two };
    }

    test("two hosts are not mixed while both are there", { timeout: 60_000 }, async (t) => {
        const { b, one, two } = await twoOld(t);
        const { id } = await download(b, { host: one.id, path: "0.bin" });
        const d = await waitState(b, id, "done");
        await assertContent(b, d, sha256Of(bytes));
        assert.equal(fileBytes(two.link), 0, "all bytes came from the first");
        assert.ok(fileBytes(one.link) >= size);
    });

    test("the second does not go on with what the first began", { timeout: 90_000 }, async (t) => {
        const { b, one, two } = await twoOld(t);
        const { id } = await download(b, { host: one.id, path: "0.bin" });
        await waitState(b, id, (d) => d.done_bytes >= 5 * MiB);
        one.link.goDown();
        await waitState(b, id, (d) => isWaiting(d) || sourceOf(d, two.id)?.state === "active");
        await b.kill9();
        await b.restart();
        await waitState(b, id, (d) => isWaiting(d) || sourceOf(d, two.id)?.state === "active");
        const began = fileBytes(two.link);
        one.link.comeUp();
        one.link.rate = two.link.rate = 0;
        const d = await waitState(b, id, "done", { timeout: 60_000 });
        await assertContent(b, d, sha256Of(bytes));
        if (began === 0) assert.equal(fileBytes(two.link), 0, "the first was waited for");
    });

    test("one that a busy host refuses is asked for again", { timeout: 60_000 }, async (t) => {
        let refusals = 0;
        const fake = await startEvil({
            t,
            files: { "f.bin": bytes },
            hostpair: { id: "66".repeat(16), name: "busy" },
            before: (request, socket) => {
                if (!request.path.startsWith("manifest/") || refusals > 0) return false;
                refusals++;
                send(socket, 503, [
                    ["Retry-After", 1],
                    ["Content-Length", 0],
                ]);
                return true;
            },
        });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, fake.port, { rate: 8 * MiB });
        const { id } = await download(b, { host, path: "f.bin" });
        const d = await waitState(b, id, "done");
        await assertContent(b, d, sha256Of(bytes));
        const asked = link.requests.filter((r) => r.path.startsWith("/manifest/"));
        assert.deepEqual(
            asked.map((r) => r.status),
            [503, 200],
        );
    });

    test("one that did not come is asked for again when its host is back", { timeout: 60_000 }, async (t) => {
        let refusals = 0;
        const fake = await startEvil({
            t,
            files: { "f.bin": bytes },
            hostpair: { id: "55".repeat(16), name: "cut off" },
            before: (request, socket) => {
                if (!request.path.startsWith("manifest/") || refusals > 0) return false;
                refusals++;
                link.goDown();
                socket.destroy();
                return true;
            },
        });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, fake.port, { rate: 8 * MiB });
        const { id } = await download(b, { host, path: "f.bin" });
        await waitState(b, id, isWaiting);
        link.comeUp();
        const d = await waitState(b, id, "done");
        await assertContent(b, d, sha256Of(bytes));
        const asked = link.requests.filter((r) => r.path.startsWith("/manifest/") && r.status === 200);
        assert.equal(asked.length, 1);
        assert.ok(fileBytes(link) < 2 * size);
    });
});

test("a small file does not wait for the slower of two hosts", { timeout: 60_000 }, async (t) => {
    const bytes = makeBytes(200_000, 77);
    const hosts = [];
    for (const [i, name] of ["slow", "fast"].entries())
        hosts.push(
            await startEvil({
                t,
                files: { [`${name}.bin`]: bytes },
                hostpair: { id: `${i + 7}`.repeat(32), name },
                lie: async (asked) => {
                    if (name === "fast" || asked.request.method !== "GET") return false;
                    send(asked.socket, 206, [
                        ["Content-Length", bytes.length],
                        ["Content-Range", `bytes 0-${bytes.length - 1}/${bytes.length}`],
                        ["ETag", asked.etag],
                    ]);
                    for (let at = 0; at < bytes.length && !asked.socket.destroyed; at++) {
                        asked.socket.write(bytes.subarray(at, at + 1));
                        await sleep(100);
                    }
                    return true;
                },
            }),
        );
    const b = await startHostpair({ t, name: "b" });
    const { id: host } = await linked(t, b, hosts[0].port, { files: 1 });
    await linked(t, b, hosts[1].port, { files: 1 });
    const { id } = await download(b, { host, path: "slow.bin" });
    const d = await waitState(b, id, "done", { timeout: 20_000 });
    await assertContent(b, d, sha256Of(bytes));
});

describe("a file that is replaced at its source while it is downloaded", { concurrency: 3 }, () => {
    const size = 20 * MiB + 7;
    const wanted = makeBytes(size, 31);

    /** @type {Record<string, { change: (path: string) => Promise<void>, size?: number }>} */
    const ways = {
        "renamed over": {
            change: async (path) => {
                await writeFile(`${path}.new`, wanted);
                await rename(`${path}.new`, path);
            },
        },
        "rewritten in place": { change: (path) => writeFile(path, wanted) },
        "rewritten in place with its old time": {
            change: async (path) => {
                const { atime, mtime } = await stat(path);
                const file = await open(path, "r+");
                await file.write(wanted, 0, size, 0);
                await file.close();
                await utimes(path, atime, mtime);
            },
        },
        appended: {
            change: (path) => appendFile(path, wanted.subarray(0, 3 * MiB + 1)),
            size: size + 3 * MiB + 1,
        },
        truncated: { change: (path) => truncate(path, 9 * MiB + 3), size: 9 * MiB + 3 },
    };
    for (const [way, { change, size: newSize = size }] of Object.entries(ways))
        test(`${way}: no mix, it starts over and says so`, { timeout: 90_000 }, async (t) => {
            const a = await sharing(t, "a", { "f.bin": { size, seed: 30 } });
            const b = await startHostpair({ t, name: "b" });
            const { link, id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB });
            const path = join(a.shareDir, "f.bin");
            const old = await sha256(path);
            const { id } = await download(b, { host, path: "f.bin" });
            await waitState(b, id, (d) => d.chunks_done >= 6);
            await change(path);
            const now = await sha256(path);
            assert.notEqual(now, old);
            const said = await waitState(b, id, (d) => /start.*(over|again)/i.test(d.reason ?? ""));
            assertWords(said.reason);
            assert.ok(
                !existsSync(pathOf(b, said)) || statSync(pathOf(b, said)).size === 0,
                "nothing final yet",
            );
            link.rate = 0;
            const d = await waitState(b, id, "done");
            assert.equal(d.size, newSize);
            assert.equal(d.done_bytes, newSize);
            assert.equal(await sha256(pathOf(b, d)), now, "exactly the new version");
            assert.equal(d.chunks_done, d.chunks_total);
            if (d.root) assert.equal(d.root, await waitRoot(a, "f.bin"));
        });

    test("while it is still being written it is waited for", { timeout: 60_000 }, async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { files: 0 });
        const path = join(a.shareDir, "f.bin");
        const file = await open(path, "w");
        let writing = true;
        t.after(() => (writing = false));
        const writer = (async () => {
            for (let at = 0; at < wanted.length || writing; at += 65536) {
                await file.write(wanted, at % (8 * MiB), 65536, at % (8 * MiB));
                await sleep(2);
            }
        })();
        await waitFor(async () => statSync(path).size === 8 * MiB, { what: "the first 8 MiB" });
        const { id } = await download(b, { host, path: "f.bin" });
        await waitFor(async () => b.stderr().includes("is being written right now"), {
            what: "a second try",
            detail: () => b.stderr(),
        });
        assert.equal((await getDownload(b, id)).done_bytes, 0);
        writing = false;
        await writer;
        await file.close();
        const tried = fileBytes(link);
        const d = await waitState(b, id, "done");
        assert.ok(fileBytes(link) - tried < 2 * d.size, "not all of it twice");
        await assertContent(b, d, await sha256(path));
        assert.doesNotMatch(b.stderr(), /cannot resume/);
    });

    /** @param {Hostpair} h @param {string} path @returns {Promise<string>} */
    const waitRoot = (h, path) =>
        waitFor(
            async () => String((await h.peer(`/${path}`, { method: "HEAD" })).headers["hostpair-root"] ?? ""),
            {
                timeout: 30_000,
                what: `the root of ${path}`,
            },
        );

    test("at one of two: the other finishes the version that was begun", { timeout: 90_000 }, async (t) => {
        const files = { "f.bin": { size, seed: 30 } };
        const [a, c] = [await sharing(t, "a", files), await sharing(t, "c", files)];
        const b = await startHostpair({ t, name: "b" });
        const one = await linked(t, b, a.peerPort, { rate: 3 * MiB });
        const two = await linked(t, b, c.peerPort, { rate: 3 * MiB });
        const { id } = await download(b, { host: one.id, path: "f.bin" });
        await waitState(b, id, (d) => d.chunks_done >= 6);
        await ways["renamed over"].change(join(a.shareDir, "f.bin"));
        const seen = await waitState(
            b,
            id,
            (d) => sourceOf(d, one.id)?.state === "failed" || d.state === "done",
        );
        if (seen.state !== "done") assertWords(sourceOf(seen, one.id).error);
        two.link.rate = 0;
        const d = await waitState(b, id, "done");
        await assertContent(b, d, await sha256(join(c.shareDir, "f.bin")));
        assert.equal(d.verified, true);
    });

    test("at both of two: it starts over with the new one from both", { timeout: 90_000 }, async (t) => {
        const files = { "f.bin": { size, seed: 30 } };
        const hosts = [await sharing(t, "a", files), await sharing(t, "c", files)];
        const b = await startHostpair({ t, name: "b" });
        const links = [];
        for (const { peerPort } of hosts) links.push(await linked(t, b, peerPort, { rate: 3 * MiB }));
        const { id } = await download(b, { host: links[0].id, path: "f.bin" });
        await waitState(b, id, (d) => d.chunks_done >= 6);
        for (const { shareDir } of hosts) await ways["renamed over"].change(join(shareDir, "f.bin"));
        for (const [i, { id: host }] of links.entries()) {
            // What each of them has now is known before the end.
            const root = await waitRoot(hosts[i], "f.bin");
            await b.api(`/hosts/${host}/files/refresh`, { method: "POST" });
            await waitFor(async () => (await b.api(`/hosts/${host}/files`)).json.files[0]?.root === root, {
                what: "the new list",
            });
        }
        await waitState(b, id, (d) => /start.*over/i.test(d.reason ?? ""));
        const before = links.map(({ link }) => fileBytes(link));
        for (const [i, { link }] of links.entries()) await carries(link, before[i] + 2 * MiB);
        for (const { link } of links) link.rate = 0;
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), sha256Of(wanted));
        assert.equal(d.verified, true);
    });

    test("nor is another one taken when the part file is gone", { timeout: 90_000 }, async (t) => {
        const a = await sharing(t, "a", { "f.bin": { size, seed: 30 } });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB });
        const { root } = (await b.api(`/hosts/${host}/files`)).json.files[0];
        const { id } = await download(b, { root });
        await waitState(b, id, (d) => d.chunks_done >= 6);
        await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
        await waitState(b, id, "paused");
        const part = readdirSync(b.downloadsDir).find((name) => name.endsWith(".hostpair-part"));
        await rm(join(b.downloadsDir, part ?? ""));
        await ways["rewritten in place"].change(join(a.shareDir, "f.bin"));
        link.rate = 0;
        await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
        const d = await waitState(b, id, (now) => ["failed", "done"].includes(now.state) || isWaiting(now));
        assert.notEqual(d.state, "done", JSON.stringify(d));
        assert.equal(d.root, root);
    });

    test("ordered by its root: never another content under that order", { timeout: 90_000 }, async (t) => {
        const a = await sharing(t, "a", { "f.bin": { size, seed: 30 } });
        const c = await sharing(t, "c", { "old.bin": { size, seed: 30 } });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB });
        const { root } = (await b.api(`/hosts/${host}/files`)).json.files[0];
        const { id } = await download(b, { root });
        await waitState(b, id, (d) => d.chunks_done >= 6);
        await ways["rewritten in place"].change(join(a.shareDir, "f.bin"));
        link.rate = 0;
        const stopped = await waitState(b, id, (d) => ["failed", "done"].includes(d.state) || isWaiting(d));
        assert.notEqual(stopped.state, "done");
        assertWords(stopped.error?.detail ?? stopped.reason);
        await linked(t, b, c.peerPort);
        if (stopped.state === "failed") await b.api(`/downloads/${id}/retry`, { method: "POST" });
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), await sha256(join(c.shareDir, "old.bin")));
        assert.equal(d.root, root);
        assert.equal(d.verified, true);
    });
});

describe("content", { concurrency: 3 }, () => {
    test("under two names on two hosts is one, on its way and done", { timeout: 60_000 }, async (t) => {
        const size = 8 * MiB + 1;
        const [a, c] = [
            await sharing(t, "a", { "one.bin": { size, seed: 40 } }),
            await sharing(t, "c", { "deep/two.bin": { size, seed: 40 }, "three.bin": { size, seed: 41 } }),
        ];
        const b = await startHostpair({ t, name: "b" });
        const one = await linked(t, b, a.peerPort, { rate: 2 * MiB });
        const two = await linked(t, b, c.peerPort, { rate: 2 * MiB, files: 2 });
        const found = (await b.api("/search?q=bin")).json.results.filter(
            (/** @type {any} */ r) => r.copies.length === 2,
        );
        assert.equal(found.length, 1, "the search shows it once, with both copies");
        const { root } = found[0];

        const first = await b.api("/downloads", { json: { host: one.id, path: "one.bin" } });
        assert.equal(first.status, 201, first.text);
        const { id } = first.json;
        assert.match(first.headers.location ?? "", new RegExp(`/downloads/${id}$`));
        /** @param {string} when */
        const ordersAgain = async (when) => {
            for (const order of [
                { host: one.id, path: "one.bin" },
                { host: two.id, path: "deep/two.bin" },
                { root },
                { root, to: "elsewhere" },
            ]) {
                const reply = await b.api("/downloads", { json: order });
                assert.equal(reply.status, 200, `${JSON.stringify(order)} ${when}: ${reply.text}`);
                assert.equal(reply.json.id, id, `${JSON.stringify(order)} ${when}`);
            }
        };
        await ordersAgain("on its way");
        await carries(two.link, MiB);
        await carries(one.link, MiB);
        one.link.rate = two.link.rate = 0;
        const d = await waitState(b, id, "done");
        await ordersAgain("when it is there");
        await assertContent(b, d, await sha256(join(a.shareDir, "one.bin")));
        assert.equal(d.verified, true);
        const other = await b.api("/downloads", { json: { host: two.id, path: "three.bin" } });
        assert.equal(other.status, 201, "the same size alone is not the same content");
        await waitState(b, other.json.id, "done");
        assert.deepEqual(readdirSync(b.downloadsDir).sort(), ["one.bin", "three.bin"]);
    });

    test("is ordered by its root, and again when a person deleted it", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", {
            "f.bin": { size: 3 * MiB, seed: 42 },
            "s.txt": { size: 10, seed: 43 },
        });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { files: 2 });
        for (const { root, name, size } of (await b.api(`/hosts/${host}/files`)).json.files) {
            const sum = await sha256(join(a.shareDir, name));
            const first = await download(b, { root, to: "by root/here" });
            const d = await waitState(b, first.id, "done");
            assert.equal(d.name, name);
            assert.equal(pathOf(b, d), join(b.downloadsDir, "by root/here", name));
            assert.equal(await sha256(pathOf(b, d)), sum);
            assert.deepEqual([d.root, d.size, d.verified], [root, size, true]);

            await rm(pathOf(b, d));
            const before = fileBytes(link);
            for (const order of [{ root }, { host, path: name }]) {
                const again = await download(b, order);
                const now = await waitState(
                    b,
                    again.id,
                    (x) => x.state === "done" && existsSync(pathOf(b, x)),
                );
                assert.equal(await sha256(pathOf(b, now)), sum);
            }
            assert.equal(fileBytes(link) - before, size, "it was fetched again, once");
        }
    });

    test("that nobody has, or by no root, is not taken as an order", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", { "f.bin": { size: 1000, seed: 44 } });
        const b = await startHostpair({ t, name: "b" });
        await linked(t, b, a.peerPort);
        const nobody = await b.api("/downloads", { json: { root: "ab".repeat(32) } });
        assert.equal(nobody.status, 404, nobody.text);
        for (const root of ["", "ab", "zz".repeat(32), "ab".repeat(33)]) {
            const { status, json } = await b.api("/downloads", { json: { root } });
            assert.equal(status, 422, `root ${root}`);
            assert.match(json.detail, /root/);
        }
        assert.deepEqual((await b.api("/downloads")).json.downloads, []);
        assert.deepEqual(readdirSync(b.downloadsDir), []);
    });
});

describe("speed limits are kept within 5 % over 10 s", { concurrency: true }, () => {
    const sizes = [64 * MiB, 96 * MiB, 64 * MiB];

    /**
     * Bytes a second that each download received over 10 s, and what the API shows as their speed.
     * @param {Hostpair} b @param {number[]} ids
     */
    async function speeds(b, ids) {
        const look = async () => {
            const { downloads } = (await b.api("/downloads")).json;
            const own = ids.map((id) => downloads.find((/** @type {any} */ d) => d.id === id));
            return { at: performance.now(), own, bytes: own.map((d) => d.sources[0].bytes) };
        };
        const start = await look();
        await sleep(10_000);
        const end = await look();
        const seconds = (end.at - start.at) / 1000;
        for (const [i, d] of end.own.entries()) {
            assert.equal(d.state, "running", "all of them run to the end of the measurement");
            // What lies in sockets and buffers on either side: it cannot say more than it wrote, nor much less.
            assert.ok(d.done_bytes <= end.bytes[i], `${d.done_bytes} are written of ${end.bytes[i]}`);
            assert.ok(
                d.done_bytes >= end.bytes[i] - 9 * MiB,
                `${d.done_bytes} are written of ${end.bytes[i]}`,
            );
        }
        return {
            each: ids.map((_, i) => (end.bytes[i] - start.bytes[i]) / seconds),
            shown: end.own.map((d) => d.speed_bps),
        };
    }

    /**
     * The first speeds that `check` has nothing against. What a busy machine holds up for longer than a limit makes up for is
     * lost: it has a second and a third try.
     * @param {Hostpair} b @param {number[]} ids @param {(found: Awaited<ReturnType<typeof speeds>>) => void} check
     */
    async function checkSpeeds(b, ids, check) {
        for (let left = 2; ; left--) {
            const found = await speeds(b, ids);
            try {
                check(found);
                return;
            } catch (error) {
                if (left === 0) throw error;
            }
        }
    }

    /** Never more since the start than the limit allows, whatever the machine does. @param {number} written @param {number} limit @param {number} start */
    function assertNotOver(written, limit, start) {
        const most = (limit * (performance.now() - start)) / 1000;
        assert.ok(
            written <= 1.05 * most,
            `${written} bytes are written since the start, at most ${most} may be`,
        );
    }

    const sum = (/** @type {number[]} */ all) => all.reduce((x, y) => x + y, 0);

    /** @param {number} speed @param {number} limit @param {string} what @param {number} [part] */
    function assertNear(speed, limit, what, part = 0.05) {
        const off = speed / limit - 1;
        assert.ok(
            Math.abs(off) <= part,
            `${what}: ${Math.round(speed)} of ${limit}, ${(off * 100).toFixed(1)} %`,
        );
    }

    /** @param {import("node:test").TestContext} t @param {number} seed @param {string[]} names */
    async function pair(t, seed, names) {
        const a = await sharing(
            t,
            "a",
            Object.fromEntries(names.map((name, i) => [name, { size: sizes[i], seed: seed + i }])),
        );
        const b = await startHostpair({ t, name: "b" });
        return { a, b, ...(await linked(t, b, a.peerPort, { files: names.length })) };
    }

    /** Without a limit they are done in no time. @param {Hostpair} a @param {Hostpair} b @param {number[]} ids @param {string[]} names */
    async function assertFinish(a, b, ids, names) {
        for (const [i, name] of names.entries()) {
            const d = await waitState(b, ids[i], "done", { timeout: 40_000 });
            assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, name)));
        }
    }

    /** Waits until all of them flow steadily. @param {Hostpair} b @param {number[]} ids */
    async function flow(b, ids) {
        for (const id of ids) await waitState(b, id, (d) => d.sources[0]?.bytes > MiB / 2);
    }

    test("the one for all, which no download has to itself", { timeout: 150_000 }, async (t) => {
        const names = ["one.bin", "two.bin", "three.bin"];
        const { a, b, id: host } = await pair(t, 50, names);
        const limit = 3 * MiB;
        const set = await b.api("/settings", { method: "PATCH", json: { down_limit_bps: limit } });
        assert.equal(set.json.down_limit_bps, limit);
        const start = performance.now();
        const ids = [];
        for (const path of names) ids.push((await download(b, { host, path })).id);
        await flow(b, ids);
        await checkSpeeds(b, ids, ({ each, shown }) => {
            t.diagnostic(
                `${each.map(Math.round)}, together ${Math.round(sum(each))} bytes a second of ${limit}`,
            );
            assertNear(sum(each), limit, "all together");
            assertNear(sum(shown), limit, "what the API shows", 0.15);
            for (const speed of each) assert.ok(speed > limit / names.length / 3, `none starves: ${each}`);
        });
        const { downloads } = (await b.api("/downloads")).json;
        assertNotOver(sum(downloads.map((/** @type {any} */ d) => d.done_bytes)), limit, start);
        await b.api("/settings", { method: "PATCH", json: { down_limit_bps: 0 } });
        await assertFinish(a, b, ids, names);
    });

    test("the one of a download", { timeout: 150_000 }, async (t) => {
        const names = ["one.bin", "two.bin"];
        const { a, b, id: host } = await pair(t, 60, names);
        const limits = [MiB, 2.5 * MiB];
        const start = performance.now();
        const ids = [];
        for (const path of names) ids.push((await download(b, { host, path, limit_bps: 1000 })).id);
        for (const [i, id] of ids.entries()) {
            const set = await b.api(`/downloads/${id}`, { method: "PATCH", json: { limit_bps: limits[i] } });
            assert.equal(set.json.limit_bps, limits[i]);
        }
        await flow(b, ids);
        await checkSpeeds(b, ids, ({ each, shown }) => {
            t.diagnostic(`${each.map(Math.round)} bytes a second of ${limits}`);
            for (const [i, limit] of limits.entries()) {
                assertNear(each[i], limit, `download ${i}`);
                assertNear(shown[i], limit, `what the API shows of ${i}`, 0.15);
            }
        });
        for (const [i, limit] of limits.entries())
            assertNotOver((await getDownload(b, ids[i])).done_bytes, limit, start);
        for (const id of ids) await b.api(`/downloads/${id}`, { method: "PATCH", json: { limit_bps: 0 } });
        await assertFinish(a, b, ids, names);
    });
});
