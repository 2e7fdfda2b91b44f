// @ts-check
// The dashboard's REST API as a program sees it: every call, the form of its answers and of its refusals, who may call it.

import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { chmod, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
    checkout,
    download,
    freePort,
    getDownload,
    makeFile,
    pathOf,
    request,
    runHostpair,
    sha256,
    sse,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").Reply} Reply */

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UNKNOWN_HOST = "00000000000000000000000000000000";

/**
 * Holds an answer to RFC 9457 and the design.
 * @param {Reply} reply
 * @param {number | number[]} status
 * @param {RegExp} [detail]
 */
function assertProblem(reply, status, detail) {
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
function assertShape(value, shape, at = "") {
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

const STATUS = {
    id: /^[0-9a-f]{32}$/,
    name: "string",
    version: /^\d+\.\d+\.\d+/,
    time: TIME,
    uptime_s: "number",
    peer_port: "int",
    dashboard_port: "int",
    addresses: "array",
    share: { folder: "string", files: "int", bytes: "int", hashed_bytes: "int" },
    downloads_folder: "string",
    speed: { down_bps: "int", up_bps: "int" },
    free_bytes: "int",
    notices: "array",
    scan: { running: "boolean", done: "int", total: "int" },
};
const HOST = {
    id: /^([0-9a-f]{32}|addr-.+)$/,
    name: "string",
    addresses: "array",
    state: /^(online|offline)$/,
    rtt_ms: "any",
    clock_offset_ms: "any",
    files: "any",
    bytes: "any",
    found_by: "any",
    last_seen: "time?",
    protocol: "any",
};
const DOWNLOAD = {
    id: "int",
    name: "string",
    path: "string",
    folder: "boolean",
    state: /^(queued|running|paused|verifying|done|failed|cancelled)$/,
    reason: "string?",
    size: "int?",
    done_bytes: "int",
    chunk_size: "int?",
    chunks_total: "int?",
    chunks_done: "int",
    files_total: "int?",
    files_done: "int",
    speed_bps: "int",
    eta_s: "int?",
    root: "string?",
    verified: "boolean",
    priority: "number",
    limit_bps: "int",
    error: "any",
    sources: "array",
    created_at: TIME,
    finished_at: "time?",
};
const SOURCE = {
    host: "string",
    address: "string",
    state: /^(connecting|active|idle|waiting|failed|banned)$/,
    bytes: "int",
    speed_bps: "int",
    error: "string?",
};

/** @type {Array<() => unknown>} */
const cleanups = [];
const scope = { after: (/** @type {() => unknown} */ fn) => cleanups.push(fn) };
/** @type {Hostpair} */ let a;
/** @type {Hostpair} */ let b;
/** @type {any} */ let host;
/** @type {Awaited<ReturnType<typeof startLink>>} */ let link;
const FILES = {
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
async function fresh(size) {
    const path = `fresh ${++freshFiles}.bin`;
    await makeFile(join(a.shareDir, path), size, 1000 + freshFiles);
    await waitFor(async () => (await a.peer(`/${encodeURI(path)}`, { method: "HEAD" })).status === 200, {
        what: `${path} being offered`,
    });
    return { host: host.id, path };
}

before(async () => {
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
});
after(async () => {
    const ends = await Promise.allSettled(cleanups.reverse().map(async (fn) => fn()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
});

describe("status", () => {
    test("tells who this is and how it is doing", async () => {
        const { status, json, headers } = await b.api("/status");
        assert.equal(status, 200);
        assert.match(headers["content-type"] ?? "", /^application\/json/);
        assertShape(json, STATUS, "status");
        assert.equal(json.name, "cellar");
        assert.equal(json.peer_port, b.peerPort);
        assert.equal(json.dashboard_port, b.dashboardPort);
        assert.equal(json.share.folder, b.shareDir);
        assert.equal(json.downloads_folder, b.downloadsDir);
        assert.ok(Math.abs(Date.parse(json.time) - Date.now()) < 5000);
        assert.ok(json.free_bytes > MiB);
    });

    test("counts the shared files and their bytes", async () => {
        const { json } = await a.api("/status");
        const sum = Object.values(FILES).reduce((x, y) => x + y, 48 * MiB);
        assert.deepEqual([json.share.files, json.share.bytes], [8, sum]);
    });
});

describe("hosts", () => {
    test("one that is added is listed, with its own name and id", async () => {
        const own = (await a.api("/status")).json;
        assertShape(host, HOST, "host");
        assert.equal(host.id, own.id);
        assert.equal(host.name, "kitchen");
        assert.equal(host.state, "online");
        assert.ok(Math.abs(host.clock_offset_ms) < 2000, `clock offset ${host.clock_offset_ms}`);
        const { json } = await b.api("/hosts");
        assert.deepEqual(Object.keys(json), ["hosts"]);
        assert.equal(json.hosts.length, 1);
        const one = (await b.api(`/hosts/${host.id}`)).json;
        assert.equal(one.id, host.id);
        assertShape(one, HOST, "host");
    });

    test("one that is known is answered with 200", async () => {
        const reply = await b.api("/hosts", { json: { address: `127.0.0.1:${link.port}` } });
        assert.equal(reply.status, 200);
        assert.equal(reply.json.id, host.id);
        const url = await b.api("/hosts", { json: { address: `http://127.0.0.1:${link.port}/` } });
        assert.equal(url.status, 200, "as a page shows the address, it is the same host");
        assert.equal(url.json.id, host.id);
        assert.equal((await b.api("/hosts")).json.hosts.length, 1);
    });

    test("a new one is answered with 201, and 404 after it was removed", async (t) => {
        const c = await startHostpair({ t, name: "c" });
        const reply = await b.api("/hosts", { json: { address: `127.0.0.1:${c.peerPort}` } });
        assert.equal(reply.status, 201);
        const { id } = reply.json;
        const gone = await b.api(`/hosts/${id}`, { method: "DELETE" });
        assert.equal(gone.status, 204);
        assert.equal(gone.body.length, 0);
        assertProblem(await b.api(`/hosts/${id}`), 404);
        assertProblem(await b.api(`/hosts/${id}`, { method: "DELETE" }), 404);
    });

    test("an address where nothing answers is refused with 502", async () => {
        const port = await freePort();
        assertProblem(await b.api("/hosts", { json: { address: `127.0.0.1:${port}` } }), 502);
    });

    test("an address where something else answers is refused with 502", async (t) => {
        const server = net.createServer((socket) => socket.on("error", () => {}).end("220 smtp ready\r\n"));
        await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => server.close());
        const port = /** @type {net.AddressInfo} */ (server.address()).port;
        assertProblem(await b.api("/hosts", { json: { address: `127.0.0.1:${port}` } }), 502);
    });

    test("an address that is none is refused, naming the field", async () => {
        for (const address of [
            "",
            "nonsense",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4:x",
            "[::1",
            5,
            null,
            {},
            "a b",
        ])
            assertProblem(await b.api("/hosts", { json: { address } }), 422, /address/);
        assertProblem(await b.api("/hosts", { json: {} }), 422, /address/);
    });

    test("one that is not known has no page, no files and no refresh", async () => {
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}`), 404);
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}/files`), 404);
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}/files/refresh`, { method: "POST" }), 404);
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}`, { method: "DELETE" }), 404);
    });

    test("itself is not added as another host", async () => {
        const reply = await b.api("/hosts", { json: { address: `127.0.0.1:${b.peerPort}` } });
        assert.ok(reply.status >= 400, `${reply.status} ${reply.text}`);
        const { id } = (await b.api("/status")).json;
        const { hosts } = (await b.api("/hosts")).json;
        assert.ok(!hosts.some((/** @type {any} */ h) => h.id === id), "it is not in its own list");
    });
});

