// @ts-check
// What was fetched and is ordered again: what differs is fetched, what is the same stays, and nothing that somebody
// changed here is replaced.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
    download,
    makeBytes,
    makeFile,
    pathOf,
    sha256,
    sha256Of,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";
import { give, listen } from "./web.mjs";

/**
 * Two hosts; the second one's list has so many files, all hashed.
 * @param {import("node:test").TestContext} t
 * @param {(share: string) => Promise<void>} fill
 */
async function pair(t, fill) {
    const a = await startHostpair({ t, name: "a" });
    await fill(a.shareDir);
    const b = await startHostpair({ t, name: "b" });
    const link = await startLink({ t, to: a.peerPort });
    const host = await addHost(b, link.port);
    const listed = async () => {
        const { files } = (await a.api("/share/files?q=.")).json;
        const refreshed = await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
        const seen = (await b.api(`/hosts/${host.id}/files?q=.`)).json.files;
        const key = (/** @type {any} */ f) => `${f.path} ${f.root} ${f.mtime}`;
        return (
            refreshed.status < 300 &&
            files.every((/** @type {any} */ f) => f.root !== null) &&
            files.map(key).sort().join() === seen.map(key).sort().join()
        );
    };
    const sees = (/** @type {number} */ count) =>
        waitFor(async () => (await a.api("/share/files?q=.")).json.total === count && (await listed()), {
            timeout: 20_000,
            what: `a list of ${count} files`,
        });
    return { a, b, link, host, sees };
}

test(
    "a file that was changed here is fetched again, beside the changed one",
    { timeout: 60_000 },
    async (t) => {
        const { b, host, sees } = await pair(t, async (share) =>
            writeFileSync(join(share, "notes.txt"), "as shared"),
        );
        await sees(1);
        const order = { host: host.id, path: "notes.txt" };
        const first = await waitState(b, (await download(b, order)).id, "done");
        const unchanged = await b.api("/downloads", { json: order });
        assert.deepEqual(
            [unchanged.status, unchanged.json.id, unchanged.json.state],
            [200, first.id, "done"],
        );
        writeFileSync(pathOf(b, first), "as edited");
        const reply = await b.api("/downloads", { json: order });
        assert.equal(reply.status, 201, reply.text);
        const second = await waitState(b, reply.json.id, "done");
        assert.equal(second.path, "notes (1).txt");
        assert.equal(readFileSync(pathOf(b, second), "utf8"), "as shared");
        assert.equal(readFileSync(pathOf(b, first), "utf8"), "as edited");
    },
);

test("a folder is brought up to date; a second copy comes when asked for", { timeout: 90_000 }, async (t) => {
    const { a, b, link, host, sees } = await pair(t, async (share) => {
        await mkdir(join(share, "photos/more"), { recursive: true });
        await makeFile(join(share, "photos/large.bin"), 6 * MiB, 1);
        writeFileSync(join(share, "photos/same.txt"), "same");
        writeFileSync(join(share, "photos/newer.txt"), "old version");
        writeFileSync(join(share, "photos/edited.txt"), "as shared");
        writeFileSync(join(share, "photos/lost.txt"), "lost here");
        await makeFile(join(share, "photos/more/grows.bin"), 3 * MiB, 2);
    });
    await sees(6);
    const order = { host: host.id, folder: "photos" };
    const first = await waitState(b, (await download(b, order)).id, "done");
    const top = join(b.downloadsDir, "photos");
    const read = (/** @type {string} */ name) => readFileSync(join(top, name), "utf8");

    const nothing = await b.api("/downloads", { json: order });
    assert.deepEqual([nothing.status, nothing.json.id, nothing.json.state], [200, first.id, "done"]);

    const offered = join(a.shareDir, "photos");
    writeFileSync(join(offered, "newer.txt"), "new version");
    writeFileSync(join(offered, "added.txt"), "added");
    const grown = await sha256(await makeFile(join(offered, "more/grows.bin"), 4 * MiB, 3));
    writeFileSync(join(top, "edited.txt"), "as edited");
    await rm(join(top, "lost.txt"));
    await sees(7);
    const same = statSync(join(top, "large.bin"));
    const before = link.carried();
    const reply = await b.api("/downloads", { json: order });
    assert.deepEqual([reply.status, reply.json.id], [200, first.id], reply.text);
    const d = await waitState(b, first.id, "done");
    assert.deepEqual([d.files_total, d.files_done, d.verified], [7, 7, true]);
    assert.match(d.note, /5 files were new or had changed/);
    assert.ok(link.carried() - before < 5.5 * MiB, `${link.carried() - before} bytes for 4 MiB of news`);
    assert.deepEqual(statSync(join(top, "large.bin")), same, "what is the same stays");
    assert.equal(read("newer.txt"), "new version");
    assert.equal(read("added.txt"), "added");
    assert.equal(read("lost.txt"), "lost here");
    assert.equal(await sha256(join(top, "more/grows.bin")), grown);
    assert.equal(read("edited.txt"), "as edited", "what somebody changed here is not replaced");
    assert.equal(read("edited (1).txt"), "as shared");
    assert.deepEqual(readdirSync(b.downloadsDir), ["photos"]);

    const copied = await download(b, { ...order, copy: true });
    assert.equal((await waitState(b, copied.id, "done")).path, "photos (1)");
    assert.equal(readFileSync(join(b.downloadsDir, "photos (1)/newer.txt"), "utf8"), "new version");
    await b.restart();
    assert.equal((await b.api(`/downloads/${first.id}`)).json.state, "done");
});

