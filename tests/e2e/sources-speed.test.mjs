// @ts-check
// One content, several hosts: how fast it comes, from hosts of different speeds, beside liars, and within limits.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
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
    waitState,
} from "./harness.mjs";
import { assertWords, fileBytes, linked, sharing } from "./hosts.mjs";
import { assertContent, assertGave, sourceOf } from "./sources.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

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
