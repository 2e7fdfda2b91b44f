// @ts-check
// Downloads in the dashboard's REST API: orders and their refusals, changes, and the events that tell of them.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";

import {
    TIME,
    UNKNOWN_HOST,
    a,
    assertProblem,
    assertShape,
    b,
    fresh,
    host,
    link,
    startPair,
    stopPair,
} from "./api.mjs";
import { startEvil } from "./evil.mjs";
import { MiB, download, pathOf, sha256, startHostpair, waitFor, waitState } from "./harness.mjs";

const DOWNLOAD = {
    id: "int",
    name: "string",
    path: "string",
    folder: "boolean",
    state: /^(queued|running|paused|verifying|done|failed|cancelled)$/,
    reason: "string?",
    size: "int?",
    done_bytes: "int",
    chunk_size: "int?",
    chunks_total: "int?",
    chunks_done: "int",
    files_total: "int?",
    files_done: "int",
    speed_bps: "int",
    eta_s: "int?",
    root: "string?",
    verified: "boolean",
    priority: "number",
    limit_bps: "int",
    error: "any",
    sources: "array",
    created_at: TIME,
    finished_at: "time?",
};
const SOURCE = {
    host: "string",
    address: "string",
    state: /^(connecting|active|idle|waiting|failed|banned)$/,
    bytes: "int",
    speed_bps: "int",
    error: "string?",
};

before(startPair);
after(stopPair);

