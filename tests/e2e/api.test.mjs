// @ts-check
// The dashboard's REST API as a program sees it: the form of its answers and of its refusals, and the calls that are
// neither about files nor about downloads.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
    FILES,
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
import {
    MiB,
    checkout,
    download,
    freePort,
    getDownload,
    request,
    startHostpair,
    waitFor,
} from "./harness.mjs";

const STATUS = {
    id: /^[0-9a-f]{32}$/,
    name: "string",
    version: /^\d+\.\d+\.\d+/,
    time: TIME,
    uptime_s: "number",
    peer_port: "int",
    dashboard_port: "int",
    addresses: "array",
    share: {
        folder: "string",
        files: "int",
        bytes: "int",
        hashed_bytes: "int",
        missing: "boolean",
        folders: "array",
        left_out: "array",
    },
    downloads_folder: "string",
    speed: { down_bps: "int", up_bps: "int" },
    free_bytes: "int",
    notices: "array",
    scan: { running: "boolean", done: "int", total: "int" },
};
const HOST = {
    id: /^([0-9a-f]{32}|addr-.+)$/,
    name: "string",
    addresses: "array",
    state: /^(online|offline)$/,
    rtt_ms: "any",
    clock_offset_ms: "any",
    files: "any",
    bytes: "any",
    found_by: "any",
    last_seen: "time?",
    protocol: "any",
};

before(startPair);
after(stopPair);

describe("status", () => {
    test("tells who this is and how it is doing", async () => {
        const { status, json, headers } = await b.api("/status");
        assert.equal(status, 200);
        assert.match(headers["content-type"] ?? "", /^application\/json/);
        assertShape(json, STATUS, "status");
        assert.equal(json.name, "cellar");
        assert.equal(json.peer_port, b.peerPort);
        assert.equal(json.dashboard_port, b.dashboardPort);
        assert.equal(json.share.folder, b.shareDir);
        assert.equal(json.downloads_folder, b.downloadsDir);
        assert.ok(Math.abs(Date.parse(json.time) - Date.now()) < 5000);
        assert.ok(json.free_bytes > MiB);
    });

    test("counts the shared files and their bytes", async () => {
        const { json } = await a.api("/status");
        const sum = Object.values(FILES).reduce((x, y) => x + y, 48 * MiB);
        assert.deepEqual([json.share.files, json.share.bytes], [8, sum]);
    });
});

