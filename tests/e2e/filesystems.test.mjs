// @ts-check
// Disks that lack what hostpair uses elsewhere: sticks and drives of other systems. They are mounted from images, so only
// as root, and only where FUSE works.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
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
    waitFor,
    waitState,
} from "./harness.mjs";
import { mountImage } from "./mounts.mjs";

const skip = process.getuid?.() === 0 ? false : "mounting a disk needs root";

/** All but the file by which hostpair knows the disk. @param {string} dir */
const allIn = (dir) =>
    readdirSync(dir, { recursive: true, encoding: "utf8" })
        .filter((name) => !name.startsWith(".hostpair-disk."))
        .sort();

for (const kind of /** @type {const} */ (["exfat", "ntfs"]))
    describe(`a disk with ${kind}`, { skip }, () => {
        test("takes downloads, each under its name", { timeout: 90_000 }, async (t) => {
            const disk = mountImage(t, kind, 96);
            if (!disk) return t.skip(`this machine cannot mount ${kind}`);
            const a = await startHostpair({ t, name: "a" });
            const sum = await sha256(await makeFile(join(a.shareDir, "big.bin"), 9 * MiB, 3));
            await mkdir(join(a.shareDir, "in/more"), { recursive: true });
            writeFileSync(join(a.shareDir, "in/a.txt"), "small");
            writeFileSync(join(a.shareDir, "in/more/empty"), "");
            await makeFile(join(a.shareDir, "in/more/mid.bin"), 3 * MiB, 4);
            const b = await startHostpair({ t, name: "b", downloads: disk });
            writeFileSync(join(disk, "big.bin"), "somebody's");
            const host = await addHost(b, a.peerPort);

            const one = await download(b, { host: host.id, path: "big.bin" });
            const done = await waitState(b, one.id, "done");
            assert.equal(done.path, "big (1).bin");
            assert.equal(await sha256(pathOf(b, done)), sum);
            assert.equal(readFileSync(join(disk, "big.bin"), "utf8"), "somebody's");

            const tree = await waitState(b, (await download(b, { host: host.id, folder: "in" })).id, "done");
            assert.equal(tree.note, null);
            assert.equal(readFileSync(join(disk, "in/a.txt"), "utf8"), "small");
            assert.deepEqual(allIn(disk), [
                "big (1).bin",
                "big.bin",
                "in",
                "in/a.txt",
                "in/more",
                "in/more/empty",
                "in/more/mid.bin",
            ]);
        });

        test("gets the nearest name that it takes, and people are told", { timeout: 90_000 }, async (t) => {
            const disk = mountImage(t, kind, 96);
            if (!disk) return t.skip(`this machine cannot mount ${kind}`);
            const a = await startHostpair({ t, name: "a" });
            const sum = await sha256(await makeFile(join(a.shareDir, "what: 1?.bin"), 3 * MiB, 3));
            await mkdir(join(a.shareDir, "q|a/in: side"), { recursive: true });
            writeFileSync(join(a.shareDir, "q|a/x:y.txt"), "colon");
            writeFileSync(join(a.shareDir, "q|a/x?y.txt"), "mark");
            writeFileSync(join(a.shareDir, "q|a/in: side/plain.txt"), "plain");
            const b = await startHostpair({ t, name: "b", downloads: disk });
            const host = await addHost(b, a.peerPort);

            const one = await download(b, { host: host.id, path: "what: 1?.bin" });
            assert.equal(one.path, "what_ 1_.bin");
            const done = await waitState(b, one.id, "done");
            assert.match(done.note, /does not take the name "what: 1\?\.bin".*"what_ 1_\.bin"/);
            assert.equal(await sha256(pathOf(b, done)), sum);

            const tree = await waitState(b, (await download(b, { host: host.id, folder: "q|a" })).id, "done");
            assert.equal(tree.path, "q_a");
            assert.match(tree.note, /names of 3 files/);
            const texts = allIn(join(disk, "q_a"))
                .filter((name) => name.endsWith(".txt"))
                .map((name) => [name, readFileSync(join(disk, "q_a", name), "utf8")]);
            assert.deepEqual(texts.map(([name]) => name).sort(), [
                "in_ side/plain.txt",
                "x_y (1).txt",
                "x_y.txt",
            ]);
            assert.deepEqual(texts.map(([, text]) => text).sort(), ["colon", "mark", "plain"]);
            await b.restart();
            assert.match((await b.api(`/downloads/${one.id}`)).json.note, /what_ 1_/);
            assert.deepEqual(
                allIn(disk).filter((name) => name.startsWith(".")),
                [],
            );
        });

        test("takes uploads into the share", { timeout: 60_000 }, async (t) => {
            const disk = mountImage(t, kind, 96);
            if (!disk) return t.skip(`this machine cannot mount ${kind}`);
            const h = await startHostpair({ t, share: disk });
            /** @param {string} query */
            const put = (query) =>
                h.api(`/share/files/up.txt${query}`, {
                    method: "PUT",
                    body: "hello",
                    headers: { "Content-Range": "bytes 0-4/5", "If-None-Match": "*" },
                });
            const reply = await put("");
            assert.equal(reply.status, 201, reply.text);
            assert.equal(readFileSync(join(disk, "up.txt"), "utf8"), "hello");
            assert.equal((await put("")).status, 412);
            await waitFor(async () => (await h.api("/status")).json.share.files === 1);
        });
    });

test("two names that are one on the disk are two files", { skip, timeout: 90_000 }, async (t) => {
    const disk = mountImage(t, "exfat", 64);
    if (!disk) return t.skip("this machine cannot mount exfat");
    const a = await startHostpair({ t, name: "a" });
    const texts = { "Read.me": "large letter", "read.me": "small letter" };
    for (const [name, text] of Object.entries(texts)) writeFileSync(join(a.shareDir, name), text);
    const b = await startHostpair({ t, name: "b", downloads: disk });
    const host = await addHost(b, a.peerPort);
    for (const [path, text] of Object.entries(texts)) {
        const d = await waitState(b, (await download(b, { host: host.id, path })).id, "done");
        assert.equal(readFileSync(pathOf(b, d), "utf8"), text);
    }
    assert.deepEqual(allIn(disk), ["Read.me", "read (1).me"]);
});
