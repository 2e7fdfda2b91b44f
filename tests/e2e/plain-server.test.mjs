// @ts-check
// Downloads from file servers that know less than hostpair does: as hosts, by URL, through redirects.

import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { describe, test } from "node:test";

import { assertNothingFinal, assertRight, assertSentence, bytes, words } from "./evil-checks.mjs";
import { startEvil } from "./evil.mjs";
import { addHost, download, getDownload, pathOf, startHostpair, waitFor, waitState } from "./harness.mjs";
import { lies } from "./lies.mjs";

describe("a plain file server", { concurrency: 3 }, () => {
    test("is a host, is listed and is downloaded from in parts", async (t) => {
        const evil = await startEvil({ t, files: { "f.bin": bytes, "empty.txt": Buffer.alloc(0) } });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        assert.equal(host.id, `addr-127.0.0.1-${evil.port}`);
        assert.equal(host.state, "online");
        const list = await waitFor(
            async () => {
                const { json } = await h.api(`/hosts/${host.id}/files`);
                return json.files.length === 2 && json;
            },
            { what: "both files in the list" },
        );
        assert.deepEqual(list.files.map((/** @type {any} */ f) => f.name).sort(), ["empty.txt", "f.bin"]);
        const d = await download(h, { host: host.id, path: "f.bin" });
        const e = await download(h, { host: host.id, path: "empty.txt" });
        await assertRight(h, await waitState(h, d.id, "done"));
        const empty = await waitState(h, e.id, "done");
        assert.equal(statSync(pathOf(h, empty)).size, 0);
        const done = await getDownload(h, d.id);
        assert.equal(done.verified, false, "there was no hash tree to compare with");
        assert.equal(done.sources[0].host, host.id);
        for (const { headers, path } of evil.requests.filter((r) => r.path === "f.bin")) {
            assert.equal(headers["accept-encoding"] ?? "identity", "identity", `accept-encoding for ${path}`);
            if (headers.range && headers.range !== "bytes=0-")
                assert.ok(
                    headers["if-range"] || headers.range.startsWith("bytes=0-"),
                    "If-Range with a part",
                );
        }
        assert.deepEqual(
            readdirSync(h.downloadsDir).filter((name) => name.includes("hostpair-part")),
            [],
            "no part file is left",
        );
    });

    test("that is not known by /hostpair is no host", async (t) => {
        const evil = await startEvil({
            t,
            before: (request, socket) => {
                socket.end("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
                return true;
            },
        });
        const h = await startHostpair({ t });
        const reply = await h.api("/hosts", { json: { address: `127.0.0.1:${evil.port}` } });
        assert.equal(reply.status, 502);
        assert.match(reply.headers["content-type"] ?? "", /^application\/problem\+json/);
    });

    test("by URL is downloaded from, redirects followed", async (t) => {
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            before: (request, socket) => {
                if (request.path !== "old/f.bin") return false;
                socket.write("HTTP/1.1 301 Moved\r\nLocation: /f.bin\r\nContent-Length: 0\r\n\r\n");
                return true;
            },
        });
        const h = await startHostpair({ t });
        const d = await download(h, { url: `${evil.url}/old/f.bin` });
        await assertRight(h, await waitState(h, d.id, "done"));
    });

    test("by URL that redirects in a circle fails with a reason", async (t) => {
        const evil = await startEvil({ t, files: { "f.bin": bytes }, lie: lies.redirectLoop });
        const h = await startHostpair({ t });
        const d = await download(h, { url: `${evil.url}/f.bin` });
        const bad = await waitState(h, d.id, (d) => d.state !== "done" && words(d).length > 0, {
            timeout: 30_000,
        });
        assertSentence(bad);
        assertNothingFinal(h, bad);
        const asked = evil.requests.length;
        assert.ok(asked < 200, `${asked} requests into a circle`);
    });

    test("by URL that redirects to a file of this machine fails", async (t) => {
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            lie: ({ socket }) => {
                socket.write(
                    "HTTP/1.1 302 Here\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
                );
                return true;
            },
        });
        const h = await startHostpair({ t });
        const d = await download(h, { url: `${evil.url}/f.bin` });
        const bad = await waitState(h, d.id, (d) => d.state !== "done" && words(d).length > 0, {
            timeout: 30_000,
        });
        assertSentence(bad);
        assertNothingFinal(h, bad);
    });

    test("as a host that redirects elsewhere is not followed", async (t) => {
        const other = await startEvil({ t, files: { "f.bin": bytes } });
        const evil = await startEvil({
            t,
            files: { "f.bin": bytes },
            lie: ({ socket }) => {
                socket.write(
                    `HTTP/1.1 302 There\r\nLocation: ${other.url}/f.bin\r\nContent-Length: 0\r\n\r\n`,
                );
                return true;
            },
        });
        const h = await startHostpair({ t });
        const host = await addHost(h, evil.port);
        const d = await download(h, { host: host.id, path: "f.bin" });
        const bad = await waitState(h, d.id, (d) => d.state !== "done" && words(d).length > 0, {
            timeout: 30_000,
        });
        assertSentence(bad);
        assert.equal(other.requests.length, 0, "nothing was asked of the other server");
    });
});