describe("the files of a host", () => {
    /** @param {string} query */
    const files = async (query) => {
        const reply = await b.api(`/hosts/${host.id}/files${query}`);
        assert.equal(reply.status, 200, reply.text);
        return reply.json;
    };
    /** @param {any} page */
    const names = (page) => page.files.map((/** @type {any} */ f) => f.name);

    test("are listed by folder", async () => {
        const top = await files("");
        assertShape(top, { folders: "array", files: "array", total: "int" }, "files");
        assert.deepEqual(names(top).sort(), ["big.bin", "empty.dat", "one.txt", "two.bin", "zz last.txt"]);
        assert.deepEqual(top.folders, [{ name: "folder", files: 3, bytes: 5010 }]);
        assert.equal(top.next, null);
        for (const file of top.files) {
            assertShape(
                file,
                { path: "string", name: "string", size: "int", mtime: TIME, type: "string", root: "string?" },
                "file",
            );
            assert.ok("local" in file);
        }
        const one = top.files.find((/** @type {any} */ f) => f.name === "one.txt");
        assert.equal(one.size, 1000);
        assert.match(one.type, /^text\/plain/);
        assert.match(one.root, /^[0-9a-f]{64}$/);
        assert.equal(top.files.find((/** @type {any} */ f) => f.name === "empty.dat").root, null);

        const inside = await files("?folder=folder");
        assert.deepEqual(names(inside).sort(), ["three.jpg", "ünï côdé 文件.txt"]);
        assert.deepEqual(inside.folders, [{ name: "deep", files: 1, bytes: 3000 }]);
        assert.equal(inside.files[0].path.split("/")[0], "folder");
        assert.deepEqual(names(await files("?folder=folder/deep")), ["four.mp4"]);
    });

    test("are sorted either way", async () => {
        for (const [sort, key] of [
            ["name", "name"],
            ["size", "size"],
            ["mtime", "mtime"],
        ]) {
            const up = (await files(`?sort=${sort}&order=asc`)).files.map((/** @type {any} */ f) => f[key]);
            const down = (await files(`?sort=${sort}&order=desc`)).files.map(
                (/** @type {any} */ f) => f[key],
            );
            assert.equal(up.length, 5);
            for (let i = 1; i < up.length; i++) {
                assert.ok(up[i - 1] <= up[i], `${sort} ascending: ${up}`);
                assert.ok(down[i - 1] >= down[i], `${sort} descending: ${down}`);
            }
        }
    });

    test("are found by a part of their name", async () => {
        assert.deepEqual(names(await files("?q=one")), ["one.txt"]);
        const found = await files(`?q=${encodeURIComponent("côdé")}`);
        assert.deepEqual(names(found), ["ünï côdé 文件.txt"]);
        assert.deepEqual(names(await files("?q=no-such-thing")), []);
        assert.deepEqual(names(await files(`?q=${encodeURIComponent("%")}`)), [], "no wildcard");
        assert.deepEqual(names(await files(`?q=${encodeURIComponent("' OR 1=1 --")}`)), []);
    });

    test("come in pages that leave none out", async () => {
        /** @type {string[]} */
        const seen = [];
        let cursor = "";
        for (let i = 0; i < 10; i++) {
            const page = await files(
                `?limit=2&sort=name${cursor && `&cursor=${encodeURIComponent(cursor)}`}`,
            );
            assert.ok(page.files.length <= 2);
            seen.push(...names(page));
            if (page.next === null) break;
            cursor = String(page.next);
        }
        assert.deepEqual(seen.sort(), ["big.bin", "empty.dat", "one.txt", "two.bin", "zz last.txt"]);
    });

    test("with a bad question are refused, naming it", async () => {
        for (const [query, field] of [
            ["sort=colour", /sort/],
            ["order=up", /order/],
            ["limit=-1", /limit/],
            ["limit=many", /limit/],
            ["cursor=garbage%00", /cursor/],
        ])
            assertProblem(
                await b.api(`/hosts/${host.id}/files?${query}`),
                [400, 422],
                /** @type {RegExp} */ (field),
            );
    });

    test("are there while the host is offline, and show what is here already", async () => {
        const d = await download(b, { host: host.id, path: "zz last.txt" });
        await waitState(b, d.id, "done");
        await waitFor(
            async () => {
                const page = await files("");
                return page.files.find((/** @type {any} */ f) => f.name === "zz last.txt").local === "done";
            },
            { what: "local: done" },
        );
        link.goDown();
        try {
            assert.equal((await files("")).files.length, 5);
        } finally {
            link.comeUp();
        }
    });

    test("that are new are there after a refresh", async () => {
        writeFileSync(join(a.shareDir, "fresh.txt"), "new");
        try {
            await waitFor(
                async () => {
                    const reply = await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
                    assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
                    return names(await files("")).includes("fresh.txt");
                },
                { what: "fresh.txt", interval: 200 },
            );
        } finally {
            await rm(join(a.shareDir, "fresh.txt"));
            await waitFor(
                async () => {
                    await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
                    return !names(await files("")).includes("fresh.txt");
                },
                { what: "fresh.txt being gone", interval: 200 },
            );
        }
    });

    test("that are new are there soon after somebody looked", async () => {
        // Without scan and beacon nothing else tells of them for 90 s.
        const has = async () => names(await files("")).includes("looked.txt");
        writeFileSync(join(a.shareDir, "looked.txt"), "new");
        try {
            await waitFor(has, { what: "looked.txt", interval: 200, timeout: 15_000 });
        } finally {
            await rm(join(a.shareDir, "looked.txt"));
            await waitFor(async () => !(await has()), {
                what: "looked.txt being gone",
                interval: 200,
                timeout: 15_000,
            });
        }
    });

    test("are searched over all hosts, the same content once", async (t) => {
        const c = await startHostpair({ t, name: "c" });
        await makeFile(join(c.shareDir, "copy of one.txt"), 1000, 60);
        const other = await addHost(b, c.peerPort);
        t.after(() => b.api(`/hosts/${other.id}`, { method: "DELETE" }));
        const result = await waitFor(
            async () => {
                await b.api(`/hosts/${other.id}/files/refresh`, { method: "POST" });
                const { json } = await b.api("/search?q=one.txt");
                return json.results.find((/** @type {any} */ r) => r.copies.length === 2);
            },
            { what: "both copies in one result", interval: 200 },
        );
        assertShape(result, { name: "string", size: "int", root: "string", copies: "array" }, "result");
        assert.deepEqual(
            result.copies.map((/** @type {any} */ x) => x.host).sort(),
            [host.id, other.id].sort(),
        );
    });
});

