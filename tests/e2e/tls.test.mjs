// @ts-check
// Who a host is, and TLS on the peer port: the key's file over starts, copies and damage; curl, openssl and a browser as
// clients; what is refused; who is let in.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
    chmodSync,
    copyFileSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    statSync,
    writeFileSync,
} from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import tls from "node:tls";

import { chromium, closeBrowser, skip as noBrowser } from "./browser.mjs";
import {
    MiB,
    makeFile,
    request,
    runHostpair,
    sha256,
    sha256Of,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */
/** @typedef {import("./harness.mjs").TestContext} TestContext */

/**
 * Runs a program to its end.
 * @param {string} program
 * @param {string[]} args
 * @param {{ input?: string | Buffer, timeout?: number }} [options]
 * @returns {Promise<{ code: number, stdout: Buffer, stderr: string }>}
 */
function run(program, args, { input, timeout = 30_000 } = {}) {
    return new Promise((done) => {
        const child = execFile(
            program,
            args,
            {
                encoding: "buffer",
                maxBuffer: 128 * MiB,
                timeout,
                env: { ...process.env, OPENSSL_CONF: "/dev/null" },
            },
            (error, stdout, stderr) =>
                done({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr: stderr.toString() }),
        );
        child.stdin?.on("error", () => {});
        child.stdin?.end(input ?? "");
    });
}

/** @param {string[]} args */
const curl = (...args) => run("curl", ["-sS", "--max-time", "25", ...args]);

/** What s_client says of a handshake. @param {number} port @param {string[]} args @param {string} [input] */
async function sClient(port, args, input) {
    const { code, stdout, stderr } = await run(
        "openssl",
        ["s_client", "-connect", `127.0.0.1:${port}`, ...args],
        { input },
    );
    const said = stdout.toString() + stderr;
    const [, version, suite] = /^New, (\S+), Cipher is (\S+)$/m.exec(said) ?? [];
    return { code, said, version, suite: suite === "(NONE)" ? undefined : suite };
}

/**
 * A key and its self-signed certificate.
 * @param {string} dir
 * @param {string[]} kind options of openssl req
 */
async function certificate(dir, kind) {
    const name = join(dir, `client-${readdirSync(dir).length}`);
    const made = await run("openssl", [
        ...["req", "-x509", "-nodes", "-subj", "/CN=client", "-days", "2"],
        ...["-keyout", `${name}.key`, "-out", `${name}.pem`, ...kind],
    ]);
    assert.equal(made.code, 0, made.stderr);
    const der = await run("openssl", ["x509", "-in", `${name}.pem`, "-noout", "-pubkey"]);
    const spki = Buffer.from(der.stdout.toString().replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
    return { key: `${name}.key`, cert: `${name}.pem`, fingerprint: sha256Of(spki) };
}
const P256 = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const RSA = ["-newkey", "rsa:2048"];

/** Whatever its end is. @param {net.Socket} socket */
const closed = (socket) => new Promise((done) => socket.once("close", done));

/** The clients that the peer listener has now. @param {Hostpair} h */
const connections = async (h) => (await h.api("/connections")).json.connections;

describe("identity", { concurrency: 3 }, () => {
    /** @param {string} dir */
    const file = (dir) => join(dir, "identity.pem");
    /** @param {string} data @param {string[]} args */
    const identity = async (data, /** @type {string[]} */ ...args) => {
        const { code, stdout, stderr } = await runHostpair(["identity", "--json", "--data", data, ...args]);
        return { code, stderr, ...(code === 0 ? JSON.parse(stdout) : {}) };
    };

    test("is made at the first start, and the same from then on", async (t) => {
        const h = await startHostpair({ t });
        const { id } = (await h.api("/status")).json;
        const pem = readFileSync(file(h.dataDir));
        assert.equal(statSync(file(h.dataDir)).mode & 0o777, 0o600);
        const told = await identity(h.dataDir);
        assert.equal(told.id, id);
        assert.match(told.fingerprint, new RegExp(`^${id}[0-9a-f]{32}$`));
        const shown = await run("openssl", ["s_client", "-connect", `127.0.0.1:${h.peerPort}`, "-showcerts"]);
        const key = await run("openssl", ["x509", "-noout", "-pubkey"], { input: shown.stdout });
        const spki = Buffer.from(key.stdout.toString().replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
        assert.equal(sha256Of(spki), told.fingerprint);
        await h.restart();
        await h.kill9();
        await h.start();
        assert.equal((await h.api("/status")).json.id, id);
        assert.deepEqual(readFileSync(file(h.dataDir)), pem);
    });

    test("goes with a copy of the data folder", async (t) => {
        const a = await startHostpair({ t });
        const { id } = (await a.api("/status")).json;
        await a.stop();
        const data = tempDir(t);
        for (const name of readdirSync(a.dataDir)) copyFileSync(join(a.dataDir, name), join(data, name));
        chmodSync(file(data), 0o644);
        const b = await startHostpair({ t, data });
        assert.equal((await b.api("/status")).json.id, id);
        assert.equal(statSync(file(data)).mode & 0o777, 0o600, "others may not read it");
        assert.match(b.stderr(), /could be read by other users/);
    });

    test("that is damaged or unreadable ends the start, says what to do, and stays as it is", async (t) => {
        const a = await startHostpair({ t });
        await a.stop();
        const whole = readFileSync(file(a.dataDir), "utf8");
        for (const [bytes, why] of [
            ["", "no private key"],
            [whole.slice(0, 100), "no private key"],
            [whole.slice(0, 500), "no certificate"],
            [whole.replace(/^M(.)/m, "A$1"), "no private key"],
        ]) {
            writeFileSync(file(a.dataDir), bytes);
            const { code, stderr } = await runHostpair(
                ["--data", a.dataDir, "--share", a.shareDir, "--downloads", a.downloadsDir]
                    .concat(["--peer-listen", "127.0.0.1:0", "--dashboard-listen", "127.0.0.1:0"])
                    .concat(["--no-scan", "--no-beacon"]),
            );
            assert.equal(code, 1, stderr);
            assert.ok(stderr.includes(file(a.dataDir)) && stderr.includes(why), stderr);
            assert.match(stderr, /hostpair identity --new/);
            assert.equal(readFileSync(file(a.dataDir), "utf8"), bytes);
            const told = await identity(a.dataDir);
            assert.equal(told.code, 1);
            assert.ok(told.stderr.includes(why), told.stderr);
        }
        writeFileSync(file(a.dataDir), whole);
        await a.start();
    });

    test("is made anew when a person says so, and the old key is kept", async (t) => {
        const h = await startHostpair({ t });
        const { id } = (await h.api("/status")).json;
        const old = readFileSync(file(h.dataDir));
        const refused = await identity(h.dataDir, "--new", "--yes");
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, new RegExp(`process ${h.pid}.*end it first`));
        await h.stop();
        const unasked = await identity(h.dataDir, "--new");
        assert.equal(unasked.code, 2);
        assert.match(unasked.stderr, /--yes/);
        assert.deepEqual(readFileSync(file(h.dataDir)), old);
        const made = await identity(h.dataDir, "--new", "--yes");
        assert.equal(made.code, 0, made.stderr);
        assert.notEqual(made.id, id);
        assert.equal(made.kept, "identity.pem.old");
        assert.deepEqual(readFileSync(join(h.dataDir, made.kept)), old);
        await h.start();
        assert.equal((await h.api("/status")).json.id, made.id);
        assert.match(h.stderr(), new RegExp(`is ${made.id.slice(0, 8)}, and was ${id.slice(0, 8)} before`));
    });
});

describe("TLS and plain HTTP on one port", () => {
    /** @type {Hostpair} */
    let h;
    /** @type {string} */
    let big;
    const keys = tempDir();
    before(async () => {
        h = await startHostpair({ name: "attic", t: { after: (fn) => ends.push(fn) } });
        await makeFile(join(h.shareDir, "big.bin"), 40 * MiB, 7);
        writeFileSync(join(h.shareDir, "small.txt"), "hello\n");
        mkdirSync(join(h.shareDir, "folder"));
        big = await sha256(join(h.shareDir, "big.bin"));
    });
    /** @type {(() => unknown)[]} */
    const ends = [];
    test.after(async () => {
        for (const end of ends) await end();
    });

    test("curl gets files in plain, over TLS, and with a certificate of any kind", async () => {
        const ec = await certificate(keys, P256);
        const rsa = await certificate(keys, RSA);
        const secure = `https://127.0.0.1:${h.peerPort}`;
        /** @type {[string, string[]][]} */
        const ways = [
            [h.peerUrl, []],
            [secure, ["-k"]],
            [secure, ["-k", "--tlsv1.2", "--tls-max", "1.2"]],
            [secure, ["-k", "--http1.0"]],
            [secure, ["-k", "--cert", ec.cert, "--key", ec.key]],
            [secure, ["-k", "--cert", rsa.cert, "--key", rsa.key]],
        ];
        for (const [url, args] of ways) {
            const small = await curl(...args, `${url}/small.txt`);
            assert.equal(small.stdout.toString(), "hello\n", small.stderr);
            const whole = await curl(...args, `${url}/big.bin`);
            assert.equal(sha256Of(whole.stdout), big, args.join(" "));
            const part = await curl(...args, "-r", "1000000-33000000", `${url}/big.bin`);
            assert.equal(part.stdout.length, 32_000_001);
            assert.deepEqual(part.stdout, whole.stdout.subarray(1_000_000, 33_000_001));
            const several = await curl(
                ...args,
                `${url}/small.txt`,
                `${url}/small.txt`,
                "-I",
                `${url}/big.bin`,
            );
            assert.equal(several.code, 0, several.stderr);
        }
        const unverified = await curl(`${secure}/small.txt`);
        assert.equal(unverified.code, 60, "no authority knows a host");
    });

    test("a client is known by a P-256 key that it has proven, and by nothing else", async () => {
        const ec = await certificate(keys, P256);
        const rsa = await certificate(keys, RSA);
        /** @param {string[]} args */
        async function hostOf(...args) {
            const child = spawn("curl", ["-sk", "--limit-rate", "100k", "-o", "/dev/null", ...args]);
            const last = args.at(-1);
            const seen = await waitFor(async () =>
                (await connections(h)).find(
                    (/** @type {any} */ c) => c.path === new URL(String(last)).pathname,
                ),
            );
            const ended = once(child, "close");
            child.kill();
            await ended;
            await waitFor(async () => (await connections(h)).length === 0);
            return seen.encrypted === args.some((word) => word.startsWith("https:")) ? seen.proven : "not so";
        }
        const secure = `https://127.0.0.1:${h.peerPort}/big.bin`;
        assert.equal(await hostOf(`${h.peerUrl}/big.bin`), null);
        assert.equal(await hostOf(secure), null);
        assert.equal(await hostOf("--cert", rsa.cert, "--key", rsa.key, secure), null);
        assert.equal(await hostOf("--tls-max", "1.2", "--cert", ec.cert, "--key", ec.key, secure), null);
        assert.equal(await hostOf("--cert", ec.cert, "--key", ec.key, secure), ec.fingerprint.slice(0, 32));
    });

    test(
        "a browser shows the page of the guests, and asks nobody for a certificate",
        { skip: noBrowser },
        async (t) => {
            const { chromium: playwright } = await import("playwright-core");
            const browser = await playwright.launch({ executablePath: chromium, args: ["--no-sandbox"] });
            t.after(() => browser.close());
            const page = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
            await page.goto(`https://127.0.0.1:${h.peerPort}/`);
            assert.match(await page.innerText("h1"), /Files of attic/);
            assert.match(await page.innerText("main"), /small\.txt/);
            const [saved] = await Promise.all([
                page.waitForEvent("download"),
                page.click('a.get[href="/files/big.bin"]'),
            ]);
            assert.equal(await sha256(String(await saved.path())), big);
            await closeBrowser();
        },
    );

    test("TLS 1.2 and 1.3 are spoken, nothing older", async () => {
        const old = ["-cipher", "ALL:@SECLEVEL=0"];
        assert.equal((await sClient(h.peerPort, ["-tls1_3"])).version, "TLSv1.3");
        assert.equal((await sClient(h.peerPort, ["-tls1_2"])).version, "TLSv1.2");
        for (const version of ["-tls1_1", "-tls1"]) {
            const { said, suite } = await sClient(h.peerPort, [version, ...old]);
            assert.equal(suite, undefined, said);
            assert.match(said, /alert protocol version/);
        }
        // SSL 3.0 as a record of its own: OpenSSL does not speak it any more.
        const socket = net.connect(h.peerPort, "127.0.0.1");
        socket.write(
            Buffer.concat([
                Buffer.from("16030000310100002d0300", "hex"),
                Buffer.alloc(32, 7),
                Buffer.from("00000600040005000a0100", "hex"),
            ]),
        );
        socket.on("error", () => {});
        const [answer] = await once(socket, "data");
        assert.equal(answer[0], 0x15, "an alert");
        await closed(socket);
    });

    test("suites have forward secrecy and authenticated encryption, all others are refused", async () => {
        const listed = await run("openssl", ["ciphers", "-tls1_2", "ALL:eNULL:@SECLEVEL=0"]);
        const all = listed.stdout
            .toString()
            .trim()
            .split(":")
            .filter((name) => !name.startsWith("TLS_"));
        assert.ok(all.length > 50, `${all.length} suites`);
        const taken = [];
        for (let i = 0; i < all.length; i += 6)
            taken.push(
                ...(await Promise.all(
                    all.slice(i, i + 6).map(async (name) => {
                        const { suite } = await sClient(h.peerPort, [
                            "-tls1_2",
                            "-cipher",
                            `${name}:@SECLEVEL=0`,
                        ]);
                        return suite;
                    }),
                )),
            );
        assert.deepEqual(taken.filter(Boolean).sort(), [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ]);
        for (const [name, works] of /** @type {[string, boolean][]} */ ([
            ["TLS_AES_128_GCM_SHA256", true],
            ["TLS_AES_256_GCM_SHA384", true],
            ["TLS_CHACHA20_POLY1305_SHA256", true],
            ["TLS_AES_128_CCM_SHA256", false],
            ["TLS_AES_128_CCM_8_SHA256", false],
        ])) {
            const { suite, said } = await sClient(h.peerPort, ["-tls1_3", "-ciphersuites", name]);
            assert.equal(suite, works ? name : undefined, said);
        }
        assert.equal((await sClient(h.peerPort, ["-tls1_3"])).suite, "TLS_AES_128_GCM_SHA256");
        const weak = await sClient(h.peerPort, ["-tls1_3", "-groups", "P-521"]);
        assert.equal(weak.suite, undefined, weak.said);
    });

    test("nothing is compressed, resumed or negotiated again", async () => {
        for (const version of ["-tls1_2", "-tls1_3"]) {
            const { said } = await sClient(h.peerPort, [version, "-comp"]);
            assert.match(said, /Compression: NONE/);
            assert.doesNotMatch(said, /TLS session ticket:/);
            const again = await sClient(h.peerPort, [version, "-reconnect"]);
            assert.doesNotMatch(again.said, /^Reused/m);
        }
        const ask = "GET /small.txt HTTP/1.1\r\nHost: h\r\n";
        const said = await new Promise((done) => {
            const child = spawn("openssl", ["s_client", "-connect", `127.0.0.1:${h.peerPort}`, "-tls1_2"]);
            let all = "";
            child.stdout.on("data", (data) => {
                if (!all.includes("---") && String(data).includes("---")) {
                    setTimeout(() => child.stdin.write("R\n"), 300);
                    setTimeout(() => child.stdin.end(`${ask}\r\n`), 1000);
                }
                all += data;
            });
            child.stderr.on("data", (data) => (all += data));
            child.on("close", () => done(all));
        });
        assert.match(said, /RENEGOTIATING/);
        assert.match(said, /no renegotiation/);
        assert.doesNotMatch(said, /hello/);
    });

    test("HTTP/1.1 is the only protocol, and hostpair's own name the only authority", async () => {
        assert.match((await sClient(h.peerPort, ["-alpn", "h2,http/1.1"])).said, /ALPN protocol: http\/1\.1/);
        const other = await sClient(h.peerPort, ["-alpn", "h2,smtp"]);
        assert.equal(other.suite, undefined);
        assert.match(other.said, /alert no application protocol/);
        const { said } = await sClient(h.peerPort, []);
        assert.match(said, /Acceptable client certificate CA names\nCN = hostpair\n(Requested|Client)/);
    });

    test("a thousand handshakes at once are served, and hold up nobody", async () => {
        const many = process.env.HP_E2E_QUICK ? 250 : 1000;
        const begin = performance.now();
        let slowest = 0;
        let open = true;
        const api = (async () => {
            while (open) {
                const asked = performance.now();
                await h.api("/status");
                slowest = Math.max(slowest, performance.now() - asked);
            }
        })();
        const served = await Promise.all(
            Array.from({ length: many }, async () => {
                const socket = tls.connect({
                    port: h.peerPort,
                    host: "127.0.0.1",
                    rejectUnauthorized: false,
                });
                socket.on("error", () => {});
                await once(socket, "secureConnect");
                socket.write("GET /small.txt HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
                let text = "";
                socket.on("data", (data) => (text += data));
                await closed(socket);
                return text.endsWith("hello\n");
            }),
        );
        open = false;
        await api;
        assert.equal(served.filter(Boolean).length, many);
        console.log(
            `# ${many} handshakes in ${Math.round(performance.now() - begin)} ms, slowest call ${Math.round(slowest)} ms`,
        );
    });

    test("handshakes that stand still are ended, and count as connections", { timeout: 60_000 }, async () => {
        const hello = Buffer.from("16030100c8010000c40303", "hex");
        const begin = performance.now();
        const halves = await Promise.all(
            Array.from({ length: 20 }, async (_, i) => {
                const socket = net.connect(h.peerPort, "127.0.0.1");
                socket.on("error", () => {});
                await once(socket, "connect");
                socket.write(Buffer.concat([hello, Buffer.alloc(i)]));
                const drip = setInterval(() => socket.writable && socket.write("\x01"), 1000);
                socket.once("close", () => clearInterval(drip));
                return closed(socket).then(() => performance.now() - begin);
            }).map((promise) => [promise]),
        );
        assert.equal((await connections(h)).length, 20);
        const ended = await Promise.all(halves.flat());
        assert.ok(Math.max(...ended) < 20_000, `${Math.max(...ended)} ms`);
        assert.ok(Math.min(...ended) > 5_000, `${Math.min(...ended)} ms`);
        assert.equal((await connections(h)).length, 0);
    });

    test("what is neither TLS nor HTTP ends, and nothing else with it", async () => {
        for (const bytes of [
            "\x16",
            "\x16\x03\x01\x00\x05hello",
            "\x15\x03\x03\x00\x02\x02\x50",
            "\x80\x2e\x01\x00\x02",
            "SSH-2.0-x\r\n\r\n",
        ]) {
            const socket = net.connect(h.peerPort, "127.0.0.1");
            socket.on("error", () => {});
            socket.on("data", () => {});
            socket.end(Buffer.from(bytes, "latin1"));
            await closed(socket);
        }
        assert.equal((await h.peer("/small.txt")).text, "hello\n");
    });
});

describe("access", () => {
    test("is for everyone, hosts or paired hosts, and changes while bytes flow", async (t) => {
        const h = await startHostpair({ t, name: "attic" });
        const keys = tempDir(t);
        await makeFile(join(h.shareDir, "big.bin"), 64 * MiB, 3);
        writeFileSync(join(h.shareDir, "small.txt"), "hello\n");
        await waitFor(async () => (await h.peer("/list")).text.includes("small.txt"));
        const ec = await certificate(keys, P256);
        const host = ["-k", "--cert", ec.cert, "--key", ec.key];
        const secure = `https://127.0.0.1:${h.peerPort}`;
        /** @param {string} path @param {string[]} args */
        const status = async (path, ...args) =>
            Number((await curl("-o", "/dev/null", "-w", "%{http_code}", ...args, path)).stdout.toString());
        const set = (/** @type {string} */ access) =>
            h.api("/settings", { method: "PATCH", json: { access } });
        const slow = (/** @type {string} */ url, /** @type {string[]} */ ...args) => {
            const child = spawn("curl", ["-sS", "--limit-rate", "1M", "-o", "/dev/null", ...args, url]);
            return once(child, "close").then(([code]) => Number(code));
        };
        assert.equal((await h.api("/settings")).json.access, "everyone");
        const running = [
            slow(`${h.peerUrl}/big.bin`),
            slow(`${secure}/big.bin`, "-k"),
            slow(`${secure}/big.bin`, ...host),
        ];
        const flowing = async () =>
            (await connections(h)).filter((/** @type {any} */ c) => c.path === "/big.bin").length;
        await waitFor(async () => (await flowing()) === 3);
        assert.equal((await set("hosts")).status, 200);
        assert.ok([18, 56].includes(await running[0]), "the guest's download is cut");
        assert.ok([18, 56].includes(await running[1]), "the one over TLS as well");
        await waitFor(async () => (await flowing()) === 1);
        for (const path of ["/", "/list", "/small.txt", "/files/small.txt", "/torrent/small.txt"]) {
            assert.equal(await status(`${h.peerUrl}${path}`), 403, path);
            assert.equal(await status(`${secure}${path}`, "-k"), 403, path);
        }
        for (const method of ["PROPFIND", "OPTIONS", "PUT", "POST"])
            assert.equal(await status(`${h.peerUrl}/files/`, "-X", method), 403, method);
        assert.equal(await status(`${secure}/small.txt`, ...host), 200);
        assert.equal(await status(`${h.peerUrl}/hostpair`), 200);
        const page = await request(`${h.peerUrl}/`, { headers: { "accept-language": "zh" } });
        assert.match(page.text, /不对浏览器开放/);
        assert.equal((await set("paired")).status, 200);
        assert.ok([18, 56].includes(await running[2]), "the host's download is cut");
        assert.equal(await status(`${secure}/small.txt`, ...host), 403);
        assert.equal(await status(`${secure}/hostpair`, ...host), 200);
        await h.restart();
        assert.equal(await status(`${h.peerUrl}/small.txt`), 403, "it holds over a restart");
        assert.equal((await set("everyone")).status, 200);
        assert.equal(await status(`${h.peerUrl}/small.txt`), 200);
        assert.equal((await set("nobody")).status, 422);
    });
});
