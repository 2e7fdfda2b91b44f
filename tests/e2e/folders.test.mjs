// @ts-check
// Whole folders: many small files, names of every kind, pauses and restarts, files that are missing at the source.
//
// HP_E2E_MANY sets how many small files there are (default 1000).

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { honest, startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
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
import {
    assertSameTree,
    assertWords,
    fileBytes,
    hashed,
    linked,
    oddNames,
    makeFiles,
    pathsBelow,
    sharing,
} from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const MANY = Number(process.env.HP_E2E_MANY || 1000);

const odd = [
    ...oddNames,
    "é is not e\u0301",
    "message",
    "files",
    "Upper",
    "upper",
    "taken.tar.gz",
    "taken (1).tar.gz",
    "taken.tar (1).gz",
    "x.hostpair-part",
    "\u202eright to left",
    "\u{1f98a}".repeat(63),
    // The same for longer than the name of a part file keeps.
    ...Array.from({ length: 8 }, (_, i) => `${"same".repeat(50)}${i}`),
    ...Array.from({ length: 3 }, (_, i) => `${"é".repeat(101)}${i}.txt`),
];

/** Every odd name, in a folder with every odd name, and `many` small files. @param {number} many */
function oddTree(many) {
    /** @type {import("./hosts.mjs").Files} */
    const files = {};
    let seed = 1;
    for (const name of odd) files[`files/${name}`] = { size: 1000 + seed, seed: seed++ };
    for (const name of odd) files[`folders/${name}/${odd[seed % odd.length]}`] = { size: seed, seed: seed++ };
    files[`${"d".repeat(255)}/${"e".repeat(255)}/${"f".repeat(255)}/${"g".repeat(255)}`] = {
        size: 99,
        seed: seed++,
    };
    files[`${Array.from({ length: 30 }, (_, i) => i).join("/")}/deep`] = { size: 98, seed: seed++ };
    for (const name of ["empty", ".empty", "also empty.txt"]) files[`none/${name}`] = { size: 0, seed: 0 };
    for (let i = 0; i < 10; i++) files[`copies/${i}/the same`] = { size: 4096, seed: 7 };
    // Longer than a chunk, so that part files of one name are written side by side.
    for (let i = 0; i < 8; i++)
        files[`long/${"same".repeat(50)}${i}`] = { size: MiB + 100_000 * (i + 1), seed: seed++ };
    for (let i = 0; Object.keys(files).length < many; i++)
        files[`small/${i % 31}/${odd[i % 7]} ${i}`] = { size: 4096, seed: seed++ };
    return files;
}

describe("a folder", () => {
    test(`of ${MANY} files with odd names arrives whole`, { timeout: 400_000 }, async (t) => {
        const top = "odd folder % # ?";
        const tree = oddTree(MANY);
        const count = Object.keys(tree).length;
        assert.ok(count >= 1000);
        const a = await startHostpair({ t, name: "a" });
        await makeFiles(join(a.shareDir, top), tree);
        await hashed(a, count);
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { files: count });
        const start = performance.now();
        const { id } = await download(b, { host, folder: top });
        const again = await b.api("/downloads", { json: { host, folder: top } });
        assert.deepEqual([again.status, again.json.id], [200, id], "what is on its way is not ordered twice");
        const d = await waitState(b, id, "done", { timeout: 300_000 });
        t.diagnostic(`${count} files in ${((performance.now() - start) / 1000).toFixed(1)} s`);
        assert.equal(pathOf(b, d), join(b.downloadsDir, top));
        await assertSameTree(pathOf(b, d), join(a.shareDir, top));
        assert.deepEqual([d.name, d.files_total, d.files_done, d.verified], [top, count, count, true]);
        assert.equal(d.done_bytes, d.size);
        assert.equal(d.chunks_done, d.chunks_total);
        assert.deepEqual(readdirSync(b.downloadsDir), [top]);
        assert.ok(link.connections() < 60, `${link.connections()} connections`);
    });

    test("that is the whole share, with the words that paths begin with", { timeout: 90_000 }, async (t) => {
        /** @type {import("./hosts.mjs").Files} */
        const tree = {};
        for (const [i, name] of odd.entries()) tree[name] = { size: 100 + i, seed: 3000 + i };
        for (const word of ["sub", "Files", "LIST"])
            tree[`${word}/manifest/list`] = { size: 50, seed: word.length };
        const a = await sharing(t, "a", tree);
        const b = await startHostpair({ t, name: "b" });
        const { id: host } = await linked(t, b, a.peerPort, { files: Object.keys(tree).length });
        const { id } = await download(b, { host, folder: "", to: "whole/share" });
        const d = await waitState(b, id, "done");
        await assertSameTree(pathOf(b, d), a.shareDir);
        assert.match(d.path, /whole\/share\//);
        assert.equal(d.verified, true);
    });

    test(
        "is paused, resumed and started anew; one missing file fails alone",
        { timeout: 120_000 },
        async (t) => {
            /** @type {import("./hosts.mjs").Files} */
            const tree = {};
            for (let i = 0; i < 120; i++)
                tree[`set/${String(i % 10)}/${i}.dat`] = { size: 30_000 + i, seed: 4000 + i };
            for (let i = 0; i < 4; i++) tree[`set/big ${i}.bin`] = { size: 5 * MiB + i, seed: 4200 + i };
            tree["set/zz/missing.bin"] = { size: 2 * MiB + 5, seed: 4300 };
            const count = Object.keys(tree).length;
            const a = await sharing(t, "a", tree);
            const b = await startHostpair({ t, name: "b" });
            const { link, id: host } = await linked(t, b, a.peerPort, { rate: 4 * MiB, files: count });
            const away = join(a.shareDir, "set/zz/missing.bin");
            const kept = join(a.root, "missing.bin");
            renameSync(away, kept);
            const { id } = await download(b, { host, folder: "set" });
            const total = Object.values(tree).reduce(
                (n, f) => n + (Buffer.isBuffer(f) ? f.length : f.size),
                0,
            );

            await waitState(b, id, (d) => d.done_bytes > 0.2 * total);
            const paused = await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
            assert.deepEqual([paused.status, paused.json.state], [200, "paused"]);
            await waitFor(
                async () => {
                    const before = fileBytes(link);
                    await sleep(300);
                    return fileBytes(link) === before;
                },
                { what: "nothing more being fetched" },
            );
            const rested = await getDownload(b, id);
            await b.restart();
            const still = await getDownload(b, id);
            assert.equal(still.state, "paused");
            assert.equal(still.chunks_done, rested.chunks_done, "a pause and an orderly end lose no chunk");
            assert.deepEqual([still.files_total, still.files_done], [count, rested.files_done]);

            await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
            await waitState(b, id, (d) => d.done_bytes > 0.5 * total);
            await b.kill9();
            await b.restart();
            const failed = await waitState(b, id, "failed");
            assert.deepEqual([failed.files_total, failed.files_done], [count, count - 1]);
            assertWords(failed.reason);
            assertWords(failed.error.detail);
            assert.match(`${failed.reason} ${failed.error.detail}`, /missing\.bin/, "the file is named");
            const there = pathsBelow(pathOf(b, failed)).filter((path) => !path.endsWith(".hostpair-part"));
            assert.deepEqual(there, pathsBelow(join(a.shareDir, "set")), "all others are there");

            renameSync(kept, away);
            const before = fileBytes(link);
            link.rate = 0;
            const retried = await b.api(`/downloads/${id}/retry`, { method: "POST" });
            assert.ok(retried.status === 200 || retried.status === 202, retried.text);
            const d = await waitState(b, id, "done");
            assert.deepEqual([d.files_done, d.verified, d.error, d.reason ?? ""], [count, true, null, ""]);
            await assertSameTree(pathOf(b, d), join(a.shareDir, "set"));
            const more = fileBytes(link) - before;
            assert.ok(more <= 3 * (2 * MiB + 5), `${more} bytes for one file of 2 MiB`);
        },
    );

    test("goes beside what has its name, and touches nothing there", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", {
            "f/one.txt": { size: 10, seed: 1 },
            "f/two.bin": { size: 2 * MiB, seed: 2 },
        });
        const b = await startHostpair({ t, name: "b" });
        mkdirSync(join(b.downloadsDir, "f"));
        writeFileSync(join(b.downloadsDir, "f/one.txt"), "mine");
        const { id: host } = await linked(t, b, a.peerPort, { files: 2 });
        const { id } = await download(b, { host, folder: "f" });
        const d = await waitState(b, id, "done");
        assert.equal(d.name, "f (1)");
        await assertSameTree(pathOf(b, d), join(a.shareDir, "f"));
        assert.deepEqual(readdirSync(join(b.downloadsDir, "f")), ["one.txt"]);
    });

    test("keeps a file that a person put in its way while it came", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", {
            "f/big.bin": { size: 6 * MiB, seed: 3 },
            "f/small.txt": { size: 100, seed: 4 },
            "f/x/last.bin": { size: 3 * MiB, seed: 5 },
        });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { rate: 2 * MiB, files: 3 });
        const { id } = await download(b, { host, folder: "f" });
        await waitState(b, id, (d) => d.chunks_done >= 2);
        const mine = makeBytes(1000, 6);
        const folder = pathOf(b, await getDownload(b, id));
        assert.ok(!existsSync(join(folder, "big.bin")), "not before it is whole");
        writeFileSync(join(folder, "big.bin"), mine);
        link.rate = 0;
        const d = await waitState(b, id, "done");
        assert.deepEqual(pathsBelow(folder), ["big (1).bin", "big.bin", "small.txt", "x/last.bin"]);
        assert.equal(await sha256(join(folder, "big (1).bin")), await sha256(join(a.shareDir, "f/big.bin")));
        assert.equal(d.verified, true);
    });

    test("from two hosts that have it half each, by content", { timeout: 60_000 }, async (t) => {
        /** @type {import("./hosts.mjs").Files} */
        const tree = {};
        for (let i = 0; i < 40; i++)
            tree[`f/${i}.dat`] = { size: i % 3 ? 20_000 + i : 2 * MiB + i, seed: 5000 + i };
        const a = await sharing(t, "a", tree);
        const half = Object.fromEntries(Object.entries(tree).filter((_, i) => i % 2));
        const renamed = Object.fromEntries(
            Object.entries(half).map(([path, f], i) => [`other/${i}${path.length}`, f]),
        );
        const c = await sharing(t, "c", renamed);
        const b = await startHostpair({ t, name: "b" });
        const one = await linked(t, b, a.peerPort, { rate: 6 * MiB, files: 40 });
        const two = await linked(t, b, c.peerPort, { rate: 6 * MiB, files: 20 });
        const { id } = await download(b, { host: one.id, folder: "f" });
        const d = await waitState(b, id, "done");
        await assertSameTree(pathOf(b, d), join(a.shareDir, "f"));
        assert.equal(d.verified, true);
        assert.ok(fileBytes(two.link) > 0, "the host with the other names gave its part");
    });

    test(
        "of a host that lies about one file: that one fails, the others land",
        { timeout: 60_000 },
        async (t) => {
            /** @type {Record<string, Buffer>} */
            const files = {
                "f/big lie.bin": makeBytes(3 * MiB, 6001),
                "f/small lie.txt": makeBytes(5000, 6002),
            };
            for (let i = 0; i < 20; i++)
                files[`f/x/${i}.bin`] = makeBytes(i % 5 ? 3000 + i : MiB + 3000 + i, 6010 + i);
            const evil = await startEvil({
                t,
                files,
                hostpair: { id: "ab".repeat(16), name: "half a liar" },
                lie: (asked) => {
                    if (!/lie/.test(asked.request.path)) return false;
                    const wrong = Buffer.from(asked.bytes);
                    for (let at = 100; at < wrong.length; at += 100_000) wrong[at] ^= 1;
                    honest({ ...asked, bytes: wrong });
                    return true;
                },
            });
            const b = await startHostpair({ t, name: "b" });
            const { id: host } = await linked(t, b, evil.port, { files: Object.keys(files).length });
            const { id } = await download(b, { host, folder: "f" });
            const failed = await waitState(b, id, "failed");
            assert.deepEqual([failed.files_total, failed.files_done], [22, 20]);
            assert.match(failed.error.detail, /lie\..*hash/);
            const there = pathsBelow(pathOf(b, failed)).filter((path) => !path.endsWith(".hostpair-part"));
            assert.equal(there.length, 20);
            for (const path of there)
                assert.equal(await sha256(join(pathOf(b, failed), path)), sha256Of(files[`f/${path}`]), path);
            evil.lie = undefined;
            await b.api(`/downloads/${id}/retry`, { method: "POST" });
            const d = await waitState(b, id, "done");
            assert.deepEqual([d.files_done, d.verified], [22, true]);
            for (const path of Object.keys(files))
                assert.equal(await sha256(join(b.downloadsDir, path)), sha256Of(files[path]), path);
        },
    );

    test("of a plain server is what its list names", { timeout: 60_000 }, async (t) => {
        // A server of the first table lists no folders: there is nothing below one.
        const evil = await startEvil({
            t,
            files: { "a.txt": Buffer.from("a"), "f/b.txt": Buffer.from("b") },
        });
        const b = await startHostpair({ t, name: "b" });
        const { id: host } = await addHost(b, evil.port);
        await waitFor(async () => (await b.api(`/hosts/${host}/files`)).json.files.length === 1, {
            what: "the list",
        });
        const none = await b.api("/downloads", { json: { host, folder: "f" } });
        assert.equal(none.status, 404, none.text);
        const { id } = await download(b, { host, folder: "" });
        const d = await waitState(b, id, "done");
        assert.deepEqual(pathsBelow(pathOf(b, d)), ["a.txt"]);
        assert.equal(d.verified, false);
    });
});