describe("downloads", () => {
    test("one is made, listed, shown and finished", async () => {
        const reply = await b.api("/downloads", { json: { host: host.id, path: "two.bin" } });
        assert.equal(reply.status, 201, reply.text);
        assert.equal(reply.headers.location, `/api/v1/downloads/${reply.json.id}`);
        assertShape(reply.json, DOWNLOAD, "download");
        assert.equal(reply.json.name, "two.bin");
        const d = await waitState(b, reply.json.id, "done");
        assertShape(d, { ...DOWNLOAD, size: "int", finished_at: TIME, root: /^[0-9a-f]{64}$/ }, "download");
        for (const source of d.sources) assertShape(source, SOURCE, "source");
        assert.equal(d.verified, true);
        assert.equal(d.done_bytes, d.size);
        assert.equal(d.chunks_done, d.chunks_total);
        assert.equal(d.chunk_size, MiB);
        assert.equal(d.chunks_total, 4);
        assert.equal(d.error, null);
        assert.equal(d.folder, false);
        const { json: gave } = await b.api(`/downloads/${d.id}/sources`);
        assert.deepEqual(gave, { sources: [{ host: host.id, bytes: d.size }] });
        assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, "two.bin")));
        const { json } = await b.api("/downloads");
        assert.deepEqual(Object.keys(json), ["downloads"]);
        assert.ok(json.downloads.some((/** @type {any} */ x) => x.id === d.id));
    });

    test("the same content again is answered with 200 and the download there is", async () => {
        const first = await download(b, { host: host.id, path: "one.txt" });
        await waitState(b, first.id, "done");
        const again = await b.api("/downloads", { json: { host: host.id, path: "one.txt" } });
        assert.equal(again.status, 200);
        assert.equal(again.json.id, first.id);
        const { json } = await b.api(`/hosts/${host.id}/files?q=one.txt`);
        const byRoot = await b.api("/downloads", { json: { root: json.files[0].root } });
        assert.equal(byRoot.status, 200);
        assert.equal(byRoot.json.id, first.id);
    });

    test("a folder keeps its tree and lands under its own name", async () => {
        const { id } = await download(b, { host: host.id, folder: "folder" });
        const d = await waitState(b, id, "done");
        assert.equal(d.folder, true, "a folder says so");
        assert.equal(d.files_total, 3);
        assert.equal(d.files_done, 3);
        for (const path of ["folder/three.jpg", "folder/deep/four.mp4", "folder/ünï côdé 文件.txt"])
            assert.equal(
                await sha256(join(b.downloadsDir, path)),
                await sha256(join(a.shareDir, path)),
                path,
            );
    });

    test("by root is found at whichever host has it, `to` a folder below", async () => {
        const { json } = await b.api(`/hosts/${host.id}/files?q=big.bin`);
        const { id } = await download(b, { root: json.files[0].root, to: "here/and there" });
        const d = await waitState(b, id, "done");
        assert.ok(statSync(join(b.downloadsDir, "here/and there/big.bin")).size === 48 * MiB);
        assert.equal(d.verified, true);
        const removed = await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" });
        assert.equal(removed.status, 204);
        assert.ok(
            statSync(join(b.downloadsDir, "here/and there/big.bin")).size,
            "a finished file is never removed",
        );
        await rm(join(b.downloadsDir, "here"), { recursive: true });
    });

    test("an empty file counts as verified", async () => {
        const { id } = await download(b, { host: host.id, path: "empty.dat" });
        const d = await waitState(b, id, "done");
        assert.equal(d.size, 0);
        assert.equal(d.root, null);
        assert.equal(d.verified, true);
        assert.equal(statSync(pathOf(b, d)).size, 0);
    });

    test("a path that the host does not list is asked for all the same, and fails with a reason", async () => {
        const { id } = await download(b, { host: host.id, path: "no/such file.txt" });
        const d = await waitState(b, id, (d) => d.state === "failed" || d.reason || d.sources[0]?.error);
        assert.notEqual(d.state, "done");
        if (d.state === "failed")
            assertShape(d.error, { code: /^[a-z][a-z0-9_-]*$/, detail: /\w+ \w+/ }, "error");
        assert.equal((await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" })).status, 204);
    });

    test("a bad order is refused, naming the field", async () => {
        const { id } = host;
        for (const [body, field] of /** @type {Array<[unknown, RegExp]>} */ ([
            [{}, /host|path|root|url/],
            [{ host: id }, /path|folder/],
            [{ host: 5, path: "x" }, /host/],
            [{ host: id, path: 5 }, /path/],
            [{ host: id, path: "" }, /path/],
            [{ host: id, path: "../x" }, /path/],
            [{ host: id, path: "/etc/passwd" }, /path/],
            [{ host: id, path: "a\u0001b" }, /path/],
            [{ host: id, path: "one.txt", to: "../up" }, /to/],
            [{ host: id, path: "one.txt", to: "/abs" }, /to/],
            [{ host: id, path: "one.txt", to: 5 }, /to/],
            [{ host: id, path: "one.txt", priority: 2 }, /priority/],
            [{ host: id, path: "one.txt", priority: "high" }, /priority/],
            [{ host: id, path: "one.txt", limit_bps: -1 }, /limit_bps/],
            [{ host: id, path: "one.txt", limit_bps: 1.5 }, /limit_bps/],
            [{ root: "abc" }, /root/],
            [{ root: "Z".repeat(64) }, /root/],
            [{ url: "ftp://127.0.0.1/x" }, /url/],
            [{ url: "file:///etc/passwd" }, /url/],
            [{ url: "not a url" }, /url/],
            [{ url: 5 }, /url/],
            [[], /object|body/i],
            ["text", /object|body/i],
        ])) {
            const reply = await b.api("/downloads", { json: body });
            const plain = typeof body === "object" && !Array.isArray(body);
            assertProblem(reply, plain ? 422 : [400, 422], field);
        }
        assertProblem(await b.api("/downloads", { json: { host: UNKNOWN_HOST, path: "x" } }), [404, 422]);
        assertProblem(await b.api("/downloads", { json: { root: "0".repeat(64) } }), [404, 409, 422]);
    });

    test("a body that is no JSON is refused with 400", async () => {
        for (const body of ["{", "", "{'a':1}", '{"host":', "\u0000", "[".repeat(100_000)])
            assertProblem(
                await b.api("/downloads", {
                    method: "POST",
                    body,
                    headers: { "content-type": "application/json" },
                }),
                400,
            );
        const nul = await b.api("/downloads", { json: { host: host.id, path: "a\u0000b" } });
        assertProblem(nul, [400, 422]);
        const notUtf8 = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
        assertProblem(
            await b.api("/downloads", {
                method: "POST",
                body: notUtf8,
                headers: { "content-type": "application/json" },
            }),
            400,
        );
    });

    test("a body that is too large is refused with 413", async () => {
        const body = JSON.stringify({ host: host.id, path: "x".repeat(64 * MiB) });
        const reply = await b.api("/downloads", { method: "POST", body }).catch((error) => error);
        if (reply instanceof Error) assert.match(reply.message, /EPIPE|ECONNRESET|socket hang up/);
        else assert.equal(reply.status, 413);
        assert.equal((await b.api("/status")).status, 200);
    });

    test("one that is not there has no page and takes no change", async () => {
        for (const id of ["999999", "0", "-1", "abc", "99999999999999999999999", "1.5"]) {
            assertProblem(await b.api(`/downloads/${id}`), 404);
            assertProblem(
                await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } }),
                404,
            );
            assertProblem(await b.api(`/downloads/${id}`, { method: "DELETE" }), 404);
            assertProblem(await b.api(`/downloads/${id}/retry`, { method: "POST" }), 404);
            assertProblem(await b.api(`/downloads/${id}/recheck`, { method: "POST" }), 404);
            assertProblem(await b.api(`/downloads/${id}/chunks`), 404);
            assertProblem(await b.api(`/downloads/${id}/sources`), 404);
        }
    });

    test("one that runs is paused, limited, hurried, shown as a map, resumed", async () => {
        link.rate = 4 * MiB;
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        try {
            const running = await waitState(b, id, (d) => d.chunks_done >= 2 && d.state === "running");
            assert.ok(running.speed_bps > 0, "it has a speed");
            assert.ok(running.eta_s > 0, "it has a time left");
            assert.equal(running.sources[0].host, host.id);

            const { json: map } = await b.api(`/downloads/${id}/chunks`);
            assert.equal(map.chunk_size, running.chunk_size);
            assert.equal(map.total, 48);
            let next = 0;
            /** @type {Record<string, number>} */
            const count = { missing: 0, active: 0, done: 0 };
            for (const [first, length, state] of map.runs) {
                assert.equal(first, next, "runs follow each other");
                assert.ok(length > 0 && state in count, JSON.stringify(map.runs));
                next += length;
                count[state] += length;
            }
            assert.equal(next, map.total);
            assert.ok(count.done >= 2, JSON.stringify(map.runs));

            const paused = await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
            assert.equal(paused.status, 200);
            assert.equal(paused.json.state, "paused");
            const changed = await b.api(`/downloads/${id}`, {
                method: "PATCH",
                json: { priority: 1, limit_bps: 8 * MiB },
            });
            assert.equal(changed.status, 200);
            assert.equal(changed.json.priority, 1);
            assert.equal(changed.json.limit_bps, 8 * MiB);
            assert.equal(changed.json.state, "paused", "what is not named stays");
            for (const [body, field] of /** @type {Array<[unknown, RegExp]>} */ ([
                [{ state: "done" }, /state/],
                [{ state: "running" }, /state/],
                [{ state: 1 }, /state/],
                [{ priority: 7 }, /priority/],
                [{ limit_bps: "fast" }, /limit_bps/],
            ]))
                assertProblem(await b.api(`/downloads/${id}`, { method: "PATCH", json: body }), 422, field);

            const all = await b.api("/downloads/resume", { method: "POST" });
            assert.ok([200, 202, 204].includes(all.status), `${all.status}`);
            await waitState(b, id, "running");
            const stopped = await b.api("/downloads/pause", { method: "POST" });
            assert.ok([200, 202, 204].includes(stopped.status), `${stopped.status}`);
            await waitState(b, id, "paused");
            link.rate = 0;
            await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued", limit_bps: 0 } });
            const d = await waitState(b, id, "done");
            assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, "big.bin")));
        } finally {
            link.rate = 0;
        }
    });

    test("a finished one is rechecked, and damage is found", async () => {
        const first = await download(b, { host: host.id, path: "two.bin" });
        const done = await waitState(b, first.id, "done");
        const reply = await b.api(`/downloads/${first.id}/recheck`, { method: "POST" });
        assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
        const same = await waitState(b, first.id, "done");
        assert.equal(same.verified, true);

        const path = pathOf(b, done);
        const bytes = readFileSync(path);
        bytes[MiB + 5] ^= 1;
        writeFileSync(path, bytes);
        const again = await b.api(`/downloads/${first.id}/recheck`, { method: "POST" });
        assert.ok([200, 202].includes(again.status), `${again.status} ${again.text}`);
        // It is told, or repaired; it is not called whole.
        const seen = await waitState(
            b,
            first.id,
            (d) =>
                d.reason ||
                d.error ||
                (d.state === "done" &&
                    !readFileSync(pathOf(b, d))
                        .subarray(MiB, MiB + 10)
                        .equals(bytes.subarray(MiB, MiB + 10))),
            { timeout: 30_000 },
        );
        if (seen.state === "done" && !seen.reason && !seen.error)
            assert.equal(await sha256(pathOf(b, seen)), await sha256(join(a.shareDir, "two.bin")));
        await b.api(`/downloads/${first.id}?data=keep`, { method: "DELETE" });
    });

    test("a failed one is tried again", async (t) => {
        const evil = await startEvil({ t, files: {} });
        const { id } = await download(b, { url: `${evil.url}/f.txt` });
        await waitState(b, id, (d) => d.state === "failed" || d.reason);
        evil.files["f.txt"] = Buffer.from("now it is here");
        const reply = await b.api(`/downloads/${id}/retry`, { method: "POST" });
        assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
        const d = await waitState(b, id, "done");
        assert.equal(readFileSync(pathOf(b, d), "utf8"), "now it is here");
    });

    test("digest of a finished one, as other programs compute it", async () => {
        const { id } = await download(b, { host: host.id, path: "one.txt" });
        const d = await waitState(b, id, "done");
        const { json } = await waitFor(
            async () => {
                const reply = await b.api(`/downloads/${id}/digest?algorithm=sha-256`);
                assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
                return reply.status === 200 && reply;
            },
            { what: "the digest" },
        );
        assert.equal(json.algorithm, "sha-256");
        assert.equal(json.hex, await sha256(pathOf(b, d)));
        assertProblem(await b.api(`/downloads/${id}/digest?algorithm=crc32`), 422, /algorithm/);
    });

    test("one that is removed is gone, its part file kept or removed as asked", async () => {
        for (const data of ["keep", "remove"]) {
            link.rate = 2 * MiB;
            const { id } = await download(b, { ...(await fresh(16 * MiB)), to: `cancel-${data}` });
            await waitState(b, id, (d) => d.chunks_done >= 1);
            const reply = await b.api(`/downloads/${id}?data=${data}`, { method: "DELETE" });
            assert.equal(reply.status, 204);
            assertProblem(await b.api(`/downloads/${id}`), 404);
            link.rate = 0;
            const folder = join(b.downloadsDir, `cancel-${data}`);
            const { readdirSync, existsSync } = await import("node:fs");
            await waitFor(
                () => {
                    const parts = existsSync(folder)
                        ? readdirSync(folder).filter((n) => n.includes("part"))
                        : [];
                    return parts.length === (data === "keep" ? 1 : 0);
                },
                { what: `the part file for data=${data}` },
            );
            await rm(folder, { recursive: true, force: true });
        }
        assertProblem(await b.api("/downloads/1?data=maybe", { method: "DELETE" }), [404, 422]);
    });
});

