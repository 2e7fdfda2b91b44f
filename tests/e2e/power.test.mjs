// @ts-check
// The power goes: what the kernel had not yet written is lost, of the database and of the files. A file system of its own
// is shut down in one blow (the kernel's own way to test this), mounted again, and hostpair started as after a boot.
// HP_E2E_CUTS sets how often (default 6), HP_E2E_SEED the random moments.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { randomOf } from "./crash.mjs";
import { MiB, download, getDownload, pathOf, sleep, startHostpair, tempDir, waitState } from "./harness.mjs";
import { assertSameTree, linked, sharing, wholeFiles } from "./hosts.mjs";

const cuts = Number(process.env.HP_E2E_CUTS || 6);
const seed = Number(process.env.HP_E2E_SEED || Math.floor(Math.random() * 1e6));
const skip = process.getuid?.() === 0 ? false : "mounting a file system needs root";

const RATE = 24 * MiB; // of each link, bytes a second
const LONGEST_MS = 3000; // between a start and the next cut

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: nothing more is written, not even the journal. */
const SHUT_DOWN = `
import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack("I", 2))
`;

/**
 * A disk whose power can be cut; undefined where this machine cannot mount one.
 * @param {import("node:test").TestContext} t
 * @param {number} mib
 */
function powerDisk(t, mib) {
    const dir = tempDir();
    const at = join(dir, "disk");
    let boots = 0;
    const image = () => join(dir, `image ${boots}`);
    mkdirSync(at);
    execFileSync("truncate", ["-s", `${mib}M`, image()]);
    execFileSync("/sbin/mkfs.ext4", ["-q", "-m", "0", image()]);
    const mount = () => spawnSync("mount", ["-o", "loop", image(), at], { encoding: "utf8" });
    if (mount().status !== 0) return undefined;
    const unmount = () => spawnSync("umount", ["-l", at]);
    process.once("exit", unmount);
    t.after(async () => {
        unmount();
        process.off("exit", unmount);
        await rm(dir, { recursive: true, force: true });
    });
    return {
        at,
        cut: () => execFileSync("python3", ["-c", SHUT_DOWN, at]),
        /**
         * When nobody uses it any more: what the disk holds, its journal replayed as after a boot. A copy, since another
         * test may hold on to the old mount; and so another device, as a boot may number them anew.
         */
        restore() {
            const before = image();
            boots++;
            unmount();
            execFileSync("cp", ["--sparse=always", before, image()]);
            rmSync(before);
            const { status, stderr } = mount();
            assert.equal(status, 0, stderr);
        },
    };
}

/** Small files, which come and are written in batches, files of several chunks, and one that goes past the page cache. */
function tree() {
    /** @type {import("./hosts.mjs").Files} */
    const files = {
        "tree/empty": { size: 0, seed: 0 },
        "tree/large.bin": { size: 80 * MiB + 77, seed: 900 },
    };
    for (let i = 0; i < 1500; i++)
        files[`tree/small/${i % 8}/${i}.dat`] = { size: 1024 + (i % 7) * 1024, seed: 100 + i };
    for (let i = 0; i < 6; i++) files[`tree/middle ${i}.bin`] = { size: 3 * MiB + 4321 * i, seed: 6000 + i };
    return files;
}

test(
    `a folder is equal after the power went ${cuts} times`,
    { skip, timeout: 90_000 + cuts * 15_000 },
    async (t) => {
        const disk = powerDisk(t, 1024);
        if (!disk) return t.skip("this machine cannot mount an image");
        t.diagnostic(`seed ${seed}`);
        const random = randomOf(seed);
        const files = tree();
        const count = Object.keys(files).length;
        const sources = [await sharing(t, "a", files), await sharing(t, "c", files)];
        let boot = 0;
        /** @type {Record<string, string>} */
        const env = {};
        const nextBoot = () =>
            (env.HOSTPAIR_BOOT_ID = `00000000-0000-4000-8000-${String(++boot).padStart(12, "0")}`);
        nextBoot();
        const [data, downloads] = [join(disk.at, "data"), join(disk.at, "downloads")];
        const b = await startHostpair({ t, name: "b", data, downloads, env });
        /** @type {Array<{ id: string }>} */
        const hosts = [];
        for (const { peerPort } of sources)
            hosts.push(await linked(t, b, peerPort, { rate: RATE, files: count }));
        const wanted = join(sources[0].shareDir, "tree");
        const order = () => download(b, { host: hosts[0].id, folder: "tree" });

        let trees = 0;
        let { id } = await order();
        async function complete() {
            const d = await waitState(b, id, "done", { timeout: 120_000 });
            assert.deepEqual([d.files_done, d.verified], [count, true]);
            await assertSameTree(pathOf(b, d), wanted);
            assert.deepEqual(readdirSync(b.downloadsDir), [d.name], "nothing is beside it");
            trees++;
        }
        for (let cut = 1; cut <= cuts; cut++) {
            // The first one comes at once: what was answered with 201 is there after it.
            if (cut > 1) await sleep(random() * (random() < 0.3 ? LONGEST_MS / 10 : LONGEST_MS));
            disk.cut();
            await b.kill9();
            disk.restore();
            nextBoot();
            const whole = await wholeFiles(join(b.downloadsDir, "tree"), wanted);
            await b.start();
            const d = await getDownload(b, id);
            assert.ok(d.files_done <= whole, `${d.files_done} files on record, ${whole} on the disk`);
            assert.ok(!["failed", "cancelled"].includes(d.state), `after cut ${cut}: ${JSON.stringify(d)}`);
            t.diagnostic(
                `cut ${cut}: ${d.state}, ${d.files_done} files, ${(d.done_bytes / MiB).toFixed(1)} MiB`,
            );
            if (d.state === "done" && cut < cuts) {
                await complete();
                assert.equal((await b.api(`/downloads/${id}`, { method: "DELETE" })).status, 204);
                rmSync(pathOf(b, d), { recursive: true });
                ({ id } = await order());
            }
        }
        await complete();
        t.diagnostic(`${trees} trees of ${count} files equal`);
    },
);
