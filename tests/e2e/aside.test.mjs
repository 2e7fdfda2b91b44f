// @ts-check
// Files that are set aside for one host: given to it, and to nobody else, without being shared.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import https from "node:https";
import { join } from "node:path";
import { describe, test } from "node:test";

import { MiB, addHost, makeBytes, request, startHostpair, waitFor } from "./harness.mjs";
import { identityIn, makeIdentity } from "./identities.mjs";
import { decide, inbox, newest } from "./inbox.mjs";
import { smallDisk } from "./mounts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./identities.mjs").Identity} Identity */

/** Two hosts; the first knows the second. @param {import("./harness.mjs").TestContext} t */
async function two(t) {
    const a = await startHostpair({ t, name: "studio" });
    const b = await startHostpair({ t, name: "attic" });
    return { a, b, ofB: (await addHost(a, b.peerPort)).id };
}

/** Begins a set for a host: its id. @param {Hostpair} h @param {string} host */
async function begin(h, host) {
    const made = await waitFor(
        async () => {
            const reply = await h.api(`/hosts/${host}/aside`, { method: "POST" });
            return reply.status !== 503 && reply;
        },
        { what: "what an earlier run left to be removed" },
    );
    assert.equal(made.status, 201, made.text);
    assert.match(made.json.id, /^[0-9a-f]{32}$/);
    return /** @type {string} */ (made.json.id);
}

/** @param {Hostpair} h @param {string} path @param {Buffer} bytes @param {string} [range] */
const put = (h, path, bytes, range) =>
    h.api(`/aside/${path}`, {
        method: "PUT",
        body: bytes,
        headers: range === undefined ? {} : { "content-range": range },
    });

/** @param {Hostpair} h @param {string} host @param {string[]} paths @param {object} [more] */
const push = async (h, host, paths, more = {}) => {
    const reply = await h.api(`/hosts/${host}/push`, { json: { paths, ...more } });
    assert.equal(reply.status, 202, reply.text);
    return reply.json;
};

/** @param {Hostpair} h @param {number} id @param {string} state */
const reaches = (h, id, state) =>
    waitFor(
        async () => {
            const list = (await h.api("/pushes")).json.pushes;
            const one = list.find((/** @type {any} */ other) => other.id === id);
            return one?.state === state && one;
        },
        { what: `a push that is ${state}`, detail: async () => (await h.api("/pushes")).text },
    );

/** @param {Hostpair} h */
const top = (h) => join(h.dataDir, "hostpair.aside");

/** Ids of the sets on the disk. @param {Hostpair} h */
const sets = (h) => (existsSync(top(h)) ? readdirSync(top(h)) : []);

/** @param {Hostpair} h */
const isEmpty = (h) => waitFor(() => sets(h).length === 0, { what: "the set to be removed" });

/**
 * One request as a host that proves its key.
 * @param {Hostpair} h @param {string} path @param {Identity} as @param {Record<string, string>} [headers]
 * @returns {Promise<{ status: number, body: Buffer, headers: import("node:http").IncomingHttpHeaders }>}
 */
const ask = (h, path, as, headers = {}) =>
    new Promise((done, fail) => {
        https
            .get(
                `https://127.0.0.1:${h.peerPort}${path}`,
                { key: as.key, cert: as.cert, headers, agent: false, rejectUnauthorized: false },
                async (res) => {
                    const parts = [];
                    for await (const part of res) parts.push(part);
                    done({ status: res.statusCode ?? 0, body: Buffer.concat(parts), headers: res.headers });
                },
            )
            .on("error", fail);
    });