describe("settings", () => {
    test("are read and changed, and stay so", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const { json } = await h.api("/settings");
        assertShape(
            json,
            {
                name: "string",
                share_folder: "string",
                downloads_folder: "string",
                down_limit_bps: "int",
                up_limit_bps: "int",
                running_downloads: "int",
                connections_per_source: "int",
                scan: "boolean",
                beacon: "boolean",
                access: "string",
                encrypt_content: "boolean",
                language: "any",
                theme: "any",
            },
            "settings",
        );
        assert.equal(json.running_downloads, 3);
        const changed = await h.api("/settings", {
            method: "PATCH",
            json: { running_downloads: 5, down_limit_bps: 1000000 },
        });
        assert.equal(changed.status, 200);
        assert.equal(changed.json.running_downloads, 5);
        assert.equal(changed.json.up_limit_bps, json.up_limit_bps);
        await h.restart();
        const later = (await h.api("/settings")).json;
        assert.equal(later.running_downloads, 5);
        assert.equal(later.down_limit_bps, 1000000);
    });

    test("that are no settings are refused, naming them, and change nothing", async () => {
        const before = (await b.api("/settings")).json;
        for (const [body, field] of /** @type {Array<[unknown, RegExp]>} */ ([
            [{ running_downloads: 0 }, /running_downloads/],
            [{ running_downloads: "3" }, /running_downloads/],
            [{ down_limit_bps: -5 }, /down_limit_bps/],
            [{ connections_per_source: 10000 }, /connections_per_source/],
            [{ name: "" }, /name/],
            [{ name: "a\nb" }, /name/],
            [{ scan: "yes" }, /scan/],
            [{ theme: "purple" }, /theme/],
            [{ up_limit_bps: 100, running_downloads: -1 }, /running_downloads/],
        ]))
            assertProblem(await b.api("/settings", { method: "PATCH", json: body }), 422, field);
        assert.deepEqual((await b.api("/settings")).json, before);
    });
});

