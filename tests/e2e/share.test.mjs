// @ts-check
// The own shared files through the dashboard's API: their bytes for a preview, and folders that are removed.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { appendFile, mkdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import { MiB, makeBytes, makeFile, startHostpair, tempDir, waitFor } from "./harness.mjs";
import { sharing } from "./hosts.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** Puts a file there through the API. @param {Hostpair} h @param {string} path @param {string | Buffer} body */
const put = async (h, path, body) => {
    const { status, text } = await h.api(`/share/files/${path}`, { method: "PUT", body });
    assert.ok(status === 200 || status === 201, `${path}: ${text}`);
};

/** @param {Hostpair} h @param {string} path @param {string} [query] */
const remove = (h, path, query = "") => h.api(`/share/files/${path}${query}`, { method: "DELETE" });

describe("a preview of a shared file", { concurrency: 1 }, () => {
    test("gives its bytes, ranges of them, and nothing else", async (t) => {
        const secret = join(tempDir(t), "secret");
        await writeFile(secret, "secret");
        const a = await sharing(t, "a", {
            "films/a film.mp4": { size: 3 * MiB, seed: 1 },
            "ümläut #1?.txt": Buffer.from("text"),
            "page.html": Buffer.from("<script>1</script>"),
            "evil.js": Buffer.from("alert(1)"),
            "evil.mjs": Buffer.from("alert(1)"),
            "evil.css": Buffer.from("*{display:none}"),
            "evil.wasm": Buffer.from("\0asm"),
            empty: Buffer.alloc(0),
        });
        await symlink(secret, join(a.shareDir, "out"));
        const bytes = makeBytes(3 * MiB, 1);
        const target = "/share/content/films/a%20film.mp4";

        const whole = await a.api(target);
        assert.equal(whole.status, 200);
        assert.equal(whole.headers["content-type"], "video/mp4");
        assert.equal(whole.headers["accept-ranges"], "bytes");
        assert.ok(whole.body.equals(bytes));
        assert.match(String(whole.headers["content-security-policy"]), /^sandbox;/);
        assert.equal(whole.headers["x-content-type-options"], "nosniff");
        const part = await a.api(target, { headers: { Range: "bytes=1000-1999" } });
        assert.equal(part.status, 206);
        assert.equal(part.headers["content-range"], `bytes 1000-1999/${3 * MiB}`);
        assert.ok(part.body.equals(bytes.subarray(1000, 2000)));
        const outside = await a.api(target, { headers: { Range: "bytes=99999999-" } });
        assert.equal(outside.status, 416);
        assert.equal(outside.headers["content-range"], `bytes */${3 * MiB}`);
        assert.equal(outside.json.code, "range-not-satisfiable");
        const other = await a.api(target, { headers: { "If-Match": '"another"' } });
        assert.equal(other.json.code, "precondition-failed");
        const head = await a.api(target, { method: "HEAD" });
        assert.equal(head.headers["content-length"], String(3 * MiB));
        assert.equal(head.body.length, 0);
        assert.equal((await a.api("/share/content/%C3%BCml%C3%A4ut%20%231%3F.txt")).text, "text");
        assert.equal((await a.api("/share/content/empty")).body.length, 0);

        // On the dashboard's origin a stranger's file acts in no way: not as a page, and not as a part of one.
        for (const [name, type] of [
            ["page.html", "text/html"],
            ["evil.js", "text/plain"],
            ["evil.mjs", "text/plain"],
            ["evil.css", "text/plain"],
            ["evil.wasm", "application/octet-stream"],
        ]) {
            const { headers } = await a.api(`/share/content/${name}`);
            assert.equal(headers["content-type"], type, name);
            assert.match(String(headers["content-security-policy"]), /^sandbox;/);
            assert.equal(headers["x-content-type-options"], "nosniff");
        }

        // A tag is strong once the file is old enough that a change would show.
        const tag = await waitFor(async () => {
            const { etag } = (await a.api(target, { method: "HEAD" })).headers;
            return etag?.startsWith('"') && etag;
        });
        assert.equal((await a.api(target, { headers: { "If-None-Match": tag } })).status, 304);
        const resumed = { Range: "bytes=0-9", "If-Range": tag };
        assert.equal((await a.api(target, { headers: resumed })).status, 206);
        await utimes(join(a.shareDir, "films/a film.mp4"), 1, 1);
        assert.equal((await a.api(target, { headers: resumed })).status, 200);

        assert.equal((await a.api("/share/content/films")).status, 403);
        for (const path of ["none", "out", "../secret", "..%2Fsecret", "films/", "films%2Fa%20film.mp4/x"])
            assert.equal((await a.api(`/share/content/${path}`)).status, 404, path);
        assert.equal((await a.api(target, { method: "POST" })).status, 405);
        assert.equal((await a.peer(`/api/v1${target}`)).status, 404, "not for other hosts");
        const rebound = await a.api(target, { headers: { Host: "evil.example" } });
        assert.equal(rebound.status, 403);
    });
});

