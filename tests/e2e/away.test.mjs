// @ts-check
// Disks that are not there: at the start, or from one moment to the next. Nothing is made in their place, and all goes on
// when they are back. On disks that the tests mount, so only as root.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    makeFile,
    pathOf,
    sha256,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";
import { makeDisk } from "./mounts.mjs";

const skip = process.getuid?.() === 0 ? false : "mounting a disk needs root";
const size = 24 * MiB;

/**
 * A download to a disk of its own, of which some has arrived.
 * @param {import("node:test").TestContext} t
 * @param {string} below where the downloads folder is on the disk
 */
async function begin(t, below, kind = /** @type {import("./mounts.mjs").Kind} */ ("ext4")) {
    const disk = makeDisk(t, kind, 96);
    if (!disk) return undefined;
    const a = await startHostpair({ t, name: "a" });
    const sum = await sha256(await makeFile(join(a.shareDir, "big.bin"), size, 5));
    const start = () => startHostpair({ t, name: "b", data, downloads: join(disk.at, below) });
    const data = tempDir(t);
    const b = await start();
    const link = await startLink({ t, to: a.peerPort, rate: 8 * MiB });
    const host = await addHost(b, link.port);
    const { id } = await download(b, { host: host.id, path: "big.bin" });
    await waitState(b, id, (d) => d.done_bytes >= 10 * MiB);
    return { disk, b, id, sum, link, start, host, data };
}

/** What is in a folder, but for what the harness makes before each start. @param {string} dir */
const strays = (dir) =>
    readdirSync(dir, { recursive: true, encoding: "utf8" }).filter(
        (name) => !/^(to|to.downloads|offered)$/.test(name),
    );

/** @param {import("./harness.mjs").Hostpair} h */
const notices = async (h) =>
    (await h.api("/status")).json.notices.map((/** @type {any} */ notice) => notice.code);

/** @param {any} d */
const isAway = (d) => d.state === "paused" && /disk is not there.*goes on by itself/.test(d.reason);

describe("the disk of the downloads folder", { skip }, () => {
    for (const [what, below] of /** @type {const} */ ([
        ["a folder on it", "to/downloads"],
        ["all of it", ""],
    ]))
        test(`(${what}) is not there at the start`, { timeout: 90_000 }, async (t) => {
            const got = await begin(t, below);
            if (!got) return t.skip("no loop device here");
            await got.b.kill9();
            got.disk.unmount();
            const b = await got.start();
            await waitState(b, got.id, isAway);
            const asked = got.link.carried();
            // What is ordered meanwhile waits as well.
            const second = await download(b, { host: got.host.id, path: "big.bin", to: "second" });
            await b.restart();
            await waitState(b, second.id, isAway);
            await waitState(b, got.id, isAway);
            assert.deepEqual(strays(got.disk.at), [], "something was made where the disk is not");
            assert.ok(got.disk.mount());
            const d = await waitState(b, got.id, "done");
            assert.equal(await sha256(pathOf(b, d)), got.sum);
            await waitState(b, second.id, "done");
            assert.ok(got.link.carried() - asked < 2 * size - 5 * MiB, "it began from zero");
        });

    test("goes away while it is written to", { timeout: 90_000 }, async (t) => {
        const got = await begin(t, "downloads");
        if (!got) return t.skip("no loop device here");
        got.disk.unmount();
        await waitState(got.b, got.id, isAway, { timeout: 10_000 });
        await waitFor(async () => (await notices(got.b)).includes("downloads_disk_missing"));
        assert.deepEqual(strays(got.disk.at), [], "something was made where the disk is not");
        assert.ok(got.disk.mount());
        const d = await waitState(got.b, got.id, "done");
        assert.equal(await sha256(pathOf(got.b, d)), got.sum);
    });

    test("is gone for good, and a person says so", { timeout: 90_000 }, async (t) => {
        const got = await begin(t, "downloads");
        if (!got) return t.skip("no loop device here");
        got.disk.unmount();
        await waitState(got.b, got.id, isAway, { timeout: 10_000 });
        const folder = join(got.disk.at, "downloads");
        const reply = await got.b.api("/settings", { method: "PATCH", json: { downloads_folder: folder } });
        assert.equal(reply.status, 200, reply.text);
        const d = await waitState(got.b, got.id, "done");
        assert.equal(await sha256(pathOf(got.b, d)), got.sum);
    });
});

