// @ts-check
// Downloads from ordinary web servers: nginx where it is installed, else a small server of this file's, and servers that do
// one thing of their own.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
    createReadStream,
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { rename, rm, utimes } from "node:fs/promises";
import http from "node:http";
import { join, normalize } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    download,
    freePort,
    getDownload,
    makeBytes,
    makeFile,
    pathOf,
    request,
    sha256,
    sha256Of,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { assertWords, fileBytes, linked, sharing } from "./hosts.mjs";
import { startLink } from "./link.mjs";
import { assertFile, listen, said } from "./web.mjs";

/** @typedef {import("./harness.mjs").TestContext} TestContext */
/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

const nginx = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"].find((path) => existsSync(path));

/**
 * A server of files below `dir`: `/old/x` leads to `/new/x`, which leads to `/x`.
 * @param {TestContext} t
 */
async function webServer(t) {
    const dir = tempDir(t);
    const www = join(dir, "www");
    mkdirSync(www);
    return { www, port: await (nginx ? startNginx(t, dir, nginx) : startSmall(t, www)) };
}

/** @param {TestContext} t @param {string} dir @param {string} program */
async function startNginx(t, dir, program) {
    const port = await freePort();
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map((name) => `${name}_temp_path ${dir}/${name};`)
        .join(" ");
    writeFileSync(
        join(dir, "nginx.conf"),
        `daemon off; master_process off; pid ${dir}/pid; error_log ${dir}/error.log;
        events { worker_connections 256; }
        http {
            access_log off; sendfile on; ${temporary}
            server {
                listen 127.0.0.1:${port}; root ${dir}/www; absolute_redirect off;
                location /old/ { rewrite ^/old/(.*)$ /new/$1 redirect; }
                location /new/ { rewrite ^/new/(.*)$ /$1 permanent; }
            }
        }`,
    );
    const child = spawn(program, ["-p", dir, "-c", join(dir, "nginx.conf"), "-e", join(dir, "error.log")], {
        stdio: ["ignore", "inherit", "inherit"],
    });
    const ended = new Promise((done) => child.once("close", done));
    t.after(async () => {
        child.kill("SIGTERM");
        await ended;
    });
    await waitFor(async () => (await request(`http://127.0.0.1:${port}/none`)).status === 404, {
        what: "nginx",
    });
    return port;
}

