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
    makeBytes,
    makeFile,
    pathOf,
    sha256,
    startHostpair,
    waitFor,
    waitState,
} from "./harness.mjs";
import { decide, newest, offered, put } from "./inbox.mjs";
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

        test("takes what others send, each under the nearest name", { timeout: 90_000 }, async (t) => {
            const disk = mountImage(t, kind, 96);
            if (!disk) return t.skip(`this machine cannot mount ${kind}`);
            const h = await startHostpair({ t, downloads: disk });
            const bytes = makeBytes(2 * MiB, 5);
            const token = await offered(
                h,
                [
                    { name: "what: 1?.txt", size: 5 },
                    { name: "big: one.bin", size: bytes.length },
                    { name: "not: all.bin", size: bytes.length },
                ],
                { name: "Anna: at home" },
            );
            const { id } = await newest(h, "asking");
            assert.equal((await decide(h, id, "accept")).status, 200);
            const small = await put(h, token, "0", Buffer.from("hello"));
            assert.ok(small.status < 300, small.text);
            for (const [from, to] of [
                [0, MiB],
                [MiB, 2 * MiB],
            ]) {
                const range = `bytes ${from}-${to - 1}/${bytes.length}`;
                const piece = await put(h, token, "1", bytes.subarray(from, to), range);
                assert.ok(piece.status < 300, piece.text);
            }
            const begun = await put(
                h,
                token,
                "2",
                bytes.subarray(0, MiB),
                `bytes 0-${MiB - 1}/${bytes.length}`,
            );
            assert.ok(begun.status < 300, begun.text);
            const folder = "Received/Anna_ at home";
            assert.equal(readFileSync(join(disk, folder, "what_ 1_.txt"), "utf8"), "hello");
            assert.deepEqual(readFileSync(join(disk, folder, "big_ one.bin")), bytes);
            const { files } = (await h.api(`/inbox/${id}`)).json;
            assert.deepEqual(
                files.map((/** @type {any} */ file) => file.path),
                [`${folder}/what_ 1_.txt`, `${folder}/big_ one.bin`, null],
            );
            assert.equal((await decide(h, id, "cancel")).status, 200);
            await waitFor(() => !allIn(disk).some((name) => name.includes("hostpair-part")));
        });

        test("takes uploads into the share", { timeout: 60_000 }, async (t) => {
            const disk = mountImage(t, kind, 96);
            if (!disk) return t.skip(`this machine cannot mount ${kind}`);
            const h = await startHostpair({ t, share: disk });
            /** @param {string} query */
            const upload = (query) =>
                h.api(`/share/files/up.txt${query}`, {
                    method: "PUT",
                    body: "hello",
                    headers: { "Content-Range": "bytes 0-4/5", "If-None-Match": "*" },
                });
            const reply = await upload("");
            assert.equal(reply.status, 201, reply.text);
            assert.equal(readFileSync(join(disk, "up.txt"), "utf8"), "hello");
            assert.equal((await upload("")).status, 412);

            // A name that it does not take gives way to the nearest one, which replaces nothing.
            const odd = (/** @type {string} */ name, /** @type {string} */ body, range = "") =>
                h.api(`/share/files/${encodeURIComponent("in: side")}/${encodeURIComponent(name)}`, {
                    method: "PUT",
                    body,
                    headers: range ? { "Content-Range": range } : {},
                });
            const first = await odd("a:b.txt", "hel", "bytes 0-2/5");
            assert.equal(first.status, 202, first.text);
            const last = await odd("a:b.txt", "lo", "bytes 3-4/5");
            assert.equal(last.status, 201, last.text);
            assert.equal(last.json.path, "in_ side/a_b.txt");
            assert.equal((await odd("a?b.txt", "other")).status, 412);
            assert.equal(readFileSync(join(disk, "in_ side/a_b.txt"), "utf8"), "hello");
            const gone = await h.api(`/share/files/${encodeURIComponent("in_ side")}?recursive=true`, {
                method: "DELETE",
            });
            assert.equal(gone.status, 204, gone.text);
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
