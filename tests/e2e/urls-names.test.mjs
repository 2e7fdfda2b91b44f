// @ts-check
// What a link leads to: the name that its file gets, a page in place of a file, a host's own file, another server.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import http2 from "node:http2";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    download,
    getDownload,
    makeBytes,
    pathOf,
    sha256,
    sha256Of,
    startHostpair,
    tempDir,
    waitState,
} from "./harness.mjs";
import { assertWords, linked, listed, sharing } from "./hosts.mjs";
import { makeIdentity } from "./identities.mjs";
import { startLink } from "./link.mjs";
import { assertFile, give, listen } from "./web.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */

/**
 * Files with a key and a certificate that nobody else has signed.
 * @param {TestContext} t
 * @param {string} [names] subjectAltName
 */
function certificate(t, names = "IP:127.0.0.1") {
    const dir = tempDir(t);
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const subject = ["-subj", "/CN=h2", "-addext", `subjectAltName=${names}`];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    const files = ["-nodes", "-days", "2", "-keyout", key, "-out", cert];
    execFileSync("openssl", ["req", "-x509", ...curve, ...subject, ...files], { stdio: "pipe" });
    return { key, cert };
}

/** @param {any} d */
const ended = (d) => ["done", "failed"].includes(d.state);

describe("the name of a file from a URL", { concurrency: 4 }, () => {
    test("is what its server says, in every way to say it", { timeout: 60_000 }, async (t) => {
        /** @type {Array<[string, string]>} */
        const names = [
            ["attachment; filename=plain.bin", "plain.bin"],
            ['attachment; filename="with blanks; and \\"quotes\\".bin"', 'with blanks; and "quotes".bin'],
            ["attachment; filename*=UTF-8''%e6%96%87%20%e2%82%ac.txt", "文 €.txt"],
            ["attachment; filename=\"ascii.txt\"; filename*=UTF-8''f%C3%BCr.txt", "für.txt"],
            ["attachment; filename*=utf-8'de'erst.txt; filename=zweit.txt", "erst.txt"],
            ["attachment; filename*=iso-8859-1'en'%A3%20rates.txt", "£ rates.txt"],
            ["attachment; FileName = spaced.txt ; size=3", "spaced.txt"],
            ["inline; filename=shown.pdf", "shown.pdf"],
            ['attachment; filename="../../etc/passwd"', "passwd"],
            ['attachment; filename="C:\\\\dir\\\\win.exe"', "win.exe"],
            ['attachment; filename=".."', "from-url.dat"],
            ['attachment; filename=""', "from-url.dat"],
            ["attachment; filename*=UTF-8''%00x", "from-url.dat"],
            ["attachment; filename*=UTF-8''%ff", "from-url.dat"],
            ["attachment", "from-url.dat"],
            [`attachment; filename="${"l".repeat(300)}.tar.gz"`, `${"l".repeat(248)}.tar.gz`],
        ];
        let field = "";
        const port = await listen(t, (req, res) => {
            res.writeHead(200, { "Content-Disposition": Buffer.from(field, "utf8").toString("latin1") });
            res.end("content");
        });
        const h = await startHostpair({ t });
        for (const [i, [said, name]] of names.entries()) {
            field = said;
            const { id } = await download(h, {
                url: `http://127.0.0.1:${port}/from-url.dat?${i}`,
                to: `${i}`,
            });
            const d = await waitState(h, id, ended);
            assert.equal(d.name, name, said);
            assert.equal(pathOf(h, d), join(h.downloadsDir, `${i}`, name));
            assert.equal(readFileSync(pathOf(h, d), "utf8"), "content");
            assert.deepEqual(readdirSync(join(h.downloadsDir, `${i}`)), [name]);
        }
    });

    test("is the last URL's of its redirects, and free", { timeout: 60_000 }, async (t) => {
        const bytes = makeBytes(3 * MiB, 70);
        const port = await listen(t, (req, res) => {
            if (req.url?.startsWith("/get"))
                res.writeHead(302, { Location: "/files/real%20name.bin?k=1" }).end();
            else give(req, res, bytes);
        });
        const h = await startHostpair({ t });
        for (const name of ["real name.bin", "real name (1).bin"]) {
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/get.php?n=${name.length}` });
            const d = await waitState(h, id, ended);
            await assertFile(h, d, sha256Of(bytes));
            assert.equal(d.name, name);
            await h.restart();
            assert.equal((await getDownload(h, id)).path, name);
        }
        const long = `${"文".repeat(100)}.iso`;
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/${encodeURIComponent(long)}` });
        const d = await waitState(h, id, ended);
        assert.equal(d.name, `${"文".repeat(83)}.iso`, "a long name keeps its extension");
    });
});

