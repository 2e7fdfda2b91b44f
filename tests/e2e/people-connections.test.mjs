// @ts-check
// Hosts of other people: how well their clocks are known, who is connected, closing and blocking.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import net from "node:net";
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
import { assertWords, fakeHost, hashed } from "./hosts.mjs";
import { TIME, ask, body, post } from "./people.mjs";

describe("hosts", () => {
    test("a host's clock is known with its uncertainty", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const exact = await startHostpair({ t, name: "exact" });
        const ahead = await fakeHost(t, { ahead: 3_600_000 });
        const behind = await fakeHost(t, { ahead: -90_000, plain: true });
        for (const [port, offset] of [
            [exact.peerPort, 0],
            [ahead.port, 3_600_000],
            [behind.port, -90_000],
        ]) {
            const host = await addHost(h, port);
            assert.ok(Number.isInteger(host.clock_uncertainty_ms) && host.clock_uncertainty_ms >= 0);
            assert.ok(
                Math.abs(host.clock_offset_ms - offset) <= host.clock_uncertainty_ms + 2,
                `${host.clock_offset_ms} ± ${host.clock_uncertainty_ms}, not ${offset}`,
            );
            assert.ok(host.clock_uncertainty_ms <= host.rtt_ms / 2 + 1, "half the round trip");
        }
    });
});

