// @ts-check
// Web servers of the tests, and what is asked of a download from one.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import http from "node:http";
import https from "node:https";

import { pathOf, sha256 } from "./harness.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */
/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("node:http").IncomingMessage} Incoming */
/** @typedef {import("node:http").ServerResponse} Outgoing */

/**
 * A server on a free port of 127.0.0.1; returns the port.
 * @param {TestContext} t
 * @param {http.RequestListener} answer
 * @param {https.ServerOptions} [tls]
 * @returns {Promise<number>}
 */
export async function listen(t, answer, tls) {
    const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
    await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
    t.after(() => {
        server.closeAllConnections();
        return new Promise((done) => server.close(done));
    });
    const address = server.address();
    return address && typeof address === "object" ? address.port : 0;
}

/** @param {any} d */
export const said = (d) =>
    [d.reason, d.error?.detail, ...d.sources.map((/** @type {any} */ s) => s.error)].find(Boolean);

/** @param {Hostpair} h @param {any} d @param {string} sum */
export async function assertFile(h, d, sum) {
    assert.equal(d.state, "done");
    assert.equal(await sha256(pathOf(h, d)), sum);
    assert.equal(d.done_bytes, d.size);
    assert.equal(d.verified, d.size === 0, "a web server has no hash tree to compare with");
    assert.deepEqual(
        readdirSync(h.downloadsDir).filter((name) => name.endsWith(".hostpair-part")),
        [],
        "no part file is left",
    );
}

/** Answers with the bytes that were asked for. @param {Incoming} req @param {Outgoing} res @param {Buffer} bytes */
export function give(req, res, bytes) {
    const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
    const first = Number(range?.[1] ?? 0);
    const end = range?.[2] ? Math.min(Number(range[2]) + 1, bytes.length) : bytes.length;
    res.writeHead(range ? 206 : 200, {
        ETag: '"1"',
        "Content-Length": end - first,
        ...(range ? { "Content-Range": `bytes ${first}-${end - 1}/${bytes.length}` } : {}),
    });
    res.end(bytes.subarray(first, end));
}