describe("what was fetched already is not fetched again", { skip }, () => {
    /** @typedef {NonNullable<Awaited<ReturnType<typeof begin>>>} Begun */
    /** @type {[string, import("./mounts.mjs").Kind, (got: Begun) => Promise<string>][]} */
    const deeds = [
        [
            "when the downloads folder was copied",
            "ext4",
            async ({ disk }) => {
                const [here, copy] = [join(disk.at, "downloads"), join(disk.at, "copy")];
                execFileSync("cp", ["-a", here, copy]);
                await rm(here, { recursive: true });
                await rename(copy, here);
                return here;
            },
        ],
        [
            "when the downloads folder was moved, and people say where to",
            "ext4",
            async ({ disk }) => {
                await rename(join(disk.at, "downloads"), join(disk.at, "moved"));
                return join(disk.at, "moved");
            },
        ],
        [
            "when the disk gives its files other numbers",
            "exfat",
            async ({ disk }) => {
                disk.unmount();
                assert.ok(disk.mount());
                writeFileSync(join(disk.at, "one more"), ""); // takes the number that the part file had
                return join(disk.at, "downloads");
            },
        ],
    ];
    for (const [when, kind, act] of deeds)
        test(when, { timeout: 90_000 }, async (t) => {
            const got = await begin(t, "downloads", kind);
            if (!got) return t.skip(`this machine cannot mount ${kind}`);
            await got.b.stop();
            const downloads = await act(got);
            const before = got.link.carried();
            const b = await startHostpair({ t, name: "b", data: got.data, downloads });
            const d = await waitState(b, got.id, "done");
            assert.equal(await sha256(pathOf(b, d)), got.sum);
            const asked = got.link.carried() - before;
            assert.ok(asked < size - 3 * MiB, `${asked} bytes were fetched anew`);
            assert.deepEqual(
                readdirSync(downloads).filter((name) => !name.includes("hostpair-disk")),
                ["big.bin"],
            );
        });

    test("but another file in the place of the part file is left alone", { timeout: 90_000 }, async (t) => {
        const got = await begin(t, "downloads");
        if (!got) return t.skip("no loop device here");
        await got.b.stop();
        const folder = join(got.disk.at, "downloads");
        const part =
            readdirSync(folder).find((name) => name.startsWith(".big.bin")) ?? assert.fail("no part");
        const foreign = await sha256(await makeFile(join(folder, "foreign"), size, 99));
        await rename(join(folder, "foreign"), join(folder, part)); // with a number of its own
        const b = await got.start();
        const d = await waitState(b, got.id, "done");
        assert.equal(await sha256(pathOf(b, d)), got.sum);
        assert.equal(await sha256(join(folder, part)), foreign);
    });
});

describe("the disk of the shared folder", { skip }, () => {
    test("is not there at the start", { timeout: 60_000 }, async (t) => {
        const disk = makeDisk(t, "ext4", 32);
        if (!disk) return t.skip("no loop device here");
        const data = tempDir(t);
        const start = () => startHostpair({ t, data, share: join(disk.at, "offered") });
        const first = await start();
        writeFileSync(join(disk.at, "offered/a.txt"), "a");
        /** @param {import("./harness.mjs").Hostpair} h */
        const files = async (h) => (await h.api("/status")).json.share.files;
        await waitFor(async () => (await files(first)) === 1);
        await first.stop();
        disk.unmount();
        const h = await start();
        await waitFor(async () => (await notices(h)).includes("share_missing"));
        assert.equal(await files(h), 0);
        assert.deepEqual((await h.api("/share/files")).json.files, []);
        const put = await h.api("/share/files/up.txt", {
            method: "PUT",
            body: "hello",
            headers: { "Content-Range": "bytes 0-4/5" },
        });
        assert.equal(put.status, 503, put.text);
        assert.match(put.json.detail, /disk.*not there/);
        assert.deepEqual(strays(disk.at), []);
        assert.ok(disk.mount());
        await waitFor(async () => (await files(h)) === 1, { timeout: 20_000 });
        assert.deepEqual(
            readdirSync(join(disk.at, "offered")).filter((name) => !name.startsWith(".")),
            ["a.txt"],
        );
        await waitFor(async () => (await notices(h)).length === 0);
        assert.equal((await h.peer("/a.txt")).status, 200);
        const list = await h.peer("/list");
        assert.equal(list.text, "a.txt\r\n");
    });
});