describe("events", () => {
    test("tell of a download from its order to its end", async () => {
        const stream = await b.events();
        try {
            assert.equal(stream.status, 200);
            assert.match(stream.headers["content-type"] ?? "", /^text\/event-stream/);
            const { id } = await download(b, await fresh(3 * MiB));
            const done = await stream.next(
                (e) => e.event === "download" && e.data.id === id && e.data.state === "done",
            );
            assertShape(done.data, DOWNLOAD, "download");
            assert.match(done.id, /^\S+$/);
            const ids = stream.events.map((e) => e.id);
            assert.equal(new Set(ids).size, ids.length, "each event has an id of its own");
        } finally {
            stream.close();
        }
    });

    test("that were missed are replayed after Last-Event-ID", async () => {
        const first = await b.events();
        const one = await download(b, await fresh(1000));
        const seen = await first.next(
            (e) => e.event === "download" && e.data.id === one.id && e.data.state === "done",
        );
        first.close();
        const two = await download(b, await fresh(2000));
        await waitState(b, two.id, "done");
        const second = await b.events({ lastEventId: seen.id });
        try {
            await second.next(
                (e) => e.event === "download" && e.data.id === two.id && e.data.state === "done",
            );
            assert.ok(!second.events.some((e) => e.event === "reset"), "no reset");
            assert.ok(!second.events.some((e) => e.id === seen.id), "what was seen does not come again");
        } finally {
            second.close();
        }
    });

    test("after an id that is too old or of another process begin with one reset", async (t) => {
        for (const lastEventId of ["1000000000", "nonsense", "-5", "99999999999999999999999999"]) {
            const stream = await b.events({ lastEventId });
            const reset = await stream.next("reset");
            assert.ok(reset);
            assert.equal(stream.events.filter((e) => e.event === "reset").length, 1);
            stream.close();
        }
        const h = await startHostpair({ t });
        const first = await h.events();
        await h.api("/settings", { method: "PATCH", json: { name: "other" } });
        const seen = await first.next((e) => e.id !== "");
        first.close();
        await h.restart();
        const stream = await h.events({ lastEventId: seen.id });
        await stream.next("reset");
        stream.close();
    });

    test("keep the line open with a comment every 15 s", { timeout: 30_000 }, async () => {
        const stream = await b.events();
        const first = stream.comments.length; // one may greet
        await waitFor(() => stream.comments.length > first, { timeout: 20_000, what: "a comment" });
        stream.close();
    });

    test("come at most 4 a second for one thing", { timeout: 30_000 }, async () => {
        link.rate = 8 * MiB;
        const stream = await b.events();
        try {
            const { id } = await download(b, await fresh(24 * MiB));
            const start = performance.now();
            await stream.next(
                (e) => e.event === "download" && e.data.id === id && e.data.state === "done",
                20_000,
            );
            const seconds = (performance.now() - start) / 1000;
            const count = stream.events.filter((e) => e.event === "download" && e.data.id === id).length;
            assert.ok(count <= 4 * seconds + 8, `${count} events in ${seconds} s`);
            assert.ok(count >= 3, `${count} events`);
        } finally {
            link.rate = 0;
            stream.close();
        }
    });

    test("a reader that does not read costs the others nothing", async () => {
        const idle = net.connect(b.dashboardPort, "127.0.0.1");
        idle.write(`GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:${b.dashboardPort}\r\n\r\n`);
        idle.pause();
        const stream = await b.events();
        for (let i = 0; i < 200; i++)
            await b.api("/settings", { method: "PATCH", json: { down_limit_bps: 1000 + i } });
        await b.api("/settings", { method: "PATCH", json: { down_limit_bps: 0 } });
        const { id } = await download(b, await fresh(10));
        await stream.next((e) => e.event === "download" && e.data.id === id && e.data.state === "done");
        stream.close();
        idle.destroy();
    });
});

