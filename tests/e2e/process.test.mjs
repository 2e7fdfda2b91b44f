// @ts-check
// hostpair as a process: its options, its ports, its folders, how it begins and how it ends.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, lstatSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { mkdir, open, rm } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";

import { startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
    checkout,
    defaultBin,
    download,
    harmless,
    makeBytes,
    makeFile,
    runHostpair,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";

const root = process.getuid?.() === 0;
const needsRoot = root ? false : "needs root";

/** @param {string} text */
const lines = (text) => text.split("\n").filter((line) => line.trim() !== "");

describe("options", { concurrency: 4 }, () => {
    /** The options as --help prints them. */
    async function help() {
        const { code, stdout, stderr } = await runHostpair(["--help"]);
        assert.equal(code, 0);
        assert.equal(stderr, "");
        const found = [...stdout.matchAll(/^ {2}(--\S+(?: \S+)?) {2,}(.*?)(?: \(default (\S+)\))?$/gm)];
        return found.map(([, option, meaning, fallback]) => ({ option, meaning, fallback: fallback ?? "" }));
    }

    test("are the same in --help and in README.md", async () => {
        const readme = readFileSync(join(checkout, "README.md"), "utf8");
        const rows = [...readme.matchAll(/^\| `(--[^`]+)` \| (?:`([^`]+)`)? *\| (.*?) \|$/gm)];
        const told = rows.map(([, option, fallback, meaning]) => ({
            option,
            meaning,
            fallback: fallback ?? "",
        }));
        const real = await help();
        assert.ok(real.length >= 15, `${real.length} options in --help`);
        assert.deepEqual(told, real);
    });

    test("--version prints it", async () => {
        const { code, stdout } = await runHostpair(["--version"]);
        assert.equal(code, 0);
        assert.match(stdout, /^hostpair \d+\.\d+\.\d+\n$/);
    });

    test("--check tells by its exit code whether hostpair answers", async (t) => {
        const h = await startHostpair({ t, args: ["--dashboard-token", "secret-token"] });
        const check = async (/** @type {Record<string, string>} */ env) => {
            const { code, stdout, stderr } = await runHostpair(["--check"], { env });
            return { code, text: stdout + stderr };
        };
        const at = { HOSTPAIR_DASHBOARD_LISTEN: `127.0.0.1:${h.dashboardPort}` };
        const token = { HOSTPAIR_DASHBOARD_TOKEN: "secret-token" };
        const file = { HOSTPAIR_PORT_FILE: join(tempDir(t), "ports.json") };
        writeFileSync(file.HOSTPAIR_PORT_FILE, `{"peer":${h.peerPort},"dashboard":${h.dashboardPort}}\n`);
        for (const env of [at, file]) {
            const good = await check({ ...env, ...token });
            assert.equal(good.code, 0, good.text);
            assert.match(good.text, new RegExp(`127\\.0\\.0\\.1:${h.dashboardPort} answers`));
            const refused = await check(env);
            assert.equal(refused.code, 1, refused.text);
            assert.match(refused.text, /token/);
        }
        await h.stop();
        const gone = await check({ ...at, ...token });
        assert.equal(gone.code, 1, gone.text);
        assert.match(gone.text, /refused/);
    });

    for (const bad of [
        ["--nonsense"],
        ["stray"],
        ["--peer-listen", "nonsense"],
        ["--peer-listen", "127.0.0.1"],
        ["--peer-listen", "127.0.0.1:65536"],
        ["--peer-listen", "127.0.0.1:-1"],
        ["--peer-listen", "example.com:9000"],
        ["--dashboard-listen", "[::1"],
        ["--dashboard-listen", ""],
        ["--share", ""],
        ["--data"],
        ["--name", ""],
        ["--name", "a\nb"],
        ["--name", "n".repeat(5000)],
        ["--host", "not an address"],
        ["--host", "1.2.3.4:0"],
        ["--advertise", "nowhere"],
        ["--no-scan=maybe"],
        ["--dashboard-token", ""],
        ["--dashboard-token", "two words"],
        ["--dashboard-token", "1234567"],
        ["--dashboard-token-file", "/nonexistent/token"],
        ["--allow-host", "a b"],
        ["--log", "loud"],
        ["--web-root", "/nonexistent/folder"],
    ]) {
        test(`${JSON.stringify(bad.join(" ").slice(0, 60))} ends with one line that names it, and code 2`, async (t) => {
            const dir = tempDir(t);
            // The last of two wins, or the first is refused: either way it must not start.
            const { code, stderr, stdout } = await runHostpair([...harmless(dir), ...bad]);
            assert.equal(code, 2, `${code}: ${stderr}`);
            assert.equal(lines(stderr).length, 1, stderr);
            assert.ok(stderr.includes(bad[0].split("=")[0]), `"${stderr.trim()}" names ${bad[0]}`);
            assert.ok(stderr.length < 400, `a line of ${stderr.length} characters`);
            assert.equal(stdout, "");
            assert.ok(!existsSync(join(dir, "data/hostpair.db")), "nothing was made");
        });
    }

    test("may stand in the environment, and the command line wins", async (t) => {
        const dir = tempDir(t);
        const h = await startHostpair({
            t,
            env: { HOSTPAIR_NAME: "from the environment", HOSTPAIR_ALLOW_HOST: "one.example,two.example" },
        });
        assert.equal((await h.api("/status")).json.name, "from the environment");
        for (const host of ["one.example", "two.example"])
            assert.equal((await h.api("/status", { headers: { host } })).status, 200);
        const both = await startHostpair({
            t,
            name: "from the line",
            env: { HOSTPAIR_NAME: "from the environment" },
        });
        assert.equal((await both.api("/status")).json.name, "from the line");
        const { code, stderr } = await runHostpair(harmless(dir), { env: { HOSTPAIR_LOG: "loud" } });
        assert.equal(code, 2);
        assert.match(stderr, /HOSTPAIR_LOG|--log/);
        assert.equal(lines(stderr).length, 1);
    });

    test("that are not given take folders in the home folder, made if missing", async (t) => {
        const h = await startHostpair({ t, defaultFolders: true });
        const { json } = await h.api("/status");
        assert.equal(json.share.folder, join(h.home, "Public/hostpair"));
        assert.equal(json.downloads_folder, join(h.home, "Downloads/hostpair"));
        assert.ok(existsSync(join(h.home, ".local/state/hostpair/hostpair.db")));
        assert.ok(existsSync(h.shareDir) && existsSync(h.downloadsDir));
        assert.ok(json.name.length > 0, "it has the machine's name");
    });

    test("--host makes a host known at start", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b", args: ["--host", `127.0.0.1:${a.peerPort}`] });
        const host = await waitFor(async () => (await b.api("/hosts")).json.hosts[0], { what: "the host" });
        assert.equal(host.name, "a");
    });

    test("--web-root serves the dashboard from disk", async (t) => {
        const dir = tempDir(t);
        writeFileSync(join(dir, "index.html"), "<html>from disk</html>");
        const h = await startHostpair({ t, args: ["--web-root", dir] });
        assert.match(
            (await h.api("/api/../")).text + (await fetch(h.dashboardUrl).then((r) => r.text())),
            /from disk/,
        );
        for (const path of ["/../harness.mjs", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd"]) {
            const raw = await rawGet(h.dashboardPort, path);
            assert.doesNotMatch(raw, /root:|node:/, path);
        }
    });
});