test("a download has the time of its file, and the umask's rights", { timeout: 60_000 }, async (t) => {
    const then = new Date("2019-05-04T10:20:30.500Z");
    const a = await startHostpair({ t, name: "a" });
    await mkdir(join(a.shareDir, "in"));
    writeFileSync(join(a.shareDir, "in/small.txt"), "small");
    await makeFile(join(a.shareDir, "in/large.bin"), 3 * MiB, 1);
    for (const name of ["in/small.txt", "in/large.bin"]) utimesSync(join(a.shareDir, name), then, then);
    await waitFor(async () => (await a.api("/status")).json.share.files === 2);
    const b = await startHostpair({ t, name: "b", wrap: ["sh", "-c", 'umask 002; exec "$0" "$@"'] });
    const host = await addHost(b, a.peerPort);
    await waitState(b, (await download(b, { host: host.id, folder: "in" })).id, "done");
    for (const name of ["in/small.txt", "in/large.bin"]) {
        const st = statSync(join(b.downloadsDir, name));
        assert.equal(st.mtime.toISOString(), then.toISOString(), name);
        assert.equal((st.mode & 0o777).toString(8), "664", name);
    }
    assert.equal((statSync(join(b.downloadsDir, "in")).mode & 0o777).toString(8), "775");
    assert.ok(!existsSync(join(b.downloadsDir, "in (1)")));
});

