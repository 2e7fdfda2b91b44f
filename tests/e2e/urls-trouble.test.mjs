// @ts-check
// Downloads over links that are bad, and from web servers that have their own ways.

import assert from "node:assert/strict";
import dns from "node:dns/promises";
import { readFileSync } from "node:fs";
import net from "node:net";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import {
    MiB,
    download,
    getDownload,
    makeBytes,
    pathOf,
    sha256Of,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, linked, sharing } from "./hosts.mjs";
import { startLink } from "./link.mjs";
import { assertContent } from "./sources.mjs";
import { assertFile, give, listen } from "./web.mjs";

/** @param {any} d */
const ended = (d) => ["done", "failed"].includes(d.state);

describe("a bad link", { concurrency: 4 }, () => {
    for (const [rate, every, size] of [
        [0.4 * MiB, 1000, 2 * MiB],
        [2 * MiB, 800, 6 * MiB],
    ])
        test(
            `that carries ${rate / MiB} MiB/s and is cut every ${every} ms: all of it arrives, hardly anything twice`,
            { timeout: 60_000 },
            async (t) => {
                const bytes = makeBytes(size + 3, 60);
                const link = await startLink({
                    t,
                    to: await listen(t, (req, res) => give(req, res, bytes)),
                    rate,
                });
                const h = await startHostpair({ t });
                const cutter = setInterval(() => link.breakAll(), every);
                t.after(() => clearInterval(cutter));
                const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
                const d = await waitState(h, id, "done", { timeout: 50_000 });
                clearInterval(cutter);
                await assertFile(h, d, sha256Of(bytes));
                const { twice } = link.twice("/f.bin");
                t.diagnostic(`${(twice / MiB).toFixed(2)} of ${size / MiB} MiB came twice`);
                assert.ok(twice < 0.35 * size, `${twice} bytes of ${size} came twice`);
            },
        );

    test("shows what has come of a chunk, and uses few connections", { timeout: 60_000 }, async (t) => {
        const bytes = makeBytes(4 * MiB, 61);
        const link = await startLink({
            t,
            to: await listen(t, (req, res) => give(req, res, bytes)),
            rate: 60_000,
        });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
        const seen = await waitState(h, id, (d) => d.done_bytes > 300_000);
        assert.equal(seen.chunks_done, 0, "no chunk is whole");
        assert.ok(link.open() <= 4, `${link.open() / 2} connections`);
        link.breakAll();
        await sleep(300);
        const now = await getDownload(h, id);
        assert.ok(now.done_bytes >= seen.done_bytes - 65536, "what has come is still there");
        link.rate = 0;
        await assertFile(h, await waitState(h, id, "done"), sha256Of(bytes));
    });

    test(
        "that is cut after 300 kB each time: a file of 900 kB by URL arrives",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(900_000, 70);
            const link = await startLink({ t, to: await listen(t, (req, res) => give(req, res, bytes)) });
            link.onReply = () => {
                link.cutAfter(300_000);
                return true;
            };
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
            await waitState(h, id, (d) => d.done_bytes > 200_000 && d.done_bytes < bytes.length);
            await assertFile(h, await waitState(h, id, "done"), sha256Of(bytes));
            const { twice } = link.twice("/f.bin");
            assert.ok(twice < 100_000, `${twice} bytes came twice`);
        },
    );

    for (const hosts of [1, 2])
        test(
            `that is cut after 300 kB each time: 900 kB of ${hosts} host${hosts > 1 ? "s" : ""} arrive`,
            {
                timeout: 60_000,
            },
            async (t) => {
                const bytes = makeBytes(900_000, 71);
                const h = await startHostpair({ t });
                const links = [];
                let host = "";
                for (let n = 0; n < hosts; n++) {
                    const a = await sharing(t, `giver ${n}`, { "f.bin": bytes });
                    const { link, id } = await linked(t, h, a.peerPort, { rate: 250_000 });
                    host = id;
                    link.onReply = (request) => {
                        if (request.path === "/f.bin") link.cutAfter(300_000);
                        return true;
                    };
                    links.push(link);
                }
                const { id } = await download(h, { host, path: "f.bin" });
                const d = await waitState(h, id, "done", { timeout: 50_000 });
                await assertContent(h, d, sha256Of(bytes));
                const carried = links.reduce(
                    (sum, link) => sum + link.carried((r) => r.path === "/f.bin"),
                    0,
                );
                t.diagnostic(`${carried} bytes were carried`);
                assert.ok(carried < (hosts + 0.4) * bytes.length, `${carried} bytes were carried`);
            },
        );

    for (const size of [3 * MiB, 900_000])
        test(`loses nothing of a chunk of ${size} bytes by a pause`, { timeout: 60_000 }, async (t) => {
            const bytes = makeBytes(size, 69);
            const link = await startLink({
                t,
                to: await listen(t, (req, res) => give(req, res, bytes)),
                rate: 200_000,
            });
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
            await waitState(h, id, (d) => d.done_bytes > 400_000 && d.chunks_done === 0);
            await h.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
            await waitFor(() => link.open() === 0, { what: "the connections to end" });
            assert.ok((await getDownload(h, id)).done_bytes > 400_000, "what has come still shows");
            await h.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
            link.rate = 0;
            await assertFile(h, await waitState(h, id, "done"), sha256Of(bytes));
            const { twice } = link.twice("/f.bin");
            assert.ok(twice < 200_000, `${twice} bytes came twice`);
        });

    test("with another file under the URL after a cut: no mix", { timeout: 60_000 }, async (t) => {
        const files = [makeBytes(3 * MiB, 62), makeBytes(3 * MiB, 63)];
        let now = 0;
        const port = await listen(t, (req, res) => {
            const tag = `"v${now}"`;
            if (req.headers["if-range"] && req.headers["if-range"] !== tag) delete req.headers.range;
            res.setHeader("Connection", "close");
            const write = res.writeHead.bind(res);
            res.writeHead = (/** @type {any[]} */ ...[status, headers]) =>
                write(status, { ...headers, ETag: tag });
            give(req, res, files[now]);
        });
        const link = await startLink({ t, to: port, rate: 0.5 * MiB });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
        await waitState(h, id, (d) => d.done_bytes > 0.4 * MiB);
        now = 1;
        link.breakAll();
        link.rate = 0;
        const d = await waitState(h, id, "done");
        await assertFile(h, d, sha256Of(files[1]));
    });
});