/** @param {number} port @param {string} path @returns {Promise<string>} */
function rawGet(port, path) {
    return new Promise((done, fail) => {
        const socket = net.connect(port, "127.0.0.1");
        let text = "";
        socket.setEncoding("latin1");
        socket.on("data", (part) => (text += part));
        socket.on("close", () => done(text));
        socket.on("error", fail);
        socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    });
}

describe("ports", { concurrency: 3 }, () => {
    for (const which of ["--peer-listen", "--dashboard-listen"]) {
        test(`one that was asked for with ${which} and is taken is an error that names it`, async (t) => {
            const server = net.createServer().listen(0, "127.0.0.1");
            t.after(() => server.close());
            await new Promise((done) => server.once("listening", done));
            const { port } = /** @type {net.AddressInfo} */ (server.address());
            const dir = tempDir(t);
            const other = which === "--peer-listen" ? "--dashboard-listen" : "--peer-listen";
            const { code, stderr } = await runHostpair([
                ...[which, `127.0.0.1:${port}`, other, "127.0.0.1:0", "--no-scan", "--no-beacon"],
                ...["--share", join(dir, "s"), "--downloads", join(dir, "d"), "--data", join(dir, "data")],
            ]);
            assert.ok(code !== 0 && code !== null && code !== 86, `code ${code}`);
            assert.ok(stderr.includes(String(port)), stderr);
            assert.match(stderr, /taken|in use|busy/i);
            assert.ok(stderr.includes(`(process ${process.pid}) listens there`), stderr);
        });
    }

    test("a default one that is taken gives way to the next free one", { skip: needsRoot }, async (t) => {
        // In a network of their own: two processes that both ask for nothing.
        const alone = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$0" "$@"'];
        const first = await startHostpair({ t, name: "first", defaultPorts: true, wrap: alone });
        assert.deepEqual([first.peerPort, first.dashboardPort], [9000, 9001]);
        const inside = ["nsenter", "-t", String(first.pid), "-n", "--"];
        const second = await startHostpair({ t, name: "second", defaultPorts: true, wrap: inside });
        const ports = [first.peerPort, first.dashboardPort, second.peerPort, second.dashboardPort];
        assert.equal(new Set(ports).size, 4, `${ports}`);
        for (const port of ports) assert.ok(port >= 9000 && port <= 9010, `${ports}`);
        const taken = `port 9000: address already in use; hostpair (process ${first.pid}) listens there`;
        assert.ok(second.stderr().includes(taken), second.stderr());
        for (const h of [first, second]) {
            const url = `http://localhost:${h.dashboardPort}/api/v1/status`;
            const text = execFileSync("nsenter", ["-t", String(first.pid), "-n", "--", "curl", "-sS", url], {
                encoding: "utf8",
            });
            assert.equal(JSON.parse(text).peer_port, h.peerPort);
        }
        for (const address of ["127.0.0.1", "[::1]"]) {
            const url = `http://${address}:${first.peerPort}/hostpair`;
            const args = [
                "-t",
                String(first.pid),
                "-n",
                "--",
                "curl",
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
            ];
            assert.equal(execFileSync("nsenter", [...args, "-g", url], { encoding: "utf8" }), "200", address);
        }
    });
});