test("a file that no list knows has the time that its server tells", { timeout: 60_000 }, async (t) => {
    const then = "Thu, 07 May 2015 08:09:10 GMT";
    const asked = new Set();
    const port = await listen(t, (req, res) => {
        const size = req.url?.startsWith("/large") ? 3 * MiB : 1000;
        asked.add(req.url);
        if (req.url?.endsWith(".none")) return give(req, res, makeBytes(size, 7));
        res.setHeader("Last-Modified", req.url?.endsWith(".bad") ? "some day" : then);
        if (!req.url?.endsWith(".whole")) return give(req, res, makeBytes(size, 7));
        res.write(makeBytes(size, 7)); // in chunks, without a length or an ETag
        res.end();
    });
    const h = await startHostpair({ t });
    const begun = Date.now() - 1000;
    for (const name of ["small", "large", "small.whole", "large.whole", "small.bad", "large.none"]) {
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/${name}` });
        const path = pathOf(h, await waitState(h, id, "done"));
        if (/bad|none/.test(name)) assert.ok(statSync(path).mtimeMs >= begun, name);
        else assert.equal(statSync(path).mtime.toUTCString(), then, name);
    }
});

test(
    "a host whose list has no times: its files have those of its replies",
    { timeout: 60_000 },
    async (t) => {
        const files = { "in/small.txt": makeBytes(500, 8), "in/large.bin": makeBytes(3 * MiB, 9) };
        const evil = await startEvil({
            t,
            files,
            hostpair: { id: "ab".repeat(16), name: "timeless" },
            listLines: Object.entries(files).map(([path, bytes]) =>
                JSON.stringify({ path, size: bytes.length, type: "application/octet-stream", root: null }),
            ),
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        await waitFor(async () => (await h.api(`/hosts/${host.id}/files?q=.`)).json.files?.length === 2, {
            what: "the list",
        });
        const order = { host: host.id, folder: "in" };
        const d = await waitState(h, (await download(h, order)).id, "done");
        for (const name of ["small.txt", "large.bin"])
            assert.equal(
                statSync(join(pathOf(h, d), name)).mtime.toUTCString(),
                "Tue, 02 Jan 2024 03:04:05 GMT",
            );
        const before = evil.requests.length;
        const again = await waitState(h, (await download(h, order)).id, "done");
        assert.equal(again.id, d.id);
        const asked = evil.requests.slice(before).map((r) => r.path);
        assert.deepEqual(
            asked.filter((path) => path.includes("in/")),
            [],
            "nothing says that they are other ones now",
        );
    },
);

for (const how of ["cancelled", "failed"])
    test(
        `what was kept of a URL that was ${how} goes on as the new order says`,
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(8 * MiB, 6);
            let good = "old";
            /** @type {Array<Array<string | undefined>>} */
            const sent = [];
            const port = await listen(t, (req, res) => {
                const { cookie, "x-one": one, "x-two": two } = req.headers;
                sent.push([cookie, String(one), String(two)]);
                if (cookie !== good) res.writeHead(403, { "Content-Length": 0 }).end();
                else give(req, res, bytes);
            });
            const link = await startLink({ t, to: port, rate: 2 * MiB });
            const h = await startHostpair({ t });
            const url = `http://127.0.0.1:${link.port}/f.bin`;
            const { id } = await download(h, { url, headers: { Cookie: "old", "X-One": "1" }, priority: -1 });
            await waitState(h, id, (d) => d.chunks_done >= 2);
            good = "new";
            if (how === "failed") {
                link.breakAll();
                await waitState(h, id, "failed");
            }
            assert.equal((await h.api(`/downloads/${id}?data=keep`, { method: "DELETE" })).status, 204);
            await waitFor(() => link.open() === 0, { what: "the connections to end" });
            sent.length = 0;
            const before = link.carried();
            const again = await download(h, {
                url,
                headers: { Cookie: "new", "X-Two": "2" },
                priority: 1,
                limit_bps: 3 * MiB,
            });
            assert.deepEqual([again.id, again.priority, again.limit_bps], [id, 1, 3 * MiB]);
            link.rate = 0;
            const d = await waitState(h, id, (d) => ["done", "failed"].includes(d.state));
            assert.equal(d.state, "done", d.error?.detail);
            assert.equal(await sha256(pathOf(h, d)), sha256Of(bytes));
            assert.deepEqual([d.priority, d.limit_bps], [1, 3 * MiB]);
            assert.deepEqual(new Set(sent.map(String)), new Set(["new,undefined,2"]));
            assert.ok(link.carried() - before < bytes.length - MiB, "what was kept is not fetched again");
        },
    );

test(
    "what was kept of a cancelled download is shown, goes on, or is removed",
    { timeout: 90_000 },
    async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const size = 24 * MiB;
        const sum = await sha256(await makeFile(join(a.shareDir, "big.bin"), size, 5));
        await waitFor(async () => (await a.api("/status")).json.share.hashed_bytes === size, {
            timeout: 30_000,
        });
        const b = await startHostpair({ t, name: "b" });
        const link = await startLink({ t, to: a.peerPort, rate: 8 * MiB });
        const host = await addHost(b, link.port);
        const order = { host: host.id, path: "big.bin" };
        const kept = async () => (await b.api("/kept")).json.kept;
        /** @param {number} id */
        const cancel = async (id) => {
            await waitState(b, id, (d) => d.done_bytes >= 6 * MiB);
            assert.equal((await b.api(`/downloads/${id}?data=keep`, { method: "DELETE" })).status, 204);
        };
        assert.deepEqual(await kept(), []);
        const { id } = await download(b, order);
        await cancel(id);
        assert.equal((await b.api(`/downloads/${id}`)).status, 404);
        assert.deepEqual((await b.api("/downloads")).json.downloads, []);
        const [one] = await kept();
        assert.deepEqual([one.id, one.name, one.size], [id, "big.bin", size]);
        assert.ok(one.done_bytes >= 3 * MiB, `${one.done_bytes} bytes`);

        await b.restart();
        const before = link.carried();
        const again = await b.api("/downloads", { json: order });
        assert.deepEqual([again.status, again.json.id], [201, id], again.text);
        const d = await waitState(b, id, "done");
        assert.match(d.note, /kept/);
        assert.equal(await sha256(pathOf(b, d)), sum);
        assert.ok(
            link.carried() - before < size - 2 * MiB,
            `${link.carried() - before} bytes were fetched again`,
        );
        assert.deepEqual(await kept(), []);

        const other = await download(b, { ...order, copy: true });
        await cancel(other.id);
        assert.equal(
            (await b.api(`/kept/${id}`, { method: "DELETE" })).status,
            404,
            "what is no longer kept",
        );
        assert.equal((await b.api(`/kept/${other.id}`, { method: "DELETE" })).status, 204);
        assert.deepEqual(await kept(), []);
        assert.deepEqual(readdirSync(b.downloadsDir), ["big.bin"]);
        const { counts } = (await b.api("/downloads")).json;
        assert.equal(counts?.cancelled ?? 0, 0);
    },
);