describe("downloads", () => {
    test("one is made, listed, shown and finished", async () => {
        const reply = await b.api("/downloads", { json: { host: host.id, path: "two.bin" } });
        assert.equal(reply.status, 201, reply.text);
        assert.equal(reply.headers.location, `/api/v1/downloads/${reply.json.id}`);
        assertShape(reply.json, DOWNLOAD, "download");
        assert.equal(reply.json.name, "two.bin");
        const d = await waitState(b, reply.json.id, "done");
        assertShape(d, { ...DOWNLOAD, size: "int", finished_at: TIME, root: /^[0-9a-f]{64}$/ }, "download");
        for (const source of d.sources) assertShape(source, SOURCE, "source");
        assert.equal(d.verified, true);
        assert.equal(d.done_bytes, d.size);
        assert.equal(d.chunks_done, d.chunks_total);
        assert.equal(d.chunk_size, MiB);
        assert.equal(d.chunks_total, 4);
        assert.equal(d.error, null);
        assert.equal(d.folder, false);
        const { json: gave } = await b.api(`/downloads/${d.id}/sources`);
        assert.deepEqual(gave, { sources: [{ host: host.id, bytes: d.size }] });
        assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, "two.bin")));
        const { json } = await b.api("/downloads");
        assert.deepEqual(Object.keys(json), ["downloads"]);
        assert.ok(json.downloads.some((/** @type {any} */ x) => x.id === d.id));
    });

    test("the same content again is answered with 200 and the download there is", async () => {
        const first = await download(b, { host: host.id, path: "one.txt" });
        await waitState(b, first.id, "done");
        const again = await b.api("/downloads", { json: { host: host.id, path: "one.txt" } });
        assert.equal(again.status, 200);
        assert.equal(again.json.id, first.id);
        const { json } = await b.api(`/hosts/${host.id}/files?q=one.txt`);
        const byRoot = await b.api("/downloads", { json: { root: json.files[0].root } });
        assert.equal(byRoot.status, 200);
        assert.equal(byRoot.json.id, first.id);
    });

    test("a folder keeps its tree and lands under its own name", async () => {
        const { id } = await download(b, { host: host.id, folder: "folder" });
        const d = await waitState(b, id, "done");
        assert.equal(d.folder, true, "a folder says so");
        assert.equal(d.files_total, 3);
        assert.equal(d.files_done, 3);
        for (const path of ["folder/three.jpg", "folder/deep/four.mp4", "folder/ünï côdé 文件.txt"])
            assert.equal(
                await sha256(join(b.downloadsDir, path)),
                await sha256(join(a.shareDir, path)),
                path,
            );
    });

    test("by root is found at whichever host has it, `to` a folder below", async () => {
        const { json } = await b.api(`/hosts/${host.id}/files?q=big.bin`);
        const { id } = await download(b, { root: json.files[0].root, to: "here/and there" });
        const d = await waitState(b, id, "done");
        assert.ok(statSync(join(b.downloadsDir, "here/and there/big.bin")).size === 48 * MiB);
        assert.equal(d.verified, true);
        const removed = await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" });
        assert.equal(removed.status, 204);
        assert.ok(
            statSync(join(b.downloadsDir, "here/and there/big.bin")).size,
            "a finished file is never removed",
        );
        await rm(join(b.downloadsDir, "here"), { recursive: true });
    });

    test("an empty file counts as verified", async () => {
        const { id } = await download(b, { host: host.id, path: "empty.dat" });
        const d = await waitState(b, id, "done");
        assert.equal(d.size, 0);
        assert.equal(d.root, null);
        assert.equal(d.verified, true);
        assert.equal(statSync(pathOf(b, d)).size, 0);
    });

    test("a path that the host does not list is asked for all the same, and fails with a reason", async () => {
        const { id } = await download(b, { host: host.id, path: "no/such file.txt" });
        const d = await waitState(b, id, (d) => d.state === "failed" || d.reason || d.sources[0]?.error);
        assert.notEqual(d.state, "done");
        if (d.state === "failed")
            assertShape(d.error, { code: /^[a-z][a-z0-9_-]*$/, detail: /\w+ \w+/ }, "error");
        assert.equal((await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" })).status, 204);
    });

    test("a bad order is refused, naming the field", async () => {
        const { id } = host;
        for (const [body, field] of /** @type {Array<[unknown, RegExp]>} */ ([
            [{}, /host|path|root|url/],
            [{ host: id }, /path|folder/],
            [{ host: 5, path: "x" }, /host/],
            [{ host: id, path: 5 }, /path/],
            [{ host: id, path: "" }, /path/],
            [{ host: id, path: "../x" }, /path/],
            [{ host: id, path: "/etc/passwd" }, /path/],
            [{ host: id, path: "a\u0001b" }, /path/],
            [{ host: id, path: "one.txt", to: "../up" }, /to/],
            [{ host: id, path: "one.txt", to: "/abs" }, /to/],
            [{ host: id, path: "one.txt", to: 5 }, /to/],
            [{ host: id, path: "one.txt", priority: 2 }, /priority/],
            [{ host: id, path: "one.txt", priority: "high" }, /priority/],
            [{ host: id, path: "one.txt", limit_bps: -1 }, /limit_bps/],
            [{ host: id, path: "one.txt", limit_bps: 1.5 }, /limit_bps/],
            [{ root: "abc" }, /root/],
            [{ root: "Z".repeat(64) }, /root/],
            [{ url: "ftp://127.0.0.1/x" }, /url/],
            [{ url: "file:///etc/passwd" }, /url/],
            [{ url: "not a url" }, /url/],
            [{ url: 5 }, /url/],
            [[], /object|body/i],
            ["text", /object|body/i],
        ])) {
            const reply = await b.api("/downloads", { json: body });
            const plain = typeof body === "object" && !Array.isArray(body);
            assertProblem(reply, plain ? 422 : [400, 422], field);
        }
        assertProblem(await b.api("/downloads", { json: { host: UNKNOWN_HOST, path: "x" } }), [404, 422]);
        assertProblem(await b.api("/downloads", { json: { root: "0".repeat(64) } }), [404, 409, 422]);
    });

    test("a body that is no JSON is refused with 400", async () => {
        for (const body of ["{", "", "{'a':1}", '{"host":', "\u0000", "[".repeat(100_000)])
            assertProblem(
                await b.api("/downloads", {
                    method: "POST",
                    body,
                    headers: { "content-type": "application/json" },
                }),
                400,
            );
        const nul = await b.api("/downloads", { json: { host: host.id, path: "a\u0000b" } });
        assertProblem(nul, [400, 422]);
        const notUtf8 = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]);
        assertProblem(
            await b.api("/downloads", {
                method: "POST",
                body: notUtf8,
                headers: { "content-type": "application/json" },
            }),
            400,
        );
    });

    test("a body that is too large is refused with 413", async () => {
        const body = JSON.stringify({ host: host.id, path: "x".repeat(64 * MiB) });
        const reply = await b.api("/downloads", { method: "POST", body }).catch((error) => error);
        if (reply instanceof Error) assert.match(reply.message, /EPIPE|ECONNRESET|socket hang up/);
        else assert.equal(reply.status, 413);
        assert.equal((await b.api("/status")).status, 200);
        const upload = await b.api("/share/files/large", { method: "PUT", body: "x".repeat(8 * MiB + 1) });
        assert.equal(upload.status, 413);
        assert.match(upload.json.detail, /\b8\d{6} bytes in one request/, "the limit is named");
    });

    test("one that is not there has no page and takes no change", async () => {
        for (const id of ["999999", "0", "-1", "abc", "99999999999999999999999", "1.5"]) {
            assertProblem(await b.api(`/downloads/${id}`), 404);
            assertProblem(
                await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } }),
                404,
            );
            assertProblem(await b.api(`/downloads/${id}`, { method: "DELETE" }), 404);
            assertProblem(await b.api(`/downloads/${id}/retry`, { method: "POST" }), 404);
            assertProblem(await b.api(`/downloads/${id}/recheck`, { method: "POST" }), 404);
            assertProblem(await b.api(`/downloads/${id}/chunks`), 404);
            assertProblem(await b.api(`/downloads/${id}/sources`), 404);
        }
    });

    test("one that runs is paused, limited, hurried, shown as a map, resumed", async () => {
        link.rate = 4 * MiB;
        const { id } = await download(b, { host: host.id, path: "big.bin" });
        try {
            const running = await waitState(b, id, (d) => d.chunks_done >= 2 && d.state === "running");
            assert.ok(running.speed_bps > 0, "it has a speed");
            assert.ok(running.eta_s > 0, "it has a time left");
            assert.equal(running.sources[0].host, host.id);

            const { json: map } = await b.api(`/downloads/${id}/chunks`);
            assert.equal(map.chunk_size, running.chunk_size);
            assert.equal(map.total, 48);
            let next = 0;
            /** @type {Record<string, number>} */
            const count = { missing: 0, active: 0, done: 0 };
            for (const [first, length, state] of map.runs) {
                assert.equal(first, next, "runs follow each other");
                assert.ok(length > 0 && state in count, JSON.stringify(map.runs));
                next += length;
                count[state] += length;
            }
            assert.equal(next, map.total);
            assert.ok(count.done >= 2, JSON.stringify(map.runs));

            const paused = await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "paused" } });
            assert.equal(paused.status, 200);
            assert.equal(paused.json.state, "paused");
            const changed = await b.api(`/downloads/${id}`, {
                method: "PATCH",
                json: { priority: 1, limit_bps: 8 * MiB },
            });
            assert.equal(changed.status, 200);
            assert.equal(changed.json.priority, 1);
            assert.equal(changed.json.limit_bps, 8 * MiB);
            assert.equal(changed.json.state, "paused", "what is not named stays");
            for (const [body, field] of /** @type {Array<[unknown, RegExp]>} */ ([
                [{ state: "done" }, /state/],
                [{ state: "running" }, /state/],
                [{ state: 1 }, /state/],
                [{ priority: 7 }, /priority/],
                [{ limit_bps: "fast" }, /limit_bps/],
            ]))
                assertProblem(await b.api(`/downloads/${id}`, { method: "PATCH", json: body }), 422, field);

            const all = await b.api("/downloads/resume", { method: "POST" });
            assert.ok([200, 202, 204].includes(all.status), `${all.status}`);
            await waitState(b, id, "running");
            const stopped = await b.api("/downloads/pause", { method: "POST" });
            assert.ok([200, 202, 204].includes(stopped.status), `${stopped.status}`);
            await waitState(b, id, "paused");
            link.rate = 0;
            await b.api(`/downloads/${id}`, { method: "PATCH", json: { state: "queued", limit_bps: 0 } });
            const d = await waitState(b, id, "done");
            assert.equal(await sha256(pathOf(b, d)), await sha256(join(a.shareDir, "big.bin")));
        } finally {
            link.rate = 0;
        }
    });

    test("a finished one is rechecked, and damage is found", async () => {
        const first = await download(b, { host: host.id, path: "two.bin" });
        const done = await waitState(b, first.id, "done");
        const reply = await b.api(`/downloads/${first.id}/recheck`, { method: "POST" });
        assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
        const same = await waitState(b, first.id, "done");
        assert.equal(same.verified, true);

        const path = pathOf(b, done);
        const bytes = readFileSync(path);
        bytes[MiB + 5] ^= 1;
        writeFileSync(path, bytes);
        const again = await b.api(`/downloads/${first.id}/recheck`, { method: "POST" });
        assert.ok([200, 202].includes(again.status), `${again.status} ${again.text}`);
        // It is told, or repaired; it is not called whole.
        const seen = await waitState(
            b,
            first.id,
            (d) =>
                d.reason ||
                d.error ||
                (d.state === "done" &&
                    !readFileSync(pathOf(b, d))
                        .subarray(MiB, MiB + 10)
                        .equals(bytes.subarray(MiB, MiB + 10))),
            { timeout: 30_000 },
        );
        if (seen.state === "done" && !seen.reason && !seen.error)
            assert.equal(await sha256(pathOf(b, seen)), await sha256(join(a.shareDir, "two.bin")));
        await b.api(`/downloads/${first.id}?data=keep`, { method: "DELETE" });
    });

    test("a failed one is tried again", async (t) => {
        const evil = await startEvil({ t, files: {} });
        const { id } = await download(b, { url: `${evil.url}/f.txt` });
        await waitState(b, id, (d) => d.state === "failed" || d.reason);
        evil.files["f.txt"] = Buffer.from("now it is here");
        const reply = await b.api(`/downloads/${id}/retry`, { method: "POST" });
        assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
        const d = await waitState(b, id, "done");
        assert.equal(readFileSync(pathOf(b, d), "utf8"), "now it is here");
    });

    test("digest of a finished one, as other programs compute it", async () => {
        const { id } = await download(b, { host: host.id, path: "one.txt" });
        const d = await waitState(b, id, "done");
        const { json } = await waitFor(
            async () => {
                const reply = await b.api(`/downloads/${id}/digest?algorithm=sha-256`);
                assert.ok([200, 202].includes(reply.status), `${reply.status} ${reply.text}`);
                return reply.status === 200 && reply;
            },
            { what: "the digest" },
        );
        assert.equal(json.algorithm, "sha-256");
        assert.equal(json.hex, await sha256(pathOf(b, d)));
        assertProblem(await b.api(`/downloads/${id}/digest?algorithm=crc32`), 422, /algorithm/);
    });

    test("one that is removed is gone, its part file kept or removed as asked", async () => {
        for (const data of ["keep", "remove"]) {
            link.rate = 2 * MiB;
            const { id } = await download(b, { ...(await fresh(16 * MiB)), to: `cancel-${data}` });
            await waitState(b, id, (d) => d.chunks_done >= 1);
            const reply = await b.api(`/downloads/${id}?data=${data}`, { method: "DELETE" });
            assert.equal(reply.status, 204);
            assertProblem(await b.api(`/downloads/${id}`), 404);
            link.rate = 0;
            const folder = join(b.downloadsDir, `cancel-${data}`);
            const { readdirSync, existsSync } = await import("node:fs");
            await waitFor(
                () => {
                    const parts = existsSync(folder)
                        ? readdirSync(folder).filter((n) => n.includes("part"))
                        : [];
                    return parts.length === (data === "keep" ? 1 : 0);
                },
                { what: `the part file for data=${data}` },
            );
            await rm(folder, { recursive: true, force: true });
        }
        assertProblem(await b.api("/downloads/1?data=maybe", { method: "DELETE" }), [404, 422]);
    });
});