test("the port file is for its owner to write, and no link that waits there is followed", async (t) => {
    const victim = join(tempDir(t), "victim");
    writeFileSync(victim, "precious");
    const plant = `umask 0
        for arg; do [ "$before" = --port-file ] && file=$arg; before=$arg; done
        ln -s '${victim}' "$file" && ln -s '${victim}' "$file.new" && exec "$0" "$@"`;
    const h = await startHostpair({ t, wrap: ["sh", "-c", plant] });
    const file = join(h.root, "ports.json");
    assert.equal(readFileSync(victim, "utf8"), "precious");
    assert.ok(lstatSync(file).isFile());
    assert.equal(lstatSync(file).mode & 0o777, 0o644);
    assert.equal(JSON.parse(readFileSync(file, "utf8")).peer, h.peerPort);
});

test("a start that failed ends with code 1, also where it does not wait for the database", async (t) => {
    const h = await startHostpair({ t });
    await h.stop();
    const file = join(h.dataDir, "hostpair.db");
    // Somebody reads what was there before the last change, so the journal cannot be written back at the end.
    const reader = spawn("sqlite3", [file], { stdio: ["pipe", "pipe", "inherit"] });
    t.after(() => reader.kill());
    reader.stdin.write("BEGIN; SELECT count(*) FROM setting;\n");
    await once(reader.stdout, "data");
    execFileSync("sqlite3", [file, "CREATE TABLE later (x); DROP TABLE later"]);
    const server = net.createServer().listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const { port } = /** @type {net.AddressInfo} */ (server.address());
    const args = harmless(h.root).slice(2, -1).concat(h.dataDir, "--peer-listen", `127.0.0.1:${port}`);
    const { code, stderr } = await runHostpair(args);
    assert.match(
        stderr,
        /leaving without waiting for it|what is in its journal stays there until the next start/,
    );
    assert.equal(code, 1, stderr);
});