test(
    "what has another time here and the same content stays, and is not fetched again",
    { timeout: 90_000 },
    async (t) => {
        const { a, b, link, host } = await pair(t, async (share) => {
            await mkdir(join(share, "photos"));
            await makeFile(join(share, "photos/large.bin"), 6 * MiB, 1);
            writeFileSync(join(share, "photos/small.txt"), "small");
            writeFileSync(join(share, "photos/empty.txt"), "");
            writeFileSync(join(share, "photos/edited.txt"), "as shared");
            await makeFile(join(share, "alone.bin"), 3 * MiB, 2);
        });
        await waitFor(async () => (await a.api("/status")).json.share.hashed_bytes > 9 * MiB, {
            timeout: 20_000,
        });
        await waitFor(
            async () => {
                await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
                const { files } = (await b.api(`/hosts/${host.id}/files?q=.`)).json;
                return (
                    files.length === 5 &&
                    files.every((/** @type {any} */ f) => f.root !== null || f.size === 0)
                );
            },
            { timeout: 20_000, what: "the hashed list" },
        );
        const order = { host: host.id, folder: "photos" };
        const first = await waitState(b, (await download(b, order)).id, "done");
        const one = await waitState(b, (await download(b, { host: host.id, path: "alone.bin" })).id, "done");
        const top = join(b.downloadsDir, "photos");
        const names = ["large.bin", "small.txt", "empty.txt"];
        const times = names.map((name) => statSync(join(top, name)).mtimeMs);
        const alone = statSync(pathOf(b, one)).mtimeMs;
        const then = new Date("2011-01-01T00:00:00Z");
        for (const name of names) utimesSync(join(top, name), then, then);
        utimesSync(pathOf(b, one), then, then);
        writeFileSync(join(top, "edited.txt"), "as edited");

        const before = link.carried();
        const reply = await b.api("/downloads", { json: order });
        assert.deepEqual([reply.status, reply.json.id], [200, first.id], reply.text);
        const d = await waitState(b, first.id, "done");
        assert.match(d.note, /4 files have another time here, and are compared/);
        assert.deepEqual([d.files_total, d.files_done, d.verified], [4, 4, true]);
        const list = [...names, "edited.txt", "edited (1).txt"].sort();
        assert.deepEqual(readdirSync(top).sort(), list);
        assert.deepEqual(
            names.map((name) => statSync(join(top, name)).mtimeMs),
            times,
            "they have the times of the host's files again",
        );
        assert.equal(readFileSync(join(top, "edited.txt"), "utf8"), "as edited");
        assert.equal(readFileSync(join(top, "edited (1).txt"), "utf8"), "as shared");
        const single = await b.api("/downloads", { json: { host: host.id, path: "alone.bin" } });
        const again = await waitState(b, single.json.id, "done");
        assert.deepEqual([again.path, again.verified], ["alone.bin", true]);
        assert.equal(statSync(pathOf(b, one)).mtimeMs, alone);
        assert.ok(link.carried() - before < MiB, `${link.carried() - before} bytes were fetched`);
        assert.deepEqual(readdirSync(b.downloadsDir).sort(), ["alone.bin", "photos"]);

        const nothing = await b.api("/downloads", { json: order });
        assert.deepEqual(
            [nothing.json.id, nothing.json.state, nothing.json.note],
            [first.id, "done", d.note],
        );
        for (const id of [first.id, again.id]) {
            assert.equal((await b.api(`/downloads/${id}/recheck`, { method: "POST" })).status < 300, true);
            await waitState(b, id, "done");
        }
        writeFileSync(join(top, "large.bin"), Buffer.alloc(6 * MiB, 1));
        await b.api(`/downloads/${first.id}/recheck`, { method: "POST" });
        await waitState(b, first.id, "failed");
    },
);