describe("hosts", () => {
    test("one that is added is listed, with its own name and id", async () => {
        const own = (await a.api("/status")).json;
        assertShape(host, HOST, "host");
        assert.equal(host.id, own.id);
        assert.equal(host.name, "kitchen");
        assert.equal(host.state, "online");
        assert.ok(Math.abs(host.clock_offset_ms) < 2000, `clock offset ${host.clock_offset_ms}`);
        const { json } = await b.api("/hosts");
        assert.deepEqual(Object.keys(json), ["hosts"]);
        assert.equal(json.hosts.length, 1);
        const one = (await b.api(`/hosts/${host.id}`)).json;
        assert.equal(one.id, host.id);
        assertShape(one, HOST, "host");
    });

    test("one that is known is answered with 200", async () => {
        const reply = await b.api("/hosts", { json: { address: `127.0.0.1:${link.port}` } });
        assert.equal(reply.status, 200);
        assert.equal(reply.json.id, host.id);
        const url = await b.api("/hosts", { json: { address: `http://127.0.0.1:${link.port}/` } });
        assert.equal(url.status, 200, "as a page shows the address, it is the same host");
        assert.equal(url.json.id, host.id);
        assert.equal((await b.api("/hosts")).json.hosts.length, 1);
    });

    test("a new one is answered with 201, and 404 after it was removed", async (t) => {
        const c = await startHostpair({ t, name: "c" });
        const reply = await b.api("/hosts", { json: { address: `127.0.0.1:${c.peerPort}` } });
        assert.equal(reply.status, 201);
        const { id } = reply.json;
        const gone = await b.api(`/hosts/${id}`, { method: "DELETE" });
        assert.equal(gone.status, 204);
        assert.equal(gone.body.length, 0);
        assertProblem(await b.api(`/hosts/${id}`), 404);
        assertProblem(await b.api(`/hosts/${id}`, { method: "DELETE" }), 404);
    });

    test("an address where nothing answers is refused with 502", async () => {
        const port = await freePort();
        assertProblem(await b.api("/hosts", { json: { address: `127.0.0.1:${port}` } }), 502);
    });

    test("an address where something else answers is refused with 502", async (t) => {
        const server = net.createServer((socket) => socket.on("error", () => {}).end("220 smtp ready\r\n"));
        await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
        t.after(() => server.close());
        const port = /** @type {net.AddressInfo} */ (server.address()).port;
        assertProblem(await b.api("/hosts", { json: { address: `127.0.0.1:${port}` } }), 502);
    });

    test("an address that is none is refused, naming the field", async () => {
        for (const address of [
            "",
            "non/sense",
            "1.2.3.4:0",
            "1.2.3.4:65536",
            "1.2.3.4:x",
            "[::1",
            5,
            null,
            {},
            "a b",
        ])
            assertProblem(await b.api("/hosts", { json: { address } }), 422, /address/);
        assertProblem(await b.api("/hosts", { json: {} }), 422, /address/);
    });

    test("one that is not known has no page, no files and no refresh", async () => {
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}`), 404);
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}/files`), 404);
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}/files/refresh`, { method: "POST" }), 404);
        assertProblem(await b.api(`/hosts/${UNKNOWN_HOST}`, { method: "DELETE" }), 404);
    });

    test("itself is not added as another host", async () => {
        const reply = await b.api("/hosts", { json: { address: `127.0.0.1:${b.peerPort}` } });
        assert.ok(reply.status >= 400, `${reply.status} ${reply.text}`);
        const { id } = (await b.api("/status")).json;
        const { hosts } = (await b.api("/hosts")).json;
        assert.ok(!hosts.some((/** @type {any} */ h) => h.id === id), "it is not in its own list");
    });
});

describe("settings", () => {
    test("are read and changed, and stay so", async (t) => {
        const h = await startHostpair({ t, name: "h" });
        const { json } = await h.api("/settings");
        assertShape(
            json,
            {
                name: "string",
                share_folder: "string",
                share_ignore: "string",
                share_dotfiles: "boolean",
                downloads_folder: "string",
                down_limit_bps: "int",
                up_limit_bps: "int",
                running_downloads: "int",
                connections_per_source: "int",
                scan: "boolean",
                beacon: "boolean",
                access: "string",
                encrypt_content: "boolean",
                keep_executable: "boolean",
                receive: "string",
                receive_pin: "string",
                localsend: "boolean",
                language: "any",
                theme: "any",
            },
            "settings",
        );
        assert.equal(json.running_downloads, 3);
        const changed = await h.api("/settings", {
            method: "PATCH",
            json: { running_downloads: 5, down_limit_bps: 1000000 },
        });
        assert.equal(changed.status, 200);
        assert.equal(changed.json.running_downloads, 5);
        assert.equal(changed.json.up_limit_bps, json.up_limit_bps);
        await h.restart();
        const later = (await h.api("/settings")).json;
        assert.equal(later.running_downloads, 5);
        assert.equal(later.down_limit_bps, 1000000);
    });

    test("that are no settings are refused, naming them, and change nothing", async () => {
        const before = (await b.api("/settings")).json;
        for (const [body, field] of /** @type {Array<[unknown, RegExp]>} */ ([
            [{ running_downloads: 0 }, /running_downloads/],
            [{ running_downloads: "3" }, /running_downloads/],
            [{ down_limit_bps: -5 }, /down_limit_bps/],
            [{ connections_per_source: 10000 }, /connections_per_source/],
            [{ name: "" }, /name/],
            [{ name: "a\nb" }, /name/],
            [{ scan: "yes" }, /scan/],
            [{ theme: "purple" }, /theme/],
            [{ up_limit_bps: 100, running_downloads: -1 }, /running_downloads/],
        ]))
            assertProblem(await b.api("/settings", { method: "PATCH", json: body }), 422, field);
        assert.deepEqual((await b.api("/settings")).json, before);
    });
});

describe("the rest", () => {
    test("log holds the last lines", async () => {
        const { status, json } = await b.api("/log");
        assert.equal(status, 200);
        const [list] = Object.values(json);
        assert.ok(Array.isArray(list) && list.length > 0, JSON.stringify(json).slice(0, 300));
        assert.ok(list.length <= 1000);
    });

    test("metrics are in the Prometheus text format", async () => {
        const { status, text, headers } = await b.api("/metrics");
        assert.equal(status, 200);
        assert.match(headers["content-type"] ?? "", /^text\/plain/);
        const lines = text.split("\n").filter(Boolean);
        assert.ok(lines.length > 5);
        for (const line of lines)
            assert.match(
                line,
                /^(# (HELP|TYPE) hostpair_\w+ .+|hostpair_\w+(\{[^}]*\})? -?[0-9.e+]+)$/,
                line,
            );
        const samples = lines.filter((line) => !line.startsWith("#"));
        assert.equal(
            new Set(samples.map((s) => s.replace(/ \S+$/, ""))).size,
            samples.length,
            "no sample twice",
        );
    });

    test("traffic is told by the minute", async () => {
        const { status, json } = await b.api("/traffic");
        assert.equal(status, 200);
        assertShape(json, { minutes: "array" }, "traffic");
        for (const minute of json.minutes)
            assertShape(minute, { at: TIME, down_bytes: "int", up_bytes: "int" }, "minute");
        assertProblem(await b.api("/traffic?since=yesterday"), [400, 422], /since/);
    });

    test("connections show who downloads now", async () => {
        link.rate = 2 * MiB;
        try {
            const { id } = await download(b, await fresh(16 * MiB));
            const one = await waitFor(
                async () => {
                    const { json } = await a.api("/connections");
                    const [list] = Object.values(json);
                    return list.find((/** @type {any} */ c) => c.path?.includes("fresh") && c.bytes_sent > 0);
                },
                { what: "the connection" },
            );
            assertShape(
                one,
                {
                    id: "any",
                    address: /^127\.0\.0\.1$/,
                    port: "int",
                    host: "any",
                    since: TIME,
                    requests: "int",
                    bytes_sent: "int",
                    speed_bps: "int",
                    path: "string",
                    proven: "any",
                    encrypted: "boolean",
                    user_agent: "any",
                },
                "connection",
            );
            await b.api(`/downloads/${id}?data=remove`, { method: "DELETE" });
        } finally {
            link.rate = 0;
        }
    });

    test("a scan is taken on, with nothing to scan here", async () => {
        // The timed scans are off; this machine's own networks must not be scanned by a test, so only the refusal of a wrong
        // method is looked at.
        const reply = await b.api("/scan");
        assertProblem(reply, 405);
        assert.equal(reply.headers.allow?.replace(/\s/g, ""), "POST");
    });

    test("an unknown call is 404, a wrong method 405 with Allow", async () => {
        assertProblem(await b.api("/nothing"), 404);
        assertProblem(await b.api("/api/v2/status"), 404);
        assertProblem(await b.api("/downloads/1/nothing"), 404);
        for (const [method, path, allow] of [
            ["DELETE", "/status", "GET"],
            ["PUT", "/hosts", "GET,POST"],
            ["POST", `/hosts/${host.id}`, "DELETE,GET,PATCH"],
            ["PUT", "/downloads", "DELETE,GET,POST"],
            ["GET", "/downloads/pause", "POST"],
            ["POST", "/events", "GET"],
            ["POST", "/api/v1/openapi.yaml", "GET"],
        ]) {
            const reply = await b.api(path, { method });
            assertProblem(reply, 405);
            const named = (reply.headers.allow ?? "")
                .split(/\s*,\s*/)
                .filter((m) => m !== "HEAD" && m !== "OPTIONS")
                .sort();
            assert.equal(named.join(), allow, `Allow of ${path}`);
        }
    });

    test("openapi.yaml describes every route, and no other", async () => {
        const { status, text } = await b.api("/openapi.yaml");
        assert.equal(status, 200);
        /** @type {string[]} */
        const described = [];
        let path = "";
        let inPaths = false;
        for (const line of text.split("\n")) {
            if (/^\S/.test(line)) inPaths = line.startsWith("paths:");
            if (!inPaths) continue;
            const at = /^ {2}["']?(\/[^"':]*)["']?:/.exec(line);
            if (at) path = at[1];
            const method = /^ {4}(get|put|post|delete|patch|head):/.exec(line);
            if (method) described.push(`${method[1].toUpperCase()} ${path}`);
        }
        const prefix = /^ *- url: ["']?([^"'\s]*)/m.exec(text)?.[1]?.replace(/\/$/, "") ?? "";
        const whole = described.map((line) => {
            const [method, where] = line.split(" ");
            return where.startsWith("/api/") || where === "/metrics" ? line : `${method} ${prefix}${where}`;
        });
        const source = readFileSync(join(checkout, "server/api/routes.c"), "utf8");
        const routed = [...source.matchAll(/\{"([A-Z]+)", "([^"]+)"/g)].map((m) => `${m[1]} ${m[2]}`);
        assert.ok(routed.length > 20, `${routed.length} routes`);
        const plain = (/** @type {string[]} */ list) =>
            list.map((line) => line.replace(/\{[^}]+\}/g, "{}")).sort();
        assert.deepEqual(plain(whole), plain(routed));
    });

    test("the dashboard is served with its security headers", async () => {
        const { status, headers, text } = await request(`${b.dashboardUrl}/`);
        assert.equal(status, 200);
        assert.match(headers["content-type"] ?? "", /^text\/html/);
        assert.match(text, /<html/i);
        const policy = String(headers["content-security-policy"]);
        assert.doesNotMatch(/script-src[^;]*/.exec(policy)?.[0] ?? policy, /unsafe-inline/);
        assert.match(policy, /frame-ancestors 'none'/);
        assert.equal(headers["x-content-type-options"], "nosniff");
        assert.equal((await b.api("/status")).headers["x-content-type-options"], "nosniff");
    });

    test("no dashboard route exists on the peer listener", async () => {
        for (const path of ["/api/v1/status", "/api/v1/downloads", "/metrics", "/api/v1/events"])
            assert.equal((await b.peer(path)).status, 404, path);
        assert.equal(
            (await b.peer("/api/v1/downloads", { json: { url: "http://127.0.0.1/x" } })).status >= 400,
            true,
        );
    });
});

test("a slow or broken caller costs the others nothing", async () => {
    const sockets = Array.from({ length: 50 }, (_, i) => {
        const socket = net.connect(b.dashboardPort, "127.0.0.1");
        socket.on("error", () => {});
        socket.write(
            i % 2
                ? "GET /api/v1/status HT"
                : "POST /api/v1/downloads HTTP/1.1\r\nContent-Length: 100\r\n\r\n{",
        );
        return socket;
    });
    for (let i = 0; i < 20; i++) assert.equal((await b.api("/status")).status, 200);
    for (const socket of sockets) socket.destroy();
    await getDownload(b, (await download(b, { host: host.id, path: "one.txt" })).id);
});
