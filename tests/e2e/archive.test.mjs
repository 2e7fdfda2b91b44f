// @ts-check
// A whole folder as a tar or zip: what other programs make of it, what it holds and what not, and what becomes of it when the
// client, a file or a setting changes while it is sent.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import {
    chmodSync,
    closeSync,
    existsSync,
    lstatSync,
    mkdirSync,
    mkdtempSync,
    openSync,
    readFileSync,
    readdirSync,
    rmSync,
    statSync,
    symlinkSync,
    truncateSync,
    utimesSync,
    writeFileSync,
    writeSync,
} from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import {
    MiB,
    defaultBin,
    makeBytes,
    makeFile,
    sha256Of,
    startHostpair,
    tempDir,
    waitFor,
} from "./harness.mjs";
import { oddNames } from "./hosts.mjs";
import { Raw, ask, fetchRaw } from "./protocol.mjs";

/**
 * @typedef {import("./harness.mjs").Hostpair} Hostpair
 * @typedef {import("./harness.mjs").TestContext} TestContext
 * @typedef {"tar" | "zip"} Format
 */

/** Without sanitizers, where there is one: for what is about memory, or about very many or very large files. */
const plainBin = process.env.HOSTPAIR_PLAIN_BIN || defaultBin;
const env = { ...process.env, LC_ALL: "C.UTF-8" };
const run = promisify(execFile);
const GiB = 1024 * MiB;

/** @param {string} program @param {string[]} args @param {string} [cwd] */
const call = (program, args, cwd) => run(program, args, { env, cwd, maxBuffer: 64 * MiB });

/** @param {string} folder */
const urlOf = (folder) => folder.split("/").map(encodeURIComponent).join("/");

/** Whether curl has all of an archive; otherwise the code that it ended with. @param {string[]} args */
async function curl(...args) {
    return await new Promise((done) => {
        const child = spawn("curl", ["-sS", "-k", ...args], { stdio: ["ignore", "ignore", "ignore"] });
        child.on("close", (code) => done(code));
    });
}

/** An archive as a file. @param {Hostpair} h @param {string} folder @param {Format} format @param {string} to */
async function fetchArchive(h, folder, format, to) {
    assert.equal(
        await curl("-f", "-o", to, `${h.peerUrl}/files/${urlOf(folder)}/?archive=${format}`),
        0,
        format,
    );
}

/**
 * What is below a folder: for each path what it is, its bytes, whether it may be executed, its time.
 * @param {string} folder
 * @param {number} unitNs times are compared in these units
 */
function treeOf(folder, unitNs) {
    /** @type {Record<string, string>} */
    const tree = {};
    const walk = (/** @type {string} */ below) => {
        for (const name of readdirSync(join(folder, below))) {
            const path = below ? `${below}/${name}` : name;
            const stat = lstatSync(join(folder, path), { bigint: true });
            const what = stat.isDirectory()
                ? "folder"
                : stat.isFile()
                  ? `${sha256Of(readFileSync(join(folder, path)))} ${stat.mode & 0o100n ? "x" : "-"}`
                  : "something else";
            tree[path] = `${what} ${stat.mtimeNs / BigInt(unitNs)}`;
            if (stat.isDirectory()) walk(path);
        }
    };
    walk("");
    return tree;
}

/** Files and folders of every kind that an archive has trouble with. @param {string} folder */
function makeTree(folder) {
    const deep = "ü".repeat(100);
    mkdirSync(join(folder, "empty/also empty"), { recursive: true });
    mkdirSync(join(folder, deep, deep, deep), { recursive: true });
    mkdirSync(join(folder, "odd"));
    mkdirSync(join(folder, "文件夹 with spaces"));
    oddNames.forEach((name, i) => writeFileSync(join(folder, "odd", name), makeBytes(100 + i, i)));
    writeFileSync(join(folder, deep, deep, deep, `${deep}.txt`), "deep\n");
    writeFileSync(join(folder, "nothing"), "");
    writeFileSync(join(folder, "one"), "1");
    writeFileSync(join(folder, "text.txt"), "the same line again\n".repeat(50_000));
    writeFileSync(join(folder, "random.bin"), makeBytes(3 * MiB + 17, 5));
    writeFileSync(join(folder, "文件夹 with spaces/photo.JPG"), "no real picture ".repeat(10_000));
    writeFileSync(join(folder, "run.sh"), "#!/bin/sh\necho hello\n");
    chmodSync(join(folder, "run.sh"), 0o700);
    utimesSync(join(folder, "one"), 1_000_000_001.25, 1_000_000_001.25);
    utimesSync(join(folder, "text.txt"), 1_234_567_890, 1_234_567_890);
    for (const path of ["empty/also empty", "empty", "odd"]) utimesSync(join(folder, path), 1e9, 1e9);
}

