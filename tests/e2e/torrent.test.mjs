// @ts-check
// GET /torrent/<path>: the bytes of the metainfo file against BEP 52 worked out anew here, and real downloads with
// libtorrent, which talks to 127.0.0.1 alone.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { MiB, makeBytes, makeFile, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { Raw, ask, fetchRaw } from "./protocol.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {string | number | { [key: string]: Bencodable }} Bencodable strings hold bytes (latin1) */

const LEAF = 16384;
const SIZES = [0, 1, 16383, 16384, 16385, MiB - 1, MiB, MiB + 1, 3 * MiB + 5];
const ODD = "odd folder/ä€漢字 %41#?;&+'.bin";

const script = fileURLToPath(new URL("torrent.py", import.meta.url));
const python = "/usr/bin/python3"; // the one that Debian's packages belong to
const libtorrent = spawnSync(python, [script, "--version"], { timeout: 30_000 }).status === 0;

/** @param {string} path */
const encode = (path) => path.split("/").map(encodeURIComponent).join("/");
/** @param {string} text */
const bytes = (text) => Buffer.from(text).toString("latin1");

/** @param {Bencodable} value @returns {string} */
function bencode(value) {
    if (typeof value === "number") return `i${value}e`;
    if (typeof value === "string") return `${value.length}:${value}`;
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `d${entries.map(([key, inner]) => bencode(key) + bencode(inner)).join("")}e`;
}

/** @param {...Buffer} parts */
const hash = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();

/**
 * BEP 52: the root of a file, and its layer at `piece` when it has more than one.
 * @param {Buffer} data @param {number} piece
 */
function tree(data, piece) {
    /** @type {Buffer[]} */
    let level = [];
    for (let at = 0; at < data.length; at += LEAF) level.push(hash(data.subarray(at, at + LEAF)));
    while (level.length & (level.length - 1)) level.push(Buffer.alloc(32));
    /** @type {Buffer | undefined} */
    let layer;
    for (let width = LEAF; ; width *= 2) {
        if (width === piece && data.length > piece)
            layer = Buffer.concat(level.slice(0, Math.ceil(data.length / piece)));
        if (level.length === 1) return { root: level[0], layer };
        level = level.flatMap((node, i) => (i % 2 ? [] : [hash(node, level[i + 1])]));
    }
}

/** @param {Buffer} data @param {string} name @param {string} folderUrl */
function expected(data, name, folderUrl) {
    /** @type {Record<string, Bencodable>} */
    const file = { length: data.length };
    /** @type {Record<string, Bencodable>} */
    const layers = {};
    if (data.length > 0) {
        const { root, layer } = tree(data, MiB);
        file["pieces root"] = root.toString("latin1");
        if (layer) layers[root.toString("latin1")] = layer.toString("latin1");
    }
    return bencode({
        info: {
            "file tree": { [bytes(name)]: { "": file } },
            "meta version": 2,
            name: bytes(name),
            "piece length": MiB,
        },
        "piece layers": layers,
        "url-list": folderUrl,
    });
}