describe("a web server", { concurrency: 8 }, () => {
    test("that is slow to begin is waited for, once", { timeout: 60_000 }, async (t) => {
        const bytes = makeBytes(1000, 64);
        let asked = 0;
        const port = await listen(t, (req, res) => {
            asked++;
            setTimeout(() => give(req, res, bytes), 17_000);
        });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/f.bin` });
        await assertFile(h, await waitState(h, id, ended, { timeout: 40_000 }), sha256Of(bytes));
        assert.equal(asked, 1);
    });

    for (const status of [403, 429, 503])
        test(`that takes one connection and says ${status} to others`, { timeout: 60_000 }, async (t) => {
            const bytes = makeBytes(12 * MiB, 65);
            let busy = 0;
            let refused = 0;
            const port = await listen(t, (req, res) => {
                if (busy > 0) {
                    refused++;
                    res.writeHead(status, { "Retry-After": "60", "Content-Length": 0 }).end();
                    return;
                }
                busy++;
                res.on("close", () => busy--);
                give(req, res, bytes);
            });
            const link = await startLink({ t, to: port, rate: 3 * MiB });
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
            await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
            assert.ok(refused >= 1 && refused <= 8, `${refused} requests were refused`);
        });

    test("that refuses parts with 403 is asked for the whole", { timeout: 60_000 }, async (t) => {
        const bytes = makeBytes(5 * MiB, 66);
        const port = await listen(t, (req, res) => {
            if (req.headers.range) res.writeHead(403, { "Content-Length": 0 }).end();
            else give(req, res, bytes);
        });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/f.bin` });
        await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
        const none = await listen(t, (req, res) => res.writeHead(403, { "Content-Length": 0 }).end());
        const { id: refused } = await download(h, { url: `http://127.0.0.1:${none}/f.bin` });
        const failed = await waitState(h, refused, ended);
        assert.equal(failed.state, "failed");
        assert.match(failed.error.detail, /403/);
    });

    test("that calls a packed file a coded one gives it as it is", { timeout: 60_000 }, async (t) => {
        const packed = gzipSync(makeBytes(3 * MiB, 67), { level: 1 });
        const port = await listen(t, (req, res) => {
            res.setHeader("Content-Encoding", "x-gzip");
            give(req, res, packed);
        });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/f.tar.gz?v=2` });
        await assertFile(h, await waitState(h, id, ended), sha256Of(packed));
        const other = await download(h, { url: `http://127.0.0.1:${port}/f.tar` });
        const failed = await waitState(h, other.id, ended);
        assert.equal(failed.state, "failed", "the bytes are not those of f.tar");
        assertWords(failed.error.detail);
    });

    test(
        "that does not say how long its file is: it is taken, and said to be maybe cut short",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(5 * MiB + 1, 68);
            const server = net.createServer((socket) => {
                socket.on("error", () => {});
                socket.once("data", () => {
                    socket.write("HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n");
                    socket.end(bytes);
                });
            });
            await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
            t.after(() => server.close());
            const { port } = /** @type {net.AddressInfo} */ (server.address());
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/f.bin` });
            const d = await waitState(h, id, ended);
            await assertFile(h, d, sha256Of(bytes));
            assert.match(d.note, /cut short/);
            assert.ok(readFileSync(pathOf(h, d)).length > 0);
            await h.restart();
            assert.match((await getDownload(h, id)).note, /cut short/);
        },
    );

    test("whose name is mistyped: said at once, and given up", { timeout: 60_000 }, async (t) => {
        const name = "nosuchhost.invalid";
        const code = await dns.lookup(name).then(
            () => "",
            (error) => error.code,
        );
        if (code !== "ENOTFOUND") return t.skip(`looking up ${name} says "${code}"`);
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://${name}/f.bin` });
        const waiting = await waitState(h, id, (d) => /no host of that name/.test(d.reason ?? ""));
        assert.match(waiting.reason, /nosuchhost\.invalid/);
        const failed = await waitState(h, id, "failed", { timeout: 40_000 });
        assert.equal(failed.error.code, "no-such-name");
        assert.match(failed.error.detail, /nosuchhost\.invalid.*no host of that name/);
        assert.equal((await h.api(`/downloads/${id}/retry`, { method: "POST" })).status, 202);
        await waitFor(async () => (await getDownload(h, id)).state === "running", { what: "another try" });
    });
});
