// @ts-check
// Who may call the dashboard's REST API: names of the host, other web sites, tokens and those who guess them.

import assert from "node:assert/strict";
import { chmod, rm, writeFile } from "node:fs/promises";
import net from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { assertProblem } from "./api.mjs";
import { request, runHostpair, sse, startHostpair, tempDir } from "./harness.mjs";

/** @typedef {import("./harness.mjs").Hostpair} Hostpair */

/** @type {Hostpair} */
let b;

before(async () => {
    b = await startHostpair({ name: "cellar" });
});
after(() => b.dispose());

describe("the guard", () => {
    const get = (/** @type {Record<string, string>} */ headers) => request(b.apiUrl("/status"), { headers });
    const change = (/** @type {Record<string, string>} */ headers) =>
        request(b.apiUrl("/downloads/resume"), { method: "POST", headers });

    /** The status line that answers a request sent as it is. @param {string[]} lines @returns {Promise<string>} */
    const firstLine = (lines) =>
        new Promise((done, fail) => {
            const socket = net.connect(b.dashboardPort, "127.0.0.1");
            let text = "";
            socket.setEncoding("latin1");
            socket.on("data", (part) => (text += part));
            socket.on("close", () => done(text.split("\r\n")[0]));
            socket.on("error", fail);
            socket.write(`${lines.join("\r\n")}\r\n\r\n`);
        });

    test("lets loopback names through and refuses others with 403", async () => {
        const port = b.dashboardPort;
        for (const name of [
            "127.0.0.1",
            "localhost",
            "LOCALHOST",
            "[::1]",
            `localhost:${port}`,
            "127.0.0.1:1",
        ])
            assert.equal((await get({ host: name })).status, 200, name);
        for (const name of [
            "evil.example",
            "evil.example:9001",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.5",
            "localhost@evil.example",
            "localhost,evil.example",
        ])
            assertProblem(await get({ host: name }), [400, 403]);
        for (const lines of [
            ["Host:"],
            [],
            ["Host: localhost", "Host: evil.example"],
            ["Host: evil.example", "Host: a"],
        ]) {
            const line = await firstLine(["GET /api/v1/status HTTP/1.1", ...lines, "Connection: close"]);
            assert.match(line, /^HTTP\/1\.1 (400|403) /, `${lines}`);
        }
        const absolute = [
            "GET http://evil.example/api/v1/status HTTP/1.1",
            "Host: localhost",
            "Connection: close",
        ];
        assert.match(await firstLine(absolute), /^HTTP\/1\.1 (400|403) /);
        const page = await request(`${b.dashboardUrl}/`, { headers: { host: "evil.example" } });
        assert.equal(page.status, 403, "nor is the page itself served");
        const stream = await sse(b.apiUrl("/events"), { headers: { host: "evil.example" } });
        assert.equal(stream.status, 403);
        stream.close();
    });

    test("lets a change through from the dashboard itself or from a program", async () => {
        const own = `http://127.0.0.1:${b.dashboardPort}`;
        for (const headers of /** @type {Array<Record<string, string>>} */ ([
            {},
            { origin: own },
            { origin: own, "sec-fetch-site": "same-origin" },
            { "sec-fetch-site": "none" },
        ])) {
            const { status, text } = await change(headers);
            assert.ok(status < 300, `${JSON.stringify(headers)}: ${status} ${text}`);
        }
    });

    test("refuses a change that another page makes, with 403", async () => {
        for (const headers of /** @type {Array<Record<string, string>>} */ ([
            { origin: "http://evil.example" },
            { origin: "null" },
            { origin: `http://127.0.0.1:${b.dashboardPort + 1}` },
            { origin: `https://127.0.0.1:${b.dashboardPort}` },
            { origin: `http://127.0.0.1:${b.dashboardPort}.evil.example` },
            { "sec-fetch-site": "cross-site" },
            { "sec-fetch-site": "same-site" },
            { origin: `http://127.0.0.1:${b.dashboardPort}`, "sec-fetch-site": "cross-site" },
        ]))
            assertProblem(await change(headers), 403);
    });

    test("a name that was allowed is let through", async (t) => {
        const h = await startHostpair({ t, args: ["--allow-host", "box.example"] });
        const status = (/** @type {string} */ name) =>
            request(h.apiUrl("/status"), { headers: { host: name } });
        assert.equal((await status("box.example")).status, 200);
        assert.equal((await status(`box.example:${h.dashboardPort}`)).status, 200);
        assert.equal((await status("other.example")).status, 403);
    });

    test("with a token every call needs it", async (t) => {
        const h = await startHostpair({ t, args: ["--dashboard-token", "s3cret-token"] });
        const call = (/** @type {Record<string, string>} */ headers, path = "/status") =>
            request(h.apiUrl(path), { headers });
        assertProblem(await call({}), 401);
        assertProblem(await call({ authorization: "Bearer wrong" }), 401);
        assertProblem(await call({ authorization: "Bearer " }), 401);
        assertProblem(await call({ authorization: "Basic czNjcmV0LXRva2Vu" }), 401);
        assertProblem(await call({ authorization: "Bearer s3cret-tokenx" }), 401);
        assertProblem(await call({}, "/events"), 401);
        assertProblem(await call({}, "/metrics"), 401);
        assertProblem(await call({ cookie: "hostpair=s3cret-token" }), 401);
        assert.equal((await call({ authorization: "Bearer s3cret-token" })).status, 200);
        assert.equal(
            (await request(`${h.dashboardUrl}/`)).status,
            200,
            "the page that asks for the token is served",
        );
        assert.ok(!h.stderr().includes("s3cret-token"), "the token is not in the log");

        // Typed on the page, it comes back as a cookie.
        const session = await request(h.apiUrl("/session"), { json: { token: "s3cret-token" } });
        assert.ok(session.status < 300, `${session.status} ${session.text}`);
        const cookie = String(session.headers["set-cookie"]);
        assert.match(cookie, /HttpOnly/i);
        assert.match(cookie, /SameSite=Strict/i);
        assert.doesNotMatch(cookie, /s3cret-token/);
        assert.equal((await call({ cookie: cookie.split(";")[0] })).status, 200);
        assertProblem(await request(h.apiUrl("/session"), { json: { token: "wrong" } }), 401);
    });

    test("who guesses tokens is refused and logged; who has signed in is not concerned", async (t) => {
        const h = await startHostpair({ t, args: ["--dashboard-token", "s3cret-token"] });
        const session = await request(h.apiUrl("/session"), { json: { token: "s3cret-token" } });
        const cookie = String(session.headers["set-cookie"]).split(";")[0];
        const bearer = (/** @type {string} */ token) =>
            request(h.apiUrl("/status"), { headers: { authorization: `Bearer ${token}` } });
        let taken = 0;
        for (let i = 0; i < 50; i++) {
            const reply = await (i % 2
                ? bearer(`guess-${i}`)
                : request(h.apiUrl("/session"), { json: { token: `guess-${i}` } }));
            if (reply.status === 401) taken++;
            else {
                assertProblem(reply, 429);
                assert.match(String(reply.headers["retry-after"]), /^[1-9]\d?$/);
            }
        }
        assert.equal(taken, 10);
        assertProblem(await bearer("s3cret-token"), 429);
        assert.equal((await request(h.apiUrl("/status"), { headers: { cookie } })).status, 200);
        const told = h
            .stderr()
            .split("\n")
            .filter((line) => line.includes("wrong token"));
        assert.equal(told.length, 2, told.join("\n"));
        assert.match(told[0], /from 127\.0\.0\.1/);
        assert.match(told[1], /10 wrong tokens came from 127\.0\.0\.1; it is refused/);
    });

    test("a token may stand in a file, which others should not be able to read", async (t) => {
        const path = join(tempDir(t), "token");
        await writeFile(path, "s3cret-token\n", { mode: 0o644 });
        const open = await startHostpair({ t, args: ["--dashboard-token-file", path] });
        assert.match(
            open.stderr(),
            /--dashboard-token-file: users other than its owner may open .*chmod 600/,
        );
        await open.stop();
        await chmod(path, 0o600);
        const h = await startHostpair({ t, args: [], env: { HOSTPAIR_DASHBOARD_TOKEN_FILE: path } });
        assert.doesNotMatch(h.stderr(), /token/);
        assertProblem(await request(h.apiUrl("/status"), {}), 401);
        const headers = { authorization: "Bearer s3cret-token" };
        assert.equal((await request(h.apiUrl("/status"), { headers })).status, 200);
    });

    test("without a token it does not start beyond loopback", async () => {
        const dir = tempDir();
        for (const listen of ["0.0.0.0:0", "[::]:0"]) {
            const { code, stderr } = await runHostpair([
                ...["--peer-listen", "127.0.0.1:0", "--dashboard-listen", listen, "--no-scan", "--no-beacon"],
                ...["--share", join(dir, "s"), "--downloads", join(dir, "d"), "--data", join(dir, "data")],
            ]);
            assert.notEqual(code, 0);
            assert.match(stderr, /--dashboard-token/);
        }
        await rm(dir, { recursive: true, force: true });
    });
});