describe("what other programs make of it", () => {
    /** @type {Hostpair} */
    let h;
    let folder = "";
    let kept = "";
    const name = "Фото & 2026";
    before(async () => {
        h = await startHostpair({ name: "archives" });
        kept = tempDir();
        folder = join(h.shareDir, name);
        mkdirSync(folder);
        makeTree(folder);
        await fetchArchive(h, name, "tar", join(kept, "a.tar"));
        await fetchArchive(h, name, "zip", join(kept, "a.zip"));
    });
    after(() => h?.dispose());

    /** @type {[string, Format, number, (archive: string, to: string) => Promise<unknown>][]} */
    const programs = [
        ["GNU tar", "tar", 1, (archive, to) => call("tar", ["-xpf", archive, "-C", to])],
        ["bsdtar", "tar", 1, (archive, to) => call("bsdtar", ["-xpf", archive, "-C", to])],
        ["7z", "tar", 1e9, (archive, to) => call("7z", ["x", "-y", `-o${to}`, archive])],
        ["bsdtar", "zip", 1e9, (archive, to) => call("bsdtar", ["-xpf", archive, "-C", to])],
        ["unzip", "zip", 1e9, (archive, to) => call("unzip", ["-q", archive, "-d", to])],
        ["7z", "zip", 1e9, (archive, to) => call("7z", ["x", "-y", `-o${to}`, archive])],
    ];
    for (const [program, format, unitNs, extract] of programs) {
        test(`${program} takes the same tree out of a ${format}`, async (t) => {
            const to = join(tempDir(t), "out");
            mkdirSync(to);
            await extract(join(kept, `a.${format}`), to);
            // What it reads bsdtar writes with composed characters.
            const composed = (/** @type {Record<string, string>} */ tree) =>
                Object.fromEntries(Object.entries(tree).map(([path, what]) => [path.normalize("NFC"), what]));
            const wanted = treeOf(folder, unitNs);
            assert.deepEqual(treeOf(to, unitNs), program === "bsdtar" ? composed(wanted) : wanted);
        });
    }

    test("Python's zipfile reads the same names, bytes, rights and times", async () => {
        const script = `
import hashlib, json, sys, zipfile
out = {}
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    for i in z.infolist():
        out[i.filename] = [hashlib.sha256(z.read(i)).hexdigest(), i.external_attr >> 16, list(i.date_time), i.compress_type]
json.dump(out, sys.stdout)`;
        const read = JSON.parse((await call("python3", ["-c", script, join(kept, "a.zip")])).stdout);
        /** @type {Record<string, unknown>} */
        const wanted = {};
        for (const path of Object.keys(treeOf(folder, 1e9))) {
            const stat = statSync(join(folder, path));
            const bytes = stat.isDirectory() ? "" : readFileSync(join(folder, path));
            const mode = stat.isDirectory() ? 0o40755 : stat.mode & 0o100 ? 0o100755 : 0o100644;
            wanted[stat.isDirectory() ? `${path}/` : path] = [sha256Of(Buffer.from(bytes)), mode];
        }
        const got = Object.fromEntries(Object.entries(read).map(([path, what]) => [path, what.slice(0, 2)]));
        assert.deepEqual(got, wanted);
        // A zip's own times are local and even seconds.
        const date = new Date(1_234_567_890_000);
        assert.deepEqual(read["text.txt"][2], [
            date.getFullYear(),
            date.getMonth() + 1,
            date.getDate(),
            date.getHours(),
            date.getMinutes(),
            date.getSeconds(),
        ]);
        const stored = (/** @type {string} */ path) => read[path][3] === 0;
        assert.ok(!stored("text.txt"), "a text is deflated");
        assert.ok(stored("文件夹 with spaces/photo.JPG"), "a picture is stored, whatever its bytes");
        assert.ok(stored("random.bin"), "what does not shrink is stored");
    });

    test("the same bytes come plain and over TLS, below /files/ and not, to HTTP/1.0 too", async (t) => {
        const to = join(tempDir(t), "out");
        const wanted = sha256Of(readFileSync(join(kept, "a.tar")));
        const path = `${encodeURIComponent(name)}/?archive=tar`;
        for (const args of [
            [`${h.peerUrl}/${path}`],
            [`https://127.0.0.1:${h.peerPort}/files/${path}`],
            ["--http1.0", `${h.peerUrl}/files/${path}`],
            ["--http1.0", `https://127.0.0.1:${h.peerPort}/${path}`],
        ]) {
            assert.equal(await curl("-f", "-o", to, ...args), 0);
            assert.equal(sha256Of(readFileSync(to)), wanted, args.join(" "));
        }
    });

    test("the answer names the file as the folder, and says what it is", async () => {
        for (const method of ["GET", "HEAD"]) {
            const { status, headers, body } = await h.peer(
                `/files/${encodeURIComponent(name)}/?archive=zip`,
                {
                    method,
                },
            );
            assert.equal(status, 200);
            assert.equal(headers["content-type"], "application/zip");
            assert.equal(headers["accept-ranges"], "none");
            assert.match(String(headers["content-disposition"]), /^attachment; filename="_+ & 2026\.zip"; /);
            assert.ok(
                String(headers["content-disposition"]).endsWith(
                    `filename*=UTF-8''${encodeURIComponent(name)}.zip`,
                ),
                headers["content-disposition"],
            );
            assert.equal(body.length > 0, method === "GET");
        }
        const { headers } = await h.peer("/files/?archive=tar", { method: "HEAD" });
        assert.match(String(headers["content-disposition"]), /filename="archives\.tar"/);
        assert.equal(headers["content-type"], "application/x-tar");
    });

    test("the guest page offers it for the folder that is looked at", async () => {
        const names = (/** @type {Buffer} */ zip) => zip.includes("run.sh") && !zip.includes("nothing else");
        await waitFor(async () => (await h.peer("/")).text.includes("archive="));
        for (const [page, language] of [
            ["/", "en"],
            [`/?folder=${encodeURIComponent(name)}`, "zh"],
        ]) {
            const { text } = await h.peer(page, { headers: { "accept-language": language } });
            const found = /href="([^"]+)\?archive=zip">(Download all as zip|全部下载为 zip)</.exec(text);
            assert.ok(found, text);
            const link = found[1].replaceAll("&amp;", "&");
            const { status, body } = await h.peer(`${link}?archive=zip`);
            assert.equal(status, 200, link);
            assert.ok(names(body), link);
        }
    });
});