describe("a link", { concurrency: 4 }, () => {
    test("to a page: said before it is saved, and saved on a second wish", { timeout: 60_000 }, async (t) => {
        const page = "<!doctype html><title>Sign in</title>";
        const port = await listen(t, (req, res) => {
            res.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
        });
        const h = await startHostpair({ t });
        for (const path of ["/", "/setup.iso", "/get?file=1"]) {
            const { id } = await download(h, { url: `http://127.0.0.1:${port}${path}` });
            const d = await waitState(h, id, ended);
            assert.equal(d.state, "failed", path);
            assert.equal(d.error.code, "web-page");
            assertWords(d.error.detail);
            assert.deepEqual(readdirSync(h.downloadsDir), []);
            await h.api(`/downloads/${id}/retry`, { method: "POST" });
            const saved = await waitState(h, id, "done");
            assert.equal(readFileSync(pathOf(h, saved), "utf8"), page);
            await h.api(`/downloads/${id}`, { method: "DELETE" });
            await rm(pathOf(h, saved));
        }
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/manual.html` });
        assert.equal((await waitState(h, id, ended)).state, "done", "a page that was asked for");
    });

    test("to a host that is known is its file", { timeout: 60_000 }, async (t) => {
        const a = await sharing(t, "a", {
            "sub/f ile.bin": { size: 3 * MiB, seed: 71 },
            "sub/g.bin": { size: 10, seed: 72 },
            "hostpair/h.bin": { size: 11, seed: 73 },
        });
        const b = await startHostpair({ t, name: "b" });
        const { link, id: host } = await linked(t, b, a.peerPort, { files: 3 });
        const base = `http://127.0.0.1:${link.port}`;
        for (const [path, file] of [
            ["/sub/f%20ile.bin", "sub/f ile.bin"],
            ["/files/hostpair/h.bin", "hostpair/h.bin"],
        ]) {
            const { id } = await download(b, { url: base + path });
            const d = await waitState(b, id, "done");
            assert.equal(d.sources[0].host, host);
            assert.equal(d.verified, true);
            assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, file)));
        }
        const folder = await waitState(b, (await download(b, { url: `${base}/files/sub/` })).id, "done");
        assert.deepEqual([folder.folder, folder.files_done], [true, 2]);
    });

    test("to the name by which it was added, or to its page of a folder, is the host's as well", async (t) => {
        const a = await sharing(t, "a", {
            "sub/f ile.bin": { size: 4000, seed: 71 },
            "sub/g+h.bin": { size: 10, seed: 72 },
        });
        const b = await startHostpair({ t, name: "b" });
        const added = await b.api("/hosts", { json: { address: `localhost:${a.peerPort}` } });
        const host = added.json.id;
        await listed(b, host, 2);
        const named = await download(b, { url: `http://LocalHost:${a.peerPort}/files/sub/g+h.bin` });
        const d = await waitState(b, named.id, "done");
        assert.equal(d.sources[0].host, host);
        const page = await download(b, { url: `http://127.0.0.1:${a.peerPort}/?folder=sub&from=0` });
        const folder = await waitState(b, page.id, "done");
        assert.deepEqual([folder.folder, folder.name, folder.files_done], [true, "sub", 2]);
        for (const other of ["/?folder=", "/?folder=..%2f", "/?name=sub", "/?folder=sub%00"]) {
            const { id } = await download(b, { url: `http://127.0.0.1:${a.peerPort}${other}` });
            const last = await waitState(b, id, ["done", "failed"]);
            assert.equal(last.folder, false, other);
        }
    });

    test(
        "that is given anew at another server: header fields and certificate of the first stay with it",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(3 * MiB, 90);
            /** What each server was sent. @type {Array<string | undefined>[]} */
            const sent = [[], []];
            const files = certificate(t);
            const key = readFileSync(files.key);
            const cert = readFileSync(files.cert);
            /** @type {number[]} */
            const servers = [];
            for (const seen of sent)
                servers.push(
                    await listen(
                        t,
                        (req, res) => {
                            seen.push(req.headers.cookie, /** @type {string} */ (req.headers["x-token"]));
                            if (req.headers.cookie !== "session=new" && seen === sent[0])
                                res.writeHead(403, { "Content-Length": 0 }).end();
                            else give(req, res, bytes);
                        },
                        { key, cert },
                    ),
                );
            const known = new X509Certificate(cert).fingerprint256;
            const h = await startHostpair({ t });
            const url = (/** @type {number} */ n) => `https://127.0.0.1:${servers[n]}/f.bin`;
            const order = {
                url: url(0),
                certificate: known,
                headers: { Cookie: "session=old", "X-Token": "secret" },
            };
            const { id } = await download(h, order);
            const change = (/** @type {object} */ json) =>
                h.api(`/downloads/${id}`, { method: "PATCH", json });
            assert.match((await waitState(h, id, ended)).error.detail, /403/);
            assert.ok(sent[0].includes("secret"));

            for (const headers of [
                { "bad name": "x" },
                { Range: "bytes=0-1" },
                { a: "x\ny" },
                { a: 1 },
                "x",
            ]) {
                const bad = await change({ headers });
                assert.equal(bad.status, 422, bad.text);
                assert.match(bad.json.detail, /^headers: /);
            }
            const bad = await change({ url: url(1), certificate: known.slice(2) });
            assert.equal(bad.status, 422, "nothing is changed then");
            assert.equal((await change({ url: url(1) })).status, 200);
            assert.equal(
                (await waitState(h, id, ended)).error.code,
                "certificate",
                "it is not trusted there",
            );
            assert.equal((await change({ certificate: known })).status, 200);
            await h.restart();
            await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
            assert.ok(sent[1].length > 0);
            assert.deepEqual([...new Set(sent[1])], [undefined]);

            sent[0].length = 0;
            const second = await download(h, { ...order, copy: true });
            assert.match((await waitState(h, second.id, ended)).error.detail, /403/);
            const renewed = await h.api(`/downloads/${second.id}`, {
                method: "PATCH",
                json: { url: `${url(0)}?again`, headers: { Cookie: "session=new" } },
            });
            assert.equal(renewed.status, 200, renewed.text);
            await assertFile(h, await waitState(h, second.id, ended), sha256Of(bytes));
            assert.deepEqual(sent[0].slice(-2), ["session=new", undefined], "in place of all of them");
            const late = await h.api(`/downloads/${second.id}`, { method: "PATCH", json: { headers: {} } });
            assert.equal(late.status, 409);
        },
    );

    test("that has expired is given anew, and goes on", { timeout: 60_000 }, async (t) => {
        const bytes = makeBytes(12 * MiB, 74);
        let good = "one";
        const port = await listen(t, (req, res) => {
            if (!req.url?.endsWith(`key=${good}`)) res.writeHead(403, { "Content-Length": 0 }).end();
            else give(req, res, bytes);
        });
        const link = await startLink({ t, to: port, rate: 6 * MiB });
        const h = await startHostpair({ t });
        const url = (/** @type {string} */ key) => `http://127.0.0.1:${link.port}/f.bin?key=${key}`;
        const { id } = await download(h, { url: url("one") });
        await waitState(h, id, (d) => d.chunks_done >= 4);
        good = "two";
        link.breakAll();
        link.rate = 0;
        const failed = await waitState(h, id, "failed");
        assert.match(failed.error.detail, /403/);
        const bad = await h.api(`/downloads/${id}`, { method: "PATCH", json: { url: "ftp://x/y" } });
        assert.equal(bad.status, 422);
        assert.match(bad.json.detail, /^url: /);
        const before = link.carried();
        const changed = await h.api(`/downloads/${id}`, { method: "PATCH", json: { url: url("two") } });
        assert.equal(changed.status, 200);
        const d = await waitState(h, id, "done");
        await assertFile(h, d, sha256Of(bytes));
        assert.ok(link.carried() - before < bytes.length - 3.5 * MiB, "what was here is not fetched again");
        const late = await h.api(`/downloads/${id}`, { method: "PATCH", json: { url: url("two") } });
        assert.equal(late.status, 409, "it is done");
    });

    test(
        "with a user and a password: sent to that server alone, never shown",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(3 * MiB, 75);
            /** @type {string[]} */
            const told = [];
            const other = await listen(t, (req, res) => {
                told.push(req.headers.authorization ?? "none");
                give(req, res, bytes);
            });
            const wanted = `Basic ${Buffer.from("ann:p@ss word").toString("base64")}`;
            const port = await listen(t, (req, res) => {
                if (req.headers.authorization !== wanted) {
                    res.writeHead(401, { "WWW-Authenticate": "Basic", "Content-Length": 0 }).end();
                } else if (req.url === "/move.bin") {
                    const { host } = req.headers;
                    res.writeHead(302, { Location: `http://${host}/here.bin`, "Content-Length": 0 }).end();
                } else if (req.url === "/away.bin") {
                    res.writeHead(302, {
                        Location: `http://127.0.0.1:${other}/x.bin`,
                        "Content-Length": 0,
                    }).end();
                } else {
                    give(req, res, bytes);
                }
            });
            const h = await startHostpair({ t });
            for (const path of ["/f.bin", "/move.bin", "/away.bin"]) {
                const { id } = await download(h, {
                    url: `http://ann:p%40ss%20word@127.0.0.1:${port}${path}`,
                });
                await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
            }
            assert.ok(told.length > 0 && told.every((one) => one === "none"), `${told}`);
            const wrong = await download(h, { url: `http://ann:sesame@127.0.0.1:${port}/g.bin` });
            const failed = await waitState(h, wrong.id, ended);
            assert.equal(failed.state, "failed");
            const shown = JSON.stringify([(await h.api("/downloads")).json, (await h.api("/log")).json]);
            assert.doesNotMatch(shown + h.stderr(), /p%40ss|p@ss|sesame|ann:/);
            assert.equal(failed.sources[0].host, `http://127.0.0.1:${port}`);
        },
    );

    test("whose redirects set cookies takes them along", { timeout: 60_000 }, async (t) => {
        const bytes = makeBytes(3 * MiB, 76);
        let without = 0;
        const port = await listen(t, (req, res) => {
            if (req.url === "/start.bin") {
                if (req.headers.cookie) without = -1e9; // of an earlier chain
                res.writeHead(302, {
                    Location: "/f.bin",
                    "Set-Cookie": "ok=yes; Path=/",
                    "Content-Length": 0,
                });
                res.end();
            } else if (/ok=yes/.test(req.headers.cookie ?? "")) {
                give(req, res, bytes);
            } else {
                without++;
                res.writeHead(302, { Location: "/start.bin", "Content-Length": 0 }).end();
            }
        });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/start.bin` });
        await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
        assert.equal(without, 0);
    });

    test("to a server that speaks HTTP/2 alone", { timeout: 60_000 }, async (t) => {
        const { key, cert } = certificate(t);
        const bytes = makeBytes(9 * MiB + 1, 77);
        const versions = new Set();
        const server = http2.createSecureServer(
            { key: readFileSync(key), cert: readFileSync(cert) },
            (req, res) => {
                versions.add(req.httpVersion);
                give(/** @type {any} */ (req), /** @type {any} */ (res), bytes);
            },
        );
        await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => server.close());
        const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
        const h = await startHostpair({ t, env: { SSL_CERT_FILE: cert } });
        const { id } = await download(h, { url: `https://127.0.0.1:${port}/f.bin` });
        await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
        assert.deepEqual([...versions], ["2.0"]);
    });

    test("with an international host name", { timeout: 60_000 }, async (t) => {
        /** @type {string[]} */
        const asked = [];
        const proxy = await listen(t, (req, res) => {
            asked.push(req.url ?? "");
            res.end("from afar");
        });
        const h = await startHostpair({ t, env: { http_proxy: `http://127.0.0.1:${proxy}`, no_proxy: "" } });
        const { id } = await download(h, { url: "http://bücher.example/über.txt" });
        const d = await waitState(h, id, ended);
        assert.equal(d.state, "done", d.error?.detail);
        assert.equal(d.name, "über.txt");
        assert.ok(
            asked.every((url) => url === "http://xn--bcher-kva.example/%C3%BCber.txt"),
            `${asked}`,
        );
    });

    test(
        "with header fields sends them to that server alone, also after a restart",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(4 * MiB, 78);
            /** @type {string[]} */
            const told = [];
            const other = await listen(t, (req, res) => {
                told.push(`${req.headers.cookie ?? "none"}`);
                give(req, res, bytes);
            });
            const port = await listen(t, (req, res) => {
                const { cookie, referer, "user-agent": agent } = req.headers;
                if (cookie !== "a=b; c=d" || referer !== "https://example.org/x" || agent !== "Me/1") {
                    res.writeHead(403, { "Content-Length": 0 }).end();
                } else if (req.url === "/away.bin") {
                    res.writeHead(302, {
                        Location: `http://127.0.0.1:${other}/x.bin`,
                        "Content-Length": 0,
                    }).end();
                } else {
                    give(req, res, bytes);
                }
            });
            const link = await startLink({ t, to: port, rate: 2 * MiB });
            const h = await startHostpair({ t });
            const headers = { Cookie: "a=b; c=d", Referer: "https://example.org/x", "User-Agent": "Me/1" };
            const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin`, headers });
            await waitState(h, id, (d) => d.chunks_done >= 1);
            await h.restart();
            link.rate = 0;
            await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
            const away = await download(h, { url: `http://127.0.0.1:${port}/away.bin`, headers });
            await assertFile(h, await waitState(h, away.id, ended), sha256Of(bytes));
            assert.ok(told.length > 0 && told.every((one) => one === "none"), `${told}`);
            for (const bad of [
                { Host: "x" },
                { "a b": "c" },
                { A: "b\r\nC: d" },
                { Range: "bytes=0-" },
                { A: 5 },
                "A: b",
            ]) {
                const url = `http://127.0.0.1:${port}/g.bin`;
                const { status, json } = await h.api("/downloads", { json: { url, headers: bad } });
                assert.equal(status, 422, JSON.stringify(bad));
                assert.match(json.detail, /^headers: /);
            }
        },
    );

    test(
        "to a server with a certificate of its own, known by its fingerprint",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(4 * MiB, 79);
            const { key, cert } = certificate(t);
            const known = new X509Certificate(readFileSync(cert)).fingerprint256;
            let asked = 0;
            const tls = { key: readFileSync(key), cert: readFileSync(cert) };
            const port = await listen(
                t,
                (req, res) => {
                    asked++;
                    give(req, res, bytes);
                },
                tls,
            );
            const h = await startHostpair({ t });
            const url = `https://127.0.0.1:${port}/f.bin`;
            const wrong = known.replaceAll(/[0-9A-F]/g, (digit) => (digit === "0" ? "1" : "0"));
            const refused = await waitState(h, (await download(h, { url, certificate: wrong })).id, ended);
            assert.equal(refused.error.code, "tls");
            assert.match(
                refused.error.detail,
                new RegExp(known.replaceAll(":", ""), "i"),
                "what it shows is told",
            );
            assert.equal(asked, 0, "nothing was asked of it");
            await h.api(`/downloads/${refused.id}`, { method: "DELETE" });
            const { id } = await download(h, { url, certificate: known });
            await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
            const without = await waitState(h, (await download(h, { url: `${url}?2` })).id, ended);
            assert.equal(without.error?.code, "certificate", "it holds for that order alone");
            for (const [at, bad] of [
                [url, "12:34"],
                [`http://127.0.0.1:${port}/f.bin`, known],
            ]) {
                const { status, json } = await h.api("/downloads", { json: { url: at, certificate: bad } });
                assert.equal(status, 422);
                assert.match(json.detail, /^certificate: /);
            }
        },
    );

    /** Certificates that are not trusted. @type {Record<string, (t: TestContext) => { key: Buffer, cert: Buffer, file?: string }>} */
    const untrusted = {
        "that nobody known has signed": (t) => {
            const { key, cert } = certificate(t);
            return { key: readFileSync(key), cert: readFileSync(cert) };
        },
        "for another name": (t) => {
            const { key, cert } = certificate(t, "DNS:example.org");
            return { key: readFileSync(key), cert: readFileSync(cert), file: cert };
        },
        "that has expired": (t) => {
            const { key, cert } = makeIdentity({ until: "20010101000000Z" });
            const file = join(tempDir(t), "cert.pem");
            writeFileSync(file, cert);
            return { key: Buffer.from(key), cert: Buffer.from(cert), file };
        },
    };
    for (const [what, make] of Object.entries(untrusted))
        test(
            `to a server with a certificate ${what}: it is told, and may be trusted`,
            { timeout: 60_000 },
            async (t) => {
                const bytes = makeBytes(2 * MiB, 80);
                const { key, cert, file } = make(t);
                const shown = new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase();
                /** @type {Array<string | undefined>} */
                const logins = [];
                const port = await listen(
                    t,
                    (req, res) => {
                        logins.push(req.headers.authorization);
                        give(req, res, bytes);
                    },
                    { key, cert },
                );
                const h = await startHostpair({ t, env: file ? { SSL_CERT_FILE: file } : {} });
                const url = `https://127.0.0.1:${port}/f.bin`;
                const { id } = await download(h, { url, user: "ann", password: "p" });
                const failed = await waitState(h, id, ended);
                assert.equal(failed.state, "failed");
                assertWords(failed.error.detail);
                assert.equal(failed.error.code, "certificate");
                assert.equal(failed.error.certificate, shown);
                assert.ok(failed.error.detail.endsWith(shown), failed.error.detail);
                assert.deepEqual(logins, [], "nothing was asked of it");
                await h.api(`/downloads/${id}/retry`, { method: "POST" });
                assert.equal((await waitState(h, id, ended)).state, "failed", "a retry trusts nothing");
                await h.restart();
                assert.equal((await getDownload(h, id)).error.certificate, shown);
                const change = (/** @type {object} */ json) =>
                    h.api(`/downloads/${id}`, { method: "PATCH", json });
                const wrong = await change({ certificate: shown.slice(1) });
                assert.equal(wrong.status, 422, wrong.text);
                assert.deepEqual(logins, []);
                const trusted = await change({ certificate: shown });
                assert.equal(trusted.status, 200, trusted.text);
                await assertFile(h, await waitState(h, id, ended), sha256Of(bytes));
                assert.deepEqual([...new Set(logins)], [`Basic ${Buffer.from("ann:p").toString("base64")}`]);
                const other = await waitState(h, (await download(h, { url: `${url}?2` })).id, ended);
                assert.equal(other.error?.code, "certificate", "it holds for that download alone");
            },
        );

    test(
        "that redirects to a server whose certificate is not trusted: what it is holds for the first alone",
        { timeout: 60_000 },
        async (t) => {
            const { key, cert } = makeIdentity();
            const shown = new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase();
            const secure = await listen(t, (req, res) => give(req, res, Buffer.from("x")), { key, cert });
            const port = await listen(t, (req, res) => {
                res.writeHead(302, { Location: `https://127.0.0.1:${secure}/f.bin` }).end();
            });
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/f.bin` });
            const failed = await waitState(h, id, ended);
            assert.equal(failed.error?.code, "tls");
            assert.equal(failed.error.certificate, undefined, "there is nothing to trust it for");
            assert.match(failed.error.detail, new RegExp(shown));
            const refused = await h.api(`/downloads/${id}`, {
                method: "PATCH",
                json: { certificate: shown },
            });
            assert.equal(refused.status, 422, refused.text);
            assert.match(refused.json.detail, /^certificate: .*https/);
        },
    );
});