test("a folder that was kept goes on with what the host lists now", { timeout: 90_000 }, async (t) => {
    const { a, b, link, host, sees } = await pair(t, async (share) => {
        await mkdir(join(share, "photos"));
        await makeFile(join(share, "photos/large.bin"), 12 * MiB, 1);
        await makeFile(join(share, "photos/other.bin"), 12 * MiB, 2);
        writeFileSync(join(share, "photos/small.txt"), "old version");
        writeFileSync(join(share, "photos/same.txt"), "same");
    });
    await sees(4);
    link.rate = 4 * MiB;
    const order = { host: host.id, folder: "photos" };
    const { id } = await download(b, order);
    await waitState(b, id, (d) => d.files_done >= 2 && d.done_bytes >= 4 * MiB);
    assert.equal((await b.api(`/downloads/${id}?data=keep`, { method: "DELETE" })).status, 204);
    writeFileSync(join(a.shareDir, "photos/new.txt"), "new");
    writeFileSync(join(a.shareDir, "photos/small.txt"), "new version");
    const other = await sha256(await makeFile(join(a.shareDir, "photos/other.bin"), 6 * MiB, 3));
    link.rate = 0;
    await sees(5);
    const again = await b.api("/downloads", { json: order });
    assert.deepEqual([again.status, again.json.id], [201, id], again.text);
    const d = await waitState(b, id, "done");
    assert.deepEqual([d.files_total, d.files_done, d.verified], [5, 5, true]);
    const top = join(b.downloadsDir, "photos");
    assert.equal(readFileSync(join(top, "new.txt"), "utf8"), "new");
    assert.equal(readFileSync(join(top, "small.txt"), "utf8"), "new version");
    assert.equal(await sha256(join(top, "other.bin")), other);
    assert.deepEqual(readdirSync(top).sort(), ["large.bin", "new.txt", "other.bin", "same.txt", "small.txt"]);
    assert.deepEqual(readdirSync(b.downloadsDir), ["photos"]);
});

