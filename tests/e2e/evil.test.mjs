// @ts-check
// Downloads from servers that lie. Whatever the other side does: a download is never `done` with wrong bytes, says in a
// sentence what is the matter, loses nothing, and the process goes on answering.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    SIZE,
    assertAnswers,
    assertNothingFinal,
    assertRight,
    assertSentence,
    bytes,
    rss,
    wanted,
    words,
} from "./evil-checks.mjs";
import { hashTree, startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
    download,
    getDownload,
    makeBytes,
    makeFile,
    sha256Of,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { later, lies } from "./lies.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/**
 * Tells an unfinished download to go on now that the server is honest, and waits for the right file.
 * @param {Hostpair} h
 * @param {number} id
 * @param {string} [sum]
 */
async function recovers(h, id, sum = wanted) {
    const before = await getDownload(h, id);
    if (before.state !== "done") {
        const reply = await h.api(`/downloads/${id}/retry`, { method: "POST" });
        assert.ok([200, 202].includes(reply.status), `retry: ${reply.status} ${reply.text}`);
    }
    const d = await waitState(h, id, "done", { timeout: 45_000 });
    await assertRight(h, d, sum);
    return d;
}

/**
 * How each lie may end while it lasts: "done" (with the right bytes), "reason" (not done, and says why) or "either".
 * Lies that need a test of their own are not here.
 * @type {Record<string, "done" | "reason" | "either">}
 */
const outcomes = {
    ignoresRange: "done",
    wrongStart: "reason",
    wrongEnd: "reason",
    wrongTotal: "reason",
    hugeTotal: "reason",
    garbledRange: "reason",
    noContentRange: "reason",
    multipart: "reason",
    etagEachTime: "either",
    weakEtag: "done",
    noValidator: "done",
    shortBody: "reason",
    longBody: "either",
    longRange: "either",
    codingAndLength: "either",
    chunked: "either",
    chunkedShort: "reason",
    chunkedGarbled: "reason",
    negativeLength: "reason",
    garbledLength: "either",
    hugeLength: "reason",
    twoLengths: "reason",
    gzip: "reason",
    endlessHeader: "reason",
    endlessHeaders: "reason",
    endlessInterim: "reason",
    headerCut: "reason",
    stall: "either",
    silence: "reason",
    rangeNotSatisfiable: "reason",
    notFound: "reason",
    forbidden: "reason",
    gone: "reason",
    serverError: "reason",
    unavailableLong: "reason",
    garbledRetryAfter: "reason",
    tooMany: "reason",
    noContent: "reason",
    redirectLoop: "reason",
    breaksInBody: "either",
    breaksAtOnce: "reason",
    garbage: "reason",
    bareBody: "reason",
    strangeStatus: "reason",
    closeDelimited: "either",
    closeDelimitedShort: "either",
    longEtag: "either",
};
const ownTest = ["wrongBytes", "etagIgnored", "slowDrip"];

test("every lie has a test", () => {
    assert.deepEqual([...Object.keys(outcomes), ...ownTest].sort(), Object.keys(lies).sort());
});

describe("a server's lie", { concurrency: 4 }, () => {
    for (const [name, outcome] of Object.entries(outcomes)) {
        test(
            `${name}: no wrong byte, a reason, and on with an honest one`,
            { timeout: 150_000 },
            async (t) => {
                const evil = await startEvil({ t, files: { "f.bin": bytes }, lie: lies[name] });
                const h = await startHostpair({ t });
                const host = await addHost(h, evil.port);
                const before = rss(h);
                const d = await download(h, { host: host.id, path: "f.bin" });
                const seen = await waitState(
                    h,
                    d.id,
                    (d) =>
                        ["done", "failed", "paused"].includes(d.state) ||
                        (outcome !== "done" && words(d).length > 0),
                    { timeout: 45_000 },
                );
                await assertAnswers(h);
                const grown = rss(h) - before;
                assert.ok(grown < 300 * MiB, `it grew by ${grown} bytes`); // the sanitizers hold freed memory back
                if (seen.state === "done") {
                    assert.notEqual(
                        outcome,
                        "reason",
                        `done, though the server lies: ${JSON.stringify(seen)}`,
                    );
                    await assertRight(h, seen);
                } else {
                    assert.notEqual(outcome, "done", `not done: ${JSON.stringify(seen)}`);
                    assertSentence(seen);
                    assertNothingFinal(h, seen);
                }
                evil.lie = undefined;
                await recovers(h, d.id);
            },
        );
    }

    for (const name of ["ignoresRange", "weakEtag", "noValidator"]) {
        test(`${name}: says while it runs that it cannot resume, and starts over after a break`, async (t) => {
            const evil = await startEvil({
                t,
                files: { "f.bin": bytes },
                lie: async (asked) => {
                    // Every body that is long enough stops in its middle until the download was looked at, and breaks off.
                    const length = name === "ignoresRange" ? SIZE : asked.last - asked.first + 1;
                    if (asked.request.method === "GET" && !held && length > 3 * MiB) {
                        const { socket } = asked;
                        const write = socket.write.bind(socket);
                        socket.write = (/** @type {any} */ data) =>
                            data.length > 100_000 ? write(data.subarray(0, 3 * MiB)) : write(data);
                        await lies[name](asked);
                        await waitFor(() => held, { timeout: 20_000, what: "the download being looked at" });
                        socket.destroy();
                        return true;
                    }
                    return lies[name](asked);
                },
            });
            let held = false;
            const h = await startHostpair({ t });
            const host = await addHost(h, evil.port);
            const d = await download(h, { host: host.id, path: "f.bin" });
            const seen = await waitState(h, d.id, (d) => /resum/i.test(d.reason ?? ""), { timeout: 15_000 });
            assertSentence(seen);
            held = true;
            await assertRight(h, await waitState(h, d.id, "done"));
            const gets = evil.requests.filter((r) => r.path === "f.bin" && r.method === "GET");
            for (const get of gets.slice(1))
                assert.match(get.headers.range ?? "bytes=0-", /^bytes=0-/, "asked for from byte 0 again");
        });
    }

    test("another version midway starts over and mixes nothing", { timeout: 120_000 }, async (t) => {
        const newer = makeBytes(SIZE, 8);
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            lie: later(1, async (asked) => {
                if (asked.evil.version === 1 && asked.request.method === "GET") {
                    asked.evil.version = 2;
                    asked.evil.files["f.bin"] = newer;
                    asked.socket.destroy();
                    return true;
                }
                return false;
            }),
        });
        // One connection at a time that breaks now and then makes sure that there is a second request.
        const honest = evil.lie;
        evil.lie = (asked) => {
            if (asked.request.number > 0 || asked.request.method !== "GET") return honest?.(asked) ?? false;
            asked.socket.write(
                `HTTP/1.1 ${asked.ranged ? 206 : 200} OK\r\nETag: ${asked.etag}\r\nAccept-Ranges: bytes\r\n` +
                    `Content-Length: ${asked.last - asked.first + 1}\r\n` +
                    (asked.ranged ? `Content-Range: bytes ${asked.first}-${asked.last}/${SIZE}\r\n` : "") +
                    "\r\n",
            );
            asked.socket.end(asked.bytes.subarray(asked.first, asked.first + 2 * MiB + 5));
            return true;
        };
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const d = await download(h, { host: host.id, path: "f.bin" });
        const done = await waitState(h, d.id, "done", { timeout: 90_000 });
        await assertRight(h, done, sha256Of(newer));
        assert.equal(evil.version, 2, "the version changed while it was downloaded");
    });

    test(
        "etagIgnored: parts of a new version are not mixed into the old one",
        { timeout: 120_000 },
        async (t) => {
            const newer = makeBytes(SIZE, 9);
            const evil = await startEvil({
                t,
                files: { "f.bin": bytes },
                lie: async (asked) => {
                    if (asked.request.number === 0 && asked.request.method === "GET") {
                        asked.socket.write(
                            `HTTP/1.1 ${asked.ranged ? 206 : 200} OK\r\nETag: ${asked.etag}\r\n` +
                                `Content-Length: ${asked.last - asked.first + 1}\r\n` +
                                (asked.ranged
                                    ? `Content-Range: bytes ${asked.first}-${asked.last}/${SIZE}\r\n`
                                    : "") +
                                "\r\n",
                        );
                        asked.socket.end(asked.bytes.subarray(asked.first, asked.first + 2 * MiB + 5));
                        asked.evil.version = 2;
                        asked.evil.files["f.bin"] = newer;
                        return true;
                    }
                    return lies.etagIgnored(asked);
                },
            });
            const h = await startHostpair({ t });
            const host = await addHost(h, evil.port);
            const d = await download(h, { host: host.id, path: "f.bin" });
            const done = await waitState(h, d.id, "done", { timeout: 90_000 });
            await assertRight(h, done, sha256Of(newer));
        },
    );

    test("slowDrip: the others are served, and it can be cancelled", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({ t, files: { "f.bin": bytes }, lie: lies.slowDrip });
        const good = await startEvil({ t, files: { "g.bin": bytes } });
        const h = await startHostpair({ t });
        const slow = await addHost(h, evil.port);
        const fast = await addHost(h, good.port);
        const d = await download(h, { host: slow.id, path: "f.bin" });
        await waitFor(() => evil.requests.some((r) => r.path === "f.bin"), { what: "the slow request" });
        const g = await download(h, { host: fast.id, path: "g.bin" });
        await assertRight(h, await waitState(h, g.id, "done"));
        await assertAnswers(h);
        assert.notEqual((await getDownload(h, d.id)).state, "done");
        assert.equal((await h.api(`/downloads/${d.id}?data=remove`, { method: "DELETE" })).status, 204);
        assert.equal((await h.api(`/downloads/${d.id}`)).status, 404);
        await waitFor(() => readdirSync(h.downloadsDir).join() === "g.bin", {
            what: "the part being removed",
        });
        await waitFor(async () => {
            const count = evil.requests.length;
            await sleep(500);
            return count === evil.requests.length;
        });
    });

    test("a server that is gone for a while costs nothing that is done", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            lie: async (asked) => {
                if (asked.request.method !== "GET") return false;
                return asked.request.number < 4 ? lies.breaksInBody(asked) : false;
            },
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const d = await download(h, { host: host.id, path: "f.bin" });
        await assertRight(h, await waitState(h, d.id, "done", { timeout: 100_000 }));
    });
});

