// @ts-check
// What a file or a folder is besides its bytes: whether it may be run, folders with nothing in them, files with holes.

import assert from "node:assert/strict";
import {
    chmodSync,
    closeSync,
    existsSync,
    ftruncateSync,
    openSync,
    readFileSync,
    readdirSync,
    statSync,
    statfsSync,
    writeFileSync,
    writeSync,
} from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { startEvil } from "./evil.mjs";
import {
    MiB,
    addHost,
    download,
    makeBytes,
    makeFile,
    pathOf,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { mountImage } from "./mounts.mjs";

/** @param {string} path */
const modeOf = (path) => (statSync(path).mode & 0o7777).toString(8);

/** What a new file has that may, or may not, be run. */
const runs = (0o777 & ~process.umask()).toString(8);
const plain = (0o666 & ~process.umask()).toString(8);

/**
 * Two hosts. `sees(list)`: b has the list of a, in which all of these stand.
 * @param {import("node:test").TestContext} t
 * @param {(share: string) => unknown} fill
 * @param {Parameters<typeof startHostpair>[0]} [options] of b
 */
async function pair(t, fill, options = {}) {
    const a = await startHostpair({ t, name: "a" });
    await fill(a.shareDir);
    const b = await startHostpair({ ...options, t, name: "b" });
    const host = await addHost(b, a.peerPort);
    const inList = async () => {
        await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
        const { json } = await b.api(`/hosts/${host.id}/files?q=.&limit=1000`);
        return json.files;
    };
    /** @param {string[]} paths */
    const sees = (paths) =>
        waitFor(
            async () => {
                const files = await inList();
                return paths.every((path) =>
                    files.some(
                        (/** @type {any} */ f) => f.path === path && (f.root !== null || f.size === 0),
                    ),
                );
            },
            { timeout: 30_000, interval: 200, what: `${paths.join(", ")} in the list, hashed` },
        );
    return { a, b, host, sees };
}

test("what may be run at its host may be run here, as the umask allows", { timeout: 120_000 }, async (t) => {
    const { a, b, host, sees } = await pair(t, async (share) => {
        await mkdir(join(share, "tools"));
        writeFileSync(join(share, "tools/small.sh"), "#!/bin/sh\n");
        writeFileSync(join(share, "tools/notes.txt"), "not a program.\n");
        await makeFile(join(share, "tools/chunk.bin"), 200_000, 2);
        await makeFile(join(share, "tools/large.bin"), 3 * MiB, 3);
        for (const name of ["small.sh", "chunk.bin", "large.bin"])
            chmodSync(join(share, "tools", name), 0o6755);
        chmodSync(join(share, "tools/notes.txt"), 0o666);
    });
    const names = ["small.sh", "notes.txt", "chunk.bin", "large.bin"];
    await sees(names.map((name) => `tools/${name}`));
    const list = await a.peer("/list", { headers: { Accept: "application/x-ndjson" } });
    const rows = list.text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    assert.deepEqual(
        rows.filter((row) => row.executable).map((row) => row.path),
        ["tools/chunk.bin", "tools/large.bin", "tools/small.sh"],
    );
    assert.ok(rows.every((row) => row.path !== "tools/notes.txt" || !("executable" in row)));

    const modes = async (/** @type {string | undefined} */ to) => {
        const d = await waitState(
            b,
            (await download(b, { host: host.id, folder: "tools", copy: true, to })).id,
            "done",
        );
        return names.map((name) => `${name} ${modeOf(join(pathOf(b, d), name))}`);
    };
    const kept = [`small.sh ${runs}`, `notes.txt ${plain}`, `chunk.bin ${runs}`, `large.bin ${runs}`];
    assert.deepEqual(await modes(undefined), kept, "never set-user-id, never more than the umask allows");

    const single = await waitState(
        b,
        (await download(b, { host: host.id, path: "tools/large.bin", copy: true })).id,
        "done",
    );
    assert.equal(modeOf(pathOf(b, single)), runs);

    assert.equal(
        (await b.api("/settings", { method: "PATCH", json: { keep_executable: false } })).status,
        200,
    );
    assert.deepEqual(
        await modes("off"),
        names.map((name) => `${name} ${plain}`),
    );

    // What becomes a program later is told as well.
    await b.api("/settings", { method: "PATCH", json: { keep_executable: true } });
    chmodSync(join(a.shareDir, "tools/notes.txt"), 0o755);
    const later = async () => {
        await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
        return modes("later");
    };
    await waitFor(async () => (await later()).includes(`notes.txt ${runs}`), {
        timeout: 60_000,
        interval: 500,
        what: "a copy with the new mode",
    });
});

test(
    "a host that proves nothing makes no programs here, and no folders outside",
    { timeout: 60_000 },
    async (t) => {
        const bytes = makeBytes(70_000, 4);
        const long = "n".repeat(256);
        const hostile = [
            "../out",
            "a/../../out",
            "/etc/out",
            "..",
            ".",
            "",
            "tools//x",
            "tools/../../out",
            "tools/a\u0000b",
        ];
        const evil = await startEvil({
            t,
            files: { "tools/run": bytes, "tools/file": Buffer.from("abc") },
            hostpair: { id: "fedcba9876543210fedcba9876543210", name: "evil" },
            listLines: [
                JSON.stringify({
                    path: "tools/run",
                    size: bytes.length,
                    mtime: "2024-01-02T03:04:05Z",
                    executable: true,
                    root: null,
                }),
                JSON.stringify({
                    path: "tools/file",
                    size: 3,
                    mtime: "2024-01-02T03:04:05Z",
                    executable: "yes",
                    root: null,
                }),
                ...[...hostile, `tools/${long}`, "tools/.x.1.hostpair-part"].map((folder) =>
                    JSON.stringify({ folder }),
                ),
                ...Array.from({ length: 200 }, (_, n) =>
                    JSON.stringify({ folder: `tools/${"d/".repeat(n)}d` }),
                ),
                JSON.stringify({ folder: "tools/file/below" }),
                JSON.stringify({ folder: 5 }),
                JSON.stringify({ folder: "tools/good/empty" }),
            ],
        });
        const b = await startHostpair({ t, name: "b" });
        const host = await addHost(b, evil.port);
        await waitFor(
            async () => (await b.api(`/hosts/${host.id}/files?folder=tools`)).json.files?.length === 2,
            {
                what: "the list",
            },
        );
        const d = await waitState(b, (await download(b, { host: host.id, folder: "tools" })).id, "done");
        assert.equal(modeOf(join(pathOf(b, d), "run")), plain);
        assert.match(d.note, /empty folders? could not be made/);
        assert.equal(
            readFileSync(join(pathOf(b, d), "file"), "utf8"),
            "abc",
            "a file is not replaced by a folder",
        );
        assert.ok(statSync(join(pathOf(b, d), "good/empty")).isDirectory());
        assert.deepEqual(readdirSync(b.downloadsDir), ["tools"]);
        assert.deepEqual(readdirSync(pathOf(b, d)).sort(), ["d", "file", "good", "run"]);
        assert.ok(!existsSync(join(b.root, "out")));
    },
);

test("empty folders come along, and are told when they come and go", { timeout: 120_000 }, async (t) => {
    const { a, b, host, sees } = await pair(t, async (share) => {
        await mkdir(join(share, "trip/empty/deep/deeper"), { recursive: true });
        await mkdir(join(share, "trip/photos"), { recursive: true });
        await mkdir(join(share, "trip.later"), { recursive: true });
        await mkdir(join(share, "nothing/here"), { recursive: true });
        writeFileSync(join(share, "trip/photos/a.txt"), "a");
    });
    const folders = async (headers = { "Hostpair-Folders": "1" }) => {
        const list = await a.peer("/list", { headers: { Accept: "application/x-ndjson", ...headers } });
        return list.text
            .trim()
            .split("\n")
            .filter((line) => line !== "")
            .map((line) => JSON.parse(line).folder)
            .filter((folder) => folder !== undefined);
    };
    await sees(["trip/photos/a.txt"]);
    const told = "nothing/here,trip.later,trip/empty/deep/deeper";
    await waitFor(async () => (await folders()).join() === told, {
        timeout: 20_000,
        what: told,
        detail: async () => (await folders()).join(),
    });
    // @ts-ignore
    assert.deepEqual(await folders({}), [], "who does not know them is not told");

    const order = { host: host.id, folder: "trip" };
    const d = await waitState(b, (await download(b, order)).id, "done");
    assert.deepEqual([d.files_total, d.files_done], [1, 1]);
    assert.ok(statSync(join(pathOf(b, d), "empty/deep/deeper")).isDirectory());
    assert.deepEqual(readdirSync(b.downloadsDir), ["trip"]);

    const none = await waitState(b, (await download(b, { host: host.id, folder: "nothing" })).id, "done");
    assert.deepEqual([none.files_total, readdirSync(pathOf(b, none))], [0, ["here"]]);

    // One more, one that is filled, one that becomes empty, one that goes.
    await mkdir(join(a.shareDir, "trip/more"));
    writeFileSync(join(a.shareDir, "trip/empty/deep/deeper/b.txt"), "b");
    await rm(join(a.shareDir, "trip/photos/a.txt"));
    await rm(join(a.shareDir, "nothing"), { recursive: true });
    await sees(["trip/empty/deep/deeper/b.txt"]);
    const now = await waitFor(
        async () => {
            const list = await folders();
            return (
                list.includes("trip/more") &&
                list.includes("trip/photos") &&
                !list.includes("nothing/here") &&
                list
            );
        },
        { timeout: 20_000, what: "the folders as they are", detail: async () => (await folders()).join() },
    );
    assert.ok(now.includes("trip.later"));
    await waitFor(
        async () => {
            await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
            const again = await b.api("/downloads", { json: order });
            assert.deepEqual([again.status, again.json.id], [200, d.id], again.text);
            await waitState(b, d.id, "done");
            return existsSync(join(pathOf(b, d), "more"));
        },
        { timeout: 30_000, interval: 500, what: "the new folder here" },
    );
    assert.equal(readFileSync(join(pathOf(b, d), "empty/deep/deeper/b.txt"), "utf8"), "b");
    assert.ok(statSync(join(pathOf(b, d), "more")).isDirectory());

    // Nothing but a folder is new.
    await mkdir(join(a.shareDir, "trip/last"));
    await waitFor(async () => (await folders()).includes("trip/last"), {
        timeout: 20_000,
        what: "the last folder",
    });
    const done = await waitFor(
        async () => {
            await b.api(`/hosts/${host.id}/files/refresh`, { method: "POST" });
            const last = await b.api("/downloads", { json: order });
            assert.equal(last.json.id, d.id, last.text);
            const one = await waitState(b, d.id, "done");
            return existsSync(join(pathOf(b, d), "last")) && one;
        },
        { timeout: 30_000, interval: 500, what: "the last folder here" },
    );
    assert.match(done.note, /1 empty folder/);
    assert.ok(statSync(join(pathOf(b, d), "last")).isDirectory());
});

/** File systems where a hole is one for certain: ext, XFS, Btrfs, F2FS. */
const good = [0xef53, 0x58465342, 0x9123683e, 0xf2f52010];

test("zeros take no room on the disk", { timeout: 180_000 }, async (t) => {
    const dir = tempDir(t);
    const disk = good.includes(statfsSync(dir).type) ? dir : mountImage(t, "ext4", 192);
    if (!disk) return t.skip("this machine has no such file system, and cannot mount one");
    const size = 96 * MiB + 12345;
    const make = (/** @type {string} */ path) => {
        const fd = openSync(path, "w");
        ftruncateSync(fd, size);
        writeSync(fd, makeBytes(2 * MiB, 5), 0, 2 * MiB, 0);
        writeSync(fd, makeBytes(100_000, 6), 0, 100_000, 30 * MiB + 70_000);
        writeSync(fd, makeBytes(MiB, 7), 0, MiB, 60 * MiB);
        closeSync(fd);
    };
    const { a, b, host, sees } = await pair(t, (share) => make(join(share, "image.raw")), {
        downloads: join(disk, "d"),
    });
    await sees(["image.raw"]);
    const d = await waitState(b, (await download(b, { host: host.id, path: "image.raw" })).id, "done");
    const at = pathOf(b, d);
    assert.equal(d.verified, true);
    assert.equal(await sha256(at), await sha256(join(a.shareDir, "image.raw")));
    const taken = statSync(at).blocks * 512;
    assert.equal(statSync(at).size, size);
    assert.ok(taken < 4.5 * MiB, `${taken} bytes on the disk for ${3 * MiB + 100_000} bytes of data`);

    // Cut in the middle of the way, it is the same in the end.
    const order = { host: host.id, path: "image.raw", copy: true, limit_bps: 8 * MiB };
    const slow = await download(b, order);
    await waitFor(async () => (await b.api(`/downloads/${slow.id}`)).json.done_bytes > 8 * MiB, {
        timeout: 60_000,
        what: "some chunks",
    });
    await b.kill9();
    await b.restart();
    await b.api(`/downloads/${slow.id}`, { method: "PATCH", json: { limit_bps: 0 } });
    const second = await waitState(b, slow.id, "done");
    assert.equal(await sha256(pathOf(b, second)), await sha256(at));
    const blocks = statSync(pathOf(b, second)).blocks * 512;
    assert.ok(blocks < 4.5 * MiB, `${blocks} bytes on the disk after a restart`);
});
