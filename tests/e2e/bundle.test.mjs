// @ts-check
// Many small files in one reply, POST /hostpair/bundle: what is in it and what is left out, who gets one, and what is refused.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
    appendFileSync,
    chmodSync,
    mkdirSync,
    readFileSync,
    symlinkSync,
    truncateSync,
    unlinkSync,
    writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { MiB, makeBytes, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { oddNames } from "./hosts.mjs";
import { Raw } from "./protocol.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** @param {Hostpair} h @param {unknown} paths */
const bundle = (h, paths) => h.peer("/hostpair/bundle", { method: "POST", json: { paths } });

/** The names in a tar in their order, as GNU tar reads them. @param {Buffer} body @returns {string[]} */
const namesIn = (body) =>
    execFileSync("tar", ["-t", "--null", "--quoting-style=literal", "--show-transformed-names"], {
        input: body,
        env: { ...process.env, LC_ALL: "C.UTF-8" },
        maxBuffer: 64 * MiB,
    })
        .toString()
        .split("\n")
        .slice(0, -1);

describe("a bundle", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {string[]} */
    let paths;
    after(() => h?.dispose());
    before(async () => {
        h = await startHostpair({ name: "giver" });
        mkdirSync(join(h.shareDir, "odd/deep"), { recursive: true });
        paths = oddNames.map((name, i) => (i % 2 ? `odd/${name}` : name));
        paths.forEach((path, i) => writeFileSync(join(h.shareDir, path), makeBytes(i * 700, i)));
        for (let i = 0; i < 3000; i++) writeFileSync(join(h.shareDir, `odd/deep/${i}`), makeBytes(400, i));
    });

    test("holds the files that were asked for, in that order, whatever their names", async () => {
        const wanted = [...paths].reverse();
        const { status, headers, body } = await bundle(h, wanted);
        assert.equal(status, 200);
        assert.equal(headers["content-type"], "application/x-tar");
        assert.deepEqual(namesIn(body), wanted);
        const to = tempDir();
        execFileSync("tar", ["-x", "-C", to], { input: body, env: { ...process.env, LC_ALL: "C.UTF-8" } });
        paths.forEach((path, i) =>
            assert.deepEqual(readFileSync(join(to, path)), makeBytes(i * 700, i), path),
        );
    });

    test("of thousands of files comes in pieces, over TLS as well", async () => {
        const wanted = Array.from({ length: 3000 }, (_, i) => `odd/deep/${i}`);
        assert.deepEqual(namesIn((await bundle(h, wanted)).body), wanted);
        const body = execFileSync(
            "curl",
            ["-sSk", "--fail", "-d", "@-", `https://127.0.0.1:${h.peerPort}/hostpair/bundle`],
            { input: JSON.stringify({ paths: wanted }), maxBuffer: 64 * MiB },
        );
        assert.deepEqual(namesIn(body), wanted);
    });

    test("leaves out what is missing, no file, not offered, hidden, unreadable or not small", async () => {
        writeFileSync(join(h.shareDir, "here"), "here");
        symlinkSync("/etc/passwd", join(h.shareDir, "leads outside"));
        symlinkSync("here", join(h.shareDir, "leads inside"));
        writeFileSync(join(h.shareDir, "large"), "");
        truncateSync(join(h.shareDir, "large"), 128 * 1024 + 1);
        writeFileSync(join(h.shareDir, "most"), "");
        truncateSync(join(h.shareDir, "most"), 128 * 1024);
        writeFileSync(join(h.shareDir, ".x.1.hostpair-part"), "a part");
        const others = [
            "missing",
            "odd",
            "..",
            "../here",
            "/etc/passwd",
            "leads outside",
            "large",
            "",
            "odd/",
        ];
        const { body } = await bundle(h, [...others, "here", ".x.1.hostpair-part", "leads inside", "most"]);
        assert.deepEqual(namesIn(body), ["here", "leads inside", "most"]);
        const { body: empty } = await bundle(h, ["missing"]);
        assert.deepEqual(namesIn(empty), []);
        assert.equal(empty.length, 1024, "an empty tar is whole");
        assert.deepEqual(namesIn((await bundle(h, [])).body), []);
    });

    test("has a file as it is now, not as it was listed", async () => {
        writeFileSync(join(h.shareDir, "grows"), "1");
        await waitFor(async () => (await h.peer("/list")).text.includes("grows"));
        appendFileSync(join(h.shareDir, "grows"), "2");
        const { body } = await bundle(h, ["grows", "here"]);
        assert.equal(execFileSync("tar", ["-xO", "grows"], { input: body }).toString(), "12");
        unlinkSync(join(h.shareDir, "grows"));
        assert.deepEqual(namesIn((await bundle(h, ["grows", "here"])).body), ["here"]);
    });

    test("is only to be had by a POST that can be understood", async () => {
        const post = (/** @type {string} */ body) =>
            h.peer("/hostpair/bundle", { method: "POST", body: Buffer.from(body) });
        const got = await h.peer("/hostpair/bundle");
        assert.equal(got.status, 405);
        assert.equal(got.headers.allow, "POST");
        /** @type {[string, number, RegExp][]} */
        const bad = [
            ["", 400, /not JSON: line \d+, column \d+/],
            ['{"paths":["a"', 400, /not JSON/],
            ["[]", 422, /paths: has to be an array/],
            ['{"paths":"a"}', 422, /paths: has to be an array/],
            ['{"paths":["a",1]}', 422, /paths: number 2 is no text/],
            ['{"paths":["a\\u0000b"]}', 400, /not JSON/],
            [JSON.stringify({ paths: Array(4097).fill("a") }), 422, /4097 of them, at most 4096/],
        ];
        for (const [body, status, words] of bad) {
            const answer = await post(body);
            assert.equal(answer.status, status, `${body.slice(0, 40)}: ${answer.text}`);
            assert.match(answer.text, words);
        }
        assert.equal((await bundle(h, Array(4096).fill("here"))).status, 200);
        assert.equal((await post(`{"paths":[]}${" ".repeat(MiB)}`)).status, 413);
        assert.equal((await post(`{"paths":[]}${" ".repeat(MiB - 12)}`)).status, 200);
        const long = await h.peer("/message", { method: "POST", body: Buffer.alloc(33 * 1024) });
        assert.equal(long.status, 413, "other calls take as little as before");
    });
});

