// @ts-check
// Content in plain on request (`encrypt_content` off): what goes in plain and what never does, who has to want it, and
// what somebody on the wire can do with it.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import { send, startEvil } from "./evil.mjs";
import {
    MiB,
    download,
    makeBytes,
    pathOf,
    request,
    sha256,
    sha256Of,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { fileBytes, linked, sharing } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").TestContext} TestContext */
/** @typedef {import("./link.mjs").Link} Link */

/** @param {Hostpair} h @param {Record<string, unknown>} json */
async function set(h, json) {
    const reply = await h.api("/settings", { method: "PATCH", json });
    assert.equal(reply.status, 200, reply.text);
}

/** What went through a link in plain. @param {Link} link */
const inPlain = (link) => link.requests.filter((r) => !r.encrypted);
/** @param {Link} link */
const plainBytes = (link) => link.carried((r) => !r.encrypted);

/** @param {any} d @param {string} host @returns {any} */
const sourceOf = (d, host) => d.sources.find((/** @type {any} */ s) => s.host === host);

/** Waits for the whole file, and holds it against these bytes. @param {Hostpair} h @param {number} id @param {string} sum */
async function arrives(h, id, sum) {
    const d = await waitState(h, id, "done", { timeout: 60_000 });
    assert.equal(await sha256(pathOf(h, d)), sum, "the finished file has the right bytes");
    assert.equal(d.verified, true);
    return d;
}

/** So that the same file can be ordered again. @param {Hostpair} h @param {any} d */
async function forget(h, d) {
    assert.equal((await h.api(`/downloads/${d.id}?data=remove`, { method: "DELETE" })).status, 204);
    await rm(pathOf(h, d), { force: true });
}

/**
 * Two hosts and the line between them; both want content in plain unless told otherwise.
 * @param {TestContext} t
 * @param {{ giver?: object, taker?: object, size?: number, rate?: number, more?: import("./hosts.mjs").Files }} [options]
 */
async function pair(t, { giver = {}, taker = {}, size = 32 * MiB, rate = 0, more = {} } = {}) {
    const bytes = makeBytes(size, 5);
    const a = await sharing(t, "attic", { "big.bin": bytes, ...more });
    const b = await startHostpair({ t, name: "b" });
    await set(a, { encrypt_content: false, ...giver });
    await set(b, { encrypt_content: false, ...taker });
    const { link, id } = await linked(t, b, a.peerPort, { rate, files: 1 + Object.keys(more).length });
    return { a, b, link, id, bytes, sum: sha256Of(bytes) };
}

describe("content in plain", { concurrency: 2 }, () => {
    test("is off until both people switch it on", async (t) => {
        const { a, b, link, id, sum } = await pair(t, {
            giver: { encrypt_content: true },
            taker: { encrypt_content: true },
        });
        assert.equal((await a.api("/settings")).json.encrypt_content, true);
        for (const [giver, taker] of [
            [true, true],
            [true, false],
            [false, true],
        ]) {
            await set(a, { encrypt_content: giver });
            await set(b, { encrypt_content: taker });
            const { id: order } = await download(b, { host: id, path: "big.bin" });
            await forget(b, await arrives(b, order, sum));
            assert.deepEqual(inPlain(link), [], `giver ${giver}, taker ${taker}`);
        }
        await set(a, { encrypt_content: false });
        await set(b, { encrypt_content: false });
        const { id: order } = await download(b, { host: id, path: "big.bin" });
        await arrives(b, order, sum);
        assert.ok(plainBytes(link) >= 20 * MiB, `${plainBytes(link)} bytes in plain`);
    });

    test("is what large files have then, and nothing else", async (t) => {
        const small = Object.fromEntries(
            Array.from({ length: 20 }, (_, n) => [`small/${n}.txt`, { size: 5000, seed: 10 + n }]),
        );
        const { a, b, link, id, sum } = await pair(t, {
            more: { "mib.bin": { size: MiB, seed: 2 }, ...small },
        });
        const { id: order } = await download(b, { host: id, path: "big.bin" });
        const d = await arrives(b, order, sum);
        assert.ok(plainBytes(link) >= 20 * MiB, `${plainBytes(link)} bytes in plain`);
        const { json: gave } = await b.api(`/downloads/${d.id}/sources`);
        assert.deepEqual(
            gave.sources.map((/** @type {any} */ s) => [s.host, s.bytes]),
            [[id, d.size]],
        );

        const one = await download(b, { host: id, path: "mib.bin" });
        await arrives(b, one.id, await sha256(join(a.shareDir, "mib.bin")));
        const many = await download(b, { host: id, folder: "small" });
        await waitState(b, many.id, "done");
        const sent = await b.api("/messages", { json: { to: id, text: "Lunch?" } });
        await waitFor(async () => {
            const { json } = await b.api("/messages");
            const message = json.messages.find((/** @type {any} */ m) => m.id === sent.json.id);
            return message.deliveries[0].state === "delivered";
        });
        const refreshed = await b.api(`/hosts/${id}/files/refresh`, { method: "POST" });
        assert.equal(refreshed.status, 202, refreshed.text);
        for (const r of inPlain(link)) {
            assert.equal(`${r.method} ${r.path} ${r.status}`, "GET /big.bin 206");
            assert.equal(r.headers["hostpair-content"], "plain");
            assert.ok(r.headers.range);
        }
        for (const path of ["/hostpair", "/list", "/message", "/manifest", "/hostpair/bundle", "/mib.bin"])
            assert.ok(
                link.requests.some((r) => r.path.startsWith(path) && r.encrypted),
                `${path} over TLS`,
            );
        const host = (await b.api(`/hosts/${id}`)).json;
        assert.equal(host.proven, true);
        assert.equal(host.state, "online");
    });

    test("is offered by each reply over TLS, so that a download that goes on has it from its first chunk on", async (t) => {
        const { b, link, id, sum } = await pair(t, { rate: 16 * MiB });
        const { id: order } = await download(b, { host: id, path: "big.bin" });
        await waitState(b, order, (d) => d.chunks_done >= 6);
        await b.stop();
        const before = link.requests.length;
        await b.start();
        await arrives(b, order, sum);
        const asked = link.requests.slice(before);
        assert.deepEqual(
            asked.filter((r) => r.encrypted && r.path === "/big.bin"),
            [],
        );
        assert.ok(asked.some((r) => !r.encrypted && r.bytes > 0));
    });

    test("of several files comes from several hosts, and each file's record says so", async (t) => {
        const files = Object.fromEntries([1, 2, 3].map((n) => [`f/${n}.bin`, { size: 20 * MiB, seed: n }]));
        const [a, c] = [await sharing(t, "a", files), await sharing(t, "c", files)];
        const b = await startHostpair({ t, name: "b" });
        for (const h of [a, b, c]) await set(h, { encrypt_content: false, connections_per_source: 1 });
        /** @type {Awaited<ReturnType<typeof linked>>[]} */
        const links = [];
        for (const h of [a, c]) links.push(await linked(t, b, h.peerPort, { rate: 24 * MiB, files: 3 }));
        const { id } = await download(b, { host: links[0].id, folder: "f" });
        const d = await waitState(b, id, "done");
        for (const { link } of links) assert.ok(plainBytes(link) > 4 * MiB, `${plainBytes(link)} in plain`);
        const never = Object.keys(files).filter(
            (path) => !links[1].link.requests.some((r) => r.encrypted && r.path === `/${path}`),
        );
        t.diagnostic(`c was never asked over TLS for ${never}`);
        await b.restart();
        const { json } = await b.api(`/downloads/${id}/sources`);
        assert.deepEqual(
            json.sources.map((/** @type {any} */ s) => s.host).sort(),
            links.map((one) => one.id).sort(),
        );
        assert.equal(
            json.sources.reduce((/** @type {number} */ sum, /** @type {any} */ s) => sum + s.bytes, 0),
            d.size,
        );
    });

    test("does not go where not everyone is let in", async (t) => {
        const { a, b, link, id, sum } = await pair(t, { giver: { access: "hosts" }, rate: 24 * MiB });
        const one = await download(b, { host: id, path: "big.bin" });
        await forget(b, await arrives(b, one.id, sum));
        assert.deepEqual(inPlain(link), []);

        // Taken back while bytes flow.
        await set(a, { access: "everyone" });
        const two = await download(b, { host: id, path: "big.bin" });
        await waitFor(() => plainBytes(link) > MiB, { what: "bytes in plain" });
        await set(a, { access: "hosts" });
        const before = inPlain(link).length;
        const encrypted = fileBytes(link) - plainBytes(link);
        const d = await arrives(b, two.id, sum);
        const refused = inPlain(link)
            .slice(before)
            .filter((r) => r.status !== 403);
        assert.deepEqual(refused, [], "nothing more in plain");
        assert.ok(fileBytes(link) - plainBytes(link) > encrypted + 4 * MiB, "the rest over TLS");
        assert.equal(sourceOf(d, id).error, null);
    });

    for (const who of ["giver", "taker"])
        test(`ends at once when the ${who} wants encryption again`, async (t) => {
            const { a, b, link, id, sum } = await pair(t, { size: 64 * MiB, rate: 16 * MiB });
            const { id: order } = await download(b, { host: id, path: "big.bin" });
            await waitFor(() => plainBytes(link) > 2 * MiB, { what: "bytes in plain" });
            await set(who === "giver" ? a : b, { encrypt_content: true });
            const asked = inPlain(link).length;
            const before = plainBytes(link);
            const d = await arrives(b, order, sum);
            const more = inPlain(link).slice(asked);
            assert.deepEqual(
                more.filter((r) => r.status !== 403),
                [],
                "no further request in plain is served",
            );
            const after = plainBytes(link) - before;
            t.diagnostic(`${after} bytes more in plain, of those that were on their way`);
            assert.ok(after < 8 * MiB, `${after} bytes more in plain`);
            assert.ok(before + after < 48 * MiB, "most of it came over TLS");
            assert.equal(sourceOf(d, id).error, null);
            assert.equal((await b.api(`/hosts/${id}`)).json.state, "online");
        });

    test("begins while a download runs, when both want it", async (t) => {
        const { a, b, link, id, sum } = await pair(t, {
            giver: { encrypt_content: true },
            size: 48 * MiB,
            rate: 16 * MiB,
        });
        const { id: order } = await download(b, { host: id, path: "big.bin" });
        await waitState(b, order, (d) => d.chunks_done >= 6);
        assert.deepEqual(inPlain(link), []);
        await set(a, { encrypt_content: false });
        await arrives(b, order, sum);
        assert.ok(plainBytes(link) > MiB, `${plainBytes(link)} bytes in plain`);
    });

    test("is taken up again after the line was down", { timeout: 90_000 }, async (t) => {
        const { b, link, id, sum } = await pair(t, { size: 48 * MiB, rate: 8 * MiB });
        const { id: order } = await download(b, { host: id, path: "big.bin" });
        await waitFor(() => plainBytes(link) > 2 * MiB, { what: "bytes in plain" });
        link.goDown();
        const before = plainBytes(link);
        await waitState(b, order, (d) => sourceOf(d, id).state === "waiting");
        await waitFor(async () => (await b.api(`/hosts/${id}`)).json.state === "offline", {
            timeout: 40_000,
            what: "the host to be missed",
        });
        link.comeUp();
        await waitFor(() => plainBytes(link) > before + 2 * MiB, {
            timeout: 40_000,
            what: "bytes in plain again",
        });
        link.rate = 0;
        await arrives(b, order, sum);
    });

    test("is refused to a host that asks without an offer; guests get files as ever", async (t) => {
        const { a, bytes } = await pair(t, { giver: { encrypt_content: true }, size: 3 * MiB });
        const ask = (/** @type {Record<string, string>} */ headers) =>
            request(`${a.peerUrl}/big.bin`, { headers: { range: "bytes=0-9", ...headers } });
        const refused = await ask({ "hostpair-content": "plain" });
        assert.equal(refused.status, 403);
        assert.match(refused.text, /over TLS alone/);
        for (const encrypt_content of [true, false]) {
            await set(a, { encrypt_content });
            const guest = await ask({});
            assert.equal(guest.status, 206);
            assert.equal(guest.headers["hostpair-content"], undefined, "no offer to a guest");
            assert.deepEqual(guest.body, bytes.subarray(0, 10));
        }
        assert.equal((await ask({ "hostpair-content": "plain" })).status, 206);
    });
});

describe("somebody on the wire", () => {
    /** The part that a request wants. @param {import("./evil.mjs").Request} request @param {Buffer} bytes */
    const partOf = (request, bytes) => {
        const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
        return { first: Number(first), last: Number(last), part: bytes.subarray(+first, +last + 1) };
    };

    /**
     * What is answered in plain in the giver's place. `used`: bytes that come this way are right, and may be taken.
     * @type {Record<string, { used?: boolean, answer: (r: import("./evil.mjs").Request, s: import("node:net").Socket, bytes: Buffer) => void }>}
     */
    const forgeries = {
        "other bytes": {
            answer: (r, s, bytes) => {
                const { first, last, part } = partOf(r, bytes);
                const wrong = Buffer.from(part);
                for (let at = 777; at < wrong.length; at += MiB) wrong[at] ^= 1;
                send(s, 206, head(first, last, bytes.length), wrong);
            },
        },
        "another version": {
            used: true,
            answer: (r, s, bytes) => {
                const { first, last, part } = partOf(r, bytes);
                /** @type {Array<[string, string | number]>} */
                const more = [
                    ["ETag", '"another"'],
                    ["Hostpair-Root", "ab".repeat(32)],
                    ["Hostpair-Id", "cd".repeat(16)],
                    ["Hostpair-Name", "somebody"],
                    ["Date", "Tue, 02 Jan 2024 03:04:05 GMT"],
                ];
                send(s, 206, [...head(first, last, bytes.length), ...more], part);
            },
        },
        "another size": {
            answer: (r, s, bytes) => {
                const { first, last, part } = partOf(r, bytes);
                send(s, 206, head(first, last, bytes.length * 2), part);
            },
        },
        "a shorter part": {
            answer: (r, s, bytes) => {
                const { first, part } = partOf(r, bytes);
                send(s, 206, head(first, first + MiB - 1, bytes.length), part.subarray(0, MiB));
            },
        },
        "the whole": { answer: (r, s, bytes) => send(s, 200, [["Content-Length", bytes.length]], bytes) },
        "an empty file": {
            answer: (r, s) =>
                send(s, 416, [
                    ["Content-Range", "bytes */0"],
                    ["Content-Length", 0],
                ]),
        },
        "no such file": { answer: (r, s) => send(s, 404, [["Content-Length", 0]]) },
        forbidden: { answer: (r, s) => send(s, 403, [["Content-Length", 0]]) },
        "come back in an hour": {
            answer: (r, s) =>
                send(s, 503, [
                    ["Retry-After", 3600],
                    ["Content-Length", 0],
                ]),
        },
        elsewhere: {
            answer: (r, s) =>
                send(s, 302, [
                    ["Location", "http://127.0.0.1:1/"],
                    ["Content-Length", 0],
                ]),
        },
        "the end in the middle": {
            answer: (r, s, bytes) => {
                const { first, last, part } = partOf(r, bytes);
                send(s, 206, head(first, last, bytes.length), part.subarray(0, part.length / 2));
                s.end();
            },
        },
        nothing: { answer: (r, s) => void s.destroy() },
        nonsense: { answer: (r, s) => void s.end("\x16\x03\x01 no HTTP\r\n\r\n") },
    };
    /** @param {number} first @param {number} last @param {number} size @returns {Array<[string, string | number]>} */
    const head = (first, last, size) => [
        ["Content-Length", last - first + 1],
        ["Content-Range", `bytes ${first}-${last}/${size}`],
    ];

    test("can keep content in plain from coming, and nothing more", { timeout: 180_000 }, async (t) => {
        const { b, link, id, bytes, sum } = await pair(t, { size: 24 * MiB });
        /** @type {import("./evil.mjs").Request[]} */
        let met = [];
        /** @type {(typeof forgeries)[string]} */
        let forgery;
        const wire = await startEvil({
            t,
            before: (r, socket) => {
                met.push(r);
                forgery.answer(r, socket, bytes);
                return true;
            },
        });
        link.plainTo = wire.port;
        const known = (await b.api(`/hosts/${id}`)).json;
        for (const name of Object.keys(forgeries)) {
            forgery = forgeries[name];
            met = [];
            const from = link.requests.length;
            const started = performance.now();
            const { id: order } = await download(b, { host: id, path: "big.bin" });
            const d = await arrives(b, order, sum);
            const took = performance.now() - started;
            t.diagnostic(`${name}: ${met.length} requests in plain, ${took.toFixed(0)} ms`);
            assert.ok(met.length >= 1, `${name}: it was asked in plain`);
            assert.ok(took < 10_000, `${name}: ${took} ms`);
            const asked = link.requests.slice(from).filter((r) => r.path === "/big.bin");
            if (!forgery.used) {
                assert.ok(met.length <= 4, `${name}: one request a connection, ${met.length} came`);
                const last = asked.findLastIndex((r) => !r.encrypted);
                assert.ok(
                    asked.slice(last + 1).some((r) => r.encrypted),
                    `${name}: TLS after it`,
                );
            }
            const source = sourceOf(d, id);
            assert.equal(source.error, null, `${name}: the host is not blamed`);
            assert.equal(source.bytes >= d.size, true);
            const { last_seen: _, ...now } = (await b.api(`/hosts/${id}`)).json;
            const { last_seen: __, ...before } = known;
            assert.equal(now.name, before.name);
            assert.equal(now.id, before.id);
            assert.equal(now.state, "online");
            assert.equal(now.proven, true);
            assert.equal(now.problem ?? null, null, name);
            assert.equal(now.fingerprint, before.fingerprint);
            assert.deepEqual(
                now.addresses.map((/** @type {any} */ at) => at.port),
                before.addresses.map((/** @type {any} */ at) => at.port),
            );
            await forget(b, d);
        }
        assert.match(b.stderr(), /chunk \d+ of big\.bin was changed on its way from \w+ in plain/);
    });
});
