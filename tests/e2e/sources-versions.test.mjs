// @ts-check
// Several hosts, and never a mix of what they have: files without hash trees, and files that change at their source.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { appendFile, open, rename, rm, stat, truncate, utimes, writeFile } from "node:fs/promises";
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
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, fileBytes, linked, sharing } from "./hosts.mjs";
import { assertContent, carries, isWaiting, sourceOf } from "./sources.mjs";
import { give, listen } from "./web.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./link.mjs").Link} Link */

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

    test("what came of it without a validator is not gone on with", { timeout: 60_000 }, async (t) => {
        const old = makeBytes(size, 30);
        let replaced = false;
        /** @type {Array<string | undefined>} */
        const ranges = [];
        const port = await listen(t, (req, res) => {
            ranges.push(req.headers.range);
            if (replaced) return give(req, res, wanted);
            // All of it at once, and then no more.
            res.writeHead(200, { "Content-Length": size });
            res.write(old.subarray(0, 9 * MiB));
        });
        const b = await startHostpair({ t, name: "b" });
        const { id } = await download(b, { url: `http://127.0.0.1:${port}/f.bin` });
        await waitState(b, id, (d) => d.chunks_done >= 6);
        await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
        await waitState(b, id, "paused");
        replaced = true;
        ranges.length = 0;
        await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
        const d = await waitState(b, id, (d) => ["done", "failed"].includes(d.state));
        assert.equal(d.state, "done", d.error?.detail);
        assert.equal(await sha256(pathOf(b, d)), sha256Of(wanted), JSON.stringify(ranges));
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

describe("a file that is another one than its host listed", { concurrency: 3 }, () => {
    const size = 6 * MiB + 5;

    /**
     * The list of a host is known, then its file becomes another one, which it has not hashed.
     * @param {import("node:test").TestContext} t
     * @param {Buffer} now
     */
    async function changedSinceListed(t, now) {
        const old = hashTree(makeBytes(size, 40), MiB).root;
        return listedAs(t, now, size, [{ root: old, mtime: "2024-01-02T03:04:05.000Z" }]);
    }

    /**
     * A host whose list says one thing after the other, the next one from each request for the file on.
     * @param {import("node:test").TestContext} t
     * @param {Buffer} now what it gives
     * @param {number} listed the size in its list
     * @param {Array<{ root: string | null, mtime: string }>} lines the last one stays
     * @param {{ oldTree?: Buffer }} [options] oldTree: of the first root, given as long as it is asked for
     */
    async function listedAs(t, now, listed, lines, { oldTree } = {}) {
        const line = (/** @type {number} */ n) =>
            JSON.stringify({
                path: "f.bin",
                size: listed,
                type: "application/octet-stream",
                ...lines[Math.min(n, lines.length - 1)],
            });
        const listLines = [line(0)];
        let asked = 0;
        const a = await startEvil({
            t,
            files: { "f.bin": now },
            hostpair: { id: "77".repeat(16), name: "changing" },
            listLines,
            before: (request, socket) => {
                if (request.path === "f.bin") listLines[0] = line(++asked);
                if (!oldTree || request.path !== `manifest/${lines[0].root}`) return false;
                send(socket, 200, [["Content-Length", oldTree.length]]);
                socket.write(oldTree);
                return true;
            },
        });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.port, { files: 1 });
        const { id } = await download(b, { host, path: "f.bin" });
        return { b, link, d: await waitState(b, id, (d) => ["done", "failed"].includes(d.state)) };
    }

    const before = makeBytes(size, 40);
    const after = makeBytes(size, 42);
    const [then, later] = ["2024-01-02T03:04:05.000Z", "2024-01-02T03:05:06.700Z"];
    /** @type {Record<string, { now?: Buffer, listed?: Buffer, next: Buffer | null, oldTree?: boolean }>} */
    const lists = {
        "with its new hash": { next: after },
        "without a hash": { next: null },
        "and its host still has the old hash tree": { next: after, oldTree: true },
        "as a small file": {
            listed: before.subarray(0, 9999),
            now: after.subarray(0, 9999),
            next: after.subarray(0, 9999),
        },
    };
    for (const [what, { now = after, listed = before, next, oldTree }] of Object.entries(lists))
        test(
            `by its bytes alone, then listed ${what}: it goes on as that`,
            { timeout: 60_000 },
            async (t) => {
                const tree = hashTree(listed, MiB);
                const { b, link, d } = await listedAs(
                    t,
                    now,
                    listed.length,
                    [
                        { root: tree.root, mtime: then },
                        { root: next && hashTree(next, MiB).root, mtime: later },
                    ],
                    oldTree ? { oldTree: tree.layer } : {},
                );
                await assertContent(b, d, sha256Of(now));
                assert.equal(d.root, hashTree(now, MiB).root);
                assert.equal(d.verified, next !== null, "what is compared is what the new list says");
                assert.equal(statSync(pathOf(b, d)).mtime.toISOString(), later);
                assert.ok(fileBytes(link) <= 3 * now.length, `${fileBytes(link)} bytes for ${now.length}`);
                assert.deepEqual(readdirSync(b.downloadsDir), ["f.bin"], "nothing of the first try is left");
            },
        );

    test(
        "by its bytes alone, and listed anew each time: it fails after a few tries",
        { timeout: 120_000 },
        async (t) => {
            const small = after.subarray(0, 20_000);
            const lines = Array.from({ length: 40 }, (_, i) => ({
                root: sha256Of(Buffer.from(`${i}`)),
                mtime: new Date(1.7e12 + i * 1000).toISOString(),
            }));
            const { b, link, d } = await listedAs(t, small, small.length, lines);
            assert.equal(d.state, "failed");
            assertWords(d.error.detail);
            assert.match(d.error.detail, /never the same twice/);
            assert.ok(!existsSync(join(b.downloadsDir, "f.bin")), "it has no name");
            assert.ok(fileBytes(link) < 15 * small.length, `${fileBytes(link)} bytes for ${small.length}`);
        },
    );

    for (const longer of [-MiB - 1, 7, 3 * MiB])
        test(`by ${longer} bytes: what is there now comes once`, { timeout: 60_000 }, async (t) => {
            const now = makeBytes(size + longer, 41);
            const { b, link, d } = await changedSinceListed(t, now);
            await assertContent(b, d, sha256Of(now));
            assert.equal(d.size, now.length);
            assert.equal(d.verified, false, "the hash that was listed is another file's");
            assert.ok(fileBytes(link) < 1.5 * now.length, `${fileBytes(link)} bytes for ${now.length}`);
        });

    test("by its bytes alone: never done under the root that was listed", { timeout: 60_000 }, async (t) => {
        const { b, link, d } = await changedSinceListed(t, makeBytes(size, 42));
        assert.equal(d.state, "failed");
        assert.match(d.reason, /other|wrong|agree/i);
        assert.ok(!existsSync(join(b.downloadsDir, "f.bin")), "it has no name");
        assert.ok(fileBytes(link) < 3 * size, `${fileBytes(link)} bytes for ${size}`);
    });

    test("a log that grows all the time comes as it is at a moment", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", { "grows.log": { size: 12 * MiB, seed: 43 } });
        const b = await startHostpair({ t, name: "b" });
        const { id: host } = await linked(t, b, a.peerPort, { rate: 40 * MiB });
        const path = join(a.shareDir, "grows.log");
        let writing = true;
        t.after(() => (writing = false));
        const writer = (async () => {
            for (let line = 0; writing; line++) {
                await appendFile(path, `line ${line}\n`);
                await sleep(5);
            }
        })();
        const { id } = await download(b, { host, path: "grows.log" });
        const d = await waitState(b, id, (d) => ["done", "failed"].includes(d.state));
        writing = false;
        await writer;
        assert.equal(d.state, "done", d.error?.detail);
        const [got, now] = [readFileSync(pathOf(b, d)), readFileSync(path)];
        assert.ok(got.length > 12 * MiB, "with lines that came after it was listed");
        assert.equal(sha256Of(got), sha256Of(now.subarray(0, got.length)));
    });

    describe("a log that grows behind a slow link", { concurrency: 3 }, () => {
        const whole = makeBytes(48 * MiB, 45);

        /**
         * A download of a file that becomes longer by 320 KiB a second, and whoever appends to it.
         * @param {import("node:test").TestContext} t
         * @param {number} [every] ms
         */
        async function growing(t, every = 200) {
            let at = 20 * MiB;
            const a = await sharing(t, "a", { "grows.log": whole.subarray(0, at) });
            const path = join(a.shareDir, "grows.log");
            const b = await startHostpair({ t, name: "b" });
            const { link, id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB });
            let writing = true;
            const writer = (async () => {
                const step = (every * 65536) / 200;
                for (; writing && at < whole.length; at += step) {
                    await appendFile(path, whole.subarray(at, at + step));
                    await sleep(every);
                }
            })();
            const stop = async () => {
                writing = false;
                await writer;
            };
            t.after(stop);
            const { id } = await download(b, { host, path: "grows.log" });
            return { a, b, link, path, id, stop };
        }

        /** The reply that was asked for as long as the file was. @param {Link} link */
        const asOpened = (link) => link.requests.findLast((r) => r.headers["hostpair-growing"] === "1");
        /** What happened, for a test that fails. @param {Hostpair} b @param {Link} link */
        const story = (b, link) =>
            `${b.stderr()}\n${link.requests.map((r) => `${r.path} ${r.headers.range} ${r.status} ${r.bytes} ${r.replyHeaders["content-length"]} ${r.replyHeaders.etag} ${r.replyHeaders["hostpair-root"]} ${r.headers["hostpair-growing"]}`).join("\n")}`;

        for (const every of [200, 50])
            test(
                `it comes as it was at a moment, and that is said: every ${every} ms`,
                { timeout: 90_000 },
                async (t) => {
                    const { b, link, path, id, stop } = await growing(t, every);
                    const d = await waitState(b, id, (d) => ["done", "failed"].includes(d.state), {
                        timeout: 60_000,
                    });
                    assert.equal(d.state, "done", d.error?.detail);
                    await stop();
                    const [got, now] = [readFileSync(pathOf(b, d)), readFileSync(path)];
                    assert.ok(
                        got.length >= 20 * MiB && got.length < now.length,
                        `${got.length} of ${now.length}`,
                    );
                    assert.equal(sha256Of(got), sha256Of(now.subarray(0, got.length)));
                    assert.equal(d.size, got.length);
                    assert.match(asOpened(link)?.replyHeaders.etag ?? "", /^W\//, story(b, link));
                    // Between two pieces the host may have hashed it.
                    if (every === 50) assert.equal(d.verified, false);
                    if (d.verified) assert.equal(d.root, hashTree(got, MiB).root);
                    else assert.match(d.note, /grows at the source/);
                    assert.deepEqual(
                        readdirSync(b.downloadsDir),
                        ["grows.log"],
                        "nothing of the first tries is left",
                    );
                },
            );

        const other = makeBytes(32 * MiB + 5, 46);
        /** @type {Record<string, (path: string) => Promise<void>>} */
        const replacements = {
            "in place": async (path) => {
                const file = await open(path, "r+");
                await file.write(other, 0, other.length, 0);
                await file.close();
            },
            "by another file": async (path) => {
                await writeFile(`${path}.new`, other);
                await rename(`${path}.new`, path);
            },
        };
        for (const [how, replace] of Object.entries(replacements))
            test(`it is replaced ${how}: never a mix`, { timeout: 90_000 }, async (t) => {
                const { b, link, path, id, stop } = await growing(t);
                await waitFor(async () => (asOpened(link)?.bytes ?? 0) > 2 * MiB, {
                    timeout: 60_000,
                    what: "some of the reply that may grow",
                    detail: () => story(b, link),
                });
                await stop();
                await replace(path);
                const d = await waitState(b, id, (d) => ["done", "failed"].includes(d.state), {
                    timeout: 60_000,
                });
                assert.equal(d.state, "done", d.error?.detail);
                const got = readFileSync(pathOf(b, d));
                const known = [other, whole.subarray(0, got.length)].map(sha256Of);
                assert.ok(known.includes(sha256Of(got)), `a mix of ${got.length} bytes: ${story(b, link)}`);
            });
    });

    for (const begun of [true, false])
        test(
            `renamed there ${begun ? "while it comes" : "before it is asked for"}: found under its new name`,
            { timeout: 60_000 },
            async (t) => {
                const a = await sharing(t, "a", { "old.bin": { size: 16 * MiB, seed: 44 } });
                const b = await startHostpair({ t, name: "b" });
                const { link, id: host } = await linked(t, b, a.peerPort, { rate: 6 * MiB });
                const move = () => rename(join(a.shareDir, "old.bin"), join(a.shareDir, "new.bin"));
                if (!begun) await move();
                const { id } = await download(b, { host, path: "old.bin" });
                if (begun) {
                    await waitState(b, id, (d) => d.chunks_done >= 3);
                    await move();
                    link.breakAll();
                }
                link.rate = 0;
                const d = await waitState(b, id, (d) => ["done", "failed"].includes(d.state));
                await assertContent(b, d, await sha256(join(a.shareDir, "new.bin")));
                assert.equal(d.verified, true);
                assert.equal(d.name, "old.bin");
            },
        );
});