test("a file that cannot be read is left out", async (t) => {
    const like = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]; // root reads everything else
    const h = await startHostpair({ t, name: "closed", wrap: process.getuid?.() === 0 ? like : [] });
    for (const name of ["a", "b", "c"]) writeFileSync(join(h.shareDir, name), name);
    chmodSync(join(h.shareDir, "b"), 0);
    assert.deepEqual(namesIn((await bundle(h, ["a", "b", "c"])).body), ["a", "c"]);
});

test("access holds for bundles as for files", async (t) => {
    const h = await startHostpair({ t, name: "private" });
    writeFileSync(join(h.shareDir, "a"), "a");
    assert.equal((await bundle(h, ["a"])).status, 200);
    assert.equal((await h.api("/settings", { method: "PATCH", json: { access: "hosts" } })).status, 200);
    const refused = await bundle(h, ["a"]);
    assert.equal(refused.status, 403);
    assert.match(refused.text, /hosts that prove who they are/);
});

test("one client gets only so many at once, and others still get theirs", async (t) => {
    const h = await startHostpair({ t, name: "wanted" });
    const paths = Array.from({ length: 400 }, (_, i) => `f${i}`);
    for (const path of paths) writeFileSync(join(h.shareDir, path), makeBytes(120_000, 1));
    const body = JSON.stringify({ paths });
    const asked = `POST /hostpair/bundle HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const clients = Array.from({ length: 32 }, () => new Raw(h.peerPort, { reads: false }));
    t.after(() => clients.forEach((c) => c.close()));
    for (const c of clients) c.send(asked);
    const sent = async () =>
        (await h.api("/connections")).json.connections.filter(
            (/** @type {any} */ c) => c.path === "/hostpair/bundle" && c.bytes_sent > 0,
        ).length;
    await waitFor(async () => (await sent()) === clients.length, { timeout: 60_000, what: "all of them" });
    const refused = await bundle(h, ["f1"]);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers["retry-after"], "1");
    const other = execFileSync(
        "curl",
        [
            ...["-sS", "--fail", "--interface", "127.0.0.2", "-d", '{"paths":["f1"]}'],
            `http://127.0.0.1:${h.peerPort}/hostpair/bundle`,
        ],
        { maxBuffer: MiB },
    );
    assert.deepEqual(namesIn(other), ["f1"]);
    clients[0].close();
    await waitFor(async () => (await bundle(h, ["f1"])).status === 200, { what: "room for another" });
});
