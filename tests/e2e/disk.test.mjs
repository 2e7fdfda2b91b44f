// @ts-check
// A full disk: downloads pause with a reason, lose nothing, and go on by themselves when there is room. On small file systems
// that the tests mount, so only as root.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { statfsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";

import {
    MiB,
    addHost,
    download,
    getDownload,
    makeFile,
    pathOf,
    sha256,
    sleep,
    startHostpair,
    tempDir,
    waitFor,
    waitState,
} from "./harness.mjs";
import { startLink } from "./link.mjs";
import { smallDisk } from "./mounts.mjs";

const root = process.getuid?.() === 0;
const skip = root ? false : "mounting a small disk needs root";

/** @param {string} dir */
function free(dir) {
    const { bavail, bsize } = statfsSync(dir);
    return bavail * bsize;
}

/** A reason that a person understands. @param {any} d */
function assertDiskReason(d) {
    assert.equal(d.state, "paused", JSON.stringify(d));
    assert.match(d.reason, /disk|space|room|full/i, JSON.stringify(d));
}

describe("a disk that hangs", { skip }, () => {
    test("does not keep hostpair from ending, and what was there is there afterwards", async (t) => {
        const disk = smallDisk(t, 256, "ext4");
        if (!disk) return t.skip("this machine cannot mount an image");
        const a = await startHostpair({ t, name: "a" });
        await makeFile(join(a.shareDir, "big.bin"), 48 * MiB, 3);
        const link = await startLink({ t, to: a.peerPort, rate: 24 * MiB });
        const data = tempDir(t);
        const b = await startHostpair({ t, name: "b", data, downloads: disk });
        const host = await addHost(b, link.port);
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        await waitState(b, id, (d) => d.done_bytes > 4 * MiB);
        execFileSync("fsfreeze", ["--freeze", disk]);
        const thaw = () => spawnSync("fsfreeze", ["--unfreeze", disk]);
        t.after(thaw);
        const asked = link.carried();
        await waitFor(() => link.carried() > asked + 4 * MiB, { what: "chunks that wait for the disk" });
        const start = performance.now();
        process.kill(b.pid, "SIGTERM");
        await waitFor(() => /does not answer \(transfer\); leaving/.test(b.stderr()), {
            what: "its last words",
        });
        const took = performance.now() - start;
        assert.ok(took < 2500, `it waited ${took} ms`);
        thaw(); // the kernel lets nobody go who waits for a frozen disk
        assert.equal((await b.exited).code, 0);

        const again = await startHostpair({ t, name: "b", data, downloads: disk });
        const done = await waitState(again, id, "done");
        assert.equal(await sha256(pathOf(again, done)), await sha256(join(a.shareDir, "big.bin")));
    });
});