test("what failed and is ordered again goes on", { timeout: 90_000 }, async (t) => {
    const { a, b, link, host, sees } = await pair(t, async (share) => {
        await mkdir(join(share, "photos"));
        await makeFile(join(share, "photos/large.bin"), 6 * MiB, 1);
        for (const n of [1, 2, 3]) writeFileSync(join(share, `photos/${n}.txt`), `file ${n}`);
        writeFileSync(join(share, "alone.txt"), "alone");
    });
    await sees(5);
    link.rate = 8 * MiB;
    const orders = [
        { host: host.id, folder: "photos" },
        { host: host.id, path: "alone.txt" },
    ];
    await rm(join(a.shareDir, "photos/2.txt"));
    await rm(join(a.shareDir, "alone.txt"));
    const ids = [];
    for (const order of orders) ids.push((await download(b, order)).id);
    for (const id of ids) await waitState(b, id, "failed");
    writeFileSync(join(a.shareDir, "photos/2.txt"), "file 2, another");
    writeFileSync(join(a.shareDir, "alone.txt"), "not alone");
    await sees(5);
    await b.restart();
    const before = link.carried();
    for (const [i, order] of orders.entries()) {
        const reply = await b.api("/downloads", { json: order });
        assert.deepEqual([reply.status, reply.json.id], [200, ids[i]], reply.text);
        const d = await waitState(b, reply.json.id, "done");
        assert.deepEqual(
            [d.files_done, d.files_failed ?? 0, d.verified, d.error],
            [i === 0 ? 4 : 1, 0, true, null],
        );
    }
    assert.ok(link.carried() - before < MiB, `${link.carried() - before} bytes for two small files`);
    assert.deepEqual(readdirSync(b.downloadsDir).sort(), ["alone.txt", "photos"]);
    assert.equal(readFileSync(join(b.downloadsDir, "photos/2.txt"), "utf8"), "file 2, another");
    assert.equal(readFileSync(join(b.downloadsDir, "alone.txt"), "utf8"), "not alone");
    const { downloads } = (await b.api("/downloads")).json;
    assert.deepEqual(
        downloads.map((/** @type {any} */ d) => d.state),
        ["done", "done"],
    );
});

test(
    "a folder of no download on the list is gone on with if it is the host's, else left alone",
    { timeout: 90_000 },
    async (t) => {
        const { a, b, link, host, sees } = await pair(t, async (share) => {
            for (const folder of ["photos", "docs"]) await mkdir(join(share, folder));
            await makeFile(join(share, "photos/large.bin"), 6 * MiB, 1);
            await makeFile(join(share, "photos/second.bin"), 9 * MiB, 2);
            writeFileSync(join(share, "photos/edited.txt"), "as shared");
            writeFileSync(join(share, "docs/plan.txt"), "the host's");
            writeFileSync(join(share, "docs/more.txt"), "more of the host's");
        });
        await sees(5);
        const order = { host: host.id, folder: "photos" };
        const first = await waitState(b, (await download(b, order)).id, "done");
        assert.equal((await b.api(`/downloads/${first.id}`, { method: "DELETE" })).status, 204);
        const top = join(b.downloadsDir, "photos");
        writeFileSync(join(top, "edited.txt"), "as edited");
        writeFileSync(join(top, "mine.txt"), "mine");
        writeFileSync(join(a.shareDir, "photos/added.txt"), "added");
        await sees(6);
        let before = link.carried();
        const reply = await b.api("/downloads", { json: order });
        assert.equal(reply.status, 201, reply.text);
        const d = await waitState(b, reply.json.id, "done");
        assert.deepEqual([d.path, d.files_total, d.files_done, d.verified], ["photos", 4, 4, true]);
        assert.match(d.note, /here already/);
        assert.ok(link.carried() - before < MiB, `${link.carried() - before} bytes were fetched`);
        const names = ["added.txt", "edited (1).txt", "edited.txt", "large.bin", "mine.txt", "second.bin"];
        assert.deepEqual(readdirSync(top).sort(), names);
        assert.equal(readFileSync(join(top, "edited.txt"), "utf8"), "as edited");

        // Cancelled, and its part files removed: the file that was complete stays.
        assert.equal((await b.api(`/downloads/${d.id}`, { method: "DELETE" })).status, 204);
        await rm(top, { recursive: true });
        link.rate = 4 * MiB;
        const cut = await download(b, order);
        await waitState(b, cut.id, (one) => one.files_done >= 3);
        assert.equal((await b.api(`/downloads/${cut.id}?data=remove`, { method: "DELETE" })).status, 204);
        link.rate = 0;
        before = link.carried();
        const rest = await waitState(b, (await download(b, order)).id, "done");
        assert.equal(rest.path, "photos");
        assert.deepEqual(readdirSync(top).sort(), ["added.txt", "edited.txt", "large.bin", "second.bin"]);
        assert.ok(link.carried() - before < 14 * MiB, `${link.carried() - before} bytes were fetched`);

        await mkdir(join(b.downloadsDir, "docs"));
        writeFileSync(join(b.downloadsDir, "docs/plan.txt"), "my own one");
        const docs = await waitState(b, (await download(b, { host: host.id, folder: "docs" })).id, "done");
        assert.equal(docs.path, "docs (1)");
        assert.deepEqual(readdirSync(join(b.downloadsDir, "docs")), ["plan.txt"]);
        assert.equal(readFileSync(join(b.downloadsDir, "docs/plan.txt"), "utf8"), "my own one");
        const copied = await download(b, { ...order, copy: true });
        assert.equal((await waitState(b, copied.id, "done")).path, "photos (1)");
    },
);

