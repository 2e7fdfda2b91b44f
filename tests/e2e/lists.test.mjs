// @ts-check
// What a host shows of another host's files keeps up with them by itself.

import assert from "node:assert/strict";
import { open } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    makeFile,
    pathOf,
    sha256,
    sha256Of,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { hashed, listed, makeFiles, sharing } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const GiB = 1024 ** 3;

/** A file's entry in the list of a host as `h` has it, without making it look. @param {Hostpair} h @param {string} host @param {string} path */
async function entry(h, host, path) {
    const { json } = await h.api(`/hosts/${host}/files?limit=1000`);
    return json.files.find((/** @type {any} */ file) => file.path === path);
}

describe("the list of another host", { concurrency: 1 }, () => {
    test("gets the root of a file that was hashed after it was listed", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        await makeFile(join(a.shareDir, "small"), 100);
        await hashed(a, 1);
        const { id } = await addHost(b, a.peerPort);
        await listed(b, id, 1);

        // Holes take no disk, and as long to hash as anything else.
        const file = await open(join(a.shareDir, "large"), "w");
        await file.truncate(6 * GiB);
        await file.close();
        await waitFor(
            async () => {
                await b.api(`/hosts/${id}/files/refresh`, { method: "POST" });
                return entry(b, id, "large");
            },
            { timeout: 20_000, interval: 200, what: "the large file in the list" },
        );
        const first = await entry(b, id, "large");
        assert.equal(first.root, null, "it is still being hashed");
        assert.equal(first.size, 6 * GiB);

        await hashed(a, 2);
        const began = Date.now();
        const { root } = await waitFor(
            async () => {
                const now = await entry(b, id, "large");
                return now.root !== null && now;
            },
            { timeout: 60_000, interval: 500, what: "its root in the list" },
        );
        assert.match(root, /^[0-9a-f]{64}$/);
        t.diagnostic(`known ${Date.now() - began} ms after it was`);
        const told = JSON.parse(
            (await a.peer("/hostpair", { headers: { accept: "application/json" } })).text,
        );
        assert.equal(told.hashed_bytes, told.bytes);
    });

    test("tells a file from one of 64 bytes that has the same root", async (t) => {
        const a = await sharing(t, "a", { large: { size: 4 * MiB, seed: 5 } });
        const b = await startHostpair({ t, name: "b" });
        const { headers } = await a.peer("/large");
        const root = headers["hostpair-root"];
        const nodes = await a.peer(`/manifest/${root}?chunk=${2 * MiB}`);
        assert.equal(nodes.body.length, 64);
        await makeFiles(a.shareDir, { twin: nodes.body });
        await hashed(a, 2, 4 * MiB + 64);
        const { id } = await addHost(b, a.peerPort);
        await listed(b, id, 2);
        for (const path of ["large", "twin"]) assert.equal((await entry(b, id, path)).root, root, path);

        // The layer goes by the size; without it, it is the one of the file that has a layer.
        for (const [size, length] of [
            ["", 64],
            [`&size=${4 * MiB}`, 64],
            ["&size=64", 32],
        ])
            assert.equal((await a.peer(`/manifest/${root}?chunk=${2 * MiB}${size}`)).body.length, length);
        assert.equal((await a.peer(`/manifest/${root}?chunk=${2 * MiB}&size=65`)).status, 404);
        for (const size of ["0", "x", "", "99999999999999999999"])
            assert.equal((await a.peer(`/manifest/${root}?chunk=${2 * MiB}&size=${size}`)).status, 400);

        const { results } = (await b.api("/search?q=twin")).json;
        assert.deepEqual(
            results.map((/** @type {any} */ r) => [r.size, r.copies.length]),
            [[64, 1]],
        );
        assert.equal((await b.api("/downloads", { json: { root, size: 65 } })).status, 404);
        assert.equal((await b.api("/downloads", { json: { host: id, path: "twin", size: 64 } })).status, 422);
        const twin = await download(b, { root, size: 64 });
        await waitState(b, twin.id, "done");
        assert.equal(await sha256(pathOf(b, twin)), await sha256(join(a.shareDir, "twin")));
        assert.equal((await entry(b, id, "twin")).local, "done");
        assert.equal((await entry(b, id, "large")).local, null);
        const large = await download(b, { host: id, path: "large" });
        assert.notEqual(large.id, twin.id);
        const done = await waitState(b, large.id, "done");
        assert.equal(done.verified, true);
        assert.equal(await sha256(pathOf(b, large)), await sha256(join(a.shareDir, "large")));
        // Both are there now: an order of either is the download that has it.
        assert.equal((await b.api("/downloads", { json: { root, size: 64 } })).json.id, twin.id);
        assert.equal((await b.api("/downloads", { json: { root, size: 4 * MiB } })).json.id, large.id);
    });
});

describe("a layer of the hash tree of a large file", { concurrency: 1 }, () => {
    test("comes in pieces, whole, and to many at once", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const size = 200 * MiB + 5;
        const file = await open(join(a.shareDir, "hole"), "w");
        await file.truncate(size);
        await file.close();
        await hashed(a, 1, size);
        const { headers } = await a.peer("/hole", { method: "HEAD" });
        const target = `/manifest/${headers["hostpair-root"]}?chunk=16384&size=${size}`;
        const leaf = sha256Of(Buffer.alloc(16384));
        const count = Math.ceil(size / 16384);
        await Promise.all(
            Array.from({ length: 8 }, async () => {
                const reply = await a.peer(target);
                assert.equal(reply.status, 200);
                assert.equal(reply.headers["content-length"], String(32 * count));
                assert.equal(reply.body.length, 32 * count);
                const layer = reply.body.toString("hex");
                assert.equal(layer, leaf.repeat(count - 1) + sha256Of(Buffer.alloc(5)));
            }),
        );
        const head = await a.peer(target, { method: "HEAD" });
        assert.equal(head.headers["content-length"], String(32 * count));
        assert.equal(head.body.length, 0);

        // Clients that take nothing, and go in the middle.
        const idle = Array.from({ length: 40 }, () => {
            const socket = net.connect(a.peerPort, "127.0.0.1");
            socket.on("error", () => {});
            socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
            socket.pause();
            return socket;
        });
        assert.equal((await a.peer(target)).body.length, 32 * count);
        for (const socket of idle) socket.destroy();
        await waitFor(async () => (await a.api("/connections")).json.connections.length <= 10);
        assert.equal((await a.peer(target)).body.length, 32 * count);
    });

    test("is in a torrent as well, however many chunks it has", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const size = 3 * GiB + 1;
        const file = await open(join(a.shareDir, "hole"), "w");
        await file.truncate(size);
        await file.close();
        await hashed(a, 1, size);
        const { headers } = await a.peer("/hole", { method: "HEAD" });
        const layer = (await a.peer(`/manifest/${headers["hostpair-root"]}?chunk=${MiB}`)).body;
        assert.equal(layer.length, 32 * 3073);
        const torrent = await a.peer("/torrent/hole");
        assert.equal(torrent.status, 200);
        assert.equal(torrent.headers["content-length"], String(torrent.body.length));
        const at = torrent.body.indexOf(layer);
        assert.ok(at > 0, "the layer is in it");
        assert.match(torrent.body.subarray(at - 80, at).toString("latin1"), /piece layersd32:[^]{32}98336:$/);
        assert.match(torrent.body.subarray(at + layer.length).toString(), /^e8:url-list\d+:http:.*e$/);
        const head = await a.peer("/torrent/hole", { method: "HEAD" });
        assert.equal(head.headers["content-length"], String(torrent.body.length));
    });
});
