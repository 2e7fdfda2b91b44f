// @ts-check
// One content, several hosts: who joins and leaves, who is named for what it gave, and when one content is one download.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import { hashTree, send, startEvil } from "./evil.mjs";
import {
    MiB,
    download,
    getDownload,
    makeBytes,
    pathOf,
    sha256,
    sha256Of,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, fileBytes, linked, sharing } from "./hosts.mjs";
import { assertContent, assertGave, carries, isWaiting, sourceOf } from "./sources.mjs";

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
            await waitState(b, id, (d) => d.chunks_done >= 6);
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