/** @param {TestContext} t @param {string} www */
function startSmall(t, www) {
    return listen(t, (req, res) => {
        const path = normalize(decodeURIComponent((req.url ?? "/").replace(/[?#].*/, "")));
        const moved = /^\/(old|new)(\/.*)$/.exec(path);
        if (moved) {
            const location = moved[1] === "old" ? `/new${moved[2]}` : moved[2];
            res.writeHead(moved[1] === "old" ? 302 : 301, { Location: encodeURI(location) }).end();
            return;
        }
        const file = join(www, path);
        if (!existsSync(file) || !statSync(file).isFile()) {
            res.writeHead(404).end();
            return;
        }
        const { size, mtimeMs } = statSync(file);
        const etag = `"${mtimeMs.toString(16)}-${size.toString(16)}"`;
        const range = /^bytes=(\d+)-(\d*)$/.exec(req.headers.range ?? "");
        const ranged = size > 0 && range && (req.headers["if-range"] ?? etag) === etag;
        const start = ranged ? Number(range[1]) : 0;
        const end = ranged && range[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
        if (start >= size && size > 0) {
            res.writeHead(416, { "Content-Range": `bytes */${size}` }).end();
            return;
        }
        res.writeHead(ranged ? 206 : 200, {
            "Content-Length": end - start + 1,
            ETag: etag,
            "Accept-Ranges": "bytes",
            ...(ranged ? { "Content-Range": `bytes ${start}-${end}/${size}` } : {}),
        });
        if (size === 0 || req.method === "HEAD") res.end();
        else
            createReadStream(file, { start, end })
                .on("error", () => res.destroy())
                .pipe(res);
    });
}

describe(`a web server (${nginx ? "nginx" : "a small one"})`, { concurrency: 3 }, () => {
    test("is followed where it redirects to, the name is the URL's", { timeout: 60_000 }, async (t) => {
        const { www, port } = await webServer(t);
        const name = "na me 文 %20.tar.gz";
        const sum = await sha256(await makeFile(join(www, "sub", name), 9 * MiB + 5, 1));
        const link = await startLink({ t, to: port });
        const h = await startHostpair({ t });
        const url = `http://127.0.0.1:${link.port}/old/sub/${encodeURIComponent(name)}?token=a%2Fb&c=d#part`;
        const d = await download(h, { url, to: "from the web" });
        const again = await h.api("/downloads", { json: { url } });
        assert.deepEqual(
            [again.status, again.json.id],
            [200, d.id],
            "what is on its way is not ordered twice",
        );
        const done = await waitState(h, d.id, "done");
        await assertFile(h, done, sum);
        assert.equal(done.name, name);
        assert.equal(pathOf(h, done), join(h.downloadsDir, "from the web", name));
        assert.equal(done.sources.length, 1);
        assert.match(done.sources[0].address, /^127\.0\.0\.1:\d+$/);
        assert.ok(
            link.requests.every((r) => !r.path.includes("#")),
            "the part behind # stays here",
        );
        const parts = link.requests.filter((r) => r.status === 206);
        assert.ok(parts.length > 1, "it came in several parts");
        for (const { headers } of link.requests.filter((r) => r.status < 300))
            assert.equal(headers["accept-encoding"] ?? "identity", "identity");
    });

    test("is gone on with by ETag after kill -9 and after an outage", { timeout: 90_000 }, async (t) => {
        const { www, port } = await webServer(t);
        const size = 40 * MiB + 3;
        const sum = await sha256(await makeFile(join(www, "big.bin"), size, 2));
        const link = await startLink({ t, to: port, rate: 10 * MiB });
        const h = await startHostpair({ t });
        const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/new/big.bin` });
        await waitState(h, id, (d) => d.chunks_done >= 10);
        await h.kill9();
        const asked = link.requests.length;
        await h.restart();
        const now = await getDownload(h, id);
        assert.ok(now.done_bytes >= 6 * MiB, `${now.done_bytes} bytes are left`);
        await waitState(h, id, (d) => d.done_bytes >= 22 * MiB);
        link.goDown();
        const waiting = await waitState(h, id, (d) => d.reason);
        assert.equal(waiting.state, "running");
        assertWords(waiting.reason);
        link.comeUp();
        link.rate = 0;
        await assertFile(h, await waitState(h, id, "done"), sum);
        const after = link.requests.slice(asked).filter((r) => r.status === 206);
        const etag = after[0].replyHeaders.etag;
        assert.match(etag, /^"/);
        assert.ok(
            after.every((r) => r.headers["if-range"] === etag),
            "every part is asked for with the ETag",
        );
        const { distinct, twice } = link.twice("/big.bin");
        t.diagnostic(`${(twice / MiB).toFixed(1)} MiB were fetched twice`);
        assert.equal(distinct, size);
        const { json } = await h.api("/settings");
        const bound = 2 * (2 * json.connections_per_source * now.chunk_size + (10 * MiB) / 4);
        assert.ok(twice <= bound, `${twice} bytes were fetched twice, more than ${bound}`);
    });

    test(
        "with another file under the URL after kill -9: no mix, it starts over",
        { timeout: 60_000 },
        async (t) => {
            const { www, port } = await webServer(t);
            const size = 24 * MiB;
            await makeFile(join(www, "f.bin"), size, 3);
            const link = await startLink({ t, to: port, rate: 8 * MiB });
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${link.port}/f.bin` });
            await waitState(h, id, (d) => d.done_bytes >= 6 * MiB);
            await h.kill9();
            const sum = await sha256(await makeFile(join(www, "new"), size, 4));
            await utimes(join(www, "new"), 1_700_000_000, 1_700_000_000);
            await rename(join(www, "new"), join(www, "f.bin"));
            await h.restart();
            const told = await waitState(h, id, (d) => /start.*over/i.test(d.reason ?? ""));
            assertWords(told.reason);
            link.rate = 0;
            const d = await waitState(h, id, "done");
            assert.equal(await sha256(pathOf(h, d)), sum, "exactly the new one");
        },
    );

    test(
        "without the file: says so, and a retry finds it when it is there",
        { timeout: 60_000 },
        async (t) => {
            const { www, port } = await webServer(t);
            const h = await startHostpair({ t });
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/later.bin` });
            const failed = await waitState(h, id, "failed");
            assertWords(failed.error.detail);
            assert.match(said(failed), /404/);
            assert.deepEqual(readdirSync(h.downloadsDir), []);
            const sum = await sha256(await makeFile(join(www, "later.bin"), 2 * MiB, 5));
            const retried = await h.api(`/downloads/${id}/retry`, { method: "POST" });
            assert.ok([200, 202].includes(retried.status), retried.text);
            const d = await waitState(h, id, "done");
            await assertFile(h, d, sum);
            assert.equal(d.error, null);
            await rm(pathOf(h, d));
            const again = await download(h, { url: `http://127.0.0.1:${port}/later.bin` });
            await assertFile(
                h,
                await waitState(h, again.id, (d) => d.state === "done" && existsSync(pathOf(h, d))),
                sum,
            );
        },
    );

    test("gives files of every edge size", { timeout: 60_000 }, async (t) => {
        const { www, port } = await webServer(t);
        const h = await startHostpair({ t });
        for (const size of [0, 1, 16384, MiB, MiB + 1, 4 * MiB, 4 * MiB + 1]) {
            const sum = await sha256(await makeFile(join(www, `${size}.bin`), size, 6));
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/${size}.bin` });
            const d = await waitState(h, id, "done");
            assert.equal(d.size, size);
            assert.equal(await sha256(pathOf(h, d)), sum, `${size} bytes`);
        }
    });
});

describe("a URL", { concurrency: 3 }, () => {
    test("gives a name that is one, whatever it says", { timeout: 60_000 }, async (t) => {
        const port = await listen(t, (_, res) => res.end("content"));
        const h = await startHostpair({ t });
        const base = `http://127.0.0.1:${port}`;
        /** @type {Array<[string, string | RegExp]>} */
        const names = [
            ["/plain.txt", "plain.txt"],
            ["/a/b/c.d.txt?x=/y.txt", "c.d.txt"],
            ["/%E6%96%87%20%231.txt", "文 #1.txt"],
            ["/plus+sign", "plus+sign"],
            ["", /^[^/]+$/],
            ["/", /^[^/]+$/],
            ["/folder/", /^[^/]+$/],
            ["/?q=only", /^[^/]+$/],
            ["/..%2f..%2fout.txt", /^[^/]+$/],
            ["/%2e%2e", /^[^/]+$/],
            ["/a%00b", /^[^/]+$/],
            ["/line%0Abreak", /^[^/]+$/],
            ["/broken%zz", /^[^/]+$/],
            ["/bad%ff%fe", /^[^/]+$/],
            [`/${"n".repeat(300)}`, /^[^/]{1,255}$/],
            [`/${"%E6%96%87".repeat(100)}`, /^[^/]{1,85}$/],
            ["/.1.2.hostpair-part", /^[^/]+$/],
        ];
        for (const [path, name] of names) {
            const { id } = await download(h, { url: base + path });
            const d = await waitState(h, id, "done");
            if (typeof name === "string") assert.equal(d.name, name);
            else assert.match(d.name, name, path);
            assert.doesNotMatch(d.name, /^\.\.?$|[\x00-\x1f\x7f\ufffd]/);
            assert.equal(pathOf(h, d), join(h.downloadsDir, d.name));
            assert.equal(readFileSync(pathOf(h, d), "utf8"), "content", path);
        }
        assert.equal(readdirSync(h.downloadsDir).length, names.length, "each in a file of its own");
        assert.ok(!existsSync(join(h.root, "out.txt")));
    });

    test("that is none is refused", { timeout: 60_000 }, async (t) => {
        const h = await startHostpair({ t });
        for (const url of [
            "",
            "f.bin",
            "/etc/passwd",
            "file:///etc/passwd",
            "ftp://127.0.0.1/f",
            "javascript:alert(1)",
            "http://",
            "http:///f",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\nb",
            `http://127.0.0.1/${"x".repeat(9000)}`,
        ]) {
            const { status, json } = await h.api("/downloads", { json: { url } });
            assert.equal(status, 422, `${url.slice(0, 40)}: ${JSON.stringify(json)}`);
            assert.match(json.detail, /url/);
        }
        assert.deepEqual((await h.api("/downloads")).json.downloads, []);
    });

    test("where nobody answers, and where no such host is, is waited for", { timeout: 60_000 }, async (t) => {
        const h = await startHostpair({ t });
        const port = await freePort();
        const { id } = await download(h, { url: `http://127.0.0.1:${port}/f.bin` });
        const waiting = await waitState(h, id, (d) => said(d));
        assert.equal(waiting.state, "running");
        assertWords(said(waiting));
        const bytes = makeBytes(3 * MiB, 7);
        const server = http.createServer((_, res) => res.end(bytes));
        await new Promise((done) => server.listen(port, "127.0.0.1", () => done(undefined)));
        t.after(() => server.close());
        await assertFile(h, await waitState(h, id, "done"), sha256Of(bytes));
    });

    test("of a body whose length nobody knows ends where the body ends", { timeout: 60_000 }, async (t) => {
        let cut = true;
        const sizes = [0, 1, MiB, 4 * MiB, 4 * MiB + 1, 9 * MiB + 5];
        const port = await listen(t, (req, res) => {
            const size = Number(/\/(\d+)/.exec(req.url ?? "")?.[1]);
            const bytes = makeBytes(size, 8);
            res.writeHead(200, { ETag: `"${size}"` });
            for (let at = 0; at < size; at += 100_000)
                res.write(bytes.subarray(at, Math.min(at + 100_000, size)));
            if (cut && size === 9 * MiB + 5) {
                cut = false;
                setTimeout(() => res.destroy(), 300); // without the last chunk
            } else {
                res.end();
            }
        });
        const h = await startHostpair({ t });
        for (const size of sizes) {
            const { id } = await download(h, { url: `http://127.0.0.1:${port}/${size}.bin` });
            const d = await waitState(h, id, "done");
            assert.equal(d.size, size);
            await assertFile(h, d, sha256Of(makeBytes(size, 8)));
        }
        assert.equal(cut, false, "one was cut, and fetched again");
    });

    test(
        "is counted right when it is paused before its first chunk is whole",
        { timeout: 60_000 },
        async (t) => {
            const bytes = makeBytes(3 * MiB, 11);
            let honest = false;
            const port = await listen(t, (req, res) => {
                const size = Number(/\/(\d+)/.exec(req.url ?? "")?.[1]);
                res.writeHead(200, { "Content-Length": size, ETag: '"1"' });
                if (honest) res.end(bytes.subarray(0, size));
                else res.write(bytes.subarray(0, size / 2));
            });
            const h = await startHostpair({ t });
            for (const size of [1000, 3 * MiB]) {
                honest = false;
                const { id } = await download(h, { url: `http://127.0.0.1:${port}/${size}.bin` });
                for (let i = 0; i < 3; i++) {
                    await waitState(h, id, (d) => d.size === size);
                    await h.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
                    await h.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued" } });
                }
                honest = true;
                const d = await waitState(h, id, "done", { timeout: 40_000 });
                await assertFile(h, d, sha256Of(bytes.subarray(0, size)));
                assert.deepEqual(
                    [d.size, d.chunks_total, d.chunks_done, d.files_done],
                    [size, size > MiB ? 3 : 1, size > MiB ? 3 : 1, 1],
                );
            }
        },
    );

    test("goes through the proxy of the environment, a host never does", { timeout: 60_000 }, async (t) => {
        /** @type {string[]} */
        const proxied = [];
        const proxy = await listen(t, (req, res) => {
            proxied.push(req.url ?? "");
            res.end("from afar");
        });
        const a = await sharing(t, "a", { "f.bin": { size: 2 * MiB, seed: 9 } });
        const h = await startHostpair({
            t,
            name: "h",
            env: {
                http_proxy: `http://127.0.0.1:${proxy}`,
                HTTP_PROXY: `http://127.0.0.1:${proxy}`,
                ALL_PROXY: `http://127.0.0.1:${proxy}`,
                NO_PROXY: "",
                no_proxy: "",
            },
        });
        const { link, id: host } = await linked(t, h, a.peerPort);
        const d = await download(h, { host, path: "f.bin" });
        assert.equal((await waitState(h, d.id, "done")).verified, true);
        assert.ok(fileBytes(link) >= 2 * MiB);
        assert.deepEqual(proxied, [], "the proxy was not asked for a host's file");
        const { id } = await download(h, { url: "http://somewhere.invalid/far.txt" });
        assert.equal(readFileSync(pathOf(h, await waitState(h, id, "done")), "utf8"), "from afar");
        assert.ok(proxied.every((url) => url === "http://somewhere.invalid/far.txt") && proxied.length > 0);
    });
});

describe("https", { concurrency: 3 }, () => {
    /** A certificate that is its own authority. @param {TestContext} t @param {string} names subjectAltName */
    function certificate(t, names) {
        const dir = tempDir(t);
        const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
        execFileSync(
            "openssl",
            [
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ].concat([
                "-subj",
                "/CN=hostpair test",
                "-addext",
                `subjectAltName=${names}`,
                "-keyout",
                key,
                "-out",
                cert,
            ]),
            { stdio: "pipe" },
        );
        return { file: cert, key: readFileSync(key), cert: readFileSync(cert) };
    }

    /** @param {TestContext} t @param {{ key: Buffer, cert: Buffer }} tls */
    async function secure(t, tls) {
        const bytes = makeBytes(3 * MiB + 1, 10);
        /** @type {string[]} */
        const asked = [];
        const plain = await listen(t, (req, res) => {
            asked.push(`plain ${req.url}`);
            res.writeHead(302, { Location: `https://127.0.0.1:${port}${req.url}` }).end();
        });
        const port = await listen(
            t,
            (req, res) => {
                asked.push(`secure ${req.url}`);
                if (req.url === "/down.bin")
                    res.writeHead(302, { Location: `http://127.0.0.1:${plain}/x.bin` }).end();
                else res.end(bytes);
            },
            tls,
        );
        return { port, plain, asked, sum: sha256Of(bytes) };
    }

    test("with a certificate of nobody known is refused", { timeout: 60_000 }, async (t) => {
        const { port, plain, asked } = await secure(t, certificate(t, "IP:127.0.0.1"));
        const h = await startHostpair({ t });
        for (const url of [`https://127.0.0.1:${port}/f.bin`, `http://127.0.0.1:${plain}/g.bin`]) {
            const { id } = await download(h, { url });
            const failed = await waitState(h, id, "failed");
            assertWords(failed.error.detail);
            assert.match(failed.error.detail, /certificate/i);
        }
        assert.deepEqual(
            asked.filter((line) => line.startsWith("secure")),
            [],
            "nothing was asked for over a connection that cannot be trusted",
        );
        assert.deepEqual(readdirSync(h.downloadsDir), []);
    });

    test("with a certificate for another name is refused", { timeout: 60_000 }, async (t) => {
        const tls = certificate(t, "DNS:example.org");
        const { port, asked } = await secure(t, tls);
        const h = await startHostpair({ t, env: { SSL_CERT_FILE: tls.file } });
        const { id } = await download(h, { url: `https://127.0.0.1:${port}/f.bin` });
        const failed = await waitState(h, id, "failed");
        assertWords(failed.error.detail);
        assert.deepEqual(asked, []);
    });

    test(
        "with a certificate that is trusted works, and is never left for http",
        { timeout: 60_000 },
        async (t) => {
            const tls = certificate(t, "IP:127.0.0.1");
            const { port, plain, asked, sum } = await secure(t, tls);
            const h = await startHostpair({ t, env: { SSL_CERT_FILE: tls.file } });
            for (const url of [`https://127.0.0.1:${port}/f.bin`, `http://127.0.0.1:${plain}/g.bin`]) {
                const { id } = await download(h, { url });
                await assertFile(h, await waitState(h, id, "done"), sum);
            }
            const { id } = await download(h, { url: `https://127.0.0.1:${port}/down.bin` });
            const failed = await waitState(h, id, "failed");
            assertWords(failed.error.detail);
            assert.ok(!asked.includes("plain /x.bin"), "the redirect to http was not followed");
        },
    );
});