describe("events", () => {
    test("tell of a download from its order to its end", async () => {
        const stream = await b.events();
        try {
            assert.equal(stream.status, 200);
            assert.match(stream.headers["content-type"] ?? "", /^text\/event-stream/);
            const { id } = await download(b, await fresh(3 * MiB));
            const done = await stream.next(
                (e) => e.event === "download" && e.data.id === id && e.data.state === "done",
            );
            assertShape(done.data, DOWNLOAD, "download");
            assert.match(done.id, /^\S+$/);
            const ids = stream.events.map((e) => e.id);
            assert.equal(new Set(ids).size, ids.length, "each event has an id of its own");
        } finally {
            stream.close();
        }
    });

    test("that were missed are replayed after Last-Event-ID", async () => {
        const first = await b.events();
        const one = await download(b, await fresh(1000));
        const seen = await first.next(
            (e) => e.event === "download" && e.data.id === one.id && e.data.state === "done",
        );
        first.close();
        const two = await download(b, await fresh(2000));
        await waitState(b, two.id, "done");
        const second = await b.events({ lastEventId: seen.id });
        try {
            await second.next(
                (e) => e.event === "download" && e.data.id === two.id && e.data.state === "done",
            );
            assert.ok(!second.events.some((e) => e.event === "reset"), "no reset");
            assert.ok(!second.events.some((e) => e.id === seen.id), "what was seen does not come again");
        } finally {
            second.close();
        }
    });

    test("after an id that is too old or of another process begin with one reset", async (t) => {
        for (const lastEventId of ["1000000000", "nonsense", "-5", "99999999999999999999999999"]) {
            const stream = await b.events({ lastEventId });
            const reset = await stream.next("reset");
            assert.ok(reset);
            assert.equal(stream.events.filter((e) => e.event === "reset").length, 1);
            stream.close();
        }
        const h = await startHostpair({ t });
        const first = await h.events();
        await h.api("/settings", { method: "PATCH", json: { name: "other" } });
        const seen = await first.next((e) => e.id !== "");
        first.close();
        await h.restart();
        const stream = await h.events({ lastEventId: seen.id });
        await stream.next("reset");
        stream.close();
    });

    test("begin with how things stand, in their first three lines", async () => {
        const { stdout } = await promisify(execFile)("sh", [
            "-c",
            `curl -sS -N --max-time 5 ${b.apiUrl("/events")} 2>/dev/null | head -n 3`,
        ]);
        const [id, event, data] = stdout.split("\n");
        assert.match(id, /^id: \d+$/);
        assert.equal(event, "event: status");
        assert.equal(JSON.parse(data.replace(/^data: /, "")).peer_port, b.peerPort);
    });

    test("keep the line open with a comment every 15 s", { timeout: 30_000 }, async () => {
        const stream = await b.events();
        const first = stream.comments.length; // one may greet
        await waitFor(() => stream.comments.length > first, { timeout: 20_000, what: "a comment" });
        stream.close();
    });

    test("come at most 4 a second for one thing", { timeout: 30_000 }, async () => {
        link.rate = 8 * MiB;
        const stream = await b.events();
        try {
            const { id } = await download(b, await fresh(24 * MiB));
            const start = performance.now();
            await stream.next(
                (e) => e.event === "download" && e.data.id === id && e.data.state === "done",
                20_000,
            );
            const seconds = (performance.now() - start) / 1000;
            const count = stream.events.filter((e) => e.event === "download" && e.data.id === id).length;
            assert.ok(count <= 4 * seconds + 8, `${count} events in ${seconds} s`);
            assert.ok(count >= 3, `${count} events`);
        } finally {
            link.rate = 0;
            stream.close();
        }
    });

    test("a reader that does not read costs the others nothing", async () => {
        const idle = net.connect(b.dashboardPort, "127.0.0.1");
        idle.write(`GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:${b.dashboardPort}\r\n\r\n`);
        idle.pause();
        const stream = await b.events();
        for (let i = 0; i < 200; i++)
            await b.api("/settings", { method: "PATCH", json: { down_limit_bps: 1000 + i } });
        await b.api("/settings", { method: "PATCH", json: { down_limit_bps: 0 } });
        const { id } = await download(b, await fresh(10));
        await stream.next((e) => e.event === "download" && e.data.id === id && e.data.state === "done");
        stream.close();
        idle.destroy();
    });
});