test(
    "a file that its host has not hashed comes once, as long as it is listed so",
    { timeout: 60_000 },
    async (t) => {
        const size = 3 * MiB;
        const evil = await startEvil({
            t,
            files: { "f.bin": makeBytes(size, 4), "new.bin": makeBytes(5, 1) },
            hostpair: { id: "23".repeat(16), name: "busy" },
            listLines: [
                JSON.stringify({ path: "f.bin", size, mtime: "2024-01-02T03:04:05.000Z", root: null }),
                JSON.stringify({ path: "new.bin", size: 6, mtime: "2024-01-02T03:04:05.000Z", root: null }),
            ],
        });
        const b = await startHostpair({ t, name: "b" });
        const host = await addHost(b, evil.port);
        await waitFor(async () => (await b.api(`/hosts/${host.id}/files?q=.`)).json.files?.length === 2, {
            what: "the list",
        });
        const order = { host: host.id, path: "f.bin" };
        const first = await waitState(b, (await download(b, order)).id, "done");
        const again = await b.api("/downloads", { json: order });
        assert.deepEqual(
            [again.status, again.json.id, again.json.state],
            [200, first.id, "done"],
            again.text,
        );
        utimesSync(pathOf(b, first), new Date(0), new Date(1e9));
        const other = await b.api("/downloads", { json: order });
        assert.equal((await waitState(b, other.json.id, "done")).path, "f (1).bin");
        const copied = await b.api("/downloads", { json: { ...order, copy: true } });
        assert.equal((await waitState(b, copied.json.id, "done")).path, "f (2).bin");
    },
);

test("a URL is fetched again when its server says that it has changed", { timeout: 60_000 }, async (t) => {
    let tag = '"one"';
    let body = makeBytes(2 * MiB, 1);
    /** @type {string[]} */
    const asked = [];
    const port = await listen(t, (req, res) => {
        asked.push(`${req.method} ${req.headers["if-none-match"] ?? ""} ${req.headers["x-key"] ?? ""}`);
        if (req.headers["if-none-match"] === tag) {
            res.writeHead(304, { ETag: tag });
            res.end();
            return;
        }
        const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
        const from = Number(range?.[1] ?? 0);
        const end = range?.[2] ? Math.min(Number(range[2]) + 1, body.length) : body.length;
        res.writeHead(range ? 206 : 200, {
            ETag: tag,
            "Content-Length": end - from,
            ...(range ? { "Content-Range": `bytes ${from}-${end - 1}/${body.length}` } : {}),
        });
        res.end(req.method === "HEAD" ? undefined : body.subarray(from, end));
    });
    const b = await startHostpair({ t, name: "b" });
    for (const name of ["large.bin", "small.bin"]) {
        if (name === "small.bin") body = makeBytes(100, 1);
        const order = { url: `http://127.0.0.1:${port}/${name}`, headers: { "X-Key": "open" } };
        const first = await waitState(b, (await download(b, order)).id, "done");
        asked.length = 0;
        const again = await b.api("/downloads", { json: order });
        assert.deepEqual([again.status, again.json.id], [200, first.id], again.text);
        assert.deepEqual(asked, [`HEAD ${tag} open`]);
        const copied = await download(b, { ...order, copy: true });
        assert.equal((await waitState(b, copied.id, "done")).path, name.replace(".", " (1)."));
        tag = '"two"';
        const newer = await b.api("/downloads", { json: order });
        assert.equal(newer.status, 201, newer.text);
        assert.equal((await waitState(b, newer.json.id, "done")).path, name.replace(".", " (2)."));
        tag = '"one"';
    }
});
