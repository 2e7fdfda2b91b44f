// @ts-check
// Lists of names from a hostile host: none leads out of the folder, and none that has no end fills memory.

import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { assertAnswers, rss } from "./evil-checks.mjs";
import { startEvil } from "./evil.mjs";
import { MiB, addHost, download, sleep, startHostpair, waitFor, waitState } from "./harness.mjs";

describe("names from a hostile host", { concurrency: 3 }, () => {
    const hostile = [
        "../out.txt",
        "a/../../out.txt",
        "/etc/out.txt",
        "..",
        ".",
        "",
        "a//b",
        "a/./b",
        "a\u0000b",
        "line\nbreak",
        "tab\tbed",
        "del\u007f",
        `${"n".repeat(256)}`,
        "folder/",
        ".f.bin.1.hostpair-part",
    ];
    const line = (/** @type {string} */ path, more = {}) =>
        JSON.stringify({
            path,
            size: 3,
            mtime: "2024-01-02T03:04:05Z",
            type: "text/plain",
            root: null,
            ...more,
        });

    test("are neither listed nor written", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "good.txt": Buffer.from("abc"), "d/ok.txt": Buffer.from("abc") },
            hostpair: { id: "fedcba9876543210fedcba9876543210", name: "e\u202evil\u0007<b>x</b>" },
            listLines: [
                line("good.txt"),
                ...hostile.map((path) => line(path)),
                ...hostile.map((path) => line(`d/${path}`)),
                line("d/ok.txt"),
                line("minus.txt", { size: -1 }),
                line("huge.txt", { size: 1e300 }),
                line("text.txt", { size: "3" }),
                line("root.txt", { root: "xyz" }),
                line("time.txt", { mtime: "yesterday" }),
                "not json at all",
                "[]",
                '{"path":5}',
                '{"path":"cut.txt","si',
                '{"path":"deep.txt","size":' + "[".repeat(5000) + "}",
            ],
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const paths = await waitFor(
            async () => {
                const { json } = await h.api(`/hosts/${host.id}/files?limit=1000`);
                const names = json.files.map((/** @type {any} */ f) => f.path);
                return names.includes("good.txt") && json;
            },
            { what: "good.txt in the list" },
        );
        const inside = (await h.api(`/hosts/${host.id}/files?folder=d&limit=1000`)).json;
        const all = [...paths.files, ...inside.files].map((/** @type {any} */ f) => f.path);
        assert.ok(all.includes("d/ok.txt"), `d/ok.txt is listed: ${all}`);
        for (const bad of hostile) {
            assert.ok(!all.includes(bad), `${JSON.stringify(bad)} is not listed`);
            assert.ok(!all.includes(`d/${bad}`), `${JSON.stringify(`d/${bad}`)} is not listed`);
        }
        for (const bad of ["minus.txt", "huge.txt", "text.txt", "cut.txt", "deep.txt"])
            assert.ok(!all.includes(bad), `${bad} is not listed`);

        for (const bad of hostile) {
            const reply = await h.api("/downloads", { json: { host: host.id, path: bad } });
            assert.ok(
                [400, 404, 422].includes(reply.status),
                `${JSON.stringify(bad)}: ${reply.status} ${reply.text}`,
            );
        }
        const d = await download(h, { host: host.id, folder: "d" });
        const done = await waitState(h, d.id, "done");
        assert.equal(done.files_total, 1);
        assert.deepEqual(readdirSync(h.downloadsDir), ["d"]);
        assert.deepEqual(readdirSync(join(h.downloadsDir, "d")), ["ok.txt"]);
        assert.ok(!existsSync(join(h.root, "out.txt")));
        assert.doesNotMatch(
            h.stderr(),
            /[\x00-\x08\x0b-\x1f\x7f\u202e]/,
            "the log holds no control characters",
        );
    });

    test("that read as others land without what turns them round", async (t) => {
        const name = "photo\u202egpj.exe";
        const evil = await startEvil({ t, files: { [name]: Buffer.from("abc") }, listLines: [line(name)] });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        await waitFor(async () => (await h.api(`/hosts/${host.id}/files`)).json.files?.[0]?.path === name, {
            what: "the file in the list",
        });
        const d = await download(h, { host: host.id, path: name });
        const done = await waitState(h, d.id, "done");
        assert.deepEqual([done.name, done.reason], ["photo_gpj.exe", null]);
        assert.deepEqual(readdirSync(h.downloadsDir), ["photo_gpj.exe"]);
    });

    test("in a list without an end keep memory bounded", { timeout: 120_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "good.txt": Buffer.from("abc") },
            before: async (request, socket) => {
                if (request.path !== "list") return false;
                socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
                const block = "a".repeat(65536);
                for (const end = Date.now() + 15_000; !socket.destroyed && Date.now() < end;)
                    if (!socket.write(block))
                        await new Promise((done) => socket.once("drain", done).once("close", done));
                socket.destroy();
                return true;
            },
        });
        const h = await startHostpair({ t });
        const before = rss(h);
        await addHost(h, evil.port);
        await waitFor(() => evil.requests.some((r) => r.path === "list"), {
            what: "the list being asked for",
        });
        let most = 0;
        for (let i = 0; i < 20; i++) {
            most = Math.max(most, rss(h) - before);
            await assertAnswers(h);
            await sleep(250);
        }
        assert.ok(most < 300 * MiB, `it grew by ${most} bytes`);
    });

    test(
        "without an end are given up, said and take no more than their share of the disk",
        { timeout: 300_000 },
        async (t) => {
            let sent = 0;
            const evil = await startEvil({
                t,
                files: { "good.txt": Buffer.from("abc") },
                before: async (request, socket) => {
                    if (request.path !== "list") return false;
                    socket.write("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n");
                    while (!socket.destroyed) {
                        const lines = Array.from({ length: 500 }, () => `${"n".repeat(200)}${sent++}\n`).join(
                            "",
                        );
                        if (!socket.write(lines))
                            await new Promise((done) => socket.once("drain", done).once("close", done));
                    }
                    return true;
                },
            });
            const h = await startHostpair({ t });
            const { id } = await addHost(h, evil.port);
            const host = await waitFor(
                async () => {
                    const { json } = await h.api(`/hosts/${id}`);
                    return json.list_error !== null && !json.listing && json;
                },
                { timeout: 150_000, interval: 200, what: "the list being given up" },
            );
            assert.match(host.list_error, /more than \d+ files, far more than the host says/);
            const size = statSync(join(h.dataDir, "hostpair.db")).size;
            t.diagnostic(`${sent} names sent, ${size} bytes of database`);
            assert.ok(sent < 400_000, `${sent} names sent`);
            assert.ok(size < 300 * MiB, `${size} bytes`);
            assert.equal((await h.api(`/hosts/${id}/files`)).status, 413, "nothing of it is shown");
            await waitFor(() => statSync(join(h.dataDir, "hostpair.db")).size < 30 * MiB, {
                timeout: 120_000,
                interval: 500,
                what: "the space being given back",
            });
        },
    );

    test("in the text list are taken only when they are names", { timeout: 60_000 }, async (t) => {
        const evil = await startEvil({
            t,
            files: { "good.txt": Buffer.from("abc") },
            before: (request, socket) => {
                if (request.path !== "list") return false;
                const body = Buffer.concat([
                    Buffer.from(`good.txt\r\n${hostile.filter((n) => !/[\r\n]/.test(n)).join("\r\n")}\r\n`),
                    Buffer.from([0xff, 0xfe, 0x41, 13, 10]),
                    Buffer.from("last without an end"),
                ]);
                socket.write(
                    `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`,
                );
                socket.write(body);
                return true;
            },
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const list = await waitFor(
            async () => {
                const { json } = await h.api(`/hosts/${host.id}/files?limit=1000`);
                return json.files.length > 0 && json;
            },
            { what: "the list" },
        );
        for (const { path } of list.files)
            assert.ok(!hostile.includes(path), `${JSON.stringify(path)} is listed`);
        assert.ok(list.files.some((/** @type {any} */ f) => f.path === "good.txt"));
    });
});