describe("connections", () => {
    test("fifty clients are listed with what they fetch, and one can be closed", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        await makeFile(join(h.shareDir, "big.bin"), 64 * MiB, 3);
        const stream = await h.events();
        t.after(() => stream.close());
        /** @type {Map<string, { socket: net.Socket, from: string, closed: boolean, bytes: number, reads: boolean }>} */
        const clients = new Map();
        for (let i = 0; i < 50; i++) {
            const from = `127.0.1.${i + 1}`;
            const socket = net.connect({ port: h.peerPort, host: "127.0.0.1", localAddress: from });
            await new Promise((done, fail) => socket.once("connect", done).once("error", fail));
            const client = { socket, from, closed: false, bytes: 0, reads: false };
            socket.on("close", () => (client.closed = true)).on("error", () => {});
            // Reads a little and then no more: the reply stays under way.
            socket.on("data", (data) => {
                client.bytes += data.length;
                if (client.bytes > MiB && !client.reads) socket.pause();
            });
            socket.write(`GET /big.bin?n=${i} HTTP/1.1\r\nHost: x\r\nUser-Agent: client/${i}\r\n\r\n`);
            clients.set(from, client);
        }
        t.after(() => clients.forEach(({ socket }) => socket.destroy()));
        const list = await waitFor(
            async () => {
                const { json } = await h.api("/connections");
                assert.equal(json.total, json.connections.length);
                const all = json.connections.filter((/** @type {any} */ c) => c.bytes_sent > MiB);
                return all.length === 50 && all;
            },
            { what: "fifty connections" },
        );
        assert.equal(new Set(list.map((/** @type {any} */ c) => c.id)).size, 50);
        for (const c of list) {
            const client = clients.get(c.address);
            assert.equal(c.port, client?.socket.localPort);
            assert.equal(c.path, "/big.bin");
            assert.match(c.user_agent, /^client\/\d+$/);
            assert.match(c.since, TIME);
            assert.equal(c.requests, 1);
            assert.equal(c.active, true);
            assert.equal(c.host, null);
        }
        const victim = list[17];
        await stream.next((e) => e.event === "connection" && e.data.id === victim.id);
        const client = clients.get(victim.address);
        const closing = await h.api(`/connections/${victim.id}`, { method: "DELETE" });
        assert.equal(closing.status, 204);
        if (client) client.reads = true;
        client?.socket.resume();
        await waitFor(() => client?.closed, { what: "the connection being closed" });
        assert.ok((client?.bytes ?? 0) < 64 * MiB, "in the middle of its reply");
        assert.equal((await h.api("/connections")).json.total, 49);
        assert.equal((await h.api(`/connections/${victim.id}`, { method: "DELETE" })).status, 404);
        assert.equal((await h.api("/connections/x", { method: "DELETE" })).status, 404);
        await stream.next((e) => e.event === "connection" && e.data.id === victim.id && e.data.removed);
        assert.ok([...clients.values()].filter((c) => c.closed).length === 1, "and no other one");
    });

    test("the end of every one that was listed is told", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const stream = await h.events();
        t.after(() => stream.close());
        for (let i = 0; i < 10; i++) {
            // Here and gone again faster than anything looks at it once a second.
            const socket = net.connect({ port: h.peerPort, host: "127.0.0.1" });
            await new Promise((done, fail) => socket.once("connect", done).once("error", fail));
            const port = socket.localPort;
            const listed = await waitFor(
                async () => {
                    const { json } = await h.api("/connections");
                    return json.connections.find((/** @type {any} */ c) => c.port === port);
                },
                { what: "the connection being listed", interval: 1 },
            );
            socket.destroy();
            await stream.next((e) => e.event === "connection" && e.data.id === listed.id && e.data.removed);
        }
    });

    test("a blocked host is cut off, refused everything, and let in again", async (t) => {
        const a = await startHostpair({ t, name: "a" });
        const b = await startHostpair({ t, name: "b" });
        await makeFile(join(a.shareDir, "big.bin"), 96 * MiB, 5);
        await hashed(a, 1);
        const inA = (await addHost(a, b.peerPort)).id;
        const inB = (await addHost(b, a.peerPort)).id;
        assert.equal((await a.api(`/hosts/${inA}`)).json.blocked, false);
        const d = await download(b, { host: inB, path: "big.bin", limit_bps: 8 * MiB });
        await waitState(b, d.id, (/** @type {any} */ one) => one.done_bytes > 0);
        const idle = net.connect({ port: a.peerPort, host: "127.0.0.1" });
        await new Promise((done) => idle.once("connect", done));
        let closed = false;
        idle.on("close", () => (closed = true)).on("error", () => {});

        const stream = await a.events();
        t.after(() => stream.close());
        const blocked = await a.api(`/hosts/${inA}`, { method: "PATCH", json: { blocked: true } });
        assert.deepEqual([blocked.status, blocked.json.blocked], [200, true]);
        await stream.next((e) => e.event === "host" && e.data.id === inA && e.data.blocked);
        await waitFor(() => closed, { what: "an idle connection being closed" });
        for (const path of [
            "/",
            "/hostpair",
            "/list",
            "/big.bin",
            "/files/big.bin",
            "/nothing",
            "/torrent/big.bin",
        ])
            assert.equal((await ask(a, path)).status, 403, path);
        assert.equal((await post(a, body(inA))).status, 403);
        assert.equal((await ask(a, "/list", { from: "127.0.0.2" })).status, 200, "another address");
        const got = (await b.api(`/downloads/${d.id}`)).json;
        assert.ok(got.state !== "done" && got.done_bytes < 96 * MiB, JSON.stringify(got));
        const refused = await a.api("/messages", { json: { to: inA, text: "x" } });
        assert.equal(refused.status, 409);
        assertWords(refused.json.detail);
        assert.equal((await a.api(`/hosts/${inA}`, { method: "DELETE" })).status, 409);

        await a.restart();
        assert.equal((await a.api(`/hosts/${inA}`)).json.blocked, true);
        assert.equal((await ask(a, "/list")).status, 403);

        assert.equal((await a.api(`/hosts/${inA}`, { method: "PATCH", json: {} })).json.blocked, true);
        assert.equal((await a.api(`/hosts/${inA}`, { method: "PATCH", json: { blocked: 1 } })).status, 422);
        assert.equal((await a.api("/hosts/none", { method: "PATCH", json: { blocked: true } })).status, 404);
        const free = await a.api(`/hosts/${inA}`, { method: "PATCH", json: { blocked: false } });
        assert.equal(free.json.blocked, false);
        assert.equal((await ask(a, "/list")).status, 200);
        await b.api(`/downloads/${d.id}`, { method: "PATCH", json: { limit_bps: 0 } });
        const done = await waitState(b, d.id, "done", { timeout: 90_000 });
        assert.equal(await sha256(pathOf(b, done)), await sha256(join(a.shareDir, "big.bin")));
        await writeFile(join(a.shareDir, "end"), "");
    });
});