describe("folders", { concurrency: 3 }, () => {
    /** Runs the program with one folder mounted read-only, in a mount namespace of its own. @param {string} dir */
    const readOnly = (dir) => [
        ...["unshare", "-m", "sh", "-c"],
        'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"',
        dir,
    ];

    test("a share that cannot be written is served", { skip: needsRoot }, async (t) => {
        const dir = tempDir(t);
        await makeFile(join(dir, "x.bin"), 100_000, 1);
        const h = await startHostpair({ t, share: dir, wrap: readOnly(dir) });
        const { status, body } = await h.peer("/x.bin");
        assert.equal(status, 200);
        assert.equal(body.length, 100_000);
    });

    test(
        "a data folder that cannot be written is refused with a clear message",
        { skip: needsRoot },
        async (t) => {
            const dir = tempDir(t);
            const data = join(dir, "data");
            await mkdir(data);
            const { code, stderr } = await runHostpair(harmless(dir), { wrap: readOnly(data) });
            assert.ok(code !== 0 && code !== null && code !== 86, `code ${code}`);
            assert.ok(stderr.includes(data), stderr);
            assert.match(stderr, /read-only/i);
        },
    );

    test(
        "a downloads folder that cannot be written stops a download with a reason",
        { skip: needsRoot },
        async (t) => {
            const dir = tempDir(t);
            const downloads = join(dir, "down");
            await mkdir(downloads);
            const evil = await startEvil({ t, files: { "f.bin": makeBytes(MiB, 1) } });
            const h = await startHostpair({ t, downloads, wrap: readOnly(downloads) });
            const host = await addHost(h, evil.port);
            const { id } = await download(h, { host: host.id, path: "f.bin" });
            const d = await waitState(h, id, (d) => d.reason || d.error, { timeout: 20_000 });
            assert.notEqual(d.state, "done");
            assert.match(`${d.reason} ${d.error?.detail}`, /read-only/i);
            assert.equal((await h.api("/status")).status, 200);
        },
    );

    test("that are files are refused with a clear message", async (t) => {
        for (const [i, option] of ["--share", "--downloads", "--data"].entries()) {
            const dir = tempDir(t);
            const file = join(dir, "a file");
            writeFileSync(file, "x");
            const args = harmless(dir);
            args[args.indexOf(option) + 1] = file;
            const { code, stderr } = await runHostpair(args);
            assert.ok(code !== 0 && code !== null && code !== 86, `${i}: code ${code}`);
            assert.ok(stderr.includes(file), stderr);
            assert.equal(readFileSync(file, "utf8"), "x");
        }
    });

    test("a share that disappears and comes back does no harm", async (t) => {
        const h = await startHostpair({ t });
        await makeFile(join(h.shareDir, "x.bin"), 1000, 1);
        await waitFor(async () => (await h.peer("/x.bin")).status === 200, { what: "x.bin" });
        await rm(h.shareDir, { recursive: true });
        await waitFor(async () => (await h.peer("/x.bin")).status === 404, { what: "x.bin being gone" });
        assert.equal((await h.api("/status")).status, 200);
        await makeFile(join(h.shareDir, "y.bin"), 1000, 2);
        const seen = await waitFor(async () => (await h.peer("/y.bin")).status === 200, {
            what: "y.bin",
            timeout: 30_000,
        }).catch(() => false);
        if (!seen) {
            await h.restart();
            await waitFor(async () => (await h.peer("/y.bin")).status === 200, {
                what: "y.bin after a restart",
            });
            assert.fail("the share that came back is seen only after a restart");
        }
    });

    test("neither the database nor a part file is ever served", async (t) => {
        const dir = tempDir(t);
        const a = await startHostpair({ t, name: "a" });
        await makeFile(join(a.shareDir, "big.bin"), 16 * MiB, 1);
        const link = await startLink({ t, to: a.peerPort, rate: MiB });
        const refused = await runHostpair([
            ...[
                "--peer-listen",
                "127.0.0.1:0",
                "--dashboard-listen",
                "127.0.0.1:0",
                "--no-scan",
                "--no-beacon",
            ],
            ...["--share", dir, "--downloads", dir, "--data", join(dir, "data")],
        ]);
        assert.equal(refused.code, 2, "a data folder inside the share");
        assert.match(refused.stderr, /--data/);
        // Shared and downloaded to in one folder, as a person might have it.
        const h = await startHostpair({ t, share: dir, downloads: dir });
        const host = await addHost(h, link.port);
        await download(h, { host: host.id, path: "big.bin" });
        const part = await waitFor(() => readdirSync(dir).find((name) => name.endsWith("hostpair-part")), {
            what: "the part file",
        });
        await makeFile(join(dir, "marker.txt"), 10, 1);
        const list = await waitFor(
            async () => {
                const { text } = await h.peer("/list", { headers: { accept: "application/x-ndjson" } });
                return text.includes("marker.txt") && text;
            },
            { what: "the marker in the list" },
        );
        assert.doesNotMatch(list, /hostpair\.db|hostpair-part/);
        for (const path of [`/files/${encodeURI(part)}`, `/${encodeURI(part)}`])
            assert.equal((await h.peer(path)).status, 404, path);
    });
});

