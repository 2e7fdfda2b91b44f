// @ts-check
// Downloads from servers that know less than hostpair does, and from servers that lie. Whatever the other side does: a
// download is never `done` with wrong bytes, says in a sentence what is the matter, loses nothing, and the process goes on
// answering.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { hashTree, later, lies, startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
    download,
    getDownload,
    makeBytes,
    makeFile,
    pathOf,
    sha256,
    sha256Of,
    sleep,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const SIZE = 5 * MiB + 123; // six chunks, the last one short
const bytes = makeBytes(SIZE, 7);
const wanted = sha256Of(bytes);

/** All that a download says about what is the matter. @param {any} d @returns {string[]} */
function words(d) {
    const all = [d.reason, d.error?.detail, ...d.sources.map((/** @type {any} */ s) => s.error)];
    return all.filter((text) => typeof text === "string" && text !== "");
}

/** @param {any} d */
function assertSentence(d) {
    const said = words(d);
    assert.ok(said.length > 0, `it gives no reason: ${JSON.stringify(d)}`);
    for (const text of said) {
        assert.match(text, /\S+ \S+/, `"${text}" is no sentence`);
        assert.doesNotMatch(text, /undefined|\(null\)|%[sdlzu]|\n|[\x00-\x1f]/, "a clean sentence");
        assert.ok(text.length < 1000, `a reason of ${text.length} characters`);
    }
}

/** @param {Hostpair} h @param {any} d @param {string} [sum] */
async function assertRight(h, d, sum = wanted) {
    assert.equal(d.state, "done");
    assert.equal(await sha256(pathOf(h, d)), sum, "the finished file has the right bytes");
    assert.equal(d.done_bytes, d.size);
}

/** Nothing under the final name as long as the download is not done. @param {Hostpair} h @param {any} d */
function assertNothingFinal(h, d) {
    const path = pathOf(h, d);
    assert.ok(
        !existsSync(path) || statSync(path).size === 0,
        `${path} is there, though the download is ${d.state}`,
    );
}

