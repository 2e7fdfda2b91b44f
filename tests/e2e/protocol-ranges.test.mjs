// @ts-check
// Conditions, ranges and large bodies of the peer listener over a raw socket: RFC 9110 sections 13 and 14, and what happens to
// everybody else when one client is slow, vanishes, or the file changes under it.

import assert from "node:assert/strict";
import { closeSync, openSync, truncateSync, utimesSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { MiB, makeBytes, makeFile, sha256Of, startHostpair, waitFor } from "./harness.mjs";
import { Raw, ask, fetchRaw, parts } from "./protocol.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const SIZE = 1000;
const BIG = 24 * MiB + 5;

describe("conditions and ranges", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {number} */
    let port;
    /** @type {Buffer} */
    let bytes;
    /** @type {Buffer} */
    let big;
    let etag = "";
    let modified = "";

    before(async () => {
        h = await startHostpair({ name: "ranges" });
        port = h.peerPort;
        bytes = makeBytes(SIZE, 3);
        big = makeBytes(BIG, 4);
        writeFileSync(join(h.shareDir, "f"), bytes);
        writeFileSync(join(h.shareDir, "empty"), "");
        writeFileSync(join(h.shareDir, "big"), big);
        const reply = await waitFor(async () => {
            const first = await fetchRaw(port, "/f");
            return !first.headers.etag.startsWith("W/") && first;
        });
        etag = reply.headers.etag;
        modified = reply.headers["last-modified"];
    });
    after(() => h?.dispose());

    /** @param {number} seconds */
    const date = (seconds) => new Date(Date.parse(modified) + seconds * 1000).toUTCString();

    /**
     * @param {Record<string, string | undefined>} headers
     * @param {string} [method]
     */
    const get = (headers, method = "GET") => fetchRaw(port, "/f", { method, headers });

    /** A whole reply. @param {Record<string, string | undefined>} headers @param {string} [method] */
    async function assertWhole(headers, method = "GET") {
        const reply = await get(headers, method);
        const what = JSON.stringify(headers);
        assert.equal(reply.status, 200, what);
        assert.equal(reply.headers["content-length"], String(SIZE), what);
        assert.equal(reply.headers["content-range"], undefined, what);
        assert.equal(reply.headers["accept-ranges"], "bytes", what);
        assert.equal(reply.headers.etag, etag, what);
        if (method === "GET") assert.ok(reply.body.equals(bytes), what);
    }

    /** A single part. @param {Record<string, string | undefined>} headers @param {number} first @param {number} last */
    async function assertPart(headers, first, last) {
        const reply = await get(headers);
        const what = JSON.stringify(headers);
        assert.equal(reply.status, 206, what);
        assert.equal(reply.headers["content-range"], `bytes ${first}-${last}/${SIZE}`, what);
        assert.equal(reply.headers["content-length"], String(last - first + 1), what);
        assert.equal(reply.headers.etag, etag, what);
        assert.equal(reply.headers["last-modified"], modified, what);
        assert.ok(reply.body.equals(bytes.subarray(first, last + 1)), what);
    }

    describe("one range", () => {
        test("is answered with exactly its bytes", async () => {
            /** @type {[string, number, number][]} */
            const cases = [
                ["0-0", 0, 0],
                ["0-1", 0, 1],
                ["0-", 0, 999],
                ["0-999", 0, 999],
                ["999-999", 999, 999],
                ["999-", 999, 999],
                ["500-599", 500, 599],
                ["500-1000", 500, 999],
                ["500-99999999999999999999999999", 500, 999],
                ["-1", 999, 999],
                ["-10", 990, 999],
                ["-1000", 0, 999],
                ["-1001", 0, 999],
                ["-99999999999999999999999", 0, 999],
                [" 5-6 ", 5, 6],
                [",5-6", 5, 6],
                ["5-6, ,", 5, 6],
                ["5-6,2000-", 5, 6], // one of two is left: a plain 206
                ["007-8", 7, 8],
            ];
            for (const [range, first, last] of cases)
                await assertPart({ Range: `bytes=${range}` }, first, last);
            await assertPart({ Range: "Bytes=1-2" }, 1, 2);
            await assertPart({ range: "bytes=1-2" }, 1, 2);
        });

        test("past the end gets 416 with the size", async () => {
            for (const range of [
                "1000-",
                "1000-1001",
                "5000-",
                "-0",
                "99999999999999999999999-",
                "1000-,2000-3000",
                "-0,-0",
            ]) {
                const reply = await get({ Range: `bytes=${range}` });
                assert.equal(reply.status, 416, range);
                assert.equal(reply.headers["content-range"], `bytes */${SIZE}`, range);
                assert.ok(Number(reply.headers["content-length"]) < 100, range);
            }
        });

        test("that makes no sense is ignored", async () => {
            const bad = [
                "5-4",
                "a-b",
                "5",
                "-",
                "--5",
                "5-6-7",
                "0x1-2",
                "1.0-2",
                "+1-2",
                "1-2;3-4",
                "",
                ",",
                "5-6 7-8",
                "1 -2",
                "-1-",
            ];
            for (const range of bad) await assertWhole({ Range: `bytes=${range}` });
            for (const range of ["lines=0-1", "bytes", "bytes 0-1", "byte=0-1", "=0-1", "0-1", "bytes=5-6,x"])
                await assertWhole({ Range: range });
        });

        test("is ignored on HEAD", async () => {
            for (const range of ["bytes=0-1", "bytes=5000-", "bytes=0-1,5-6", "x"])
                await assertWhole({ Range: range }, "HEAD");
        });

        test("of an empty file cannot be satisfied, except from its end", async () => {
            const reply = await fetchRaw(port, "/empty", { headers: { Range: "bytes=0-0" } });
            assert.equal(reply.status, 416);
            assert.equal(reply.headers["content-range"], "bytes */0");
            assert.equal((await fetchRaw(port, "/empty", { headers: { Range: "bytes=-5" } })).status, 200);
        });
    });

    describe("several ranges", () => {
        /** @param {string} range @param {[number, number][]} wanted */
        async function assertParts(range, wanted) {
            const reply = await get({ Range: `bytes=${range}` });
            assert.equal(reply.status, 206, range);
            assert.equal(reply.headers["content-range"], undefined, range);
            assert.equal(reply.headers.etag, etag);
            const found = parts(reply);
            assert.deepEqual(
                found.map(({ first, last }) => [first, last]),
                wanted,
                range,
            );
            for (const part of found) {
                assert.equal(part.total, SIZE);
                assert.equal(part.type, "application/octet-stream");
                assert.ok(part.body.equals(bytes.subarray(part.first, part.last + 1)));
            }
        }

        test("come as parts, in the order asked, overlapping or not", async () => {
            await assertParts("0-1,5-6", [
                [0, 1],
                [5, 6],
            ]);
            await assertParts("900-, 0-0 ,-3", [
                [900, 999],
                [0, 0],
                [997, 999],
            ]);
            await assertParts("0-999,0-999", [
                [0, 999],
                [0, 999],
            ]);
            await assertParts("0-10,5000-6000,5-15", [
                [0, 10],
                [5, 15],
            ]);
        });

        test("up to 16 come as parts, 17 as the whole file", async () => {
            const some = Array.from({ length: 17 }, (_, i) => `${i * 10}-${i * 10 + 3}`);
            await assertParts(
                some.slice(0, 16).join(","),
                Array.from({ length: 16 }, (_, i) => [i * 10, i * 10 + 3]),
            );
            await assertWhole({ Range: `bytes=${some.join(",")}` });
            await assertWhole({ Range: `bytes=${"0-,".repeat(1000)}0-` });
        });
    });

    describe("conditions", () => {
        test("are evaluated one by one", async () => {
            const other = '"0123456789abcdef0123456789abcdef"';
            /** @type {[Record<string, string>, number][]} */
            const cases = [
                [{ "If-Match": etag }, 200],
                [{ "If-Match": `${other}, ${etag}` }, 200],
                [{ "If-Match": "*" }, 200],
                [{ "If-Match": other }, 412],
                [{ "If-Match": `W/${etag}` }, 412],
                [{ "If-Unmodified-Since": date(0) }, 200],
                [{ "If-Unmodified-Since": date(60) }, 200],
                [{ "If-Unmodified-Since": date(-1) }, 412],
                [{ "If-Unmodified-Since": "last week" }, 200],
                [{ "If-None-Match": etag }, 304],
                [{ "If-None-Match": `W/${etag}` }, 304],
                [{ "If-None-Match": `${other},${etag}` }, 304],
                [{ "If-None-Match": "*" }, 304],
                [{ "If-None-Match": other }, 200],
                [{ "If-Modified-Since": date(0) }, 304],
                [{ "If-Modified-Since": date(60) }, 304],
                [{ "If-Modified-Since": date(-1) }, 200],
                [{ "If-Modified-Since": "0" }, 200],
            ];
            for (const method of ["GET", "HEAD"])
                for (const [headers, status] of cases) {
                    const reply = await get(headers, method);
                    assert.equal(reply.status, status, `${method} ${JSON.stringify(headers)}`);
                    if (status === 304) {
                        assert.equal(reply.headers.etag, etag);
                        assert.equal(reply.headers["content-length"], undefined);
                        assert.equal(reply.body.length, 0);
                    }
                    if (status === 200 && method === "GET") assert.ok(reply.body.equals(bytes));
                }
            await assertWhole({ "If-Modified-Since": new Date(Date.parse(modified) - 60_000).toUTCString() });
        });

        test("are evaluated together in the order of RFC 9110 section 13.2.2", async () => {
            // Every combination of the fields below, held against the section written out once more.
            const tags = [undefined, "yes", "no"];
            const dates = [undefined, "yes", "no"];
            const ranges = [undefined, "bytes=10-19", "bytes=2000-"];
            const c = new Raw(port);
            /** @type {{ headers: Record<string, string | undefined>, status: number }[]} */
            const cases = [];
            for (const match of tags)
                for (const unmodified of dates)
                    for (const none of tags)
                        for (const since of dates)
                            for (const range of ranges)
                                for (const ifRange of [undefined, "yes", "no", "date"]) {
                                    let status = 200;
                                    if (match === "no" || (!match && unmodified === "no")) status = 412;
                                    else if (none === "yes" || (!none && since === "no")) status = 304;
                                    else if (range && (!ifRange || ifRange === "yes"))
                                        status = range === ranges[1] ? 206 : 416;
                                    cases.push({
                                        status,
                                        headers: {
                                            "If-Match": match && (match === "yes" ? etag : '"x"'),
                                            "If-Unmodified-Since":
                                                unmodified && date(unmodified === "yes" ? 0 : -1),
                                            "If-None-Match": none && (none === "yes" ? etag : '"x"'),
                                            "If-Modified-Since": since && date(since === "yes" ? -1 : 0),
                                            Range: range,
                                            "If-Range":
                                                ifRange &&
                                                (ifRange === "yes"
                                                    ? etag
                                                    : ifRange === "no"
                                                      ? '"x"'
                                                      : modified),
                                        },
                                    });
                                }
            assert.equal(cases.length, 972);
            for (let i = 0; i < cases.length; i += 54) {
                const some = cases.slice(i, i + 54);
                for (const { headers } of some) c.send(ask("/f", { headers }));
                for (const { headers, status } of some) {
                    const reply = await c.reply();
                    assert.equal(reply.status, status, JSON.stringify(headers));
                    if (status === 200) assert.ok(reply.body.equals(bytes));
                    if (status === 206) assert.ok(reply.body.equals(bytes.subarray(10, 20)));
                }
            }
            c.close();
        });

        test("If-Range takes the strong tag and nothing else", async () => {
            await assertPart({ Range: "bytes=1-2", "If-Range": etag }, 1, 2);
            const others = [
                `W/${etag}`,
                '"x"',
                "*",
                "",
                `${etag}, "x"`,
                etag.slice(1),
                modified,
                date(60),
                date(-60),
            ];
            for (const value of others) await assertWhole({ Range: "bytes=1-2", "If-Range": value });
            await assertWhole({ "If-Range": etag });
            assert.equal((await get({ Range: "bytes=1-2,4-5", "If-Range": etag })).status, 206);
            await assertWhole({ Range: "bytes=5000-", "If-Range": '"x"' });
        });
    });

    describe("the tag of a file", () => {
        test("stays over a restart", async () => {
            await h.restart();
            port = h.peerPort;
            assert.equal((await get({})).headers.etag, etag);
        });

        test("changes with every write, be the times what they may", async () => {
            const path = join(h.shareDir, "changing");
            /** @type {Map<string, string>} */
            const seen = new Map();
            for (let i = 0; i < 60; i++) {
                writeFileSync(path, `version ${String(i).padStart(4, "0")}`);
                utimesSync(path, 1_000_000_000, 1_000_000_000);
                const reply = await fetchRaw(port, "/changing");
                assert.equal(reply.status, 200);
                const tag = reply.headers.etag;
                if (tag.startsWith("W/")) continue;
                assert.equal(seen.get(tag) ?? reply.text, reply.text, "one strong tag, two contents");
                seen.set(tag, reply.text);
            }
            assert.ok(seen.size >= 50, `${seen.size} strong tags`);
        });

        test("is weak while the file is being written", async () => {
            const file = openSync(join(h.shareDir, "written"), "w");
            const timer = setInterval(() => writeSync(file, "x"), 1);
            try {
                await waitFor(async () => {
                    const c = new Raw(port);
                    c.send(ask("/written", { method: "HEAD" }));
                    const reply = await c.reply({ head: true });
                    c.close();
                    return reply.headers.etag?.startsWith("W/");
                });
            } finally {
                clearInterval(timer);
                closeSync(file);
            }
            await waitFor(async () => /^"/.test((await fetchRaw(port, "/written")).headers.etag));
        });
    });

    describe("large bodies", () => {
        test("16 parallel ranges of one file make up the file", async () => {
            const step = Math.ceil(BIG / 16);
            const pieces = await Promise.all(
                Array.from({ length: 16 }, async (_, i) => {
                    const range = `bytes=${i * step}-${Math.min(BIG, (i + 1) * step) - 1}`;
                    const reply = await fetchRaw(port, "/big", { headers: { Range: range } });
                    assert.equal(reply.status, 206);
                    return reply.body;
                }),
            );
            assert.ok(Buffer.concat(pieces).equals(big));
        });

        test("consecutive ranges on one connection make up the file", async () => {
            const c = new Raw(port);
            const step = MiB;
            const count = Math.ceil(BIG / step);
            for (let i = 0; i < count; i++)
                c.send(ask("/big", { headers: { Range: `bytes=${i * step}-${(i + 1) * step - 1}` } }));
            const pieces = [];
            for (let i = 0; i < count; i++) pieces.push((await c.reply()).body);
            assert.ok(Buffer.concat(pieces).equals(big));
            c.close();
        });

        test("large parts of one file come as parts", async () => {
            const reply = await fetchRaw(port, "/big", {
                headers: { Range: `bytes=${5 * MiB}-,0-${MiB},-1` },
            });
            assert.equal(reply.status, 206);
            const found = parts(reply);
            assert.equal(found.length, 3);
            for (const part of found)
                assert.equal(sha256Of(part.body), sha256Of(big.subarray(part.first, part.last + 1)));
        });

        test("a client that does not read holds up nobody", async () => {
            const slow = Array.from({ length: 20 }, () => new Raw(port, { reads: false }).send(ask("/big")));
            const begun = performance.now();
            for (let i = 0; i < 5; i++) assert.ok((await fetchRaw(port, "/big")).body.equals(big));
            for (let i = 0; i < 50; i++) assert.equal((await fetchRaw(port, "/f")).status, 200);
            assert.ok(performance.now() - begun < 20_000);
            slow[0].socket.resume();
            assert.ok((await slow[0].reply()).body.equals(big), "and is served when it reads at last");
            for (const c of slow) c.close();
        });

        test("clients that vanish in the middle leave the rest alone", async () => {
            for (let i = 0; i < 30; i++) {
                const c = new Raw(port);
                c.send(ask("/big") + ask("/big"));
                if (i % 3 !== 0) await c.take(1 + i * 50_000);
                if (i % 2 === 0) c.socket.resetAndDestroy();
                else c.close();
            }
            assert.ok((await fetchRaw(port, "/big")).body.equals(big));
        });

        test("a file that is truncated or written to in the middle cuts the connection", async () => {
            for (const change of ["truncate", "write", "append"]) {
                const path = join(h.shareDir, `doomed-${change}`);
                await makeFile(path, 24 * MiB, 9);
                await waitFor(async () => {
                    const head = await fetchRaw(port, `/doomed-${change}`, { method: "HEAD" });
                    return !head.headers.etag.startsWith("W/");
                });
                const c = new Raw(port, { reads: false });
                c.send(ask(`/doomed-${change}`));
                await waitFor(async () => {
                    const { connections } = (await h.api("/connections")).json;
                    return connections.some(
                        (/** @type {any} */ it) => it.path === `/doomed-${change}` && it.bytes_sent > 100_000,
                    );
                });
                if (change === "truncate") truncateSync(path, 5 * MiB);
                else {
                    const file = openSync(path, change === "write" ? "r+" : "a");
                    writeSync(file, "changed", change === "write" ? 20 * MiB : null);
                    closeSync(file);
                }
                c.socket.resume();
                const { headers } = await c.head();
                assert.equal(headers["content-length"], String(24 * MiB));
                await c.end();
                assert.ok(c.length < 24 * MiB, `${change}: ${c.length} bytes came`);
                c.close();
            }
            assert.equal((await fetchRaw(port, "/f")).status, 200);
        });
    });
});