describe("what it is not", () => {
    test("other values, files, links and missing folders are refused in words", async (t) => {
        const h = await startHostpair({ t, name: "refuses" });
        mkdirSync(join(h.shareDir, "a/b"), { recursive: true });
        writeFileSync(join(h.shareDir, "a/file"), "x");
        symlinkSync("a", join(h.shareDir, "link"));
        for (const value of ["rar", "", "TAR", "zip,tar"]) {
            const { status, text } = await h.peer(`/files/a/?archive=${value}`);
            assert.equal(status, 400, value);
            assert.equal(text, "archive has to be tar or zip.\n");
        }
        const wrong = [
            "missing/",
            "a/file",
            "a/file/",
            "link/",
            "a//",
            "a/../a/",
            "%2e%2e/",
            "a%2fb/",
            "a/b/c/",
        ];
        for (const path of wrong)
            for (const format of ["tar", "zip"])
                assert.equal(
                    (await fetchRaw(h.peerPort, `/files/${path}?archive=${format}`)).status,
                    404,
                    path,
                );
        assert.equal((await h.peer("/list/?archive=zip")).status, 404);
        assert.equal((await h.peer("/files/a/?archive=zip", { method: "POST" })).status, 405);
        assert.equal((await h.peer("/files/a/")).status, 403, "without the query a folder is none");
        assert.equal(
            (await h.peer("/files/a/b/?archive=zip")).body.length,
            22,
            "an empty zip is its end alone",
        );
    });

    test("links, part files and pipes are left out", async (t) => {
        const top = tempDir(t);
        mkdirSync(join(top, "photos/sub"), { recursive: true });
        const h = await startHostpair({ t, name: "hides", share: top });
        writeFileSync(join(top, "photos/kept"), "x");
        writeFileSync(join(top, "secret"), "nobody's");
        symlinkSync("kept", join(top, "photos/link-inside"));
        symlinkSync("sub", join(top, "photos/link-folder"));
        symlinkSync("/etc/hostname", join(top, "photos/link-outside"));
        writeFileSync(join(top, "photos/sub/.film.mkv.7.hostpair-part"), "half");
        await call("mkfifo", [join(top, "photos/pipe")]);
        const list = async (/** @type {string} */ folder) => {
            const to = join(h.downloadsDir, "x.tar");
            await fetchArchive(h, folder, "tar", to);
            return (await call("tar", ["-tf", to])).stdout.split("\n").filter(Boolean).sort();
        };
        assert.deepEqual(await list("photos"), ["kept", "sub/"], "names are those below the folder");
    });

    test("access holds for it, also while it is sent", async (t) => {
        const h = await startHostpair({ t, name: "closed" });
        mkdirSync(join(h.shareDir, "a"));
        await makeFile(join(h.shareDir, "a/big.bin"), 64 * MiB, 1);
        const url = `${h.peerUrl}/files/a/?archive=tar`;
        const slow = curl("--limit-rate", "1M", "-o", "/dev/null", url);
        const mine = async () =>
            (await h.api("/connections")).json.connections.find(
                (/** @type {any} */ one) => one.path === "/files/a/" && one.bytes_sent > MiB,
            );
        const one = await waitFor(mine, { what: "the connection in the list" });
        assert.equal(one.address, "127.0.0.1");
        assert.equal((await h.api("/settings", { method: "PATCH", json: { access: "hosts" } })).status, 200);
        assert.ok([18, 56].includes(await slow), "it is cut");
        assert.equal((await h.peer("/files/a/?archive=tar")).status, 403);
        assert.equal((await h.peer("/a/?archive=zip")).status, 403);
        assert.equal((await h.peer("/?archive=zip")).status, 403);
    });
});