describe("a host that pretends to have the same content", { concurrency: 3 }, () => {
    const pretend = { id: "0123456789abcdef0123456789abcdef", name: "evil" };

    test("hash trees of the tests are those of hostpair", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        await makeFile(join(a.shareDir, "f.bin"), SIZE, 7);
        const root = await waitFor(
            async () => {
                const { headers } = await a.peer("/f.bin", { method: "HEAD" });
                return headers["hostpair-root"];
            },
            { timeout: 30_000, what: "the root of f.bin" },
        );
        const tree = hashTree(bytes, MiB);
        assert.equal(root, tree.root);
        const { body } = await a.peer(`/manifest/${root}?chunk=${MiB}`);
        assert.equal(body.toString("hex"), tree.layer.toString("hex"));
    });

    test("a chunk with wrong bytes is dropped and its source named", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            hostpair: pretend,
            lie: lies.wrongBytes,
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        assert.equal(host.id, `addr-127.0.0.1-${evil.port}`, "an id counts only where it is proven");
        assert.equal(host.name, "evil");
        await waitFor(async () => (await h.api(`/hosts/${host.id}/files`)).json.files[0]?.root, {
            what: "the list",
        });
        const d = await download(h, { host: host.id, path: "f.bin" });
        const bad = await waitState(h, d.id, (d) => d.sources[0]?.state === "banned", { timeout: 30_000 });
        assertSentence(bad);
        assert.notEqual(bad.state, "done");
        assertNothingFinal(h, bad);
        assert.equal(bad.sources[0].host, host.id);
        evil.lie = undefined;
        await recovers(h, d.id);
    });

    test("an honest host finishes what a lying one spoils", { timeout: 120_000 }, async (t) => {
        const a = await startHostpair({ t, name: "a" });
        await makeFile(join(a.shareDir, "right.bin"), SIZE, 7);
        await waitFor(async () => (await a.peer("/right.bin", { method: "HEAD" })).headers["hostpair-root"], {
            timeout: 30_000,
            what: "a's root",
        });
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            hostpair: pretend,
            lie: lies.wrongBytes,
        });
        const h = await startHostpair({ t, name: "h" });
        const liar = await addHost(h, evil.port);
        const honest = await addHost(h, a.peerPort);
        for (const { id } of [liar, honest])
            await waitFor(async () => (await h.api(`/hosts/${id}/files`)).json.files[0]?.root, {
                what: "the lists",
            });
        const d = await download(h, { host: liar.id, path: "f.bin" });
        const done = await waitState(h, d.id, "done");
        await assertRight(h, done);
        assert.equal(done.verified, true);
        assert.ok(
            done.sources.some((/** @type {any} */ s) => s.host === honest.id && s.bytes > 0),
            `the honest host is a source: ${JSON.stringify(done.sources)}`,
        );
    });

    for (const [what, spoil] of /** @type {Array<[string, (layer: Buffer) => Buffer]>} */ ([
        ["has a wrong digest", (layer) => Buffer.concat([Buffer.alloc(32, 7), layer.subarray(32)])],
        ["is too short", (layer) => layer.subarray(0, -32)],
        ["is too long", (layer) => Buffer.concat([layer, layer])],
        ["is of odd length", (layer) => layer.subarray(0, -5)],
        ["is empty", () => Buffer.alloc(0)],
        ["is endless", () => Buffer.alloc(200 * MiB)],
    ])) {
        test(`a manifest that ${what} is not trusted`, { timeout: 120_000 }, async (t) => {
            const evil = await startEvil({
                t,
                files: { "f.bin": bytes },
                hostpair: { ...pretend },
                lie: lies.wrongBytes,
                before: (request, socket) => {
                    const chunk = Number(/[?&]chunk=(\d+)/.exec(request.target)?.[1] ?? MiB);
                    if (!request.path.startsWith("manifest/")) return false;
                    const layer = spoil(hashTree(bytes, chunk).layer);
                    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${layer.length}\r\n\r\n`);
                    socket.write(layer);
                    return true;
                },
            });
            const h = await startHostpair({ t });
            const host = await addHost(h, evil.port);
            await waitFor(async () => (await h.api(`/hosts/${host.id}/files`)).json.files[0]?.root, {
                what: "the list",
            });
            const d = await download(h, { host: host.id, path: "f.bin" });
            const bad = await waitState(h, d.id, (d) => d.state === "done" || words(d).length > 0, {
                timeout: 45_000,
            });
            await assertAnswers(h);
            assert.notEqual(bad.state, "done", "done with wrong bytes, though the root was known");
            assertSentence(bad);
            assertNothingFinal(h, bad);
        });
    }
});