describe("files set aside for a host", () => {
    test("the host gets them, and nobody else; they are removed once it has them", async (t) => {
        const { a, b, ofB } = await two(t);
        const other = await startHostpair({ t, name: "loft" });
        const ofOther = (await addHost(a, other.peerPort)).id;
        const bytes = makeBytes(9 * MiB, 1);
        const set = await begin(a, ofB);
        const half = 5 * MiB;
        const first = await put(
            a,
            `${set}/deep/gift.bin`,
            bytes.subarray(0, half),
            `bytes 0-${half - 1}/${9 * MiB}`,
        );
        assert.equal(first.status, 202, first.text);
        const asked = await put(a, `${set}/deep/gift.bin`, Buffer.alloc(0), `bytes */${9 * MiB}`);
        assert.equal(asked.json.received, half);
        const gap = await put(
            a,
            `${set}/deep/gift.bin`,
            Buffer.alloc(9),
            `bytes ${half + 1}-${half + 9}/${9 * MiB}`,
        );
        assert.equal(gap.status, 409);
        const last = `bytes ${half}-${9 * MiB - 1}/${9 * MiB}`;
        assert.equal((await put(a, `${set}/deep/gift.bin`, bytes.subarray(half), last)).status, 201);
        assert.equal((await put(a, `${set}/note.txt`, Buffer.from("for you"))).status, 201);

        assert.equal(statSync(top(a)).mode & 0o777, 0o700);
        assert.equal(statSync(join(top(a), set, "deep")).mode & 0o777, 0o700);
        assert.equal(statSync(join(top(a), set, "deep/gift.bin")).mode & 0o777, 0o600);

        const wrong = await a.api(`/hosts/${ofOther}/push`, { json: { paths: [`${set}/note.txt`] } });
        assert.equal(wrong.status, 409, wrong.text);

        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 2 * MiB } });
        const { id, aside } = await push(a, ofB, [`${set}/deep/gift.bin`, `${set}/note.txt`]);
        assert.equal(aside, true);
        const asking = await newest(b, "asking");
        assert.deepEqual(
            asking.files.map((/** @type {any} */ file) => [file.name, file.size]),
            [
                ["gift.bin", 9 * MiB],
                ["note.txt", 7],
            ],
        );
        assert.equal((await put(a, `${set}/more.txt`, Buffer.from("x"))).status, 409, "it is offered");
        assert.equal((await a.api(`/aside/${set}`, { method: "DELETE" })).status, 409);

        const [host, stranger] = [identityIn(b.dataDir), makeIdentity()];
        const reply = await ask(a, `/${set}/note.txt`, host);
        assert.equal(reply.status, 200);
        assert.equal(String(reply.body), "for you");
        assert.equal(reply.headers["hostpair-plain"], undefined);
        const range = await ask(a, `/files/${set}/deep/gift.bin`, host, { range: "bytes=100-199" });
        assert.equal(range.status, 206);
        assert.ok(range.body.equals(bytes.subarray(100, 200)));
        for (const path of [`/${set}/note.txt`, `/files/${set}/note.txt`, `/files/${set}/deep/gift.bin`]) {
            assert.equal((await ask(a, path, identityIn(other.dataDir))).status, 404, "another host");
            assert.equal((await ask(a, path, stranger)).status, 404, "a host that nobody knows");
            assert.equal((await request(`http://127.0.0.1:${a.peerPort}${path}`)).status, 404, "a guest");
        }
        // Nor is it anywhere that others look, also not for the host itself.
        for (const path of [
            `/${set}`,
            `/${set}/`,
            `/${set}/deep`,
            `/${set}/../${set}`,
            `/torrent/${set}/note.txt`,
        ])
            assert.equal((await ask(a, path, host)).status, 404, path);
        assert.equal((await ask(a, `/files/${set}/?archive=tar`, host)).status, 404);
        for (const path of ["/list", "/list?format=json", "/hostpair", "/", "/?archive=tar"]) {
            const text = String((await ask(a, path, host)).body);
            assert.doesNotMatch(text, new RegExp(`${set}|note\\.txt|gift\\.bin`), path);
        }
        for (const method of ["PROPFIND", "DELETE", "PUT"]) {
            const dav = await request(`http://127.0.0.1:${a.peerPort}/files/${set}/note.txt`, { method });
            assert.ok(dav.status >= 400, `${method}: ${dav.status}`);
        }
        assert.deepEqual((await a.api("/share/files")).json.files, []);
        assert.equal((await a.api("/status")).json.share.files, 0);
        assert.deepEqual((await a.api("/search?q=gift")).json.results ?? [], []);
        assert.equal((await a.api(`/share/content/${set}/note.txt`)).status, 404);

        await a.api("/settings", { method: "PATCH", json: { up_limit_bps: 0 } });
        await decide(b, asking.id, "accept");
        const done = await newest(b, "done", "failed");
        assert.equal(done.state, "done", done.reason);
        assert.ok(readFileSync(join(b.downloadsDir, "Received/studio/gift.bin")).equals(bytes));
        await reaches(a, id, "done");
        await isEmpty(a);
        assert.equal((await ask(a, `/${set}/note.txt`, host)).status, 404);
        assert.equal((await put(a, `${set}/note.txt`, Buffer.from("x"))).status, 404);
        assert.deepEqual((await a.api("/share/files")).json.files, []);
    });

    test("they are removed when it is declined, cancelled or fails, but wait for a PIN", async (t) => {
        const { a, b, ofB } = await two(t);
        /** @param {object} [more] */
        const give = async (more) => {
            const set = await begin(a, ofB);
            assert.equal((await put(a, `${set}/a.txt`, Buffer.from("a"))).status, 201);
            return { set, id: (await push(a, ofB, [`${set}/a.txt`], more)).id };
        };
        const declined = await give();
        await decide(b, (await newest(b, "asking")).id, "decline");
        await reaches(a, declined.id, "declined");
        await isEmpty(a);

        const cancelled = await give();
        await newest(b, "asking");
        assert.equal((await a.api(`/pushes/${cancelled.id}`, { method: "DELETE" })).status, 204);
        await isEmpty(a);

        await b.api("/settings", { method: "PATCH", json: { receive: "off" } });
        await reaches(a, (await give()).id, "failed");
        await isEmpty(a);

        await b.api("/settings", { method: "PATCH", json: { receive: "ask", receive_pin: "4711" } });
        const asked = await give();
        assert.equal((await reaches(a, asked.id, "failed")).code, "pin");
        assert.deepEqual(sets(a), [asked.set]);
        const again = await push(a, ofB, [`${asked.set}/a.txt`], { pin: "4711" });
        await decide(b, (await newest(b, "asking")).id, "accept");
        await newest(b, "done");
        await reaches(a, again.id, "done");
        await isEmpty(a);

        const unwanted = await begin(a, ofB);
        await put(a, `${unwanted}/a.txt`, Buffer.from("a"));
        assert.equal((await a.api(`/aside/${unwanted}`, { method: "DELETE" })).status, 204);
        await isEmpty(a);
        assert.equal((await a.api(`/aside/${unwanted}`, { method: "DELETE" })).status, 404);
    });

    test("names and hosts are checked, and what a killed run leaves is removed", async (t) => {
        const { a, b, ofB } = await two(t);
        assert.equal((await a.api(`/hosts/${"0".repeat(32)}/aside`, { method: "POST" })).status, 404);
        const set = await begin(a, ofB);
        assert.equal((await put(a, set, Buffer.from("x"))).status, 404, "the set itself");
        assert.equal((await put(a, `${"0".repeat(32)}/a.txt`, Buffer.from("x"))).status, 404);
        for (const name of ["..%2fx", "a%00b", ".a.1.hostpair-part", "x".repeat(300)])
            assert.ok((await put(a, `${set}/${name}`, Buffer.from("x"))).status >= 400, name);
        assert.ok(!existsSync(join(a.dataDir, "x")));
        assert.equal((await put(a, `${set}/a.txt`, Buffer.from("a"))).status, 201);
        assert.equal((await put(a, `${set}/half.bin`, Buffer.alloc(9), "bytes 0-8/20")).status, 202);
        await push(a, ofB, [`${set}/a.txt`]);
        await newest(b, "asking");
        await a.kill9();
        assert.deepEqual(sets(a), [set]);
        await a.start();
        await waitFor(() => !existsSync(top(a)), { what: "the start to remove it" });
        const host = identityIn(b.dataDir);
        assert.equal((await ask(a, `/${set}/a.txt`, host)).status, 404);
        // It goes on with a new one.
        const next = await begin(a, ofB);
        assert.equal((await put(a, `${next}/b.txt`, Buffer.from("b"))).status, 201);
        assert.equal((await inbox(b)).length, 1);
        assert.equal((await a.api(`/aside/${next}`, { method: "DELETE" })).status, 204);
        // No more than that many at a time.
        for (let i = 0; i < 64; i++) await begin(a, ofB);
        assert.equal((await a.api(`/hosts/${ofB}/aside`, { method: "POST" })).status, 429);
    });

    test("a disk that is too small says so, and nothing is left on it", { timeout: 60_000 }, async (t) => {
        const disk = smallDisk(t, 48, "tmpfs");
        if (disk === undefined) return t.skip("this machine cannot mount a disk");
        const a = await startHostpair({ t, name: "studio", data: disk });
        const b = await startHostpair({ t, name: "attic" });
        const ofB = (await addHost(a, b.peerPort)).id;
        const set = await begin(a, ofB);
        const piece = makeBytes(4 * MiB, 1);
        const total = 100 * MiB;
        let reply;
        for (let at = 0; at < total; at += piece.length) {
            reply = await put(a, `${set}/big.bin`, piece, `bytes ${at}-${at + piece.length - 1}/${total}`);
            if (reply.status !== 202) break;
        }
        assert.equal(reply?.status, 507, reply?.text);
        assert.match(reply?.json.detail, /No space left|disk is full/);
        await isEmpty(a);
        assert.equal((await put(a, `${set}/small.txt`, Buffer.from("x"))).status, 404);
        const next = await begin(a, ofB);
        assert.equal((await put(a, `${next}/small.txt`, Buffer.from("x"))).status, 201);
    });
});