describe("while it is sent", () => {
    test("clients that stop reading hold up nobody, and get the rest when they go on", async (t) => {
        const h = await startHostpair({ t, name: "patient" });
        mkdirSync(join(h.shareDir, "a"));
        for (let i = 0; i < 4; i++) await makeFile(join(h.shareDir, `a/${i}.bin`), 8 * MiB, i);
        await makeFile(join(h.shareDir, "other.bin"), MiB, 9);
        // More than the pool has threads.
        const stopped = Array.from({ length: 24 }, () => new Raw(h.peerPort, { reads: false }));
        t.after(() => stopped.forEach((c) => c.close()));
        stopped.forEach((c, i) => c.send(ask(`/a/?archive=${i % 2 ? "zip" : "tar"}`)));
        // The kernel's buffers are full when no more is counted as sent.
        let last = 0;
        await waitFor(
            async () => {
                const { connections } = (await h.api("/connections")).json;
                const all = connections.filter((/** @type {any} */ c) => c.path === "/a/");
                const sent = all.reduce(
                    (/** @type {number} */ sum, /** @type {any} */ c) => sum + c.bytes_sent,
                    0,
                );
                const still = all.length === stopped.length && sent > 0 && sent === last;
                last = sent;
                return still;
            },
            { interval: 300, timeout: 60_000, what: "all of them waiting" },
        );
        assert.ok(last < 24 * 32 * MiB, "none of them has all of it");
        const { body } = await h.peer("/other.bin");
        assert.equal(sha256Of(body), sha256Of(makeBytes(MiB, 9)), "others are served, through the same pool");
        for (const c of stopped.slice(0, 4)) {
            c.socket.resume();
            const { status, body: archive } = await c.reply();
            assert.equal(status, 200);
            assert.ok(archive.length > 32 * MiB);
            c.close();
        }
    });

    test("so many at once are enough, of one client and in all: the next one is told to come again", async (t) => {
        const h = await startHostpair({ t, name: "wanted" });
        mkdirSync(join(h.shareDir, "a"));
        writeFileSync(join(h.shareDir, "a/film.mkv"), "");
        truncateSync(join(h.shareDir, "a/film.mkv"), GiB);
        /** @type {Raw[]} */
        const clients = [];
        t.after(() => clients.forEach((c) => c.close()));
        const come = (/** @type {number} */ count, /** @type {string} */ from) => {
            for (let i = 0; i < count; i++) {
                clients.push(new Raw(h.peerPort, { reads: false, from }));
                clients.at(-1)?.send(ask("/a/?archive=tar"));
            }
        };
        const sent = async () =>
            (await h.api("/connections")).json.connections.filter(
                (/** @type {any} */ c) => c.path === "/a/" && c.bytes_sent > 0,
            ).length;
        const all = () =>
            waitFor(async () => (await sent()) === clients.length, {
                timeout: 60_000,
                what: "all of them",
            });
        come(32, "127.0.0.1");
        await all();
        assert.equal((await h.peer("/a/?archive=zip")).status, 503, "one client has its share");
        for (const from of ["127.0.0.2", "127.0.0.3", "127.0.0.4"]) come(32, from);
        await all();
        const stranger = new Raw(h.peerPort, { from: "127.0.0.5" });
        clients.push(stranger);
        stranger.send(ask("/a/?archive=zip"));
        const refused = await stranger.reply();
        assert.equal(refused.status, 503);
        assert.equal(refused.headers["retry-after"], "1");
        clients[0].close();
        const head = () => h.peer("/a/?archive=zip", { method: "HEAD" });
        await waitFor(async () => (await head()).status === 200, { what: "room for another" });
    });

    test("a file that becomes shorter or changes ends the connection, and the archive never looks whole", async (t) => {
        const h = await startHostpair({ t, name: "breaks" });
        mkdirSync(join(h.shareDir, "a"));
        const file = join(h.shareDir, "a/big.bin");
        const url = (/** @type {string} */ scheme, /** @type {Format} */ format) =>
            `${scheme}://127.0.0.1:${h.peerPort}/a/?archive=${format}`;
        const shorten = () => truncateSync(file, MiB);
        const change = () => {
            const fd = openSync(file, "r+");
            writeSync(fd, "changed", 40 * MiB);
            closeSync(fd);
        };
        for (const [how, act, args] of /** @type {[string, () => void, string[]][]} */ ([
            ["shorter, tar", shorten, [url("http", "tar")]],
            ["shorter, zip", shorten, [url("http", "zip")]],
            ["shorter, TLS", shorten, [url("https", "tar")]],
            ["shorter, HTTP/1.0", shorten, ["--http1.0", url("http", "tar")]],
            ["changed", change, [url("http", "zip")]],
        ])) {
            await makeFile(file, 48 * MiB, 1);
            const to = join(h.downloadsDir, how.replace("/", " "));
            const fetching = curl("--limit-rate", "16M", "-o", to, ...args);
            await waitFor(() => existsSync(to) && statSync(to).size > 0, { what: `bytes: ${how}` });
            act();
            const code = await fetching;
            assert.ok([18, 56].includes(code), `${how}: curl ended with ${code}`);
            await waitFor(() =>
                /cut the (tar|zip) of "a".*big\.bin has (become shorter|changed)/.test(h.stderr()),
            );
        }
    });

    test("it keeps to the upload limit, and counts as traffic", async (t) => {
        const h = await startHostpair({ t, name: "limited" });
        mkdirSync(join(h.shareDir, "a"));
        await makeFile(join(h.shareDir, "a/big.bin"), 3 * MiB, 1);
        assert.equal(
            (await h.api("/settings", { method: "PATCH", json: { up_limit_bps: MiB } })).status,
            200,
        );
        const begin = performance.now();
        const { status, body } = await h.peer("/a/?archive=tar");
        const seconds = (performance.now() - begin) / 1000;
        assert.equal(status, 200);
        assert.ok(body.length > 3 * MiB);
        assert.ok(seconds > 2.5, `3 MiB took ${seconds.toFixed(1)} s at 1 MiB/s`);
        const sent = await waitFor(async () => {
            const { minutes } = (await h.api("/traffic")).json;
            const up = minutes.reduce(
                (/** @type {number} */ sum, /** @type {any} */ m) => sum + m.up_bytes,
                0,
            );
            return up >= 3 * MiB && up;
        });
        assert.ok(sent < 4 * MiB, `${sent} bytes`);
    });

    test("2 GiB go through 8 MiB of memory", async (t) => {
        const h = await startHostpair({ t, name: "large", bin: plainBin });
        mkdirSync(join(h.shareDir, "a"));
        for (let i = 0; i < 4; i++) {
            writeFileSync(join(h.shareDir, `a/${i}.mkv`), "");
            truncateSync(join(h.shareDir, `a/${i}.mkv`), GiB / 2);
        }
        const peak = () =>
            Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${h.pid}/status`, "utf8"))?.[1]) * 1024;
        assert.equal(await curl("-o", "/dev/null", `${h.peerUrl}/a/3.mkv`), 0);
        const was = peak();
        for (const format of ["tar", "zip"])
            assert.equal(await curl("-o", "/dev/null", `${h.peerUrl}/a/?archive=${format}`), 0);
        t.diagnostic(`${(was / MiB).toFixed(1)} MiB before, ${(peak() / MiB).toFixed(1)} MiB after`);
        if (plainBin !== defaultBin) assert.ok(peak() - was < 8 * MiB, `${was} became ${peak()}`);
    });
});

describe("what does not fit an old zip", () => {
    const read = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as z:
    for i in z.infolist():
        if i.file_size < 1 << 20:
            z.read(i)
    print(len(z.infolist()), sum(i.file_size for i in z.infolist()), max(i.header_offset for i in z.infolist()))`;

    test("3,000 files, and more than 65,535 entries", async (t) => {
        // In memory: a file system that files were deleted from a moment ago takes a minute to make so many.
        const inMemory = existsSync("/dev/shm") ? mkdtempSync("/dev/shm/hostpair-e2e-") : tempDir(t);
        const h = await startHostpair({ t, name: "many", bin: plainBin, share: inMemory });
        t.after(() => rmSync(inMemory, { recursive: true, force: true })); // once nothing writes there any more
        const to = join(h.downloadsDir, "many.zip");
        for (let i = 0; i < 67; i++) {
            mkdirSync(join(h.shareDir, `all/${i}`), { recursive: true });
            for (let j = 0; j < 1000; j++)
                writeFileSync(join(h.shareDir, `all/${i}/${j}`), i < 3 ? `${i} ${j}` : "");
        }
        await fetchArchive(h, "all", "zip", to);
        const [count] = (await call("python3", ["-c", read, to])).stdout.split(" ");
        assert.equal(Number(count), 67 * 1001);
        assert.match((await call("unzip", ["-Z", "-h", to])).stdout, /number of entries: 67067/);
        mkdirSync(join(h.downloadsDir, "out"));
        await call("bsdtar", ["-xf", to, "-C", join(h.downloadsDir, "out"), "0", "1", "2"]);
        for (const i of [0, 1, 2])
            assert.deepEqual(
                treeOf(join(h.downloadsDir, `out/${i}`), 1e9),
                treeOf(join(h.shareDir, `all/${i}`), 1e9),
            );
    });

    test("a file of 4.5 GiB", async (t) => {
        const h = await startHostpair({ t, name: "huge", bin: plainBin });
        mkdirSync(join(h.shareDir, "a"));
        writeFileSync(join(h.shareDir, "a/film.mkv"), "");
        truncateSync(join(h.shareDir, "a/film.mkv"), 4.5 * GiB);
        for (let i = 0; i < 20; i++) writeFileSync(join(h.shareDir, `a/small${i}`), `${i}`);
        const to = join(h.downloadsDir, "huge.zip");
        // Zeros become holes.
        const command =
            'set -o pipefail; curl -sSf "$1" | dd conv=sparse bs=64K iflag=fullblock of="$2" status=none';
        await call("bash", ["-c", command, "-", `${h.peerUrl}/a/?archive=zip`, to]);
        const [count, bytes] = (await call("python3", ["-c", read, to])).stdout.split(" ");
        assert.equal(Number(count), 21);
        assert.equal(Number(bytes), 4.5 * GiB + 30);
        assert.match((await call("7z", ["l", to])).stdout, /4831838208 +film\.mkv/);
        assert.match((await call("unzip", ["-l", to])).stdout, /4831838208 .* film\.mkv/);
    });
});
