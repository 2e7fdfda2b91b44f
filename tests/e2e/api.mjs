// @ts-check
// What the tests of the REST API share: two hosts with some files, and the forms of what the API answers.

import assert from "node:assert/strict";
import { join } from "node:path";

import { MiB, addHost, makeFile, startHostpair, waitFor } from "./harness.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").Reply} Reply */

export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
export const UNKNOWN_HOST = "00000000000000000000000000000000";

/**
 * Holds an answer to RFC 9457 and the design.
 * @param {Reply} reply
 * @param {number | number[]} status
 * @param {RegExp} [detail]
 */
export function assertProblem(reply, status, detail) {
    assert.ok([status].flat().includes(reply.status), `status ${reply.status}, not ${status}: ${reply.text}`);
    assert.match(reply.headers["content-type"] ?? "", /^application\/problem\+json/, reply.text);
    const { type, title, status: told, detail: words, code } = reply.json;
    assert.equal(typeof type, "string");
    assert.ok(typeof title === "string" && title.length > 2, reply.text);
    assert.equal(told, reply.status);
    assert.ok(typeof words === "string" && words.length > 2, reply.text);
    assert.match(code, /^[a-z][a-z0-9_-]*$/, "a stable code");
    if (detail) assert.match(words, detail);
    return reply.json;
}

/** Holds the fields of an object to a list of names and kinds. @param {any} value @param {Record<string, unknown>} shape */
export function assertShape(value, shape, at = "") {
    assert.equal(typeof value, "object", `${at} is an object: ${JSON.stringify(value)}`);
    for (const [name, kind] of Object.entries(shape)) {
        const where = `${at}.${name}`;
        assert.ok(name in value, `${where} is there: ${JSON.stringify(value)}`);
        const got = value[name];
        if (kind instanceof RegExp) assert.match(String(got), kind, where);
        else if (kind === "int")
            assert.ok(Number.isSafeInteger(got) && got >= 0, `${where}: ${JSON.stringify(got)} is a count`);
        else if (kind === "int?")
            assert.ok(got === null || Number.isInteger(got), `${where}: ${JSON.stringify(got)}`);
        else if (kind === "time?")
            assert.ok(got === null || TIME.test(got), `${where}: ${JSON.stringify(got)}`);
        else if (kind === "string?") assert.ok(got === null || typeof got === "string", where);
        else if (kind === "array") assert.ok(Array.isArray(got), where);
        else if (kind === "any") continue;
        else if (typeof kind === "object" && kind) assertShape(got, /** @type {any} */ (kind), where);
        else assert.equal(typeof got, kind, where);
    }
}

/** @type {Array<() => unknown>} */
const cleanups = [];
const scope = { after: (/** @type {() => unknown} */ fn) => cleanups.push(fn) };
/** @type {Hostpair} */ export let a;
/** @type {Hostpair} */ export let b;
/** @type {any} */ export let host;
/** @type {Awaited<ReturnType<typeof startLink>>} */ export let link;
export const FILES = {
    "one.txt": 1000,
    "two.bin": 3 * MiB + 7,
    "empty.dat": 0,
    "folder/three.jpg": 2000,
    "folder/deep/four.mp4": 3000,
    "folder/ünï côdé 文件.txt": 10,
    "zz last.txt": 5,
};

let freshFiles = 0;
/**
 * Shares a file of content that was not there before, and returns an order for it.
 * @param {number} size
 */
export async function fresh(size) {
    const path = `fresh ${++freshFiles}.bin`;
    await makeFile(join(a.shareDir, path), size, 1000 + freshFiles);
    await waitFor(async () => (await a.peer(`/${encodeURI(path)}`, { method: "HEAD" })).status === 200, {
        what: `${path} being offered`,
    });
    return { host: host.id, path };
}

/** Starts a host that shares some files, and one that knows it over `link`. */
export async function startPair() {
    a = await startHostpair({ t: scope, name: "kitchen" });
    let seed = 60;
    for (const [path, size] of Object.entries(FILES)) await makeFile(join(a.shareDir, path), size, seed++);
    await makeFile(join(a.shareDir, "big.bin"), 48 * MiB, 59);
    link = await startLink({ t: scope, to: a.peerPort });
    b = await startHostpair({ t: scope, name: "cellar" });
    host = await addHost(b, link.port);
    await waitFor(
        async () => {
            const { share } = (await a.api("/status")).json;
            return share.files === 8 && share.hashed_bytes === share.bytes;
        },
        { what: "the share being hashed", timeout: 30_000 },
    );
    await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
    await waitFor(
        async () => {
            const { json } = await b.api(`/hosts/${host.id}/files?limit=100`);
            return (
                json.files.length === 5 && json.files.every((/** @type {any} */ f) => f.root || f.size === 0)
            );
        },
        { what: "the list with roots" },
    );
}

export async function stopPair() {
    const ends = await Promise.allSettled(cleanups.reverse().map(async (fn) => fn()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
}
