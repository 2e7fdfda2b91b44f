// @ts-check
// At a terminal: what web servers ask for, and what was kept of cancelled downloads.

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";
import { test } from "node:test";

import { MiB, download, makeBytes, startHostpair, waitFor } from "./harness.mjs";
import { linked, sharing } from "./hosts.mjs";
import { makeIdentity } from "./identities.mjs";
import { asks, piped, rows, terminal } from "./terminal.mjs";
import { give, listen } from "./web.mjs";

/**
 * A web server; `heads` are the fields of each request.
 * @param {import("node:test").TestContext} t
 * @param {Buffer} bytes
 * @param {string} login what it wants, as `Authorization` has it; "" nothing
 */
async function webServer(t, bytes, login) {
    /** @type {http.IncomingHttpHeaders[]} */
    const heads = [];
    const server = http.createServer((request, response) => {
        heads.push(request.headers);
        if (login !== "" && request.headers.authorization !== login) {
            response.writeHead(401, { "WWW-Authenticate": "Basic" }).end();
            return;
        }
        response.writeHead(200, { "Content-Length": bytes.length }).end(bytes);
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
    t.after(() => {
        server.closeAllConnections();
        server.close();
    });
    const address = /** @type {import("node:net").AddressInfo} */ (server.address());
    return { heads, url: `http://127.0.0.1:${address.port}/report.bin` };
}

test("get URL sends header fields and a login, and shows neither again", { timeout: 60_000 }, async (t) => {
    const bytes = makeBytes(50_000, 4);
    const login = `Basic ${Buffer.from("ann:s/e@c:r").toString("base64")}`;
    const { heads, url } = await webServer(t, bytes, login);
    const own = await startHostpair({ t, name: "own" });
    const env = asks(own);
    const words = ["get", url, "-H", "X-One: 1", "--header=X-Two: a: b", "--user", "ann:s/e@c:r"];
    const got = await piped(words, { env });
    assert.equal(got.code, 0, got.stderr);
    assert.deepEqual(rows(got.stdout), [join(own.downloadsDir, "report.bin")]);
    assert.ok(readFileSync(rows(got.stdout)[0]).equals(bytes));
    const last = heads.at(-1);
    assert.deepEqual([last?.["x-one"], last?.["x-two"], last?.authorization], ["1", "a: b", login]);
    const { text } = await own.api("/downloads");
    for (const secret of ["s/e@c:r", "s%2Fe", "X-Two", "ann"])
        assert.ok(!text.includes(secret), `${secret}: ${text}`);
    assert.ok(
        !got.stderr.includes("s/e@c:r") && !own.stderr().includes("s%2Fe%40c"),
        got.stderr + own.stderr(),
    );

    const copy = await piped([...words, "--copy"], { env });
    assert.deepEqual(rows(copy.stdout), [join(own.downloadsDir, "report (1).bin")]);

    // A password that is not given is asked for, and not shown.
    const asked = terminal(["get", `${url}?2`, "--user", "ann"], { env });
    await waitFor(() => asked.screen().includes("Password:"), { what: "the question" });
    asked.type("s/e@c:r\n");
    const ended = await asked.ended;
    assert.equal(ended.code, 0, ended.screen);
    assert.ok(!ended.screen.includes("s/e@c:r"), ended.screen);

    for (const [args, says] of /** @type {[string[], RegExp][]} */ ([
        [["get", url, "-H", "no colon"], /-H takes 'Name: value'/],
        [["get", url, "-H"], /--header needs a value/],
        [["get", "attic", "a.txt", "-H", "A: b"], /go with a URL/],
        [["get", "attic", "a.txt", "--user", "a:b"], /go with a URL/],
        [["get", url, "--user", "ann"], /no password was given/],
    ])) {
        const { code, stderr } = await piped(args, { env });
        assert.equal(code, 2, `${args.join(" ")}: ${stderr}`);
        assert.match(stderr, says);
    }
    const bad = await piped(["get", url, "--certificate", "12:34"], { env });
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /64 hex digits/);
});

test("get URL tells which certificate was not trusted, and takes it", { timeout: 60_000 }, async (t) => {
    const bytes = makeBytes(50_000, 5);
    const { key, cert } = makeIdentity();
    const shown = new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase();
    const port = await listen(t, (request, response) => give(request, response, bytes), { key, cert });
    const own = await startHostpair({ t, name: "own" });
    const env = asks(own);
    for (const query of ["?1", "?2"]) {
        const url = `https://127.0.0.1:${port}/report.bin${query}`;
        // It is forgotten when it was ordered here; else it is still in the list, and goes on.
        if (query === "?2") {
            const { id } = await download(own, { url });
            await waitFor(async () => (await own.api(`/downloads/${id}`)).json.state === "failed", {
                what: "the failure",
            });
        }
        const refused = await piped(["get", url], { env });
        assert.equal(refused.code, 1, refused.stderr);
        const word = /works with (--certificate) ([0-9a-f]{64})\.$/m.exec(refused.stderr);
        assert.equal(word?.[2], shown, refused.stderr);
        const got = await piped(["get", url, word?.[1] ?? "", word?.[2] ?? ""], { env });
        assert.equal(got.code, 0, got.stderr);
        assert.ok(readFileSync(rows(got.stdout)[0]).equals(bytes));
    }
});

test("kept lists what was kept of cancelled downloads, and removes it", { timeout: 90_000 }, async (t) => {
    const other = await sharing(t, "attic", {
        "one.bin": { size: 24 * MiB, seed: 7 },
        "two.bin": { size: 24 * MiB, seed: 8 },
    });
    const own = await startHostpair({ t, name: "own" });
    const { id: host } = await linked(t, own, other.peerPort, { rate: 8 * MiB, files: 2 });
    const env = asks(own);
    const none = await piped(["kept"], { env });
    assert.deepEqual([none.code, none.stdout, none.stderr.trim()], [0, "", "Nothing is kept."]);
    /** @type {number[]} */
    const ids = [];
    for (const path of ["one.bin", "two.bin"]) {
        const { id } = await download(own, { host, path });
        await waitFor(async () => (await own.api(`/downloads/${id}`)).json.chunks_done > 1, {
            timeout: 30_000,
            what: "some chunks",
        });
        assert.equal((await piped(["downloads", "remove", String(id), "--keep"], { env })).code, 0);
        ids.unshift(id);
    }
    await waitFor(async () => (await own.api("/kept")).json.kept.length === 2, { what: "both are kept" });
    const lines = rows((await piped(["kept"], { env })).stdout).map((line) => line.split("\t"));
    assert.deepEqual(
        lines.map(([id, name, , of, , path]) => [Number(id), name, Number(of), path]),
        [
            [ids[0], "two.bin", 24 * MiB, "two.bin"],
            [ids[1], "one.bin", 24 * MiB, "one.bin"],
        ],
    );
    for (const [, , kept, , since] of lines) {
        assert.ok(Number(kept) > 0 && Number(kept) < 24 * MiB, kept);
        assert.ok(Math.abs(Date.now() - Date.parse(since)) < 80_000, since);
    }
    const words = await piped(["complete", "kept", "remove", ""], { env });
    assert.deepEqual(rows(words.stdout), ids.map(String));
    const one = await piped(["kept", "remove", String(ids[0])], { env });
    assert.deepEqual([one.code, one.stdout.trim()], [0, `${ids[0]}: removed`]);
    const twice = await piped(["kept", "remove", String(ids[0])], { env });
    assert.equal(twice.code, 1, twice.stderr);
    const all = await piped(["kept", "remove", "--all"], { env });
    assert.deepEqual([all.code, all.stdout.trim()], [0, `${ids[1]}: removed`]);
    assert.deepEqual((await own.api("/kept")).json.kept, []);
    for (const args of [
        ["kept", "remove"],
        ["kept", "--all"],
        ["kept", "drop", "1"],
        ["kept", "remove", "--all", "1"],
    ])
        assert.equal((await piped(args, { env })).code, 2, args.join(" "));
});