describe("the rest", () => {
    test("log holds the last lines", async () => {
        const { status, json } = await b.api("/log");
        assert.equal(status, 200);
        const [list] = Object.values(json);
        assert.ok(Array.isArray(list) && list.length > 0, JSON.stringify(json).slice(0, 300));
        assert.ok(list.length <= 1000);
    });

    test("metrics are in the Prometheus text format", async () => {
        const { status, text, headers } = await b.api("/metrics");
        assert.equal(status, 200);
        assert.match(headers["content-type"] ?? "", /^text\/plain/);
        const lines = text.split("\n").filter(Boolean);
        assert.ok(lines.length > 5);
        for (const line of lines)
            assert.match(
                line,
                /^(# (HELP|TYPE) hostpair_\w+ .+|hostpair_\w+(\{[^}]*\})? -?[0-9.e+]+)$/,
                line,
            );
        const samples = lines.filter((line) => !line.startsWith("#"));
        assert.equal(
            new Set(samples.map((s) => s.replace(/ \S+$/, ""))).size,
            samples.length,
            "no sample twice",
        );
    });

    test("traffic is told by the minute", async () => {
        const { status, json } = await b.api("/traffic");
        assert.equal(status, 200);
        assertShape(json, { minutes: "array" }, "traffic");
        for (const minute of json.minutes)
            assertShape(minute, { at: TIME, down_bytes: "int", up_bytes: "int" }, "minute");
        assertProblem(await b.api("/traffic?since=yesterday"), [400, 422], /since/);
    });

    test("connections show who downloads now", async () => {
        link.rate = 2 * MiB;
        try {
            const { id } = await download(b, await fresh(16 * MiB));
            const one = await waitFor(
                async () => {
                    const { json } = await a.api("/connections");
                    const [list] = Object.values(json);
                    return list.find((/** @type {any} */ c) => c.path?.includes("fresh") && c.bytes_sent > 0);
                },
                { what: "the connection" },
            );
            assertShape(
                one,
                {
                    id: "any",
                    address: /^127\.0\.0\.1$/,
                    port: "int",
                    host: "any",
                    since: TIME,
                    requests: "int",
                    bytes_sent: "int",
                    speed_bps: "int",
                    path: "string",
                    proven: "any",
                    encrypted: "boolean",
                    user_agent: "any",
                },
                "connection",
            );
            await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" });
        } finally {
            link.rate = 0;
        }
    });

    test("a scan is taken on, with nothing to scan here", async () => {
        // The timed scans are off; this machine's own networks must not be scanned by a test, so only the refusal of a wrong
        // method is looked at.
        const reply = await b.api("/scan");
        assertProblem(reply, 405);
        assert.equal(reply.headers.allow?.replace(/\s/g, ""), "POST");
    });

    test("an unknown call is 404, a wrong method 405 with Allow", async () => {
        assertProblem(await b.api("/nothing"), 404);
        assertProblem(await b.api("/api/v2/status"), 404);
        assertProblem(await b.api("/downloads/1/nothing"), 404);
        for (const [method, path, allow] of [
            ["DELETE", "/status", "GET"],
            ["PUT", "/hosts", "GET,POST"],
            ["POST", `/hosts/${host.id}`, "DELETE,GET,PATCH"],
            ["PUT", "/downloads", "DELETE,GET,POST"],
            ["GET", "/downloads/pause", "POST"],
            ["POST", "/events", "GET"],
            ["POST", "/api/v1/openapi.yaml", "GET"],
        ]) {
            const reply = await b.api(path, { method });
            assertProblem(reply, 405);
            const named = (reply.headers.allow ?? "")
                .split(/\s*,\s*/)
                .filter((m) => m !== "HEAD" && m !== "OPTIONS")
                .sort();
            assert.equal(named.join(), allow, `Allow of ${path}`);
        }
    });

    test("openapi.yaml describes every route, and no other", async () => {
        const { status, text } = await b.api("/openapi.yaml");
        assert.equal(status, 200);
        /** @type {string[]} */
        const described = [];
        let path = "";
        let inPaths = false;
        for (const line of text.split("\n")) {
            if (/^\S/.test(line)) inPaths = line.startsWith("paths:");
            if (!inPaths) continue;
            const at = /^ {2}["']?(\/[^"':]*)["']?:/.exec(line);
            if (at) path = at[1];
            const method = /^ {4}(get|put|post|delete|patch|head):/.exec(line);
            if (method) described.push(`${method[1].toUpperCase()} ${path}`);
        }
        const prefix = /^ *- url: ["']?([^"'\s]*)/m.exec(text)?.[1]?.replace(/\/$/, "") ?? "";
        const whole = described.map((line) => {
            const [method, where] = line.split(" ");
            return where.startsWith("/api/") || where === "/metrics" ? line : `${method} ${prefix}${where}`;
        });
        const source = readFileSync(join(checkout, "server/api/routes.c"), "utf8");
        const routed = [...source.matchAll(/\{"([A-Z]+)", "([^"]+)"/g)].map((m) => `${m[1]} ${m[2]}`);
        assert.ok(routed.length > 20, `${routed.length} routes`);
        const plain = (/** @type {string[]} */ list) =>
            list.map((line) => line.replace(/\{[^}]+\}/g, "{}")).sort();
        assert.deepEqual(plain(whole), plain(routed));
    });

    test("the dashboard is served with its security headers", async () => {
        const { status, headers, text } = await request(`${b.dashboardUrl}/`);
        assert.equal(status, 200);
        assert.match(headers["content-type"] ?? "", /^text\/html/);
        assert.match(text, /<html/i);
        const policy = String(headers["content-security-policy"]);
        assert.doesNotMatch(/script-src[^;]*/.exec(policy)?.[0] ?? policy, /unsafe-inline/);
        assert.match(policy, /frame-ancestors 'none'/);
        assert.equal(headers["x-content-type-options"], "nosniff");
        assert.equal((await b.api("/status")).headers["x-content-type-options"], "nosniff");
    });

    test("no dashboard route exists on the peer listener", async () => {
        for (const path of ["/api/v1/status", "/api/v1/downloads", "/metrics", "/api/v1/events"])
            assert.equal((await b.peer(path)).status, 404, path);
        assert.equal(
            (await b.peer("/api/v1/downloads", { json: { url: "http://127.0.0.1/x" } })).status >= 400,
            true,
        );
    });
});

describe("the guard", () => {
    const get = (/** @type {Record<string, string>} */ headers) => request(b.apiUrl("/status"), { headers });
    const change = (/** @type {Record<string, string>} */ headers) =>
        request(b.apiUrl("/downloads/resume"), { method: "POST", headers });

    /** The status line that answers a request sent as it is. @param {string[]} lines @returns {Promise<string>} */
    const firstLine = (lines) =>
        new Promise((done, fail) => {
            const socket = net.connect(b.dashboardPort, "127.0.0.1");
            let text = "";
            socket.setEncoding("latin1");
            socket.on("data", (part) => (text += part));
            socket.on("close", () => done(text.split("\r\n")[0]));
            socket.on("error", fail);
            socket.write(`${lines.join("\r\n")}\r\n\r\n`);
        });

    test("lets loopback names through and refuses others with 403", async () => {
        const port = b.dashboardPort;
        for (const name of [
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "[::1]",
            `localhost:${port}`,
            "127.0.0.1:1",
        ])
            assert.equal((await get({ host: name })).status, 200, name);
        for (const name of [
            "evil.example",
            "evil.example:9001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.5",
            "localhost@evil.example",
            "localhost,evil.example",
        ])
            assertProblem(await get({ host: name }), [400, 403]);
        for (const lines of [
            ["Host:"],
            [],
            ["Host: localhost", "Host: evil.example"],
            ["Host: evil.example", "Host: a"],
        ]) {
            const line = await firstLine(["GET /api/v1/status HTTP/1.1", ...lines, "Connection: close"]);
            assert.match(line, /^HTTP\/1\.1 (400|403) /, `${lines}`);
        }
        const absolute = [
            "GET http://evil.example/api/v1/status HTTP/1.1",
            "Host: localhost",
            "Connection: close",
        ];
        assert.match(await firstLine(absolute), /^HTTP\/1\.1 (400|403) /);
        const page = await request(`${b.dashboardUrl}/`, { headers: { host: "evil.example" } });
        assert.equal(page.status, 403, "nor is the page itself served");
        const stream = await sse(b.apiUrl("/events"), { headers: { host: "evil.example" } });
        assert.equal(stream.status, 403);
        stream.close();
    });

    test("lets a change through from the dashboard itself or from a program", async () => {
        const own = `http://127.0.0.1:${b.dashboardPort}`;
        for (const headers of /** @type {Array<Record<string, string>>} */ ([
            {},
            { origin: own },
            { origin: own, "sec-fetch-site": "same-origin" },
            { "sec-fetch-site": "none" },
        ])) {
            const { status, text } = await change(headers);
            assert.ok(status < 300, `${JSON.stringify(headers)}: ${status} ${text}`);
        }
    });

    test("refuses a change that another page makes, with 403", async () => {
        for (const headers of /** @type {Array<Record<string, string>>} */ ([
            { origin: "http://evil.example" },
            { origin: "null" },
            { origin: `http://127.0.0.1:${b.dashboardPort + 1}` },
            { origin: `https://127.0.0.1:${b.dashboardPort}` },
            { origin: `http://127.0.0.1:${b.dashboardPort}.evil.example` },
            { "sec-fetch-site": "cross-site" },
            { "sec-fetch-site": "same-site" },
            { origin: `http://127.0.0.1:${b.dashboardPort}`, "sec-fetch-site": "cross-site" },
        ]))
            assertProblem(await change(headers), 403);
    });

    test("a name that was allowed is let through", async (t) => {
        const h = await startHostpair({ t, args: ["--allow-host", "box.example"] });
        const status = (/** @type {string} */ name) =>
            request(h.apiUrl("/status"), { headers: { host: name } });
        assert.equal((await status("box.example")).status, 200);
        assert.equal((await status(`box.example:${h.dashboardPort}`)).status, 200);
        assert.equal((await status("other.example")).status, 403);
    });

    test("with a token every call needs it", async (t) => {
        const h = await startHostpair({ t, args: ["--dashboard-token", "s3cret-token"] });
        const call = (/** @type {Record<string, string>} */ headers, path = "/status") =>
            request(h.apiUrl(path), { headers });
        assertProblem(await call({}), 401);
        assertProblem(await call({ authorization: "Bearer wrong" }), 401);
        assertProblem(await call({ authorization: "Bearer " }), 401);
        assertProblem(await call({ authorization: "Basic czNjcmV0LXRva2Vu" }), 401);
        assertProblem(await call({ authorization: "Bearer s3cret-tokenx" }), 401);
        assertProblem(await call({}, "/events"), 401);
        assertProblem(await call({}, "/metrics"), 401);
        assertProblem(await call({ cookie: "hostpair=s3cret-token" }), 401);
        assert.equal((await call({ authorization: "Bearer s3cret-token" })).status, 200);
        assert.equal(
            (await request(`${h.dashboardUrl}/`)).status,
            200,
            "the page that asks for the token is served",
        );
        assert.ok(!h.stderr().includes("s3cret-token"), "the token is not in the log");

        // Typed on the page, it comes back as a cookie.
        const session = await request(h.apiUrl("/session"), { json: { token: "s3cret-token" } });
        assert.ok(session.status < 300, `${session.status} ${session.text}`);
        const cookie = String(session.headers["set-cookie"]);
        assert.match(cookie, /HttpOnly/i);
        assert.match(cookie, /SameSite=Strict/i);
        assert.doesNotMatch(cookie, /s3cret-token/);
        assert.equal((await call({ cookie: cookie.split(";")[0] })).status, 200);
        assertProblem(await request(h.apiUrl("/session"), { json: { token: "wrong" } }), 401);
    });

    test("who guesses tokens is refused and logged; who has signed in is not concerned", async (t) => {
        const h = await startHostpair({ t, args: ["--dashboard-token", "s3cret-token"] });
        const session = await request(h.apiUrl("/session"), { json: { token: "s3cret-token" } });
        const cookie = String(session.headers["set-cookie"]).split(";")[0];
        const bearer = (/** @type {string} */ token) =>
            request(h.apiUrl("/status"), { headers: { authorization: `Bearer ${token}` } });
        let taken = 0;
        for (let i = 0; i < 50; i++) {
            const reply = await (i % 2
                ? bearer(`guess-${i}`)
                : request(h.apiUrl("/session"), { json: { token: `guess-${i}` } }));
            if (reply.status === 401) taken++;
            else {
                assertProblem(reply, 429);
                assert.match(String(reply.headers["retry-after"]), /^[1-9]\d?$/);
            }
        }
        assert.equal(taken, 10);
        assertProblem(await bearer("s3cret-token"), 429);
        assert.equal((await request(h.apiUrl("/status"), { headers: { cookie } })).status, 200);
        const told = h
            .stderr()
            .split("\n")
            .filter((line) => line.includes("wrong token"));
        assert.equal(told.length, 2, told.join("\n"));
        assert.match(told[0], /from 127\.0\.0\.1/);
        assert.match(told[1], /10 wrong tokens came from 127\.0\.0\.1; it is refused/);
    });

    test("a token may stand in a file, which others should not be able to read", async (t) => {
        const path = join(tempDir(t), "token");
        await writeFile(path, "s3cret-token\n", { mode: 0o644 });
        const open = await startHostpair({ t, args: ["--dashboard-token-file", path] });
        assert.match(
            open.stderr(),
            /--dashboard-token-file: users other than its owner may open .*chmod 600/,
        );
        await open.stop();
        await chmod(path, 0o600);
        const h = await startHostpair({ t, args: [], env: { HOSTPAIR_DASHBOARD_TOKEN_FILE: path } });
        assert.doesNotMatch(h.stderr(), /token/);
        assertProblem(await request(h.apiUrl("/status"), {}), 401);
        const headers = { authorization: "Bearer s3cret-token" };
        assert.equal((await request(h.apiUrl("/status"), { headers })).status, 200);
    });

    test("without a token it does not start beyond loopback", async () => {
        const dir = tempDir();
        for (const listen of ["0.0.0.0:0", "[::]:0"]) {
            const { code, stderr } = await runHostpair([
                ...["--peer-listen", "127.0.0.1:0", "--dashboard-listen", listen, "--no-scan", "--no-beacon"],
                ...["--share", join(dir, "s"), "--downloads", join(dir, "d"), "--data", join(dir, "data")],
            ]);
            assert.notEqual(code, 0);
            assert.match(stderr, /--dashboard-token/);
        }
        await rm(dir, { recursive: true, force: true });
    });
});

test("a slow or broken caller costs the others nothing", async () => {
    const sockets = Array.from({ length: 50 }, (_, i) => {
        const socket = net.connect(b.dashboardPort, "127.0.0.1");
        socket.on("error", () => {});
        socket.write(
            i % 2
                ? "GET /api/v1/status HT"
                : "POST /api/v1/downloads HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        );
        return socket;
    });
    for (let i = 0; i < 20; i++) assert.equal((await b.api("/status")).status, 200);
    for (const socket of sockets) socket.destroy();
    await getDownload(b, (await download(b, { host: host.id, path: "one.txt" })).id);
});