/** @param {Hostpair} h */
function rss(h) {
    const status = readFileSync(`/proc/${h.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

/** @param {Hostpair} h */
async function assertAnswers(h) {
    const start = performance.now();
    const { status } = await h.api("/status");
    const took = performance.now() - start;
    assert.equal(status, 200);
    assert.ok(took < 2000, `status took ${took} ms while the other side misbehaves`);
}

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

describe("a plain file server", { concurrency: 3 }, () => {
    test("is a host, is listed and is downloaded from in parts", async (t) => {
        const evil = await startEvil({ t, files: { "f.bin": bytes, "empty.txt": Buffer.alloc(0) } });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        assert.equal(host.id, `addr-127.0.0.1-${evil.port}`);
        assert.equal(host.state, "online");
        const list = await waitFor(
            async () => {
                const { json } = await h.api(`/hosts/${host.id}/files`);
                return json.files.length === 2 && json;
            },
            { what: "both files in the list" },
        );
        assert.deepEqual(list.files.map((/** @type {any} */ f) => f.name).sort(), ["empty.txt", "f.bin"]);
        const d = await download(h, { host: host.id, path: "f.bin" });
        const e = await download(h, { host: host.id, path: "empty.txt" });
        await assertRight(h, await waitState(h, d.id, "done"));
        const empty = await waitState(h, e.id, "done");
        assert.equal(statSync(pathOf(h, empty)).size, 0);
        const done = await getDownload(h, d.id);
        assert.equal(done.verified, false, "there was no hash tree to compare with");
        assert.equal(done.sources[0].host, host.id);
        for (const { headers, path } of evil.requests.filter((r) => r.path === "f.bin")) {
            assert.equal(headers["accept-encoding"] ?? "identity", "identity", `accept-encoding for ${path}`);
            if (headers.range && headers.range !== "bytes=0-")
                assert.ok(
                    headers["if-range"] || headers.range.startsWith("bytes=0-"),
                    "If-Range with a part",
                );
        }
        assert.deepEqual(
            readdirSync(h.downloadsDir).filter((name) => name.includes("hostpair-part")),
            [],
            "no part file is left",
        );
    });

    test("that is not known by /hostpair is no host", async (t) => {
        const evil = await startEvil({
            t,
            before: (request, socket) => {
                socket.end("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
                return true;
            },
        });
        const h = await startHostpair({ t });
        const reply = await h.api("/hosts", { json: { address: `127.0.0.1:${evil.port}` } });
        assert.equal(reply.status, 502);
        assert.match(reply.headers["content-type"] ?? "", /^application\/problem\+json/);
    });

    test("by URL is downloaded from, redirects followed", async (t) => {
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            before: (request, socket) => {
                if (request.path !== "old/f.bin") return false;
                socket.write("HTTP/1.1 301 Moved\r\nLocation: /f.bin\r\nContent-Length: 0\r\n\r\n");
                return true;
            },
        });
        const h = await startHostpair({ t });
        const d = await download(h, { url: `${evil.url}/old/f.bin` });
        await assertRight(h, await waitState(h, d.id, "done"));
    });

    test("by URL that redirects in a circle fails with a reason", async (t) => {
        const evil = await startEvil({ t, files: { "f.bin": bytes }, lie: lies.redirectLoop });
        const h = await startHostpair({ t });
        const d = await download(h, { url: `${evil.url}/f.bin` });
        const bad = await waitState(h, d.id, (d) => d.state !== "done" && words(d).length > 0, {
            timeout: 30_000,
        });
        assertSentence(bad);
        assertNothingFinal(h, bad);
        const asked = evil.requests.length;
        assert.ok(asked < 200, `${asked} requests into a circle`);
    });

    test("by URL that redirects to a file of this machine fails", async (t) => {
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            lie: ({ socket }) => {
                socket.write(
                    "HTTP/1.1 302 Here\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
                );
                return true;
            },
        });
        const h = await startHostpair({ t });
        const d = await download(h, { url: `${evil.url}/f.bin` });
        const bad = await waitState(h, d.id, (d) => d.state !== "done" && words(d).length > 0, {
            timeout: 30_000,
        });
        assertSentence(bad);
        assertNothingFinal(h, bad);
    });

    test("as a host that redirects elsewhere is not followed", async (t) => {
        const other = await startEvil({ t, files: { "f.bin": bytes } });
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            lie: ({ socket }) => {
                socket.write(
                    `HTTP/1.1 302 There\r\nLocation: ${other.url}/f.bin\r\nContent-Length: 0\r\n\r\n`,
                );
                return true;
            },
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const d = await download(h, { host: host.id, path: "f.bin" });
        const bad = await waitState(h, d.id, (d) => d.state !== "done" && words(d).length > 0, {
            timeout: 30_000,
        });
        assertSentence(bad);
        assert.equal(other.requests.length, 0, "nothing was asked of the other server");
    });
});

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

describe("names from a hostile host", { concurrency: 3 }, () => {
    const hostile = [
        "../out.txt",
        "a/../../out.txt",
        "/etc/out.txt",
        "..",
        ".",
        "",
        "a//b",
        "a/./b",
        "a\u0000b",
        "line\nbreak",
        "tab\tbed",
        "del\u007f",
        `${"n".repeat(256)}`,
        "folder/",
        ".f.bin.1.hostpair-part",
    ];
    const line = (/** @type {string} */ path, more = {}) =>
        JSON.stringify({
            path,
            size: 3,
            mtime: "2024-01-02T03:04:05Z",
            type: "text/plain",
            root: null,
            ...more,
        });

    test("are neither listed nor written", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "good.txt": Buffer.from("abc"), "d/ok.txt": Buffer.from("abc") },
            hostpair: { id: "fedcba9876543210fedcba9876543210", name: "e\u202evil\u0007<b>x</b>" },
            listLines: [
                line("good.txt"),
                ...hostile.map((path) => line(path)),
                ...hostile.map((path) => line(`d/${path}`)),
                line("d/ok.txt"),
                line("minus.txt", { size: -1 }),
                line("huge.txt", { size: 1e300 }),
                line("text.txt", { size: "3" }),
                line("root.txt", { root: "xyz" }),
                line("time.txt", { mtime: "yesterday" }),
                "not json at all",
                "[]",
                '{"path":5}',
                '{"path":"cut.txt","si',
                '{"path":"deep.txt","size":' + "[".repeat(5000) + "}",
            ],
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const paths = await waitFor(
            async () => {
                const { json } = await h.api(`/hosts/${host.id}/files?limit=1000`);
                const names = json.files.map((/** @type {any} */ f) => f.path);
                return names.includes("good.txt") && json;
            },
            { what: "good.txt in the list" },
        );
        const inside = (await h.api(`/hosts/${host.id}/files?folder=d&limit=1000`)).json;
        const all = [...paths.files, ...inside.files].map((/** @type {any} */ f) => f.path);
        assert.ok(all.includes("d/ok.txt"), `d/ok.txt is listed: ${all}`);
        for (const bad of hostile) {
            assert.ok(!all.includes(bad), `${JSON.stringify(bad)} is not listed`);
            assert.ok(!all.includes(`d/${bad}`), `${JSON.stringify(`d/${bad}`)} is not listed`);
        }
        for (const bad of ["minus.txt", "huge.txt", "text.txt", "cut.txt", "deep.txt"])
            assert.ok(!all.includes(bad), `${bad} is not listed`);

        for (const bad of hostile) {
            const reply = await h.api("/downloads", { json: { host: host.id, path: bad } });
            assert.ok(
                [400, 404, 422].includes(reply.status),
                `${JSON.stringify(bad)}: ${reply.status} ${reply.text}`,
            );
        }
        const d = await download(h, { host: host.id, folder: "d" });
        const done = await waitState(h, d.id, "done");
        assert.equal(done.files_total, 1);
        assert.deepEqual(readdirSync(h.downloadsDir), ["d"]);
        assert.deepEqual(readdirSync(join(h.downloadsDir, "d")), ["ok.txt"]);
        assert.ok(!existsSync(join(h.root, "out.txt")));
        assert.doesNotMatch(
            h.stderr(),
            /[\x00-\x08\x0b-\x1f\x7f\u202e]/,
            "the log holds no control characters",
        );
    });

    test("in a list without an end keep memory bounded", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "good.txt": Buffer.from("abc") },
            before: async (request, socket) => {
                if (request.path !== "list") return false;
                socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
                const block = "a".repeat(65536);
                for (const end = Date.now() + 15_000; !socket.destroyed && Date.now() < end;)
                    if (!socket.write(block))
                        await new Promise((done) => socket.once("drain", done).once("close", done));
                socket.destroy();
                return true;
            },
        });
        const h = await startHostpair({ t });
        const before = rss(h);
        await addHost(h, evil.port);
        await waitFor(() => evil.requests.some((r) => r.path === "list"), {
            what: "the list being asked for",
        });
        let most = 0;
        for (let i = 0; i < 20; i++) {
            most = Math.max(most, rss(h) - before);
            await assertAnswers(h);
            await sleep(250);
        }
        assert.ok(most < 300 * MiB, `it grew by ${most} bytes`);
    });

    test(
        "without an end are given up, said and take no more than their share of the disk",
        { timeout: 300_000 },
        async (t) => {
            let sent = 0;
            const evil = await startEvil({
                t,
                files: { "good.txt": Buffer.from("abc") },
                before: async (request, socket) => {
                    if (request.path !== "list") return false;
                    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
                    while (!socket.destroyed) {
                        const lines = Array.from({ length: 500 }, () => `${"n".repeat(200)}${sent++}\n`).join(
                            "",
                        );
                        if (!socket.write(lines))
                            await new Promise((done) => socket.once("drain", done).once("close", done));
                    }
                    return true;
                },
            });
            const h = await startHostpair({ t });
            const { id } = await addHost(h, evil.port);
            const host = await waitFor(
                async () => {
                    const { json } = await h.api(`/hosts/${id}`);
                    return json.list_error !== null && !json.listing && json;
                },
                { timeout: 150_000, interval: 200, what: "the list being given up" },
            );
            assert.match(host.list_error, /more than \d+ files, far more than the host says/);
            const size = statSync(join(h.dataDir, "hostpair.db")).size;
            t.diagnostic(`${sent} names sent, ${size} bytes of database`);
            assert.ok(sent < 400_000, `${sent} names sent`);
            assert.ok(size < 300 * MiB, `${size} bytes`);
            assert.equal((await h.api(`/hosts/${id}/files`)).status, 413, "nothing of it is shown");
            await waitFor(() => statSync(join(h.dataDir, "hostpair.db")).size < 30 * MiB, {
                timeout: 120_000,
                interval: 500,
                what: "the space being given back",
            });
        },
    );

    test("in the text list are taken only when they are names", { timeout: 60_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "good.txt": Buffer.from("abc") },
            before: (request, socket) => {
                if (request.path !== "list") return false;
                const body = Buffer.concat([
                    Buffer.from(`good.txt\r\n${hostile.filter((n) => !/[\r\n]/.test(n)).join("\r\n")}\r\n`),
                    Buffer.from([0xff, 0xfe, 0x41, 13, 10]),
                    Buffer.from("last without an end"),
                ]);
                socket.write(
                    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`,
                );
                socket.write(body);
                return true;
            },
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const list = await waitFor(
            async () => {
                const { json } = await h.api(`/hosts/${host.id}/files?limit=1000`);
                return json.files.length > 0 && json;
            },
            { what: "the list" },
        );
        for (const { path } of list.files)
            assert.ok(!hostile.includes(path), `${JSON.stringify(path)} is listed`);
        assert.ok(list.files.some((/** @type {any} */ f) => f.path === "good.txt"));
    });
});
