// @ts-check
// Reading a download while it runs: GET /api/v1/downloads/{id}/content.
import assert from "node:assert/strict";
import { readFile, rename, writeFile } from "node:fs/promises";
import http from "node:http";
import { join } from "node:path";
import { describe, test } from "node:test";
import { addHost, download, makeFile, pathOf, startHostpair, waitFor, waitState } from "./harness.mjs";
import { startLink } from "./link.mjs";

const MiB = 1024 * 1024;
const size = 24 * MiB + 12345;

/**
 * A download of film.mp4 through a slow link, far enough that its length is known.
 * @param {import("node:test").TestContext} t
 * @param {number} rate
 */
async function running(t, rate) {
    const a = await startHostpair({ t, name: "a" });
    const bytes = await readFile(await makeFile(join(a.shareDir, "film.mp4"), size, 77));
    const link = await startLink({ t, to: a.peerPort, rate });
    const b = await startHostpair({ t, name: "b" });
    const host = await addHost(b, link.port);
    const { id } = await download(b, { host: host.id, path: "film.mp4" });
    const url = `http://127.0.0.1:${b.dashboardPort}/api/v1/downloads/${id}/content`;
    await waitFor(async () => (await fetch(url, { method: "HEAD" })).status === 200, {
        what: "the content to be readable",
    });
    return { a, b, link, id, url, bytes };
}

/** @param {string} url @param {string} range */
async function part(url, range) {
    const reply = await fetch(url, { headers: { Range: range } });
    return { reply, body: Buffer.from(await reply.arrayBuffer()) };
}

describe("the content of a running download", { concurrency: false }, () => {
    test("can be sought to its end before the end has arrived", { timeout: 60_000 }, async (t) => {
        const { b, link, id, url, bytes } = await running(t, 4 * MiB);
        const { reply, body } = await part(url, "bytes=-100000");
        const got = (await b.api(`/downloads/${id}`)).json.done_bytes;
        assert.equal(reply.status, 206);
        assert.equal(reply.headers.get("content-range"), `bytes ${size - 100000}-${size - 1}/${size}`);
        assert.equal(reply.headers.get("content-length"), "100000");
        assert.ok(body.equals(bytes.subarray(-100000)), "the right bytes");
        assert.ok(got < size / 2, `the end came first: ${got} of ${size} bytes were there`);
        const middle = await part(url, `bytes=${11 * MiB}-${12 * MiB}`);
        assert.ok(middle.body.equals(bytes.subarray(11 * MiB, 12 * MiB + 1)));
        await waitState(b, id, "done", { timeout: 40_000 });
        const { twice } = link.twice("/film.mp4");
        assert.ok(twice <= 8 * MiB, `seeking costs little: ${twice} bytes were fetched twice`);
    });

    test(
        "is read from start to end as it comes, and keeps its tag when done",
        { timeout: 60_000 },
        async (t) => {
            const { b, id, url, bytes } = await running(t, 8 * MiB);
            const reply = await fetch(url);
            assert.equal(reply.status, 200);
            assert.equal(reply.headers.get("content-type"), "video/mp4");
            assert.ok(Buffer.from(await reply.arrayBuffer()).equals(bytes));
            await waitState(b, id, "done");
            const after = await fetch(url, {
                headers: { "If-Range": reply.headers.get("etag") ?? "", Range: "bytes=5-9" },
            });
            assert.equal(after.status, 206, "a player that seeks goes on with the finished file");
            assert.ok(Buffer.from(await after.arrayBuffer()).equals(bytes.subarray(5, 10)));
        },
    );

    test("is cut when another file stands in its place meanwhile", { timeout: 60_000 }, async (t) => {
        const { b, link, id, url } = await running(t, 8 * MiB);
        const reply = await new Promise((done, fail) => http.get(url, done).on("error", fail));
        reply.pause();
        link.rate = 0;
        const path = pathOf(b, await waitState(b, id, "done"));
        await writeFile(`${path}.new`, Buffer.alloc(size, 0x41));
        await rename(`${path}.new`, path);
        let other = false;
        const end = new Promise((done) =>
            reply.on("end", () => done("whole")).on("error", () => done("cut")),
        );
        reply.on("data", (/** @type {Buffer} */ data) => (other ||= data.includes("A".repeat(4096))));
        reply.resume();
        assert.equal(await end, "cut");
        assert.ok(!other, "nothing of the other file was sent");
    });

    test("is cut, not completed, when the download is paused", { timeout: 60_000 }, async (t) => {
        const { b, id, url } = await running(t, 2 * MiB);
        const reply = await fetch(url);
        const cut = assert.rejects(reply.arrayBuffer());
        await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
        await cut;
        const refused = await fetch(url);
        assert.equal(refused.status, 409);
        assert.equal((await refused.json()).code, "conflict");
    });

    test("answers ranges that lie outside with 416", { timeout: 60_000 }, async (t) => {
        const { url } = await running(t, 2 * MiB);
        const reply = await fetch(url, { headers: { Range: `bytes=${size}-` } });
        assert.equal(reply.status, 416);
        assert.equal(reply.headers.get("content-range"), `bytes */${size}`);
        assert.equal((await reply.json()).code, "range-not-satisfiable");
        const other = await fetch(url, { headers: { "If-Match": '"another"' } });
        assert.equal(other.status, 412);
        assert.equal((await other.json()).code, "precondition-failed");
    });
});