describe("torrents", () => {
    const base = tempDir();
    const share = join(base, "share");
    /** @type {Hostpair} */
    let h;

    /** The torrent once the file is hashed. @param {string} path */
    const torrent = (path) =>
        waitFor(
            async () => {
                const reply = await h.peer(`/torrent/${encode(path)}`);
                assert.ok(reply.status === 200 || reply.status === 503, `${reply.status} ${reply.text}`);
                return reply.status === 200 && reply;
            },
            { timeout: 30_000, what: `${path} to be hashed` },
        );

    before(async () => {
        for (const size of SIZES) await makeFile(join(share, `${size}.bin`), size, size + 1);
        await makeFile(join(share, ODD), 2 * MiB + 1, 77);
        await makeFile(join(share, "list"), 5000, 78);
        mkdirSync(join(share, "folder"));
        h = await startHostpair({ name: "torrents", share });
    });
    after(() => h?.dispose());

    for (const size of SIZES)
        test(`a file of ${size} bytes has the metainfo of BEP 52`, async () => {
            const reply = await torrent(`${size}.bin`);
            const wanted = expected(makeBytes(size, size + 1), `${size}.bin`, `${h.peerUrl}/files/`);
            assert.equal(reply.body.toString("latin1"), wanted);
            assert.equal(reply.headers["content-type"], "application/x-bittorrent");
            assert.match(
                reply.headers["content-disposition"] ?? "",
                new RegExp(`^attachment; filename="${size}\\.bin\\.torrent"`),
            );
        });

    test("names are written as they are, and encoded where fields and URLs need it", async () => {
        const reply = await torrent(ODD);
        const [folder, name] = ODD.split("/");
        const wanted = expected(makeBytes(2 * MiB + 1, 77), name, `${h.peerUrl}/files/${encode(folder)}/`);
        assert.equal(reply.body.toString("latin1"), wanted);
        const disposition = reply.headers["content-disposition"] ?? "";
        assert.match(disposition, /^attachment; filename="[ -~]*\.torrent"; filename\*=UTF-8''[!-~]*$/);
        assert.equal(decodeURIComponent(disposition.split("''")[1]), `${name}.torrent`);
    });

    test("HEAD answers as GET without the body", async () => {
        const get = await torrent("3145733.bin");
        const head = await h.peer("/torrent/3145733.bin", { method: "HEAD" });
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        for (const field of ["content-length", "content-type", "content-disposition"])
            assert.equal(head.headers[field], get.headers[field], field);
        assert.equal(Number(head.headers["content-length"]), get.body.length);
    });

    test("what is no file is refused as its path would be", async () => {
        for (const [path, status] of /** @type {[string, number][]} */ ([
            ["", 403],
            ["folder", 403],
            ["folder/", 403],
            ["missing", 404],
            ["1.bin/", 404],
            ["1.bin/x", 404],
            ["..%2fshare%2f1.bin", 404],
            ["../share/1.bin", 404],
            ["%00", 404],
            ["%zz", 404],
        ])) {
            assert.equal((await fetchRaw(h.peerPort, `/torrent/${path}`)).status, status, path);
            assert.equal((await fetchRaw(h.peerPort, `/files/${path}`)).status, status, `/files/${path}`);
        }
        assert.equal((await h.peer("/torrent")).status, 404);
        const post = await h.peer("/torrent/1.bin", { method: "POST", body: "x" });
        assert.equal(post.status, 405);
        assert.match(post.headers.allow ?? "", /GET.*HEAD/);
    });

    test("the web seed has the address that the client used", async () => {
        await torrent("1.bin");
        for (const host of [
            "localhost",
            "my_host-1.local:9000",
            "host.example.:1",
            "192.168.1.5:65535",
            "[::1]:9000",
            "[fe80::1]",
            "[::ffff:192.0.2.1]:80",
            `${"a".repeat(63)}.b`,
        ]) {
            const reply = await fetchRaw(h.peerPort, "/torrent/1.bin", { headers: { Host: host } });
            assert.equal(reply.status, 200, host);
            assert.ok(reply.body.toString("latin1").endsWith(bencode(`http://${host}/files/`) + "e"), host);
        }
    });

    test("a Host that is no address is refused", async () => {
        await torrent("1.bin");
        for (const host of [
            "",
            "a b",
            "a,b",
            "user@host",
            "host:",
            "host:0",
            "host:080",
            "host:65536",
            "host:4294967377",
            "host:8o",
            "host:80:80",
            ":80",
            ".",
            ".host",
            "a..b",
            "a/b",
            "host/../x",
            "host?x",
            "host#x",
            'host"',
            "ho%73t",
            "h\xf6st",
            "::1",
            "[::1",
            "[::1]x",
            "[::1]:",
            "[]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            `[${"1:".repeat(40)}1]`,
            `${"a".repeat(64)}.b`,
            "a.".repeat(200),
        ]) {
            const reply = await fetchRaw(h.peerPort, "/torrent/1.bin", { headers: { Host: host } });
            assert.equal(reply.status, 400, host);
        }
        const old = { version: "1.0", headers: { Host: undefined } };
        assert.equal((await fetchRaw(h.peerPort, "/torrent/1.bin", old)).status, 400, "no Host");
    });

    test("a file that is not hashed yet is to be asked for again", async () => {
        const path = join(share, "large.bin");
        writeFileSync(path, "");
        truncateSync(path, 1024 * MiB);
        const reply = await h.peer("/torrent/large.bin");
        rmSync(path);
        assert.equal(reply.status, 503, reply.text);
        const seconds = Number(reply.headers["retry-after"]);
        assert.ok(seconds >= 1 && seconds <= 60, `Retry-After: ${reply.headers["retry-after"]}`);
    });

    test("a changed file has another torrent, and never the old one", async () => {
        const path = join(share, "changing.bin");
        for (const seed of [90, 91]) {
            await makeFile(path, MiB + 3, seed);
            const reply = await torrent("changing.bin");
            const wanted = expected(makeBytes(MiB + 3, seed), "changing.bin", `${h.peerUrl}/files/`);
            assert.equal(reply.body.toString("latin1"), wanted, `seed ${seed}`);
        }
    });

    test("clients that leave before their answer leave nothing behind", async () => {
        await torrent("3145733.bin");
        for (let i = 0; i < 40; i++) {
            const client = new Raw(h.peerPort);
            client.send(ask(`/torrent/${i % 2 ? "1.bin" : "3145733.bin"}`));
            client.socket.end(() => setTimeout(() => client.socket.resetAndDestroy(), i % 4));
            await client.end();
        }
        assert.equal((await h.peer("/torrent/3145733.bin")).status, 200);
    });

    describe("libtorrent", { skip: libtorrent ? false : "python3-libtorrent is not installed" }, () => {
        for (const path of ["1.bin", "16385.bin", "1048576.bin", "3145733.bin", "list", ODD])
            test(`downloads ${path} from the web seed`, { timeout: 90_000 }, async () => {
                const file = join(base, "file.torrent");
                writeFileSync(file, (await torrent(path)).body);
                const target = mkdtempSync(join(base, "downloaded-"));
                await new Promise((done, fail) =>
                    execFile(python, [script, file, target, "45"], { timeout: 60_000 }, (error, _, stderr) =>
                        error ? fail(new Error(`${error.message}\n${stderr}`)) : done(undefined),
                    ),
                );
                const name = path.split("/").at(-1) ?? "";
                const same = readFileSync(join(target, name)).equals(readFileSync(join(share, path)));
                assert.ok(same, "the bytes are those of the file");
            });
    });
});