describe("a full disk", { skip }, () => {
    for (const kind of /** @type {const} */ (["tmpfs", "ext4"]))
        test(`(${kind}) pauses a download before its first byte`, { timeout: 60_000 }, (t) =>
            pauses(t, kind),
        );

    /** @param {import("node:test").TestContext} t @param {"tmpfs" | "ext4"} kind */
    async function pauses(t, kind) {
        const disk = smallDisk(t, 96, kind);
        if (!disk) {
            t.skip("no loop device here");
            return;
        }
        const a = await startHostpair({ t, name: "a" });
        const sum = await sha256(await makeFile(join(a.shareDir, "f.bin"), 64 * MiB, 31));
        const ballast = await makeFile(join(disk, "ballast"), 60 * MiB, 1);
        const room = free(disk) - MiB; // but for what folders and file tables take
        const b = await startHostpair({ t, name: "b", downloads: disk });
        const host = await addHost(b, a.peerPort);
        const { id } = await download(b, { host: host.id, path: "f.bin" });
        assertDiskReason(await waitState(b, id, ["paused", "done"]));
        assert.equal((await b.api("/status")).status, 200);
        assert.ok(free(disk) >= room, `${room} bytes were free before, now ${free(disk)}`);
        await b.restart();
        await sleep(1000);
        assertDiskReason(await getDownload(b, id));
        await rm(ballast);
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), sum);
    }

    test("met in the middle of a file keeps what is there", { timeout: 120_000 }, async (t) => {
        const disk = smallDisk(t, 96, "ext2");
        if (!disk) {
            t.skip("no loop device here");
            return;
        }
        const a = await startHostpair({ t, name: "a" });
        const sum = await sha256(await makeFile(join(a.shareDir, "f.bin"), 64 * MiB, 32));
        const ballast = await makeFile(join(disk, "ballast"), 60 * MiB, 1);
        const link = await startLink({ t, to: a.peerPort });
        const b = await startHostpair({ t, name: "b", downloads: disk });
        const host = await addHost(b, link.port);
        const { id } = await download(b, { host: host.id, path: "f.bin" });
        const paused = await waitState(b, id, ["paused", "done"]);
        assertDiskReason(paused);
        const bystander = await sha256(ballast);
        await sleep(500);
        assert.ok(link.carried() < 64 * MiB, "nothing is fetched for a full disk");
        assert.equal((await b.api("/status")).status, 200);
        await sleep(0);
        assert.equal(await sha256(ballast), bystander, "no other file is touched");
        const kept = (await getDownload(b, id)).done_bytes;
        await b.kill9();
        await b.restart();
        assert.ok(
            (await getDownload(b, id)).done_bytes >= kept - 2 * MiB,
            "chunks that were written are kept",
        );
        await rm(ballast);
        const d = await waitState(b, id, "done");
        assert.equal(await sha256(pathOf(b, d)), sum);
        const twice = link.twice(link.requests.find((r) => r.path.endsWith("f.bin"))?.path ?? "").twice;
        t.diagnostic(`kept ${kept / MiB} MiB, fetched twice ${(twice / MiB).toFixed(1)} MiB`);
        assert.ok(twice <= 32 * MiB, `${twice} bytes were fetched twice`);
    });

    test(
        "too small for two downloads finishes one, and the other one later",
        { timeout: 120_000 },
        async (t) => {
            const disk = smallDisk(t, 64, "tmpfs");
            assert.ok(disk, "a tmpfs can be mounted");
            const a = await startHostpair({ t, name: "a" });
            const sums = [];
            for (const i of [0, 1])
                sums.push(await sha256(await makeFile(join(a.shareDir, `${i}.bin`), 40 * MiB, 40 + i)));
            const link = await startLink({ t, to: a.peerPort, rate: 40 * MiB });
            const b = await startHostpair({ t, name: "b", downloads: disk });
            const host = await addHost(b, link.port);
            /** @type {number[]} */
            const ids = [];
            for (const i of [0, 1]) ids.push((await download(b, { host: host.id, path: `${i}.bin` })).id);
            const first = await waitFor(
                async () => {
                    for (const id of ids) if ((await getDownload(b, id)).state === "done") return id;
                    return undefined;
                },
                {
                    timeout: 60_000,
                    what: "one of the two being done",
                    detail: () => Promise.all(ids.map((id) => getDownload(b, id))),
                },
            );
            const other = ids[0] === first ? ids[1] : ids[0];
            assertDiskReason(await waitState(b, other, ["paused", "done"]));
            const done = await getDownload(b, first);
            assert.equal(await sha256(pathOf(b, done)), sums[ids.indexOf(first)]);
            await rm(pathOf(b, done));
            const d = await waitState(b, other, "done");
            assert.equal(await sha256(pathOf(b, d)), sums[ids.indexOf(other)]);
        },
    );

    test(
        "under the database is survived, and orders are taken again when there is room",
        { timeout: 120_000 },
        async (t) => {
            const disk = smallDisk(t, 24, "tmpfs");
            assert.ok(disk, "a tmpfs can be mounted");
            const a = await startHostpair({ t, name: "a" });
            for (const i of [0, 1]) await makeFile(join(a.shareDir, `${i}.bin`), 4 * MiB, 50 + i);
            const b = await startHostpair({ t, name: "b", data: disk });
            const host = await addHost(b, a.peerPort);
            const { id } = await download(b, { host: host.id, path: "0.bin" });
            await waitState(b, id, "done");
            const ballast = join(disk, "ballast");
            for (let size = free(disk); size > 0; size = free(disk)) {
                try {
                    await writeFile(ballast, Buffer.alloc(size, 1), { flag: "a" });
                } catch {
                    break;
                }
            }
            for (let i = 0; i < 30; i++) {
                const reply = await b.api("/settings", {
                    method: "PATCH",
                    json: { name: `${"n".repeat(60)}${i}` },
                });
                assert.ok(reply.status === 200 || reply.status >= 500, `${reply.status} ${reply.text}`);
            }
            const refused = await b.api("/downloads", { json: { host: host.id, path: "1.bin" } });
            if (refused.status >= 400) assert.match(refused.headers["content-type"] ?? "", /problem\+json/);
            assert.equal((await b.api("/status")).status, 200);
            await rm(ballast);
            const d = await waitFor(
                async () => {
                    const reply = await b.api("/downloads", { json: { host: host.id, path: "1.bin" } });
                    return reply.status < 300 && reply.json;
                },
                { what: "the order being taken", timeout: 30_000 },
            );
            await waitState(b, d.id, "done");
            await b.restart();
            assert.equal((await getDownload(b, id)).state, "done");
        },
    );
});