describe("a folder of the share", { concurrency: 1 }, () => {
    test("is removed with everything in it only when that is said", async (t) => {
        const outside = join(tempDir(t), "outside");
        await makeFile(join(outside, "kept"), 10);
        const a = await startHostpair({ t, name: "a" });
        for (const path of ["folder/one", "folder/deep/er/two", "folder/.hidden", "folder2/three", "four"])
            await put(a, path, `of ${path}`);
        const folder = join(a.shareDir, "folder");
        await mkdir(join(folder, "empty"));
        await symlink(outside, join(a.shareDir, "link"));

        for (const query of ["", "?recursive=false"]) {
            const refused = await remove(a, "folder", query);
            assert.equal(refused.status, 409);
            assert.match(refused.json.detail, /recursive=true/);
        }
        assert.equal((await remove(a, "folder", "?recursive=yes")).status, 422);
        assert.ok(existsSync(join(folder, "one")));
        assert.equal((await remove(a, "folder", "?recursive=true")).status, 204);
        assert.ok(!existsSync(folder));
        assert.equal(
            (await remove(a, "link", "?recursive=true")).status,
            403,
            "a link was put there by hand",
        );
        assert.equal((await remove(a, "link/kept")).status, 404, "it leads out of the folder");
        assert.ok(existsSync(join(outside, "kept")));
        assert.ok(existsSync(join(a.shareDir, "folder2/three")));
        await waitFor(async () => (await a.api("/status")).json.share.files === 2);
        assert.equal((await remove(a, "folder", "?recursive=true")).status, 404);
        assert.equal((await remove(a, "four", "?recursive=true")).status, 204, "a file goes the same way");
        await mkdir(join(a.shareDir, "empty"));
        assert.equal((await remove(a, "empty")).status, 204);
        for (const path of ["", ".", "..", "folder2/..", "%2e%2e"])
            assert.ok((await remove(a, path, "?recursive=true")).status >= 400, path);
        assert.ok(existsSync(join(a.shareDir, "folder2/three")));
    });

    test("stays as it is when something in it must not go", async (t) => {
        const share = join(tempDir(t), "share");
        await mkdir(share);
        const a = await startHostpair({ t, name: "a", share });
        const downloads_folder = join(share, "own", "downloads");
        const set = await a.api("/settings", { method: "PATCH", json: { downloads_folder } });
        assert.equal(set.status, 200, set.text);
        await makeFile(join(share, "own", "a file"), 10);
        await makeFile(join(share, "films", "aa"), 10);
        const part = join(share, "films", ".film.mp4.7.hostpair-part");
        await makeFile(part, 10);
        for (const [folder, why] of /** @type {Array<[string, RegExp]>} */ ([
            ["own", /that hostpair itself uses/],
            ["films", /download that is not finished/],
        ])) {
            const refused = await remove(a, folder, "?recursive=true");
            assert.equal(refused.status, 409, refused.text);
            assert.match(refused.json.detail, why);
            assert.match(refused.json.detail, /nothing was removed/);
        }
        assert.ok(existsSync(join(share, "own", "a file")));
        assert.ok(existsSync(join(share, "films", "aa")));
        assert.equal(readFileSync(part).length, 10);
        assert.equal((await a.api("/status")).status, 200);

        // An upload that was given up is no download.
        const begun = await a.api("/share/files/put/me/there.bin", {
            method: "PUT",
            headers: { "Content-Range": "bytes 0-9/20" },
            body: Buffer.alloc(10),
        });
        assert.equal(begun.status, 202, begun.text);
        assert.equal((await remove(a, "put", "?recursive=true")).status, 204);
        assert.ok(!existsSync(join(share, "put")));
    });

    test("keeps what hostpair did not put there", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const at = (/** @type {string} */ path) => join(a.shareDir, path);
        const removable = async (/** @type {string} */ folder) => {
            const { json } = await a.api(`/share/files?folder=${folder}`);
            return json.files.map((/** @type {any} */ file) => [file.name, file.removable]);
        };
        await mkdir(at("album"));
        await writeFile(at("mine.txt"), "mine");
        await writeFile(at("album/mine.txt"), "mine");
        await put(a, "album/copy.txt", "copy");
        await put(a, "copy.txt", "copy");
        await put(a, "edited.txt", "copy");
        await put(a, "replaced.txt", "copy");
        await appendFile(at("edited.txt"), " with a note");
        await rm(at("replaced.txt"));
        await writeFile(at("replaced.txt"), "mine");
        await waitFor(async () => (await a.api("/status")).json.share.files === 6);
        await waitFor(async () => (await removable("")).length === 4);
        assert.deepEqual(await removable(""), [
            ["copy.txt", true],
            ["edited.txt", false],
            ["mine.txt", false],
            ["replaced.txt", false],
        ]);
        await a.restart();
        for (const [path, query] of [
            ["mine.txt", ""],
            ["edited.txt", ""],
            ["replaced.txt", "?recursive=true"],
            ["album", "?recursive=true"],
            ["album/mine.txt", ""],
        ]) {
            const refused = await remove(a, path, query);
            assert.equal(refused.status, 403, `${path}: ${refused.text}`);
            assert.match(refused.json.detail, /put there by hand .* Delete it with your file manager/);
        }
        assert.deepEqual(
            ["mine.txt", "edited.txt", "replaced.txt", "album/mine.txt", "album/copy.txt"].map((path) =>
                readFileSync(at(path), "utf8"),
            ),
            ["mine", "copy with a note", "mine", "mine", "copy"],
        );
        assert.equal((await remove(a, "copy.txt")).status, 204);
        assert.equal((await remove(a, "album/copy.txt")).status, 204);
        await rm(at("album/mine.txt"));
        assert.equal((await remove(a, "album")).status, 204, "nothing is in it any more");
        assert.equal(existsSync(at("copy.txt")), false);
    });

    test("with two thousand files goes while the rest answers", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        for (let i = 0; i < 20; i++)
            await Promise.all(Array.from({ length: 100 }, (_, k) => put(a, `many/${i}/${k}`, "")));
        const removal = remove(a, "many", "?recursive=true");
        assert.equal((await a.api("/status")).status, 200);
        assert.equal((await removal).status, 204);
        assert.ok(!existsSync(join(a.shareDir, "many")));
    });
});