describe("the end", () => {
    const sanitized = defaultBin.includes("asan");
    const limit = sanitized ? 4000 : 2000; // looking for leaks takes its time

    test("by SIGTERM comes soon during several large downloads and uploads", async (t) => {
        const [a, b] = [await startHostpair({ t, name: "a" }), await startHostpair({ t, name: "b" })];
        // Holes take no disk at the source, and have to be hashed as well.
        for (const [h, name] of /** @type {const} */ ([
            [a, "theirs"],
            [b, "ours"],
        ]))
            for (let i = 0; i < 3; i++) {
                const file = await open(join(h.shareDir, `${name}${i}`), "w");
                await file.truncate((4 + i) * 1024 * MiB);
                await file.close();
            }
        for (const [h, name] of /** @type {const} */ ([
            [a, "theirs"],
            [b, "ours"],
        ]))
            await waitFor(async () => (await h.peer("/list")).text.split(name).length === 4);
        const host = await addHost(b, a.peerPort);
        const own = await addHost(a, b.peerPort);
        const ids = [];
        for (let i = 0; i < 3; i++) ids.push((await download(b, { host: host.id, path: `theirs${i}` })).id);
        await download(a, { host: own.id, path: "ours0" });
        const clients = Array.from({ length: 6 }, (_, i) => {
            const socket = net.connect(b.peerPort, "127.0.0.1");
            socket.on("error", () => {});
            if (i % 2) socket.resume(); // the others take nothing
            socket.write("GET /ours1 HTTP/1.1\r\nHost: b\r\n\r\n");
            return socket;
        });
        for (const id of ids) await waitState(b, id, (d) => d.done_bytes > 32 * MiB);
        const start = performance.now();
        process.kill(b.pid, "SIGTERM");
        const { code } = await b.exited;
        const took = performance.now() - start;
        t.diagnostic(`${took.toFixed(0)} ms`);
        for (const socket of clients) socket.destroy();
        assert.equal(code, 0, b.stderr().slice(-2000));
        assert.ok(took < limit, `it took ${took} ms`);
    });

    for (const signal of /** @type {NodeJS.Signals[]} */ (["SIGTERM", "SIGINT"])) {
        test(`by ${signal} in the middle of everything comes soon, with code 0 and all progress kept`, async (t) => {
            const a = await startHostpair({ t, name: "a" });
            await makeFile(join(a.shareDir, "big.bin"), 64 * MiB, 1);
            const link = await startLink({ t, to: a.peerPort, rate: 16 * MiB });
            const b = await startHostpair({ t, name: "b" });
            const host = await addHost(b, link.port);
            const { id } = await download(b, { host: host.id, path: "big.bin" });
            const stream = await b.events();
            const idle = net.connect(b.peerPort, "127.0.0.1");
            idle.on("error", () => {});
            const half = net.connect(b.dashboardPort, "127.0.0.1");
            half.on("error", () => {});
            half.write("GET /api/v1/sta");
            const before = await waitState(b, id, (d) => d.chunks_done >= 10);
            for (const h of [b, a]) {
                const start = performance.now();
                process.kill(h.pid, signal);
                const { code, signal: by } = await h.exited;
                const took = performance.now() - start;
                assert.deepEqual([code, by], [0, null], h.stderr().slice(-2000));
                assert.ok(took < limit, `it took ${took} ms`);
            }
            stream.close();
            await b.start();
            const after = await waitState(b, id, (d) => d.chunks_done > 0);
            assert.ok(
                after.chunks_done >= before.chunks_done,
                `${after.chunks_done} of ${before.chunks_done} are left`,
            );
            idle.destroy();
            half.destroy();
        });
    }

    test("by a signal right after the start is clean as well", async (t) => {
        for (let i = 0; i < 3; i++) {
            const h = await startHostpair({ t });
            await h.stop();
        }
    });

    test("does not come from idle connections to both ports", async (t) => {
        const h = await startHostpair({ t, wrap: ["prlimit", "--nofile=200:200"] });
        await makeFile(join(h.shareDir, "x.bin"), 1000, 1);
        const sockets = [h.peerPort, h.dashboardPort].flatMap((port) =>
            Array.from({ length: 250 }, () => net.connect(port, "127.0.0.1").on("error", () => {})),
        );
        await waitFor(() => sockets.every((s) => !s.connecting), { what: "all connections" });
        assert.equal((await h.api("/status")).status, 200);
        assert.equal((await h.peer("/x.bin")).status, 200);
        const open = readdirSync(`/proc/${h.pid}/fd`).length;
        assert.ok(open <= 170, `${open} of 200 descriptors are open`);
        assert.doesNotMatch(h.stderr(), /too many open files/i);
        for (const socket of sockets) socket.destroy();
    });

    test("does not come from a descriptor limit that is low", { skip: needsRoot }, async (t) => {
        const h = await startHostpair({ t, wrap: ["prlimit", "--nofile=80:80"] });
        await makeFile(join(h.shareDir, "x.bin"), 1000, 1);
        const sockets = Array.from({ length: 200 }, () =>
            net.connect(h.peerPort, "127.0.0.1").on("error", () => {}),
        );
        await waitFor(() => sockets.every((s) => !s.connecting), { what: "all connections" });
        for (const socket of sockets) socket.destroy();
        await waitFor(async () => (await h.api("/status").catch(() => undefined))?.status === 200, {
            what: "an answer after the flood",
            timeout: 20_000,
        });
        assert.equal((await h.peer("/x.bin")).status, 200);
    });
});

test("what is logged is one line a happening", async (t) => {
    const h = await startHostpair({ t, args: ["--log", "debug"] });
    await h.api("/status");
    await h.stop();
    for (const line of lines(h.stderr())) assert.match(line, /^\S+.*\S$/, line);
    assert.ok(lines(h.stderr()).length >= 2, h.stderr());
});
