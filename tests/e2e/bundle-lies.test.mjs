// @ts-check
// Small files of a folder come in bundles. A host that speaks the protocol gives bundles of every wrong kind: the files are right
// all the same, nothing lands outside, and what came whole is not asked for twice.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";

import { addHost, download, makeBytes, pathOf, startHostpair, waitState } from "./harness.mjs";
import { assertSameTree, fakeHost, fileBytes, listed, oddNames, pathsBelow, sharing } from "./hosts.mjs";
import { startLink } from "./link.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */
/** @typedef {(paths: string[], files: Map<string, Buffer>, res: import("node:http").ServerResponse) => Buffer | void} Lie */

const COUNT = 40;

/** @param {string} name @param {number | string} size a text is taken as it is @param {{ type?: string, link?: string }} [how] */
function header(name, size, { type = "0", link = "" } = {}) {
    const block = Buffer.alloc(512);
    block.write(name.slice(0, 100), 0);
    block.write("0000644\x000000000\x000000000\x00", 100);
    block.write(typeof size === "string" ? size : size.toString(8).padStart(11, "0"), 124, "latin1");
    block.write("00000000000\x00", 136);
    block.write("        ", 148);
    block.write(type, 156);
    block.write(link, 157);
    block.write("ustar\x0000", 257);
    const sum = block.reduce((a, b) => a + b, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\x00 `, 148);
    return block;
}
const pad = (/** @type {Buffer} */ bytes) =>
    Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
const entry = (/** @type {string} */ name, /** @type {Buffer} */ bytes, how = {}) =>
    Buffer.concat([header(name, bytes.length, how), pad(bytes)]);
const END = Buffer.alloc(1024);
/** @param {string} key @param {string} value */
function record(key, value) {
    let length = key.length + value.length + 3;
    while (`${length} ${key}=${value}\n`.length !== length) length++;
    return Buffer.from(`${length} ${key}=${value}\n`);
}
const pax = (/** @type {string} */ key, /** @type {string} */ value) =>
    entry("pax", record(key, value), { type: "x" });
/** @param {string[]} paths @param {Map<string, Buffer>} files @param {(path: string, bytes: Buffer, i: number) => Buffer} [each] */
const tar = (paths, files, each = entry) =>
    Buffer.concat([...paths.map((path, i) => each(path, /** @type {Buffer} */ (files.get(path)), i)), END]);
/** What is honest but for entry number 3. @param {(path: string, bytes: Buffer) => Buffer} make @returns {Lie} */
const third = (make) => (paths, files) =>
    tar(paths, files, (path, bytes, i) => (i === 3 ? make(path, bytes) : entry(path, bytes)));

/**
 * A host with a folder of small files that gives bundles as `lie` says, and a hostpair that knows it.
 * @param {TestContext} t @param {Lie} lie
 * @param {{ empty?: (i: number) => boolean, untold?: (i: number) => boolean }} [which] are empty, are listed without a root
 */
async function prepare(t, lie, { empty = () => false, untold = () => false } = {}) {
    /** @type {Map<string, Buffer>} */
    const files = new Map();
    for (let i = 0; i < COUNT; i++)
        files.set(`small/d${i % 3}/f${i}`, makeBytes(empty(i) ? 0 : 100 + i * 37, i));
    /** @type {{ bundles: string[][], single: string[] }} */
    const asked = { bundles: [], single: [] };
    const host = await fakeHost(t, {
        name: "giver",
        handler: (req, res) => {
            const url = decodeURIComponent(String(req.url));
            if (url === "/list") {
                const lines = [...files].map(([path, bytes], i) =>
                    JSON.stringify({
                        path,
                        size: bytes.length,
                        mtime: "2024-01-02T03:04:05.000Z",
                        type: "text/plain",
                        root: empty(i) || untold(i) ? null : createHash("sha256").update(bytes).digest("hex"),
                    }),
                );
                res.writeHead(200, { "content-type": "application/x-ndjson", etag: '"1"' });
                res.end(`${lines.join("\n")}\n`);
                return true;
            }
            if (url === "/hostpair/bundle") {
                /** @type {Buffer[]} */
                const parts = [];
                req.on("data", (part) => parts.push(part));
                req.on("end", () => {
                    const { paths } = JSON.parse(Buffer.concat(parts).toString());
                    asked.bundles.push(paths);
                    const body = lie(paths, files, res);
                    if (!body) return;
                    res.writeHead(200, { "content-type": "application/x-tar" }).end(body);
                });
                return true;
            }
            const bytes = files.get(url.slice(1));
            if (!bytes) return false;
            asked.single.push(url.slice(1));
            res.writeHead(206, {
                etag: '"1"',
                "content-range": `bytes 0-${bytes.length - 1}/${bytes.length}`,
                "content-length": bytes.length,
            }).end(bytes);
            return true;
        },
    });
    const h = await startHostpair({ t, name: "taker" });
    const { id } = await addHost(h, host.port);
    await listed(h, id, COUNT);
    return { h, id, files, asked };
}

/** Downloads the folder, which has to be right. @param {Awaited<ReturnType<typeof prepare>>} all @param {boolean} [verified] */
async function fetchAll({ h, id, files }, verified = true) {
    const { id: number } = await download(h, { host: id, folder: "small" });
    const d = await waitState(h, number, "done");
    assert.equal(d.verified, verified);
    const to = pathOf(h, d);
    for (const [path, bytes] of files)
        assert.deepEqual(readFileSync(join(to, path.slice("small/".length))), bytes, path);
    assert.equal(
        readdirSync(to, { recursive: true, withFileTypes: true }).filter((e) => !e.isDirectory()).length,
        COUNT,
    );
    assert.deepEqual(readdirSync(h.downloadsDir), ["small"], "nothing else has landed");
    return d;
}

test("an honest host is asked for bundles and for nothing else", async (t) => {
    const all = await prepare(t, (paths, files) => tar(paths, files));
    await fetchAll(all);
    assert.deepEqual(all.asked.bundles.flat().sort(), [...all.files.keys()].sort());
    assert.deepEqual(all.asked.single, []);
});

test("empty files come in bundles too, and count as verified", async (t) => {
    const all = await prepare(t, (paths, files) => tar(paths, files), { empty: (i) => i % 5 === 0 });
    await fetchAll(all);
    assert.deepEqual(all.asked.bundles.flat().sort(), [...all.files.keys()].sort());
    assert.deepEqual(all.asked.single, []);
});

test("so do files whose root nobody has told yet, and they do not count as verified", async (t) => {
    const all = await prepare(t, (paths, files) => tar(paths, files), { untold: (i) => i % 5 === 0 });
    await fetchAll(all, false);
    assert.deepEqual(all.asked.single, []);
    const { stdout } = await promisify(execFile)("sqlite3", [
        join(all.h.dataDir, "hostpair.db"),
        "SELECT source_path, verified, lower(hex(root)) FROM download_file",
    ]);
    const rows = stdout.trim().split("\n");
    for (const [path, verified, root] of rows.map((row) => row.split("|"))) {
        const i = Number(/f(\d+)$/.exec(path)?.[1]);
        assert.equal(verified, i % 5 === 0 ? "0" : "1", path);
        const bytes = /** @type {Buffer} */ (all.files.get(path));
        assert.equal(root, createHash("sha256").update(bytes).digest("hex"), path);
    }
    assert.equal(rows.length, COUNT);
});

test("names and times in pax headers are understood", async (t) => {
    const all = await prepare(t, (paths, files) =>
        tar(paths, files, (path, bytes) =>
            Buffer.concat([pax("path", path), pax("mtime", "1700000000.123456789"), entry("short", bytes)]),
        ),
    );
    await fetchAll(all);
});

test("between two hostpairs every name comes in a bundle", async (t) => {
    /** @type {import("./hosts.mjs").Files} */
    const files = {};
    oddNames.forEach(
        (name, i) => (files[`odd/${i % 2 ? "deep/文件夹/" : ""}${name}`] = { size: i * 99 + 1, seed: i }),
    );
    const giver = await sharing(t, "giver", files);
    const h = await startHostpair({ t, name: "taker" });
    const link = await startLink({ t, to: giver.peerPort });
    const { id } = await addHost(h, link.port);
    await listed(h, id, oddNames.length);
    const { id: number } = await download(h, { host: id, folder: "odd" });
    const d = await waitState(h, number, "done");
    await assertSameTree(pathOf(h, d), join(giver.shareDir, "odd"));
    assert.doesNotMatch(h.stderr(), /a bundle/);
    assert.equal(fileBytes(link), 0, "nothing came by itself");
});

describe("what is left out, is another file or is wrong comes by itself, and nothing else does", () => {
    test("left out", async (t) => {
        const all = await prepare(t, (paths, files) =>
            tar(
                paths.filter((_, i) => i % 4 !== 1),
                files,
            ),
        );
        await fetchAll(all);
        const missing = all.asked.bundles.flatMap((paths) => paths.filter((_, i) => i % 4 === 1));
        assert.deepEqual(all.asked.single.sort(), missing.sort());
    });

    test("wrong bytes: the liar is named", async (t) => {
        const all = await prepare(
            t,
            third((path, bytes) => entry(path, Buffer.alloc(bytes.length, 1))),
        );
        await fetchAll(all);
        assert.deepEqual(all.asked.single.sort(), all.asked.bundles.map((paths) => paths[3]).sort());
        assert.match(
            all.h.stderr(),
            new RegExp(`${all.id} sent bytes with a wrong hash in a bundle: small/`),
        );
    });

    test("grown since the list: what follows it is asked for again in a bundle", async (t) => {
        const all = await prepare(
            t,
            third((path, bytes) => entry(path, Buffer.concat([bytes, bytes]))),
        );
        await fetchAll(all);
        assert.ok(
            all.asked.single.length >= 1 && all.asked.single.length < COUNT / 2,
            `${all.asked.single.length}`,
        );
        assert.equal(new Set(all.asked.single).size, all.asked.single.length);
    });

    test("wrong bytes of a file that another host has: it comes from there", async (t) => {
        const all = await prepare(
            t,
            third((path, bytes) => entry(path, Buffer.alloc(bytes.length, 1))),
        );
        const other = await sharing(t, "other", Object.fromEntries(all.files));
        const { id } = await addHost(all.h, other.peerPort);
        await listed(all.h, id, COUNT);
        const d = await fetchAll(all);
        const source = d.sources.find((/** @type {any} */ s) => s.host === id);
        assert.ok(source?.bytes > 0, JSON.stringify(d.sources));
        assert.deepEqual(all.asked.single, [], "the liar is not asked for them");
    });
});

describe("a bundle that is none ends with a reason, and its files come by themselves", () => {
    /** @type {[string, Lie, RegExp][]} */
    const lies = [
        ["another name", third((_, bytes) => entry("small/other", bytes)), /not asked for: small\/other/],
        [
            "a path that leads out",
            third((_, bytes) => entry("../../out", bytes)),
            /not asked for: \.\.\/\.\.\/out/,
        ],
        ["an absolute path", third((_, bytes) => entry("/tmp/hostpair-out", bytes)), /not asked for: \/tmp/],
        [
            "a name twice",
            third((path, bytes) => Buffer.concat([entry(path, bytes), entry(path, bytes)])),
            /not asked for/,
        ],
        [
            "a symbolic link",
            third((path) => header(path, 0, { type: "2", link: "/etc/passwd" })),
            /a link is in it/,
        ],
        ["a hard link", third((path) => header(path, 0, { type: "1", link: "f0" })), /a link is in it/],
        ["a folder", third((path) => header(path, 0, { type: "5" })), /a folder is in it/],
        ["a device", third((path) => header(path, 0, { type: "3" })), /a device or the like/],
        ["a pipe", third((path) => header(path, 0, { type: "6" })), /a device or the like/],
        [
            "a sparse file",
            third((path, bytes) =>
                Buffer.concat([
                    pax("GNU.sparse.major", "1"),
                    pax("GNU.sparse.minor", "0"),
                    pax("GNU.sparse.realsize", `${bytes.length}`),
                    entry(path, Buffer.concat([pad(Buffer.from("2\n0\n1\n50\n1\n")), bytes])),
                ]),
            ),
            /./,
        ],
        [
            "a header that is no number",
            third((path) => header(path, "\xff".repeat(11))),
            /bundle that is none/,
        ],
        ["a huge header", third(() => header("x", 2 ** 32, { type: "x" })), /bundle that is none/],
        [
            "a huge long name",
            third(() => header("././@LongLink", 2 ** 30, { type: "L" })),
            /bundle that is none/,
        ],
        ["a huge file", third((path) => header(path, 2 ** 33 - 1)), /./],
        ["noise", () => makeBytes(5000, 3), /bundle that is none/],
        ["text", () => Buffer.from("<html>hello"), /bundle that is none/],
        ["gzip", (paths, files) => gzipSync(tar(paths, files)), /bundle that is none/],
        [
            "more than was asked for",
            (paths, files) => Buffer.concat([tar(paths, files), Buffer.alloc(1 << 20)]),
            /longer than/,
        ],
    ];
    for (const [what, lie, words] of lies)
        test(what, async (t) => {
            const all = await prepare(t, lie);
            await fetchAll(all);
            assert.match(all.h.stderr(), words);
            assert.equal(new Set(all.asked.single).size, all.asked.single.length, "each only once");
            assert.ok(!existsSync("/tmp/hostpair-out"));
        });
});

describe("a host that gives no bundles", () => {
    for (const status of [404, 405])
        test(`and says so by ${status} is asked once in a while, and not for each`, async (t) => {
            const all = await prepare(t, (_, __, res) => void res.writeHead(status).end());
            await fetchAll(all);
            assert.equal(all.asked.single.length, COUNT);
            const before = all.asked.bundles.length;
            assert.ok(before >= 1 && before <= 4);
            const again = await download(all.h, { host: all.id, folder: "small/d1" });
            await waitState(all.h, again.id, "done");
            assert.equal(all.asked.bundles.length, before, "it is remembered for the next download");
        });

    test("with 503 is asked again", async (t) => {
        let busy = true;
        const all = await prepare(t, (paths, files, res) => {
            if (!busy) return tar(paths, files);
            busy = false;
            res.writeHead(503, { "retry-after": "1" }).end();
        });
        await fetchAll(all);
    });
});

test("a bundle that is cut leaves what came whole, and the rest is asked for again", async (t) => {
    let cuts = 0;
    const all = await prepare(t, (paths, files, res) => {
        const whole = tar(paths, files);
        if (cuts++ > 0) return whole;
        const at = whole.indexOf(paths[6]) + 700;
        res.writeHead(200, { "content-type": "application/x-tar" });
        res.write(whole.subarray(0, at), () => setTimeout(() => res.destroy(), 50));
    });
    await fetchAll(all);
    const first = all.asked.bundles[0].slice(0, 6);
    const later = [...all.asked.bundles.slice(1).flat(), ...all.asked.single];
    for (const path of first) assert.ok(!later.includes(path), `${path} came whole`);
    assert.equal(later.length, COUNT - 6);
});

test("a host that cuts everything is still good for single files", async (t) => {
    const all = await prepare(t, (_, __, res) => {
        res.writeHead(200, { "content-type": "application/x-tar" });
        res.write(Buffer.alloc(100), () => res.destroy());
    });
    await fetchAll(all);
    assert.ok(all.asked.bundles.length <= 8, `${all.asked.bundles.length} bundles`);
});

test("paused in the middle of a bundle, the folder goes on afterwards", async (t) => {
    /** @type {import("node:http").ServerResponse[]} */
    const held = [];
    let hold = true;
    const all = await prepare(t, (paths, files, res) => {
        if (!hold) return tar(paths, files);
        held.push(res.writeHead(200, { "content-type": "application/x-tar" }));
        res.write(tar(paths, files).subarray(0, 2000));
    });
    const { id } = await download(all.h, { host: all.id, folder: "small" });
    await waitState(all.h, id, "running");
    while (held.length === 0) await new Promise((done) => setTimeout(done, 20));
    assert.ok((await all.h.api("/downloads/pause", { method: "POST" })).status < 300);
    await waitState(all.h, id, "paused");
    hold = false;
    assert.ok((await all.h.api("/downloads/resume", { method: "POST" })).status < 300);
    const d = await waitState(all.h, id, "done");
    assert.equal(pathsBelow(pathOf(all.h, d)).length >= COUNT, true);
});
